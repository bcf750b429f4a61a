"""Owns a policy in plain sentences: how decisions flow, and what differs between two versions.

Must not decide anything: it says what `policy` does.
"""

from collections.abc import Iterator, Mapping
from math import inf
from typing import Final

from app.domain.decision_type import DecisionType
from app.domain.documents import listed
from app.domain.policy import plain_number
from app.domain.policy_shape import ESCALATE, NEVER, Policy, ReviewTerms, Rule, Threshold, Tier

_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_AT_LEAST: Final[Mapping[Tier, str]] = {
    Tier.REVIEW_REQUIRED: "a person must look at it",
    Tier.HUMAN_DECIDES: "a person decides",
}
_SHOWN: Final = {"always": "from the start", "after_judgement": "after their own judgement"}
_VIEWS: Final = {
    "review_required": "who review a decision",
    "human_decides": "who decide",
    "sample": "who check a sample",
}


def explain(policy: Policy, decision_type: DecisionType) -> list[str]:
    """How decisions of the type flow under the policy: one plain sentence each, in the order in which things happen."""
    return [
        *_explain_stakes(policy),
        *(_explain_level(level, policy.thresholds[level]) for level in policy.levels),
        *(_explain_rule(rule) for rule in policy.rules),
        *_explain_exceptions(policy, decision_type),
        _explain_sample(policy.sample_rate),
        *_explain_review(policy.review, decision_type),
    ]


def diff(old: Policy | None, new: Policy) -> list[str]:
    """What the new version changes, one plain sentence each; never empty."""
    if old is None:
        return ["This is the first version: without it, a person decides every decision."]
    changes = [
        *_diff_levels(old, new),
        *_diff_stakes(old, new),
        *_diff_thresholds(old, new),
        *_diff_rules(old, new),
        *_diff_sample(old, new),
        *_diff_models(old, new),
        *_diff_review(old.review, new.review),
    ]
    return changes or ["Nothing changes in what the policy does."]


def duration_words(seconds: int) -> str:
    """`4 hours`, `1 day`, `90 seconds`: the largest unit that says it exactly."""
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def share_words(rate: float) -> str:
    """`5 of 100`, `1 of 1,000`: a rate in [0, 1] as people count."""
    for base in (100, 1_000, 10_000, 100_000):
        count = round(rate * base)
        if abs(rate * base - count) < 1e-9:
            return f"{count:,} of {base:,}"
    return f"{plain_number(rate * 100)} %"


def _explain_stakes(policy: Policy) -> Iterator[str]:
    highest = policy.levels[-1]
    for number, rule in enumerate(policy.stakes_rules):
        opening = "Otherwise, stakes" if number else "Stakes"
        yield f"{opening} are {rule.level} when {_one_line(rule.when.text)}."
    yield f"In every other case stakes are {highest}." if policy.stakes_rules else f"Stakes are always {highest}."
    if len(policy.levels) > 1:
        yield "The AI service may raise the stakes of a decision, never lower them."


def _explain_level(level: str, needed: Threshold) -> str:
    decision = f"A decision with {level} stakes"
    if needed.review == inf:
        return f"{decision} is always decided by a person."
    review = plain_number(needed.review)
    if needed.autonomous == inf:
        if needed.review == 0:
            return f"{decision} never goes through on its own: a person reviews each one."
        return (
            f"{decision} never goes through on its own: a person reviews it when confidence is {review} or more, "
            "and decides below that."
        )
    if needed.autonomous == 0:
        return f"{decision} goes through on its own at any confidence."
    alone = f"{decision} goes through on its own when confidence is {plain_number(needed.autonomous)} or more"
    if needed.review == needed.autonomous:
        return f"{alone}; below that a person decides."
    if needed.review == 0:
        return f"{alone}; below that a person reviews it first."
    return f"{alone}; from {review} up to that a person reviews it first; below {review} a person decides."


def _explain_rule(rule: Rule) -> str:
    reason = rule.reason.rstrip(".")
    return (
        f"At any confidence, {_AT_LEAST[rule.at_least]} when {_one_line(rule.when.text)}: {reason} (rule {rule.name})."
    )


def _explain_exceptions(policy: Policy, decision_type: DecisionType) -> Iterator[str]:
    if policy.models is not None:
        yield f"Only these models may act under this policy: {_models(policy)}; for any other, a person decides."
    if decision_type.on_invalid_input == "human_decides":
        yield "When the input does not match the schema, a person decides."
    else:
        yield "A decision whose input does not match the schema is refused."
    yield "When the confidence is missing, the stakes are unknown or an expression fails, a person decides."


def _explain_sample(rate: float) -> str:
    if rate == 0:
        return "No autonomous decision is checked by a person afterwards."
    if rate == 1:
        return "Every autonomous decision is checked by a person afterwards."
    return f"{share_words(rate)} autonomous decisions are checked by a person afterwards."


def _explain_review(review: ReviewTerms, decision_type: DecisionType) -> Iterator[str]:
    queue = review.queue or decision_type.queue
    yield f"Reviews wait in the queue {queue} and are due within {duration_words(review.sla_seconds)}."
    if review.reviewers > 1:
        yield f"A decision that waits needs {review.reviewers} reviewers."
    yield from _visibility_words(review)
    if review.expires_after_seconds and review.on_expiry:
        yield _expiry_words(review, decision_type)


def _visibility_words(review: ReviewTerms) -> Iterator[str]:
    for value, when in _SHOWN.items():
        who = [words for key, words in _VIEWS.items() if getattr(review.ai_visibility, key) == value]
        if who:
            yield f"Reviewers {listed(who, 'or')} see the AI's proposal {when}."


def _expiry_words(review: ReviewTerms, decision_type: DecisionType) -> str:
    after = f"A decision that nobody settled within {duration_words(review.expires_after_seconds or 0)}"
    if review.on_expiry == ESCALATE:
        return f"{after} goes to the leads."
    title = decision_type.title_of(review.on_expiry or "")
    return f"{after} ends as {title}; where the AI proposed just that, it goes to the leads instead."


def _diff_levels(old: Policy, new: Policy) -> Iterator[str]:
    if old.levels != new.levels:
        yield f"The levels of stakes change from {', '.join(old.levels)} to {', '.join(new.levels)} (lowest first)."


def _diff_stakes(old: Policy, new: Policy) -> Iterator[str]:
    before = [(rule.when.text, rule.level) for rule in old.stakes_rules]
    after = [(rule.when.text, rule.level) for rule in new.stakes_rules]
    for text, level in before:
        if (text, level) not in after:
            yield f"Stakes are no longer {level} when {_one_line(text)}."
    for text, level in after:
        if (text, level) not in before:
            yield f"Stakes are now {level} when {_one_line(text)}."
    if before != after and sorted(before) == sorted(after):
        yield "The stakes rules are asked in another order."


def _diff_thresholds(old: Policy, new: Policy) -> Iterator[str]:
    for level in new.levels:
        after = new.thresholds[level]
        before = old.thresholds.get(level)
        if before is None:
            yield f"New level. {_explain_level(level, after)}"
            continue
        if before.autonomous != after.autonomous:
            move = _move(before.autonomous, after.autonomous)
            effect = "fewer" if after.autonomous > before.autonomous else "more"
            name = "the threshold to go through alone"
            yield f"{level.capitalize()} stakes: {name} {move}: {effect} decisions go through alone."
        if before.review != after.review:
            move = _move(before.review, after.review)
            effect = "more" if after.review > before.review else "fewer"
            name = "the threshold for a review of the AI's proposal"
            yield f"{level.capitalize()} stakes: {name} {move}: {effect} decisions are made by a person from the start."


def _move(before: float, after: float) -> str:
    verb = "rises" if after > before else "falls"
    return f"{verb} from {_threshold(before)} to {_threshold(after)}"


def _threshold(value: float) -> str:
    return NEVER if value == inf else plain_number(value)


def _diff_rules(old: Policy, new: Policy) -> Iterator[str]:
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    for name, rule in before.items():
        if name not in after:
            yield f"Rule {name} goes away: {_one_line(rule.when.text)} no longer means that {_AT_LEAST[rule.at_least]}."
    for name, rule in after.items():
        if name not in before:
            yield f"New rule {name}: {_AT_LEAST[rule.at_least]} when {_one_line(rule.when.text)}."
        else:
            yield from _diff_rule(before[name], rule)


def _diff_rule(old: Rule, new: Rule) -> Iterator[str]:
    if old.when.text != new.when.text:
        yield f"Rule {new.name}: applies when {_one_line(new.when.text)}, no longer when {_one_line(old.when.text)}."
    if old.at_least != new.at_least:
        yield f"Rule {new.name}: when it applies, {_AT_LEAST[new.at_least]}; before, {_AT_LEAST[old.at_least]}."
    if old.reason != new.reason:
        yield f"Rule {new.name}: the reason it gives is worded anew."


def _diff_sample(old: Policy, new: Policy) -> Iterator[str]:
    if old.sample_rate != new.sample_rate:
        verb = "rise" if new.sample_rate > old.sample_rate else "fall"
        change = f"from {share_words(old.sample_rate)} to {share_words(new.sample_rate)}"
        yield f"Checks of autonomous decisions {verb} {change}."


def _diff_models(old: Policy, new: Policy) -> Iterator[str]:
    if old.models != new.models:
        yield f"Models that may act under this policy: now {_models(new)}; before, {_models(old)}."


def _models(policy: Policy) -> str:
    if policy.models is None:
        return "any model"
    return listed([name.removesuffix("@*") + " (every version)" if name.endswith("@*") else name
                   for name in sorted(policy.models)], "and")  # fmt: skip


def _diff_review(old: ReviewTerms, new: ReviewTerms) -> Iterator[str]:
    if old.queue != new.queue:
        yield f"Reviews wait in {_queue(new)}, no longer in {_queue(old)}."
    if old.sla_seconds != new.sla_seconds:
        verb = "more" if new.sla_seconds > old.sla_seconds else "less"
        now, before = duration_words(new.sla_seconds), duration_words(old.sla_seconds)
        yield f"Reviews are due within {now} instead of {before}: reviewers have {verb} time."
    if old.reviewers != new.reviewers:
        yield f"A decision that waits needs {_people(new.reviewers)} instead of {_people(old.reviewers)}."
    for key, who in _VIEWS.items():
        before, now = (_SHOWN[getattr(terms.ai_visibility, key)] for terms in (old, new))
        if before != now:
            yield f"Reviewers {who} see the AI's proposal {now}, no longer {before}."
    if (old.expires_after_seconds, old.on_expiry) != (new.expires_after_seconds, new.on_expiry):
        yield f"A decision that nobody settles {_expiry(new)}; before, it {_expiry(old)}."


def _queue(terms: ReviewTerms) -> str:
    return f"the queue {terms.queue}" if terms.queue else "the decision type's own queue"


def _people(count: int) -> str:
    return "1 reviewer" if count == 1 else f"{count} reviewers"


def _expiry(terms: ReviewTerms) -> str:
    if not terms.expires_after_seconds:
        return "waits without an end"
    action = "goes to the leads" if terms.on_expiry == ESCALATE else f"ends as {terms.on_expiry}"
    return f"{action} after {duration_words(terms.expires_after_seconds)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())

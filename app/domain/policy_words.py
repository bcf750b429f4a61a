"""Owns a policy in plain sentences: how decisions flow. Must not decide anything: it says what `policy` does."""

from collections.abc import Iterator, Mapping
from math import inf
from typing import Final

from app.domain.decision_type import DecisionType
from app.domain.documents import listed
from app.domain.policy import plain_number
from app.domain.policy_shape import ESCALATE, Policy, ReviewTerms, Rule, Threshold, Tier

_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
AT_LEAST: Final[Mapping[Tier, str]] = {
    Tier.REVIEW_REQUIRED: "a person must look at it",
    Tier.HUMAN_DECIDES: "a person decides",
}
SHOWN: Final = {"always": "from the start", "after_judgement": "after their own judgement"}
VIEWS: Final = {
    "review_required": "who review a decision",
    "human_decides": "who decide",
    "sample": "who check a sample",
}


def explain(policy: Policy, decision_type: DecisionType) -> list[str]:
    """How decisions of the type flow under the policy: one plain sentence each, in the order in which things happen."""
    return [
        *_explain_stakes(policy),
        *(level_words(level, policy.thresholds[level]) for level in policy.levels),
        *(_explain_rule(rule) for rule in policy.rules),
        *_explain_exceptions(policy, decision_type),
        _explain_sample(policy.sample_rate),
        *_explain_review(policy.review, decision_type),
    ]


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


def level_words(level: str, needed: Threshold) -> str:
    """What confidence does at one level of stakes."""
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


def model_words(policy: Policy) -> str:
    """The models that may act under the policy."""
    if policy.models is None:
        return "any model"
    return listed([name.removesuffix("@*") + " (every version)" if name.endswith("@*") else name
                   for name in sorted(policy.models)], "and")  # fmt: skip


def one_line(text: str) -> str:
    """An expression as part of a sentence."""
    return " ".join(text.split())


def _explain_stakes(policy: Policy) -> Iterator[str]:
    highest = policy.levels[-1]
    for number, rule in enumerate(policy.stakes_rules):
        opening = "Otherwise, stakes" if number else "Stakes"
        yield f"{opening} are {rule.level} when {one_line(rule.when.text)}."
    yield f"In every other case stakes are {highest}." if policy.stakes_rules else f"Stakes are always {highest}."
    if len(policy.levels) > 1:
        yield "The AI service may raise the stakes of a decision, never lower them."


def _explain_rule(rule: Rule) -> str:
    reason = rule.reason.rstrip(".")
    return f"At any confidence, {AT_LEAST[rule.at_least]} when {one_line(rule.when.text)}: {reason} (rule {rule.name})."


def _explain_exceptions(policy: Policy, decision_type: DecisionType) -> Iterator[str]:
    if policy.models is not None:
        yield f"Only these models may act under this policy: {model_words(policy)}; for any other, a person decides."
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
    for value, when in SHOWN.items():
        who = [words for key, words in VIEWS.items() if getattr(review.ai_visibility, key) == value]
        if who:
            yield f"Reviewers {listed(who, 'or')} see the AI's proposal {when}."


def _expiry_words(review: ReviewTerms, decision_type: DecisionType) -> str:
    after = f"A decision that nobody settled within {duration_words(review.expires_after_seconds or 0)}"
    if review.on_expiry == ESCALATE:
        return f"{after} goes to the leads."
    title = decision_type.title_of(review.on_expiry or "")
    return f"{after} ends as {title}; where the AI proposed just that, it goes to the leads instead."

"""Owns what differs between two versions of a policy: sentences, each with the direction that it moves decisions in.

Must not decide anything: it says what `policy` does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from app.domain.policy import plain_number
from app.domain.policy_shape import ESCALATE, NEVER, Policy, ReviewTerms, Rule
from app.domain.policy_words import (
    AT_LEAST,
    SHOWN,
    VIEWS,
    duration_words,
    level_words,
    model_words,
    one_line,
    share_words,
)


class Direction(StrEnum):
    """Where a change moves decisions."""

    PEOPLE = "people"
    ALONE = "alone"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a new version changes, in one plain sentence."""

    text: str
    direction: Direction = Direction.OTHER


def diff(old: Policy, new: Policy) -> list[Change]:
    """What the new version changes; empty when the two do the same."""
    return [
        *_diff_levels(old, new),
        *_diff_stakes(old, new),
        *_diff_thresholds(old, new),
        *_diff_rules(old, new),
        *_diff_sample(old, new),
        *_diff_models(old, new),
        *_diff_review(old.review, new.review),
    ]


def _towards(people: bool) -> Direction:
    return Direction.PEOPLE if people else Direction.ALONE


def _diff_levels(old: Policy, new: Policy) -> Iterator[Change]:
    if old.levels != new.levels:
        yield Change(
            f"The levels of stakes change from {', '.join(old.levels)} to {', '.join(new.levels)} (lowest first)."
        )


def _diff_stakes(old: Policy, new: Policy) -> Iterator[Change]:
    before = [(rule.when.text, rule.level) for rule in old.stakes_rules]
    after = [(rule.when.text, rule.level) for rule in new.stakes_rules]
    for text, level in before:
        if (text, level) not in after:
            yield Change(f"Stakes are no longer {level} when {one_line(text)}.")
    for text, level in after:
        if (text, level) not in before:
            yield Change(f"Stakes are now {level} when {one_line(text)}.")
    if before != after and sorted(before) == sorted(after):
        yield Change("The stakes rules are asked in another order.")


def _diff_thresholds(old: Policy, new: Policy) -> Iterator[Change]:
    for level in new.levels:
        after = new.thresholds[level]
        before = old.thresholds.get(level)
        if before is None:
            yield Change(f"New level. {level_words(level, after)}")
            continue
        if before.autonomous != after.autonomous:
            move = _move(before.autonomous, after.autonomous)
            stricter = after.autonomous > before.autonomous
            effect, name = "fewer" if stricter else "more", "the threshold to go through alone"
            text = f"{level.capitalize()} stakes: {name} {move}: {effect} decisions go through alone."
            yield Change(text, _towards(stricter))
        if before.review != after.review:
            move = _move(before.review, after.review)
            stricter = after.review > before.review
            effect, name = "more" if stricter else "fewer", "the threshold for a review of the AI's proposal"
            text = (
                f"{level.capitalize()} stakes: {name} {move}: {effect} decisions are made by a person from the start."
            )
            yield Change(text, _towards(stricter))


def _move(before: float, after: float) -> str:
    verb = "rises" if after > before else "falls"
    return f"{verb} from {_threshold(before)} to {_threshold(after)}"


def _threshold(value: float) -> str:
    return NEVER if value == inf else plain_number(value)


def _diff_rules(old: Policy, new: Policy) -> Iterator[Change]:
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    for name, rule in before.items():
        if name not in after:
            what = f"{one_line(rule.when.text)} no longer means that {AT_LEAST[rule.at_least]}"
            yield Change(f"Rule {name} goes away: {what}.", Direction.ALONE)
    for name, rule in after.items():
        if name not in before:
            text = f"New rule {name}: {AT_LEAST[rule.at_least]} when {one_line(rule.when.text)}."
            yield Change(text, Direction.PEOPLE)
        else:
            yield from _diff_rule(before[name], rule)


def _diff_rule(old: Rule, new: Rule) -> Iterator[Change]:
    if old.when.text != new.when.text:
        now, before = one_line(new.when.text), one_line(old.when.text)
        yield Change(f"Rule {new.name}: applies when {now}, no longer when {before}.")
    if old.at_least != new.at_least:
        text = f"Rule {new.name}: when it applies, {AT_LEAST[new.at_least]}; before, {AT_LEAST[old.at_least]}."
        yield Change(text, _towards(new.at_least.rank > old.at_least.rank))
    if old.reason != new.reason:
        yield Change(f"Rule {new.name}: the reason it gives is worded anew.")


def _diff_sample(old: Policy, new: Policy) -> Iterator[Change]:
    if old.sample_rate != new.sample_rate:
        verb = "rise" if new.sample_rate > old.sample_rate else "fall"
        change = f"from {share_words(old.sample_rate)} to {share_words(new.sample_rate)}"
        yield Change(f"Checks of autonomous decisions {verb} {change}.")


def _diff_models(old: Policy, new: Policy) -> Iterator[Change]:
    if old.models != new.models:
        text = f"Models that may act under this policy: now {model_words(new)}; before, {model_words(old)}."
        yield Change(text, _models_direction(old.models, new.models))


def _models_direction(old: frozenset[str] | None, new: frozenset[str] | None) -> Direction:
    if new is not None and (old is None or new < old):
        return Direction.PEOPLE
    return Direction.ALONE if new is None or (old is not None and old < new) else Direction.OTHER


def _diff_review(old: ReviewTerms, new: ReviewTerms) -> Iterator[Change]:
    if old.queue != new.queue:
        yield Change(f"Reviews wait in {_queue(new)}, no longer in {_queue(old)}.")
    if old.sla_seconds != new.sla_seconds:
        verb = "more" if new.sla_seconds > old.sla_seconds else "less"
        now, before = duration_words(new.sla_seconds), duration_words(old.sla_seconds)
        yield Change(f"Reviews are due within {now} instead of {before}: reviewers have {verb} time.")
    if old.reviewers != new.reviewers:
        yield Change(f"A decision that waits needs {_people(new.reviewers)} instead of {_people(old.reviewers)}.")
    for key, who in VIEWS.items():
        before, now = (SHOWN[getattr(terms.ai_visibility, key)] for terms in (old, new))
        if before != now:
            yield Change(f"Reviewers {who} see the AI's proposal {now}, no longer {before}.")
    if (old.expires_after_seconds, old.on_expiry) != (new.expires_after_seconds, new.on_expiry):
        yield Change(f"A decision that nobody settles {_expiry(new)}; before, it {_expiry(old)}.")


def _queue(terms: ReviewTerms) -> str:
    return f"the queue {terms.queue}" if terms.queue else "the decision type's own queue"


def _people(count: int) -> str:
    return "1 reviewer" if count == 1 else f"{count} reviewers"


def _expiry(terms: ReviewTerms) -> str:
    if not terms.expires_after_seconds:
        return "waits without an end"
    action = "goes to the leads" if terms.on_expiry == ESCALATE else f"ends as {terms.on_expiry}"
    return f"{action} after {duration_words(terms.expires_after_seconds)}"

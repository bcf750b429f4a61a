"""Owns the legal moves of a review: verdicts, quorum, escalation. Must not know leases' clocks or any storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from app.domain.errors import Fault, Invalid
from app.domain.policy import Tier

REVIEWERS, LEADS = 0, 1  # the rungs of the escalation ladder


class Action(StrEnum):
    """What a reviewer can say of a review."""

    APPROVE = "approve"
    OVERRIDE = "override"
    DECIDE = "decide"
    ESCALATE = "escalate"
    ABSTAIN = "abstain"


RULINGS = frozenset({Action.APPROVE, Action.OVERRIDE, Action.DECIDE})


@dataclass(frozen=True, slots=True)
class Said:
    """What one reviewer said, as it came in."""

    action: Action
    outcome: str | None = None
    reason_code: str | None = None
    rationale: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules need to know of the review, its decision and its type."""

    kind: Literal["gate", "sample"]
    tier: Tier
    level: int
    proposal_outcome: str
    outcomes: tuple[str, ...]
    reason_codes: tuple[str, ...]
    rationale: Literal["never", "override", "always"]
    blind: bool = False
    judged: bool = False

    @property
    def proposal_hidden(self) -> bool:
        return self.blind and not self.judged

    @property
    def rulings(self) -> tuple[Action, ...]:
        """The rulings that are open now: a hidden proposal can neither be approved nor overridden."""
        if self.tier is Tier.HUMAN_DECIDES or self.proposal_hidden:
            return (Action.DECIDE,)
        return (Action.APPROVE, Action.OVERRIDE)


def check(case: Case, said: Said) -> Said:
    """The verdict made whole (an approval carries the proposal's outcome), or Invalid with a code and pointers.

    Codes: action_not_possible, outcome_unknown, outcome_required, reason_required, reason_unknown,
    rationale_required, note_required.
    """
    if said.action is Action.ESCALATE:
        return _check_escalation(case, said)
    if said.action is Action.ABSTAIN:
        return Said(said.action, rationale=said.rationale)
    if said.action not in case.rulings:
        raise _not_possible(case)
    if case.proposal_hidden:
        return _check_words(case, _check_outcome(case, said), strict=False)
    return _check_words(case, _check_outcome(case, said), strict=True)


def _check_escalation(case: Case, said: Said) -> Said:
    if case.level >= LEADS:
        raise Invalid("This review is with the leads already; there is nobody above them.", "action_not_possible")
    if not said.rationale:
        raise _missing("note_required", "/rationale", "Say in a note why the leads should look at this.")
    return Said(said.action, rationale=said.rationale, reason_code=_known_reason(case, said))


def _not_possible(case: Case) -> Invalid:
    possible = " or ".join(action.value for action in case.rulings)
    why = "give your own judgement first" if case.proposal_hidden else f"a {case.tier.value} review takes {possible}"
    detail = f"This action is not possible here: {why} (action {possible}, escalate or abstain)."
    return Invalid(detail, "action_not_possible", (Fault("/action", detail),))


def _check_outcome(case: Case, said: Said) -> Said:
    if said.action is Action.APPROVE:
        if said.outcome not in (None, case.proposal_outcome):
            raise _missing("outcome_unknown", "/outcome", "An approval takes the proposed outcome; use override.")
        return Said(said.action, case.proposal_outcome, said.reason_code, said.rationale)
    if not said.outcome:
        raise _missing("outcome_required", "/outcome", f"Say the outcome: one of {', '.join(case.outcomes)}.")
    if said.outcome not in case.outcomes:
        raise _missing("outcome_unknown", "/outcome", f"The outcome must be one of {', '.join(case.outcomes)}.")
    if said.action is Action.OVERRIDE and said.outcome == case.proposal_outcome:
        raise _missing(
            "outcome_unknown", "/outcome", "An override takes another outcome than the proposed; use approve."
        )
    return said


def _check_words(case: Case, said: Said, *, strict: bool) -> Said:
    reason = _known_reason(case, said)
    overrides = said.action is Action.OVERRIDE
    if strict and overrides and case.reason_codes and reason is None:
        raise _missing("reason_required", "/reason_code", f"Say a reason: one of {', '.join(case.reason_codes)}.")
    asked = case.rationale == "always" or (overrides and (case.rationale == "override" or not case.reason_codes))
    if strict and asked and not (said.rationale or "").strip():
        raise _missing("rationale_required", "/rationale", "Say in your own words why.")
    return Said(said.action, said.outcome, reason, said.rationale)


def _known_reason(case: Case, said: Said) -> str | None:
    if not said.reason_code:
        return None
    if said.reason_code not in case.reason_codes:
        known = ", ".join(case.reason_codes) or "none are defined for this type"
        raise _missing("reason_unknown", "/reason_code", f"The reason must be one of: {known}.")
    return said.reason_code


def _missing(code: str, pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code, (Fault(pointer, detail),))


@dataclass(frozen=True, slots=True)
class Tally:
    """What the rulings so far amount to: settled with an outcome, split (to the leads), or still open."""

    outcome: str | None = None
    split: bool = False


def tally(required: int, level: int, rulings: Sequence[str]) -> Tally:
    """Count the outcomes given, the newest last: a lead's settles alone, else `required` people must say the same."""
    if level >= LEADS:
        return Tally(outcome=rulings[-1])
    if len(set(rulings)) > 1:
        return Tally(split=True)
    return Tally(outcome=rulings[-1]) if len(rulings) >= required else Tally()

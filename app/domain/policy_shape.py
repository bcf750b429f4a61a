"""Owns the shape of a policy once it is read: tiers, levels, thresholds, rules, review terms.

Must not read documents (`policy_document` does) nor decide (`policy` does).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from app.domain.expressions import Expression, Part

DEFAULT_LEVELS: Final = ("low", "medium", "high")
NEVER: Final = "never"
ESCALATE: Final = "escalate"


class Tier(StrEnum):
    """Who settles a decision, ordered towards people."""

    AUTONOMOUS = "autonomous"
    REVIEW_REQUIRED = "review_required"
    HUMAN_DECIDES = "human_decides"

    @property
    def rank(self) -> int:
        """0 for autonomous, 1 for review_required, 2 for human_decides."""
        return _TIERS.index(self)


_TIERS: Final = tuple(Tier)


@dataclass(frozen=True, slots=True)
class StakesRule:
    """When `when` holds, the decision has stakes `level`; the first rule that holds wins."""

    when: Expression
    level: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """The confidence in [0, 1] that a level needs; infinity stands for `never`."""

    autonomous: float
    review: float


@dataclass(frozen=True, slots=True)
class Rule:
    """When `when` holds, the decision goes to tier `at_least` or nearer to people."""

    name: str
    when: Expression
    at_least: Tier
    reason: str


@dataclass(frozen=True, slots=True)
class Visibility:
    """When reviewers see the AI's proposal: `always`, or only `after_judgement` of their own."""

    review_required: str = "always"
    human_decides: str = "after_judgement"
    sample: str = "after_judgement"


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How people are asked. `queue` None is the decision type's; times are seconds."""

    queue: str | None = None
    sla_seconds: int = 86_400
    reviewers: int = 1
    ai_visibility: Visibility = Visibility()
    expires_after_seconds: int | None = None
    on_expiry: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy, read and compiled. `document` has every default made explicit; `digest` is of `canonical_bytes`.

    `parts` are what its expressions can reach of a decision.
    """

    decision_type: str
    levels: tuple[str, ...]
    stakes_rules: tuple[StakesRule, ...]
    thresholds: Mapping[str, Threshold]
    rules: tuple[Rule, ...]
    sample_rate: float
    models: frozenset[str] | None
    review: ReviewTerms
    document: Mapping[str, Any]
    canonical_bytes: bytes
    digest: str
    parts: frozenset[Part]

"""Owns the route of a decision: who settles it, and why. Pure and total: whatever comes in, it fails towards people.

Must not read a clock, draw a random number, or look anything up: the same facts give the same route, bit for bit.
"""

import hmac
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from app.domain.documents import listed
from app.domain.errors import Fault
from app.domain.expressions import Expression, Scope, quotes_proposal
from app.domain.policy_document import cached_policy, check_against_type, parse_policy
from app.domain.policy_shape import DEFAULT_LEVELS, ESCALATE, Policy, ReviewTerms, Threshold, Tier

__all__ = (
    "Facts", "Policy", "Reason", "ReviewPlan", "Route", "Tier", "cached_policy", "check_against_type", "evaluate",
    "expiry_action", "parse_policy", "plain_number",
)  # fmt: skip

_NAMED_POINTERS: Final = 5
_TEXT_LIMIT: Final = 80


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for the route: a stable code and a sentence. `quotes_proposal`: hide it while a review is blind."""

    code: str
    text: str
    quotes_proposal: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a decision when it is routed. `input_faults` are the schema's, found by the caller."""

    decision_id: str
    input: Any
    proposal: Mapping[str, Any]
    model: Mapping[str, Any]
    metadata: Mapping[str, Any]
    declared_stakes: str | None = None
    input_faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """The review to ask for. `queue` None is the decision type's; priority 0 is most urgent; times are seconds."""

    kind: Literal["gate", "sample"]
    queue: str | None
    sla_seconds: int
    reviewers: int
    blind: bool
    priority: int
    expires_after_seconds: int | None
    on_expiry: str | None


@dataclass(frozen=True, slots=True)
class Route:
    """Where the decision goes and why. `inclusion_probability` is the sample rate, 0.0 when not autonomous."""

    tier: Tier
    stakes: str
    reasons: tuple[Reason, ...]
    sampled: bool
    inclusion_probability: float
    review: ReviewPlan | None


def evaluate(policy: Policy | None, facts: Facts, sampling_key: bytes) -> Route:
    """Route a decision. Never raises; what is missing, unknown or broken sends the decision to people."""
    if policy is None:
        return _without_policy(facts)
    scope = Scope({
        "input": facts.input, "proposal": facts.proposal, "model": facts.model, "metadata": facts.metadata,
    }, policy.parts)  # fmt: skip
    stakes, findings = _stakes(policy, facts.declared_stakes, scope)
    findings += _unfit(policy, facts)
    findings.append(_by_confidence(policy.thresholds[stakes], stakes, facts.proposal))
    findings += _by_rules(policy, scope)
    tier = max((finding.tier for finding in findings), key=lambda found: found.rank)
    reasons = tuple(found.reason for found in findings if not _beside_the_point(found, tier))
    return _route(policy, tier, stakes, reasons, facts.decision_id, sampling_key)


def expiry_action(policy_on_expiry: str | None, proposal_outcome: str | None) -> str:
    """What a review's expiry does: `escalate`, or the outcome key; a timeout never does what the AI proposed."""
    if policy_on_expiry is None or policy_on_expiry == proposal_outcome:
        return ESCALATE
    return policy_on_expiry


def plain_number(value: float) -> str:
    """`0.90`, `0.975`: never an exponent, at least two places."""
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"


@dataclass(frozen=True, slots=True)
class _Finding:
    """The least tier that something asks for, and the reason."""

    tier: Tier
    reason: Reason


def _finding(tier: Tier, code: str, text: str, quotes: bool = False) -> _Finding:
    return _Finding(tier, Reason(code, text, quotes))


def _without_policy(facts: Facts) -> Route:
    declared = facts.declared_stakes
    stakes = declared if isinstance(declared, str) and declared in DEFAULT_LEVELS else DEFAULT_LEVELS[-1]
    reasons = (Reason("no_active_policy", "No policy is active for this decision type, so a person decides."),)
    plan = _plan(ReviewTerms(), Tier.HUMAN_DECIDES, DEFAULT_LEVELS, stakes)
    return Route(Tier.HUMAN_DECIDES, stakes, reasons, False, 0.0, plan)


def _stakes(policy: Policy, declared: Any, scope: Scope) -> tuple[str, list[_Finding]]:
    computed, finding = _computed_stakes(policy, scope)
    if declared is None:
        return computed, [finding]
    levels = policy.levels
    if not isinstance(declared, str) or declared not in levels:
        known = listed(levels, "and")
        text = f"The AI service declared stakes that the policy does not know; the levels are {known}."
        return levels[-1], [finding, _finding(Tier.HUMAN_DECIDES, "unknown_stakes", text)]
    if levels.index(declared) <= levels.index(computed):
        return computed, [finding]
    text = f"The AI service raised the stakes from {computed} to {declared}."
    return declared, [finding, _finding(Tier.AUTONOMOUS, "stakes_raised", text, finding.reason.quotes_proposal)]


def _computed_stakes(policy: Policy, scope: Scope) -> tuple[str, _Finding]:
    highest = policy.levels[-1]
    quotes = False
    for number, rule in enumerate(policy.stakes_rules, start=1):
        holds = scope.holds(rule.when)
        quotes = quotes or quotes_proposal(rule.when)
        if holds is None:
            text = f"Stakes rule {number}{_in_brackets(rule.when)} could not be evaluated, so stakes are {highest}."
            return highest, _finding(Tier.HUMAN_DECIDES, "expression_failed", text, quotes)
        if holds:
            text = f"Stakes are {rule.level} by stakes rule {number}{_in_brackets(rule.when)}."
            return rule.level, _finding(Tier.AUTONOMOUS, "stakes_rule", text, quotes)
    text = f"Stakes are {highest}: no stakes rule applies, and {highest} is the highest level."
    return highest, _finding(Tier.AUTONOMOUS, "stakes_default", text, quotes)


def _in_brackets(expression: Expression) -> str:
    text = " ".join(expression.text.split())
    return f" ({text})" if len(text) <= _TEXT_LIMIT else ""


def _unfit(policy: Policy, facts: Facts) -> Iterator[_Finding]:
    """What makes the decision one that the policy was not written for."""
    if facts.input_faults:
        text = f"The input does not match the decision type's schema at {_pointers(facts.input_faults)}."
        yield _finding(Tier.HUMAN_DECIDES, "input_invalid", text)
    if policy.models is not None and not _is_known(policy.models, facts.model):
        text = "The policy was not written for this model version, so a person decides."
        yield _finding(Tier.HUMAN_DECIDES, "unknown_model", text)


def _pointers(faults: tuple[Fault, ...]) -> str:
    pointers = list(dict.fromkeys((fault.pointer or "its root")[:120] for fault in faults))
    more = len(pointers) - _NAMED_POINTERS
    return listed([*pointers[:_NAMED_POINTERS], f"{more} more places"] if more > 0 else pointers, "and")


def _is_known(models: frozenset[str], model: Any) -> bool:
    name, version = _part(model, "name"), _part(model, "version")
    if not isinstance(name, str) or not isinstance(version, str) or not version:
        return False
    return f"{name}@{version}" in models or f"{name}@*" in models


def _part(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _by_confidence(needed: Threshold, stakes: str, proposal: Any) -> _Finding:
    confidence = _part(proposal, "confidence")
    if confidence is None:
        return _finding(Tier.HUMAN_DECIDES, "confidence_missing", "The AI gave no confidence, so a person decides.")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        text = "The AI's confidence is no number from 0 to 1, so a person decides."
        return _finding(Tier.HUMAN_DECIDES, "confidence_invalid", text)
    said = f"Confidence {plain_number(confidence)}"
    if confidence >= needed.autonomous:
        text = f"{said} reaches {plain_number(needed.autonomous)}, which {stakes} stakes need to go through alone."
        return _finding(Tier.AUTONOMOUS, "confident_enough", text, True)
    if confidence < needed.review:
        return _below_review(needed, stakes, said)
    if needed.autonomous == math.inf:
        return _finding(
            Tier.REVIEW_REQUIRED, "never_autonomous", f"With {stakes} stakes no decision goes through alone."
        )
    text = f"{said} is below {plain_number(needed.autonomous)}, which {stakes} stakes need to go through alone."
    return _finding(Tier.REVIEW_REQUIRED, "below_autonomous", text, True)


def _below_review(needed: Threshold, stakes: str, said: str) -> _Finding:
    if needed.review == math.inf:
        return _finding(Tier.HUMAN_DECIDES, "always_human", f"With {stakes} stakes a person always decides.")
    least = plain_number(needed.review)
    text = (
        f"{said} is below {least}, which {stakes} stakes need for the AI's proposal to be reviewed; a person decides."
    )
    return _finding(Tier.HUMAN_DECIDES, "below_review", text, True)


def _by_rules(policy: Policy, scope: Scope) -> Iterator[_Finding]:
    for rule in policy.rules:
        holds = scope.holds(rule.when)
        quotes = quotes_proposal(rule.when)
        if holds is None:
            text = f"The rule {rule.name} could not be evaluated, so a person decides."
            yield _finding(Tier.HUMAN_DECIDES, "expression_failed", text, quotes)
        elif holds:
            yield _finding(rule.at_least, "rule_applies", f"{rule.reason.rstrip('.')} (rule {rule.name}).", quotes)


def _beside_the_point(finding: _Finding, tier: Tier) -> bool:
    """Enough confidence is no reason for a tier that something else chose."""
    return finding.reason.code == "confident_enough" and tier is not Tier.AUTONOMOUS


def _route(
    policy: Policy, tier: Tier, stakes: str, reasons: tuple[Reason, ...], decision_id: str, sampling_key: bytes
) -> Route:
    if tier is not Tier.AUTONOMOUS:
        return Route(tier, stakes, reasons, False, 0.0, _plan(policy.review, tier, policy.levels, stakes))
    sampled = _drawn(sampling_key, decision_id, policy.sample_rate)
    plan = _plan(policy.review, tier, policy.levels, stakes) if sampled else None
    return Route(tier, stakes, reasons, sampled, float(policy.sample_rate), plan)


def _drawn(key: bytes, decision_id: str, rate: float) -> bool:
    """A uniform draw in [0, 1) that only the key's holder can foresee: HMAC-SHA256 (RFC 2104) of the decision id."""
    mac = hmac.digest(key, decision_id.encode("utf-8", "surrogatepass"), "sha256")
    return int.from_bytes(mac[:8], "big") < rate * 2**64


def _plan(terms: ReviewTerms, tier: Tier, levels: tuple[str, ...], stakes: str) -> ReviewPlan:
    """A gate with all the policy's terms, or for an autonomous decision a sample: one person, and no expiry."""
    priority = len(levels) - 1 - levels.index(stakes)
    see = terms.ai_visibility
    if tier is Tier.AUTONOMOUS:
        blind = see.sample == "after_judgement"
        return ReviewPlan("sample", terms.queue, terms.sla_seconds, 1, blind, priority, None, None)
    blind = (see.human_decides if tier is Tier.HUMAN_DECIDES else see.review_required) == "after_judgement"
    return ReviewPlan(
        "gate", terms.queue, terms.sla_seconds, terms.reviewers, blind, priority,
        terms.expires_after_seconds, terms.on_expiry,
    )  # fmt: skip

"""Owns the policy document: its shape, its defaults, and the refusal of whatever would be unsafe or unclear.

Must not decide about decisions: `policy` does.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise
from math import inf, nan
from typing import Any, Final

from app.domain.canonical import canonical, digest
from app.domain.decision_type import OUTCOME_KEY, DecisionType
from app.domain.document_text import read_document
from app.domain.documents import (
    SLUG,
    SLUG_WORDS,
    Section,
    as_section,
    fractions_as_text,
    is_number,
    listed,
    refuse,
    seconds_of,
    tidy,
)
from app.domain.errors import Fault
from app.domain.expressions import Expression, Unacceptable, compile_expression
from app.domain.policy_shape import (
    DEFAULT_LEVELS,
    ESCALATE,
    NEVER,
    Policy,
    ReviewTerms,
    Rule,
    StakesRule,
    Threshold,
    Tier,
    Visibility,
)

INVALID: Final = "policy_invalid"
DEFAULT_SLA: Final = "24h"
BROKEN: Final = nan  # a threshold that is refused: it compares with nothing, so that no other is blamed for it

_LEVEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LEVEL_WORDS = "1 to 32 lower-case letters, digits, hyphens or underscores, starting with a letter"
_RULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")
_RULE_WORDS = "1 to 64 letters, digits, spaces, dots, hyphens or underscores"
_MODEL = re.compile(r"[^@\s](?:[^@\r\n]{0,126}[^@\s])?@(?:\*|[^@*\s]{1,128})")
_VISIBLE = ("always", "after_judgement")


def parse_policy(source: str | Mapping[str, Any]) -> Policy:
    """Read a policy from YAML or JSON text or a mapping. Raises Invalid (policy_invalid) with every fault."""
    faults: list[Fault] = []
    root = Section(read_document(source, code=INVALID), "", faults)
    decision_type = root.text("decision_type", pattern=SLUG, words=SLUG_WORDS)
    levels, stakes_rules = _stakes(root.section("stakes"))
    thresholds = _thresholds(root, levels)
    rules = _rules(root)
    sample = root.section("sample")
    sample_rate = sample.number("rate", 0)
    sample.close()
    models = _models(root)
    review, terms = _review(root.section("review"))
    root.close()
    refuse(faults, INVALID)
    document = {
        "decision_type": decision_type,
        "stakes": {"levels": list(levels), "rules": [{"when": r.when.text, "level": r.level} for r in stakes_rules]},
        "thresholds": {
            level: {"autonomous": _word(t.autonomous), "review": _word(t.review)} for level, t in thresholds.items()
        },
        "rules": [
            {"name": r.name, "when": r.when.text, "at_least": r.at_least.value, "reason": r.reason} for r in rules
        ],
        "sample": {"rate": sample_rate},
        "models": models,
        "review": terms,
    }
    raw = canonical(fractions_as_text(document))
    known = None if models is None else frozenset(models)
    parts = frozenset().union(*(rule.when.parts for rule in stakes_rules), *(rule.when.parts for rule in rules))
    return Policy(
        decision_type, levels, stakes_rules, thresholds, rules, sample_rate, known, review, document, raw, digest(raw),
        parts,
    )  # fmt: skip


@lru_cache(maxsize=256)
def cached_policy(document_json: str) -> Policy:
    """The policy of a stored document, compiled once per text. Raises Invalid like parse_policy."""
    return parse_policy(json.loads(document_json))


def check_against_type(policy: Policy, decision_type: DecisionType) -> tuple[Fault, ...]:
    """What in the policy does not fit the decision type that it is for."""
    faults = []
    if policy.decision_type != decision_type.slug:
        faults.append(Fault("/decision_type", "must be the slug of the decision type that the policy is for."))
    expiry = policy.review.on_expiry
    if expiry not in (None, ESCALATE) and expiry not in _harmless(decision_type):
        known = _harmless(decision_type)
        choices = f"one of the outcomes that approve nothing ({listed(known, 'or')})" if known else ESCALATE
        faults.append(Fault("/review/on_expiry/outcome", f"must be {choices}: a timeout never approves."))
    return tuple(faults)


def _harmless(decision_type: DecisionType) -> tuple[str, ...]:
    return tuple(outcome.key for outcome in decision_type.outcomes if not outcome.approving)


def _word(threshold: float) -> float | str:
    return NEVER if threshold == inf else threshold


def _stakes(section: Section) -> tuple[tuple[str, ...], tuple[StakesRule, ...]]:
    levels = _levels(section) or DEFAULT_LEVELS
    rules = []
    for entry in section.sections("rules"):
        when = _expression(entry)
        level = entry.choice("level", levels)
        if when:
            rules.append(StakesRule(when, level))
    section.close()
    return levels, tuple(rules)


def _levels(section: Section) -> tuple[str, ...]:
    if not section.has("levels"):
        section.get("levels")
        return ()
    levels: list[str] = []
    for pointer, level in section.items("levels", least=1, most=8):
        if not isinstance(level, str) or not _LEVEL.fullmatch(level):
            section.faults.append(Fault(pointer, f"must be {_LEVEL_WORDS}."))
        elif level in levels:
            section.faults.append(Fault(pointer, "is named twice: levels must be unique, lowest first."))
        else:
            levels.append(level)
    return tuple(levels)


def _expression(entry: Section) -> Expression | None:
    text = entry.get("when")
    if not isinstance(text, str) or not text.strip():
        entry.fault("when", 'must be an expression (CEL) in quotes, such as "input.amount < 100".')
        return None
    try:
        return compile_expression(text)
    except Unacceptable as error:
        entry.fault("when", str(error))
        return None


def _thresholds(root: Section, levels: tuple[str, ...]) -> dict[str, Threshold]:
    section = root.section("thresholds")
    found = {}
    for level in levels:
        if section.has(level):
            inner = section.section(level)
            whole = isinstance(section.value[level], Mapping)
            found[level] = _threshold(inner) if whole else Threshold(BROKEN, BROKEN)
        else:
            section.get(level)
            section.fault(level, "is missing: each level needs thresholds, such as {autonomous: never, review: 0.8}.")
    section.close()
    for lower, higher in pairwise(level for level in levels if level in found):
        _never_looser(section, found, lower, higher)
    return found


def _threshold(section: Section) -> Threshold:
    if not section.has("autonomous"):
        section.fault("autonomous", "is missing: it must be a number from 0 to 1, or never.")
    autonomous = _confidence(section, "autonomous", BROKEN)
    review = _confidence(section, "review", 0)
    section.close()
    if review > autonomous:
        section.fault("review", "must not be above autonomous: a person cannot need more confidence than nobody.")
    return Threshold(autonomous, review)


def _confidence(section: Section, key: str, default: float) -> float:
    value = section.get(key)
    if value is None:
        return default
    if value == NEVER:
        return inf
    if is_number(value) and 0 <= value <= 1:
        return tidy(value)
    section.fault(key, "must be a number from 0 to 1, or never.")
    return BROKEN


def _never_looser(section: Section, found: Mapping[str, Threshold], lower: str, higher: str) -> None:
    parts: tuple[tuple[str, Callable[[Threshold], float]], ...] = (
        ("autonomous", lambda threshold: threshold.autonomous),
        ("review", lambda threshold: threshold.review),
    )
    for key, part in parts:
        if part(found[higher]) < part(found[lower]):
            detail = f"must be at least {_word(part(found[lower]))}, as {lower} has: higher stakes are never looser."
            section.faults.append(Fault(f"{section.at(higher)}/{key}", detail))


def _rules(root: Section) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    names: set[str] = set()
    for entry in root.sections("rules"):
        name = entry.text("name", pattern=_RULE, words=_RULE_WORDS)
        if name in names:
            entry.fault("name", "is taken by an earlier rule: names must be unique.")
        names |= {name} - {""}
        when = _expression(entry)
        at_least = _at_least(entry)
        reason = entry.text("reason", f"The rule {name} applies", longest=300)
        if when:
            rules.append(Rule(name, when, at_least, reason))
    return tuple(rules)


def _at_least(entry: Section) -> Tier:
    if entry.value.get("at_least") == Tier.AUTONOMOUS:
        entry.get("at_least")
        entry.fault("at_least", "must be review_required or human_decides: a rule only moves towards people.")
        return Tier.REVIEW_REQUIRED
    return Tier(entry.choice("at_least", (Tier.REVIEW_REQUIRED, Tier.HUMAN_DECIDES)))


def _models(root: Section) -> list[str] | None:
    if not root.has("models"):
        root.get("models")
        return None
    models: list[str] = []
    for pointer, model in root.items("models", least=1):
        if isinstance(model, str) and _MODEL.fullmatch(model):
            models.append(model)
        else:
            root.faults.append(Fault(pointer, "must be text such as name@version, or name@* for every version."))
    return models


def _review(section: Section) -> tuple[ReviewTerms, dict[str, Any]]:
    """The terms, and the same with every default made explicit."""
    queue = section.text("queue", "", pattern=SLUG, words=SLUG_WORDS) or None
    sla = section.duration("sla", DEFAULT_SLA) or DEFAULT_SLA
    reviewers = section.whole("reviewers", 1, least=1, most=5)
    visibility = _visibility(section.section("ai_visibility"))
    expires_after = section.duration("expires_after", None)
    on_expiry = _on_expiry(section)
    for given, missing in (("expires_after", "on_expiry"), ("on_expiry", "expires_after")):
        if section.has(given) and not section.has(missing):
            section.fault(missing, "is missing: expires_after and on_expiry come together.")
    section.close()
    expires_seconds = seconds_of(expires_after) if expires_after else None
    terms = ReviewTerms(queue, seconds_of(sla) or 0, reviewers, visibility, expires_seconds, on_expiry)
    shown = ESCALATE if on_expiry == ESCALATE else on_expiry and {"outcome": on_expiry}
    return terms, {
        "queue": queue, "sla": sla, "reviewers": reviewers,
        "ai_visibility": {key: getattr(visibility, key) for key in ("review_required", "human_decides", "sample")},
        "expires_after": expires_after, "on_expiry": shown,
    }  # fmt: skip


def _visibility(section: Section) -> Visibility:
    defaults = Visibility()
    visibility = Visibility(
        section.choice("review_required", _VISIBLE, defaults.review_required),
        section.choice("human_decides", _VISIBLE, defaults.human_decides),
        section.choice("sample", _VISIBLE, defaults.sample),
    )
    section.close()
    return visibility


def _on_expiry(section: Section) -> str | None:
    value = section.get("on_expiry")
    if value is None:
        return None
    if value == ESCALATE:
        return ESCALATE
    if not isinstance(value, Mapping):
        section.fault("on_expiry", "must be escalate, or {outcome: KEY} with an outcome that approves nothing.")
        return None
    entry = as_section(value, section.at("on_expiry"), section.faults)
    outcome = entry.text("outcome", pattern=OUTCOME_KEY, words="the key of an outcome of the decision type")
    entry.close()
    return outcome or None

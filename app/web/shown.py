"""Owns how decisions and reviews become what the templates take: titles for keys, fields, thresholds."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from app.actions import policies
from app.domain.access import Actor
from app.domain.decision_type import DecisionType
from app.domain.documents import listed
from app.domain.policy import Policy, parse_policy
from app.store.db import Database
from app.web.guidance import guidance_html
from app.web.questions import question


def asked(known: DecisionType, decision: Mapping[str, Any]) -> str:
    """The question of a decision that has its input."""
    return question(known.title, [one.title for one in known.outcomes], decision["subject"], decision["input"])


def type_of(known: DecisionType) -> dict[str, Any]:
    """The type as the review screen takes it."""
    return {
        "slug": known.slug,
        "title": known.title,
        "outcomes": [{"key": one.key, "title": one.title, "approving": one.approving} for one in known.outcomes],
        "reason_codes": [{"key": one.key, "title": one.title} for one in known.reason_codes],
        "guidance_html": guidance_html(known.guidance),
        "rationale": known.rationale,
    }


def decision_of(known: DecisionType, view: Mapping[str, Any]) -> dict[str, Any]:
    """A decision with what both its pages show; the proposal is None when it is hidden."""
    policy, proposal = view["policy"] or {}, view["proposal"]
    return {
        **{name: view[name] for name in ("id", "external_id", "subject", "service", "created_at", "reasons", "stakes")},
        "model_name": view["model"]["name"],
        "model_version": view["model"]["version"] or "not said",
        "policy_version": policy.get("version"),
        "proposal": proposal and _proposal(known, proposal),
        "erased": view["erased"],
        "legal_hold": view["legal_hold"],
    }


def _proposal(known: DecisionType, proposal: Mapping[str, Any]) -> dict[str, Any]:
    scores = {known.title_of(key): score for key, score in (proposal.get("scores") or {}).items()}
    return {
        "outcome": proposal["outcome"],
        "title": known.title_of(proposal["outcome"]),
        "confidence": proposal.get("confidence"),
        "scores": scores or None,
        "explanation": proposal.get("explanation"),
        "arguments": proposal.get("arguments"),
    }


def verdict_of(known: DecisionType, view: Mapping[str, Any]) -> dict[str, Any]:
    """One verdict, in words."""
    return {
        "action": view["action"],
        "outcome_title": view["outcome"] and known.title_of(view["outcome"]),
        "reason_title": reason_title(known, view["reason_code"]),
        "rationale": view["rationale"],
        "by": view["person_name"],
        "at": view["created_at"],
    }


def reason_title(known: DecisionType, key: str | None) -> str | None:
    return next((one.title for one in known.reason_codes if one.key == key), key)


def thresholds_of(db: Database, me: Actor, decision: Mapping[str, Any]) -> dict[str, float | None] | None:
    """The thresholds that the decision met, of its stakes; None without a policy or while the proposal is hidden."""
    if decision["policy"] is None or decision["proposal"] is None:
        return None
    version = policies.get_version(db, me, decision["decision_type"], decision["policy"]["version"])
    found = parse_policy(version["document"]).thresholds.get(decision["stakes"])
    return {"review": finite(found.review), "autonomous": finite(found.autonomous)} if found else None


def replayed(replay: Mapping[str, Any]) -> str:
    """What routing the decision again found, for an auditor."""
    policy = replay["policy"]
    again = f"Routed again with policy version {policy['version']}" if policy else "Routed again without a policy"
    if replay["same"]:
        return f"{again}: the same tier, stakes, sample draw and reasons."
    names = {"tier": "tier", "stakes": "stakes", "sampled": "sample draw", "reasons": "reasons"}
    return f"{again}: not the same {listed([names[one] for one in replay['differs']], 'and')}."


def levels_of(policy: Policy) -> list[dict[str, Any]]:
    """The thresholds of every level, for the table of levels."""
    return [
        {"level": level, "review": finite(needed.review), "autonomous": finite(needed.autonomous)}
        for level, needed in policy.thresholds.items()
    ]


def finite(value: float) -> float | None:
    return None if value == inf else value


def titled(types: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Types for a choice: [{slug, title}], by title."""
    return sorted(({"slug": one["slug"], "title": one["title"]} for one in types), key=lambda one: one["title"])

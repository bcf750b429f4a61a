"""Owns what a bundle says of one decision: everything an auditor needs, with the texts that events commit to. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.domain.commitments import OF_DECISION, RATIONALE, SHOWN, salt_of
from app.domain.events import timestamp
from app.verifier.verify import Decision, Wrong, replayed

Row = Any
Events = Sequence[Mapping[str, Any]]  # bodies, parsed


def line(row: Row, told: Events, asked: Iterable[Row], said: Iterable[Row], judged: Iterable[Row],
         seen: Mapping[str, Row], *, went_on: bool) -> dict[str, Any]:  # fmt: skip
    """The record of a decision. `went_on`: something happened after the checkpoint, so it is told as it was then."""
    first = next(one for one in told if one["type"] == "decision.submitted")
    by_verdict = {one["data"]["verdict"]: one for one in told if "verdict" in one["data"]}
    by_judge = {(one["object"]["id"], one["actor"]["person"]): one for one in told if one["type"] == "review.judged"}
    erased = next((one for one in reversed(told) if one["type"] == "decision.erased"), None)
    view = _decision(row, first) | {"erased": erased and _erased(erased), "committed": _contents(row, first, erased)}
    view["reviews"] = [
        _review(one, told)
        | {
            "judgements": [
                _judgement(j, by_judge[j.review_id, j.person_id], seen)
                for j in judged
                if j.review_id == one.id and (j.review_id, j.person_id) in by_judge
            ],
            "verdicts": [
                _verdict(v, by_verdict[v.id], seen) for v in said if v.review_id == one.id and v.id in by_verdict
            ],
        }
        for one in asked
    ]
    return _as_of(view, told) if went_on else view


def _decision(row: Row, first: Mapping[str, Any]) -> dict[str, Any]:
    overturned = {"outcome": row.overturned_outcome, "at": timestamp(row.overturned_at)} if row.overturned_at else None
    return {
        "id": row.id,
        "decision_type": row.decision_type,
        "service": row.service,
        "external_id": row.external_id,
        "model": {"name": row.model_name, "version": row.model_version},
        "proposal_outcome": row.proposal_outcome,
        "confidence": _fraction(row.confidence, first["data"].get("confidence")),
        "declared_stakes": row.declared_stakes,
        "stakes": row.stakes,
        "tier": row.tier,
        "reasons": [{"code": one["code"], "text": one["text"]} for one in json.loads(row.reasons)],
        "policy": None if row.policy_version is None else {"digest": row.policy_digest, "version": row.policy_version},
        "type_digest": row.type_digest,
        "sampled": row.sampled,
        "inclusion_probability": _fraction(row.inclusion_probability, first["data"]["inclusion_probability"]),
        "status": row.status,
        "outcome": row.outcome,
        "decided_by": row.decided_by,
        "overturned": overturned,
        "created_at": timestamp(row.created_at),
        "final_at": row.final_at and timestamp(row.final_at),
    }


def _fraction(stored: float | None, told: str | None) -> str | None:
    """As the event spells it where both mean the same: 1 and 1.0."""
    if stored is None or told is None:
        return None if stored is None else str(stored)
    return told if float(told) == stored else str(stored)


def _erased(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": event["time"], "by": event["actor"]["id"], "event": event["id"], "under": event["data"]["under"]
    }  # fmt: skip


def _contents(row: Row, first: Mapping[str, Any], erased: Mapping[str, Any] | None) -> dict[str, Any]:
    """The texts of a decision by label. One from before commitments has digests of three of them, and no salts."""
    if erased is not None and row.salts is None:
        return {}
    texts = {"input": row.input, "proposal": row.proposal, "metadata": row.metadata}
    if first["v"] == 1:
        return {label: {"text": text, "salt": None} for label, text in texts.items()}
    if row.salts is None:
        return {}
    texts |= {"subject": row.subject, "explanation": json.loads(row.proposal).get("explanation")}
    return {
        label: {"text": texts[label], "salt": salt_of(row.salts, label).hex()}
        for label in OF_DECISION
        if label in first["commitments"]
    }


def _review(row: Row, told: Events) -> dict[str, Any]:
    escalated = [one for one in told if one["type"] == "review.escalated" and one["object"]["id"] == row.id]
    return {
        "id": row.id,
        "kind": row.kind,
        "queue": row.queue,
        "level": row.level,
        "state": row.state,
        "blind": row.blind,
        "required": row.required,
        "priority": row.priority,
        "outcome": row.outcome,
        "created_at": timestamp(row.created_at),
        "due_at": timestamp(row.due_at),
        "expires_at": row.expires_at and timestamp(row.expires_at),
        "settled_at": row.settled_at and timestamp(row.settled_at),
        "escalated": [{"at": one["time"], "why": one["data"]["why"]} for one in escalated],
    }


def _judgement(row: Row, event: Mapping[str, Any], seen: Mapping[str, Row]) -> dict[str, Any]:
    return {
        "person": row.person_id,
        "outcome": row.outcome,
        "reason_code": row.reason_code,
        "at": timestamp(row.created_at),
        "committed": _said(row, event, seen),
    }


def _verdict(row: Row, event: Mapping[str, Any], seen: Mapping[str, Row]) -> dict[str, Any]:
    return {
        "id": row.id,
        "person": row.person_id,
        "key": row.key_id,
        "action": row.action,
        "outcome": row.outcome,
        "reason_code": row.reason_code,
        "claimed_at": row.claimed_at and timestamp(row.claimed_at),
        "proposal_shown_at": row.proposal_shown_at and timestamp(row.proposal_shown_at),
        "at": timestamp(row.created_at),
        "committed": _said(row, event, seen),
    }


def _said(row: Row, event: Mapping[str, Any], seen: Mapping[str, Row]) -> dict[str, Any]:
    """What the reviewer wrote and what was before them. A text whose salt is gone was erased."""
    found = {}
    if row.rationale is not None and (row.salt or event["v"] == 1):
        found[RATIONALE] = {"text": row.rationale, "salt": row.salt and row.salt.hex()}
    shown = seen.get(event["data"].get("shown") or "")
    if shown is not None and shown.salt and shown.content is not None:
        found[SHOWN] = {"text": shown.content, "salt": shown.salt.hex()}
    return found


def _as_of(view: dict[str, Any], told: Events) -> dict[str, Any]:
    """What the events up to the checkpoint make of it. Where they are older than versions, it stays as it is now."""
    try:
        then: Decision = replayed(list(enumerate(told)), view["id"])
    except (Wrong, KeyError, TypeError):
        return view
    names = {"status": then.status, "outcome": then.outcome, "decided_by": then.by, "final_at": then.final_at}
    view |= names | {"overturned": then.overturned}
    for one in view["reviews"]:
        was = then.reviews[one["id"]]
        one |= {"state": was.state, "outcome": was.outcome, "settled_at": was.ended, "level": was.level}
    return view

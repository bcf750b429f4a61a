"""Owns what a submission becomes: its row, its review, its event and the answer, all made before anything is stored.

Must not read or write the database: whoever calls this has looked up what is needed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.actions import _views
from app.actions._receipts import Promise, receipt
from app.domain.access import Actor
from app.domain.canonical import dumps, packed
from app.domain.commitments import OF_DECISION, SALT, commit_each
from app.domain.decision_type import DecisionType, cached_type, input_faults
from app.domain.errors import Fault, Invalid
from app.domain.events import NONCE, Event, EventType, timestamp
from app.domain.policy import Facts, Policy, Reason, Route, cached_policy, evaluate
from app.store import events
from app.store.db import new_id

Row = Any
RANDOM = NONCE + SALT * len(OF_DECISION)  # bytes


@dataclass(frozen=True, slots=True)
class Known:
    """A decision type as it stands: its row, and what was parsed from it once for all decisions of a transaction."""

    row: Row
    type: DecisionType
    policy: Policy | None
    sampling_key: bytes

    @classmethod
    def of(cls, row: Row) -> "Known":
        policy = cached_policy(row.policy_document) if row.policy_document else None
        return cls(row, cached_type(row.document), policy, bytes.fromhex(row.sampling_key))


@dataclass(frozen=True, slots=True)
class Fresh:
    """A decision to be: rows for the three tables (a review only where people are needed), and the answer's text."""

    decision: dict[str, Any]
    review: dict[str, Any] | None
    event: dict[str, Any]
    text: str


def fresh(
    at: datetime, actor: Actor, body: Mapping[str, Any], fingerprint: str, types: Mapping[str, Known],
    request_id: str | None, promise: Promise, random: bytes,
) -> Fresh:  # fmt: skip
    """Route a body that has the wire's shape; `random` holds RANDOM bytes for this decision alone.

    Raises Invalid when the body does not fit its decision type.
    """
    known = _known(types, body)
    facts = _facts(new_id("dec"), known.type, body)
    route = evaluate(known.policy, facts, known.sampling_key)
    nonce, salts = random[:NONCE], random[NONCE:]
    row, contents = _decision(at, actor, fingerprint, known.row, route, facts, body)
    row["salts"] = salts
    review = _review(row, route, known.type.queue)
    submitted = _submitted(row, route, review, commit_each(salts, contents))
    event = events.row(new_id("evt"), at, actor, submitted, nonce=nonce, version=1, request_id=request_id)
    text = _answer(row, _told_reasons(route.reasons), _due(review), receipt(events.told(event), promise))
    return Fresh(row, review, event, text)


def answer_again(row: Row, review: Row | None, told: events.Told, promise: Promise) -> str:
    """The answer that the submitter of a stored decision would get now."""
    due = review and {"id": review.id, "queue": review.queue, "due_at": timestamp(review.due_at)}
    reasons = _views.reasons(json.loads(row.reasons), hide=False)
    return _answer(row._mapping, reasons, due, receipt(told, promise))


def _answer(row: Mapping[str, Any], reasons: Any, due: Any, receipt: Mapping[str, Any]) -> str:
    """What the submitter is told, as JSON text: may I act, or must I wait."""
    version = row["policy_version"]
    answer = {
        "id": row["id"],
        "status": row["status"],
        "tier": row["tier"],
        "stakes": row["stakes"],
        "outcome": row["outcome"],
        "reasons": reasons,
        "policy": None if version is None else {"version": version, "digest": row["policy_digest"]},
        "sampled": row["sampled"],
        "review": due,
        "event": {"id": receipt["event_id"]},
        "receipt": receipt,
    }
    return packed(answer).decode()


def _told_reasons(reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    return [{"code": one.code, "text": one.text} for one in reasons]


def _due(review: Mapping[str, Any] | None) -> dict[str, str] | None:
    if review is None:
        return None
    return {"id": review["id"], "queue": review["queue"], "due_at": timestamp(review["due_at"])}


def _known(types: Mapping[str, Known], body: Mapping[str, Any]) -> Known:
    known = types.get(body["decision_type"])
    if known is None:
        raise _refusal("unknown_type", "/decision_type", "There is no such decision type.")
    if known.row.archived_at is not None:
        raise _refusal("archived_type", "/decision_type", "This decision type is archived; it takes no new decisions.")
    if body["proposal"]["outcome"] not in known.type.outcome_keys:
        expected = ", ".join(known.type.outcome_keys)
        raise _refusal("unknown_outcome", "/proposal/outcome", f"The outcome must be one of {expected}.")
    return known


def _refusal(code: str, pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code, (Fault(pointer, detail),))


def _facts(decision_id: str, known: DecisionType, body: Mapping[str, Any]) -> Facts:
    faults = input_faults(known, body["input"])
    if faults and known.on_invalid_input == "reject":
        raise Invalid("The input does not fit the schema of its decision type.", "invalid_input", faults)
    return Facts(
        decision_id=decision_id,
        input=body["input"],
        proposal=body["proposal"],
        model=body["model"],
        metadata=body["metadata"],
        declared_stakes=body.get("stakes"),
        input_faults=faults,
    )


def _decision(
    at: datetime, actor: Actor, fingerprint: str, type_row: Row, route: Route, facts: Facts, body: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The row, and the contents that its event commits to."""
    alone = route.tier == "autonomous"
    # Spelt as exports spell them, so that the stored text can go out as it is.
    payloads = {name: dumps(body[name]) for name in ("input", "proposal", "metadata")}
    texts = payloads | {"explanation": body["proposal"].get("explanation"), "subject": body.get("subject")}
    reasons = [{"code": r.code, "text": r.text, "quotes_proposal": r.quotes_proposal} for r in route.reasons]
    row = {
        "id": facts.decision_id,
        "decision_type": type_row.slug,
        "service": actor.service,
        "key_id": actor.key_id,
        "owner_id": actor.owner_id,
        "external_id": body.get("external_id"),
        "fingerprint": fingerprint,
        "subject": body.get("subject"),
        "model_name": body["model"]["name"],
        "model_version": body["model"].get("version"),
        "proposal_outcome": body["proposal"]["outcome"],
        "confidence": body["proposal"].get("confidence"),
        **payloads,
        "declared_stakes": body.get("stakes"),
        "stakes": route.stakes,
        "tier": route.tier.value,
        "reasons": packed(reasons).decode(),
        "policy_version": type_row.policy_version,
        "policy_digest": type_row.policy_digest,
        "type_digest": type_row.digest,
        "sampled": route.sampled,
        "inclusion_probability": route.inclusion_probability,
        "status": "final" if alone else "pending",
        "outcome": body["proposal"]["outcome"] if alone else None,
        "decided_by": "policy" if alone else None,
        "created_at": at,
        "final_at": at if alone else None,
    }
    return row, {label: text.encode() for label, text in texts.items() if text is not None}


def _review(row: Mapping[str, Any], route: Route, queue: str) -> dict[str, Any] | None:
    plan = route.review
    if plan is None:
        return None
    now, expires = row["created_at"], plan.expires_after_seconds
    return {
        "id": new_id("rev"),
        "decision_id": row["id"],
        "decision_type": row["decision_type"],
        "queue": plan.queue or queue,
        "kind": plan.kind,
        "tier": row["tier"],
        "stakes": row["stakes"],
        "priority": plan.priority,
        "level": 0,
        "state": "open",
        "blind": plan.blind,
        "required": plan.reviewers,
        "owner_id": row["owner_id"],
        "created_at": now,
        "due_at": now + timedelta(seconds=plan.sla_seconds),
        "expires_at": now + timedelta(seconds=expires) if expires else None,
        "on_expiry": plan.on_expiry,
        "available_at": now,
        "lease_token": 0,
        "lease_announced": False,
        "overdue_announced": False,
    }


def _submitted(
    row: Mapping[str, Any], route: Route, review: Mapping[str, Any] | None, commitments: Mapping[str, str]
) -> Event:
    return Event(
        EventType.DECISION_SUBMITTED,
        row["id"],
        decision_id=row["id"],
        decision_type=row["decision_type"],
        after={name: row[name] for name in ("status", "tier", "stakes", "outcome", "sampled")},
        data={
            "reasons": [reason.code for reason in route.reasons],
            "service": row["service"],
            "model": {"name": row["model_name"], "version": row["model_version"]},
            "confidence": None if row["confidence"] is None else str(row["confidence"]),
            "proposed": row["proposal_outcome"],
            "decided_by": row["decided_by"],
            "type_digest": row["type_digest"],
            "inclusion_probability": str(row["inclusion_probability"]),
            "review": review and {name: review[name] for name in ("id", "kind", "queue", "blind", "required")},
        },
        commitments=commitments,
        policy_version=row["policy_version"],
        policy_digest=row["policy_digest"],
    )

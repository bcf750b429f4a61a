"""Owns how one decision is forgotten: its data and salts go, an event says which commitments they were of."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.actions._settle import about, close
from app.domain.access import Actor
from app.domain.canonical import dumps, packed
from app.domain.erasure import Under, reasons_left
from app.domain.events import Event, EventType
from app.store import decisions, erasures, events, keys, reviews
from app.store.db import ReadTx, WriteTx

Row = Any


def erase(tx: WriteTx, actor: Actor, decision_ids: Sequence[str], under: Under, **said: str) -> list[str]:
    """Forget decisions that have ended. Returns which; others must stay: pending, under hold, or erased already.

    `said` goes into the events beside the commitments. What stands in columns (outcomes, confidence, times) stays.
    """
    bodies = decisions.fingerprints(tx, decision_ids)
    gone = [one for one in decision_ids if _erase(tx, actor, one, under, said)]
    keys.forget_bodies(tx, {one: bodies[one] for one in gone})
    return gone


def _erase(tx: WriteTx, actor: Actor, decision_id: str, under: Under, said: Mapping[str, str]) -> bool:
    row: Row = decisions.lock(tx, decision_id)
    if row.status == "pending" or row.held_at is not None or row.erased_at is not None:
        return False
    _end_samples(tx, actor, decision_id)
    data = {"commitments": _commitments(tx, decision_id), "under": under.value, **said}
    told = Event(EventType.DECISION_ERASED, row.id, decision_id=row.id, decision_type=row.decision_type, data=data)
    (event,) = events.record(tx, actor, told)
    by = {"erased_at": event.at, "erased_by": actor.id, "erased_under": under.value, "erased_event": event.id}
    left = {
        "proposal": dumps({"outcome": row.proposal_outcome, "confidence": row.confidence}),
        "reasons": packed(reasons_left(json.loads(row.reasons))).decode(),
    }
    erasures.wipe(tx, row.id, left, by)
    return True


def _end_samples(tx: WriteTx, actor: Actor, decision_id: str) -> None:
    """A quality check cannot go on without the input."""
    for found in reviews.of_decision(tx, decision_id):
        if found.state == "open":
            review = reviews.lock(tx, found.id)
            close(tx, review, "expired")
            after = {"state": "expired", "outcome": None}
            events.record(tx, actor, about(review, EventType.REVIEW_EXPIRED, after=after))


def _commitments(tx: ReadTx, decision_id: str) -> dict[str, str]:
    """What the decision's events committed to, by event and label; unsalted digests of version 1 with them."""
    found: dict[str, str] = {}
    for row in events.of_decision(tx, decision_id):
        body = json.loads(row.body)
        named = body["commitments"] if body["v"] > 1 else body["data"].get("digests", {})
        found |= {f"{body['id']} {label}": value for label, value in named.items()}
    return found

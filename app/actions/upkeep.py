"""Owns the duties of the worker: announce, expire, purge. Each is safe to run twice, and by two workers at once."""

import logging
from datetime import timedelta
from typing import Any

from app.actions._settle import about, announce_if_over, close, escalate, settle
from app.domain.access import SYSTEM
from app.domain.decision_type import cached_type
from app.domain.errors import Unavailable
from app.domain.events import EventType, timestamp
from app.domain.policy import expiry_action
from app.store import decision_types, decisions, events, keys, people, reviews, stats
from app.store.db import Database, ReadTx, WriteTx, reads, writes

log = logging.getLogger(__name__)
BATCH = 200
KEEP_ANSWERS = timedelta(hours=24)
SESSION_IDLE = timedelta(minutes=30)
SESSION_ABSOLUTE = timedelta(hours=12)
THROTTLE_MEMORY = timedelta(days=1)
HOURS_KEPT = timedelta(days=35)  # of the tally by hour


@writes
def announce_lapsed(tx: WriteTx) -> int:
    """Say which leases are over; claims know it without us. Returns how many."""
    rows = reviews.lapsed(tx, BATCH)
    for row in rows:
        announce_if_over(tx, row)
    return len(rows)


@writes
def announce_overdue(tx: WriteTx) -> int:
    """Say which reviews are past their due time. Returns how many."""
    rows = reviews.overdue(tx, BATCH)
    for row in rows:
        events.record(tx, SYSTEM, about(row, EventType.REVIEW_OVERDUE, data={"due": timestamp(row.due_at)}))
    reviews.mark(tx, [row.id for row in rows], {"overdue_announced": True})
    return len(rows)


def expire(db: Database) -> int:
    """End reviews whose policy no longer waits; a timeout never approves. Returns how many."""
    return sum(_expire_alone(db, review_id, decision_id) for review_id, decision_id in _expiring(db))


def _expire_alone(db: Database, review_id: str, decision_id: str) -> bool:
    try:
        return _expire(db, review_id, decision_id)
    except Unavailable:
        raise
    except Exception:
        log.exception("a review could not expire: %s", review_id)  # the others still must
        return False


@reads
def _expiring(tx: Any) -> list[tuple[str, str]]:
    return [(row.id, row.decision_id) for row in reviews.expiring(tx, BATCH)]


@writes
def _expire(tx: WriteTx, review_id: str, decision_id: str) -> bool:
    decision: Any = decisions.lock(tx, decision_id)
    review: Any = reviews.lock(tx, review_id)
    if review.state != "open" or review.expires_at is None or review.expires_at > tx.now():
        return False
    if review.kind == "sample":
        close(tx, review, "expired")
        events.record(tx, SYSTEM, about(review, EventType.REVIEW_EXPIRED, after={"state": "expired", "outcome": None}))
        return True
    action = expiry_action(review.on_expiry, decision.proposal_outcome)
    if action == "escalate" or not _harmless(tx, review.decision_type, action):
        escalate(tx, SYSTEM, review, "timeout", "Nobody decided in time.")
    else:
        settle(tx, SYSTEM, review, decision, action, by="timeout")
    return True


def _harmless(tx: ReadTx, slug: str, outcome: str) -> bool:
    # The type may have changed since the policy was held against it.
    row: Any = decision_types.get(tx, slug)
    known = cached_type(row.document)
    return outcome in known.outcome_keys and not known.approves(outcome)


@writes
def purge(tx: WriteTx) -> int:
    """Drop old answers to Idempotency-Keys, dead sessions, old throttles and tallies. Returns how many rows."""
    now = tx.now()
    return (
        keys.drop_answers_before(tx, now - KEEP_ANSWERS)
        + people.drop_sessions_before(tx, created=now - SESSION_ABSOLUTE, seen=now - SESSION_IDLE)
        + people.drop_throttles_before(tx, now - THROTTLE_MEMORY)
        + stats.drop_hours_before(tx, now - HOURS_KEPT)
    )


@writes
def beat(tx: WriteTx, worker: str) -> None:
    """Say that the worker is alive."""
    stats.beat(tx, worker)

"""Owns the duties of the worker: announce, expire, purge. Each is safe to run twice, and by two workers at once."""

from datetime import timedelta
from typing import Any

from app.actions._settle import about, close, escalate, settle
from app.domain.access import SYSTEM
from app.domain.events import EventType, timestamp
from app.domain.policy import expiry_action
from app.store import decisions, events, keys, people, reviews, stats
from app.store.db import Database, WriteTx, reads, writes

BATCH = 200
KEEP_ANSWERS = timedelta(hours=24)
SESSION_IDLE = timedelta(minutes=30)
SESSION_ABSOLUTE = timedelta(hours=12)
THROTTLE_MEMORY = timedelta(days=1)


@writes
def announce_lapsed(tx: WriteTx) -> int:
    """Say which leases are over; claims know it without us. Returns how many."""
    rows = reviews.lapsed(tx, BATCH)
    for row in rows:
        data = {"holder": row.lease_holder, "token": row.lease_token, "ended": timestamp(row.lease_expires_at)}
        events.record(tx, SYSTEM, about(row, EventType.REVIEW_LEASE_EXPIRED, data=data))
    reviews.mark(tx, [row.id for row in rows], {"lease_announced": True})
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
    return sum(_expire(db, review_id, decision_id) for review_id, decision_id in _expiring(db))


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
    if action == "escalate":
        escalate(tx, SYSTEM, review, "timeout", "Nobody decided in time.")
    else:
        settle(tx, SYSTEM, review, decision, action, by="timeout")
    return True


@writes
def purge(tx: WriteTx) -> int:
    """Drop old answers to Idempotency-Keys, dead sessions and old throttles. Returns how many rows."""
    now = tx.now()
    return (
        keys.drop_answers_before(tx, now - KEEP_ANSWERS)
        + people.drop_sessions_before(tx, created=now - SESSION_ABSOLUTE, seen=now - SESSION_IDLE)
        + people.drop_throttles_before(tx, now - THROTTLE_MEMORY)
    )


@writes
def beat(tx: WriteTx, worker: str) -> None:
    """Say that the worker is alive."""
    stats.beat(tx, worker)

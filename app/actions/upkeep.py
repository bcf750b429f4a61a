"""Owns the duties of the worker: announce, expire, purge. Each is safe to run twice, and by two workers at once.

A row that a duty cannot process is set aside, and the duty goes on with the others.
"""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from app.actions._settle import about, announce_if_over, close, escalate, settle
from app.domain.access import SYSTEM, Actor, Permission
from app.domain.decision_type import cached_type
from app.domain.errors import HandrailError, NotFound, Unavailable
from app.domain.events import Event, EventType, timestamp
from app.domain.policy import expiry_action
from app.store import decision_types, decisions, duties, events, keys, people, reviews, stats
from app.store.db import Database, ReadTx, WriteTx, writes

log = logging.getLogger(__name__)
BATCH = 200
SESSION_IDLE = timedelta(minutes=30)
SESSION_ABSOLUTE = timedelta(hours=12)
MEMORY = timedelta(days=1)  # of throttles, and of workers that are gone
HOURS_KEPT = timedelta(days=35)  # of the tally by hour
OURS = ("actions", "domain")
Row = Any


class Duty(StrEnum):
    """The duties by name, as metrics, events and the operations page say it."""

    SEAL = "seal"
    ANNOUNCE_LAPSED = "announce_lapsed"
    ANNOUNCE_OVERDUE = "announce_overdue"
    EXPIRE = "expire"
    PURGE = "purge"
    RETAIN = "retain"
    ERASE = "erase"
    PUSH = "push"


def announce_lapsed(db: Database) -> int:
    """Say which leases are over; claims know it without us. Returns how many."""
    return _announce(db, Duty.ANNOUNCE_LAPSED)


def announce_overdue(db: Database) -> int:
    """Say which reviews are past their due time. Returns how many."""
    return _announce(db, Duty.ANNOUNCE_OVERDUE)


def expire(db: Database) -> int:
    """End reviews whose policy no longer waits; a timeout never approves. Returns how many."""
    return _one_by_one(db, Duty.EXPIRE)


def _announce(db: Database, duty: Duty) -> int:
    try:
        return _together(db, duty)
    except Unavailable:
        raise
    except Exception:
        log.exception("%s failed over some rows; each is tried alone", duty)
    return _one_by_one(db, duty)


@writes
def _together(tx: WriteTx, duty: Duty) -> int:
    return sum(DO[duty](tx, row) for row in _due(tx, duty))


def _one_by_one(db: Database, duty: Duty) -> int:
    return sum(_alone(db, duty, review_id) for review_id in _concerned(db, duty))


@writes
def _concerned(tx: WriteTx, duty: Duty) -> list[str]:
    return [row.id for row in _due(tx, duty)]


def _due(tx: WriteTx, duty: Duty) -> list[Row]:
    aside = duties.aside_of(tx, duty)
    return [row for row in DUE[duty](tx, BATCH + len(aside)) if row.id not in aside]


def _alone(db: Database, duty: Duty, review_id: str) -> bool:
    try:
        return _one(db, duty, review_id)
    except Unavailable:
        raise
    except Exception as error:
        log.exception("%s cannot process %s; it is set aside", duty, review_id)
        _put_aside(db, duty, review_id, _said(error))
        return False


@writes
def _one(tx: WriteTx, duty: Duty, review_id: str) -> bool:
    row = reviews.get(tx, review_id)
    return row is not None and DO[duty](tx, row)


@writes
def _put_aside(tx: WriteTx, duty: Duty, review_id: str, error: str) -> None:
    duties.put_aside(tx, duty, review_id, error)


def try_again(db: Database, actor: Actor, duty: str, object_id: str) -> str | None:
    """Process a row that was set aside, now: None when that went well, else what is still wrong.

    Raises NotFound when nothing of that name is set aside, Forbidden.
    """
    actor.must(Permission.OPERATE)
    _must_be_aside(db, duty, object_id)
    try:
        _again(db, actor, Duty(duty), object_id)
    except Unavailable:
        raise
    except Exception as error:
        log.exception("%s still cannot process %s", duty, object_id)
        _in_vain(db, actor, Duty(duty), object_id, _said(error))
        return _said(error)
    return None


@writes
def _must_be_aside(tx: WriteTx, duty: str, object_id: str) -> None:
    if duty not in DO or not duties.is_aside(tx, duty, object_id):
        raise NotFound("There is no such row set aside.")


@writes
def _again(tx: WriteTx, actor: Actor, duty: Duty, object_id: str) -> None:
    duties.forget(tx, duty, object_id)
    row = reviews.get(tx, object_id)
    if row is not None:
        DO[duty](tx, row)
    events.record(tx, actor, Event(EventType.DUTY_RETRIED, duty.value, data={"object": object_id, "succeeded": True}))


@writes
def _in_vain(tx: WriteTx, actor: Actor, duty: Duty, object_id: str, error: str) -> None:
    duties.put_aside(tx, duty, object_id, error)
    events.record(tx, actor, Event(EventType.DUTY_RETRIED, duty.value, data={"object": object_id, "succeeded": False}))


def _said(error: Exception) -> str:
    """What failed and where; never the message of a foreign error, which may quote a payload."""
    if isinstance(error, HandrailError):
        return error.detail
    frames = [(Path(one.filename), one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    ours = [f"{path.parent.name}/{path.name}:{line}" for path, line in frames if path.parent.name in OURS]
    at = f" at {ours[-1]}" if ours else ""
    return f"{type(getattr(error, 'orig', None) or error).__name__}{at}"


def _lapse(tx: WriteTx, review: Row) -> bool:
    review = reviews.lock(tx, review.id)
    announce_if_over(tx, review)
    return bool(review.lease_expires_at and review.lease_expires_at <= tx.now() and not review.lease_announced)


def _overdue(tx: WriteTx, review: Row) -> bool:
    review = reviews.lock(tx, review.id)
    if review.state != "open" or review.due_at > tx.now() or review.overdue_announced:
        return False
    events.record(tx, SYSTEM, about(review, EventType.REVIEW_OVERDUE, data={"due": timestamp(review.due_at)}))
    reviews.mark(tx, [review.id], {"overdue_announced": True})
    return True


def _expire(tx: WriteTx, review: Row) -> bool:
    decision: Any = decisions.lock(tx, review.decision_id)
    review = reviews.lock(tx, review.id)
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


DUE: Final[Mapping[str, Callable[[WriteTx, int], Sequence[Row]]]] = {
    Duty.ANNOUNCE_LAPSED: reviews.lapsed,
    Duty.ANNOUNCE_OVERDUE: reviews.overdue,
    Duty.EXPIRE: reviews.expiring,
}
DO: Final[Mapping[str, Callable[[WriteTx, Row], bool]]] = {
    Duty.ANNOUNCE_LAPSED: _lapse,
    Duty.ANNOUNCE_OVERDUE: _overdue,
    Duty.EXPIRE: _expire,
}


@writes
def purge(tx: WriteTx) -> int:
    """Drop old answers to Idempotency-Keys, dead sessions, old throttles, workers long gone, old tallies; how many."""
    now = tx.now()
    return (
        keys.drop_answers_before(tx, now - keys.KEEP_ANSWERS)
        + people.drop_sessions_before(tx, created=now - SESSION_ABSOLUTE, seen=now - SESSION_IDLE)
        + people.drop_throttles_before(tx, now - MEMORY)
        + duties.drop_workers_before(tx, now - MEMORY)
        + stats.drop_hours_before(tx, now - HOURS_KEPT)
    )


@writes
def beat(tx: WriteTx, worker: str, done: Mapping[str, int], failed: Mapping[str, str]) -> None:
    """Say that the worker is alive, what each duty just did, and which ones failed as a whole."""
    stats.beat(tx, worker)
    for duty in sorted({*done, *failed}):
        duties.ran(tx, duty, worker, done.get(duty, 0), failed.get(duty))

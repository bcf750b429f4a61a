"""Owns taking and giving back reviews: claim, renew, release, snooze, undo. Verdicts are in verdicts.py."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.actions import _shown, _views
from app.actions._settle import about, announce_if_over
from app.domain.access import Actor, Permission
from app.domain.errors import Conflict, Forbidden, NotFound
from app.domain.events import Event, EventType, timestamp
from app.store import decision_types, decisions, events, reviews
from app.store.db import ReadTx, WriteTx, writes

Row = Any
MAX_SNOOZE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why there is nothing to claim: counts of open reviews in the queue (or in all)."""

    held_by_others: int
    not_permitted: int
    snoozed: int
    mine: int

    @property
    def sentence(self) -> str:
        parts = [
            (self.held_by_others, "held by others"),
            (self.mine, "held by you"),
            (self.snoozed, "snoozed"),
            (self.not_permitted, "that you may not take"),
        ]
        said = "; ".join(f"{n} {words}" for n, words in parts if n)
        return said or "nothing waiting"


@writes
def claim_next(tx: WriteTx, actor: Actor, queue: str | None = None) -> dict[str, Any] | Nothing:
    """Lease the most urgent review that the actor may take; Nothing says why there is none.

    Raises Forbidden (not a reviewer), NotFound (no such queue).
    """
    taker = _taker(actor)
    if queue and decision_types.get_queue(tx, queue) is None:
        raise NotFound("There is no such queue.")
    row = reviews.next_free(tx, taker, queue)
    if row is None:
        n = reviews.counts(tx, taker, queue)
        # What seems to wait then is what they spoke in already: see reviews.counts.
        return Nothing(held_by_others=n.held, not_permitted=n.barred + n.waiting, snoozed=n.snoozed, mine=n.mine)
    return _lease(tx, actor, row)


@writes
def claim(tx: WriteTx, actor: Actor, review_id: str) -> dict[str, Any]:
    """Lease this very review. The holder's own claim renews it under a new token.

    Raises NotFound, Forbidden (role, or separation of duties), Conflict (`held`, `already_settled`).
    """
    taker = _taker(actor)
    row = _open(tx, review_id)
    if not reviews.takeable(tx, taker, review_id):
        raise _barred(actor, row)
    live = row.lease_expires_at is not None and row.lease_expires_at > tx.now()
    if live and row.lease_holder != actor.person_id:
        raise Conflict("Somebody else holds this review.", "held")
    return _lease(tx, actor, row)


@writes
def look(tx: WriteTx, actor: Actor, review_id: str) -> None:
    """Keep what the screen says to the holder, where that is not what it said before. Of others nothing is kept."""
    row = reviews.lock(tx, review_id)
    if row is not None and row.state == "open" and row.lease_holder == actor.person_id:
        now = _both(tx, review_id)
        if not _shown.is_kept(tx, actor, *now):
            _shown.keep(tx, actor, *now)


@writes
def renew(tx: WriteTx, actor: Actor, review_id: str, token: int) -> dict[str, Any]:
    """Lengthen the actor's lease. Raises NotFound, Conflict (`lease_lost`, `already_settled`)."""
    row = _held(tx, actor, review_id, token)
    until = reviews.lease_until(tx.now(), _seconds(tx, row))
    reviews.change(tx, row.id, token, {"lease_expires_at": until, "lease_announced": False})
    events.record(tx, actor, about(row, EventType.REVIEW_RENEWED, data={"token": token, "until": timestamp(until)}))
    return _views.claimed(tx, actor, *_both(tx, review_id))


@writes
def release(tx: WriteTx, actor: Actor, review_id: str, token: int | None = None) -> None:
    """Give the review back. With no token, a lead may free a review that somebody else holds.

    Raises NotFound, Forbidden, Conflict (`lease_lost`, `already_settled`).
    """
    row = _open(tx, review_id) if token is None else _held(tx, actor, review_id, token)
    if token is None and row.lease_holder != actor.person_id:
        actor.must(Permission.RELEASE_OTHERS, row.decision_type)
    if row.lease_holder is None:
        raise Conflict("Nobody holds this review.", "lease_lost")
    # The token moves on, so that the one who held it cannot finish behind a lead's back.
    reviews.change(tx, row.id, row.lease_token, {"lease_token": row.lease_token + 1, **reviews.NO_LEASE})
    happened = about(
        row,
        EventType.REVIEW_RELEASED,
        before={"holder": row.lease_holder, "token": row.lease_token},
        after={"holder": None},
    )
    events.record(tx, actor, happened)


@writes
def snooze(tx: WriteTx, actor: Actor, review_id: str, token: int, minutes: int) -> datetime:
    """Give the review back and hide it from claims for 1 minute to 7 days; returns until when.

    Raises NotFound, Conflict (`lease_lost`, `already_settled`, `snooze_range`).
    """
    if not 1 <= minutes <= MAX_SNOOZE / timedelta(minutes=1):
        raise Conflict("A snooze lasts from 1 minute to 7 days.", "snooze_range")
    row = _held(tx, actor, review_id, token)
    until = tx.now() + timedelta(minutes=minutes)
    reviews.change(tx, row.id, token, {"available_at": until, "lease_token": token + 1, **reviews.NO_LEASE})
    events.record(tx, actor, about(row, EventType.REVIEW_SNOOZED, after={"available_at": timestamp(until)}))
    return until


@writes
def undo(tx: WriteTx, actor: Actor, review_id: str) -> dict[str, Any]:
    """Take back the actor's own snooze or release, the last thing that happened to the review; they hold it again.

    Raises NotFound, Forbidden (role, or separation of duties), Conflict (`held`, `already_settled`, `nothing_to_undo`).
    """
    taker = _taker(actor)
    row = _open(tx, review_id)
    if not reviews.takeable(tx, taker, review_id):
        raise _barred(actor, row)
    undone = _own_giving_back(tx, actor, row)
    reviews.change(tx, row.id, row.lease_token, {"available_at": tx.now()})
    events.record(tx, actor, about(row, EventType.REVIEW_UNDONE, data={"event": undone.id, "type": undone.type}))
    return _lease(tx, actor, row)


def _taker(actor: Actor) -> reviews.Taker:
    actor.must(Permission.REVIEW)
    if actor.person_id is None:
        raise Forbidden("Only a person may review; a service's key may not.")
    return reviews.Taker.of(actor)


def _open(tx: WriteTx, review_id: str) -> Row:
    row = reviews.lock(tx, review_id)
    if row is None:
        raise NotFound("There is no such review.")
    if row.state != "open":
        raise Conflict(f"This review is {row.state}.", "already_settled")
    return row


def _held(tx: WriteTx, actor: Actor, review_id: str, token: int) -> Row:
    _taker(actor)
    row = _open(tx, review_id)
    if row.lease_token != token or row.lease_holder != actor.person_id:
        raise Conflict("You no longer hold this review; claim it again.", "lease_lost")
    announce_if_over(tx, row)
    return row


def _own_giving_back(tx: ReadTx, actor: Actor, row: Row) -> Row:
    if row.lease_holder is not None and row.lease_holder != actor.person_id:
        raise Conflict("Somebody else has taken this review, so you cannot take it back.", "held")
    last: Row = events.last(tx, row.id, besides=EventType.REVIEW_OVERDUE)
    body = json.loads(last.body)
    mine = body["actor"]["person"] == actor.person_id
    # A lead who takes a review from somebody releases it too; that was never theirs to have again.
    held = last.type == EventType.REVIEW_RELEASED and body["before"]["holder"] == actor.person_id
    if not mine or not (held or last.type == EventType.REVIEW_SNOOZED):
        raise Conflict(
            "There is nothing of yours to take back here: only a snooze or a release, until something else happens.",
            "nothing_to_undo",
        )
    return last


def _barred(actor: Actor, row: Row) -> Forbidden:
    if not actor.may(Permission.REVIEW if row.level == 0 else Permission.REVIEW_ESCALATED, row.decision_type):
        return Forbidden("Your roles do not cover this review.")
    return Forbidden(
        "Separation of duties: you said something in this review already, or your own key submitted it.",
        "separation_of_duties",
    )


def _lease(tx: WriteTx, actor: Actor, row: Row) -> dict[str, Any]:
    announce_if_over(tx, row)
    token, until = row.lease_token + 1, reviews.lease_until(tx.now(), _seconds(tx, row))
    reviews.grant_lease(tx, row.id, token, str(actor.person_id), until)
    happened: Event = about(
        row,
        EventType.REVIEW_CLAIMED,
        before={"holder": row.lease_holder, "token": row.lease_token},
        after={"holder": actor.person_id, "token": token, "until": timestamp(until)},
    )
    events.record(tx, actor, happened)
    now = _both(tx, row.id)
    _shown.keep(tx, actor, *now)
    return _views.claimed(tx, actor, *now)


def _seconds(tx: ReadTx, row: Row) -> int:
    queue = decision_types.get_queue(tx, row.queue)
    return int(queue.lease_seconds) if queue else 900


def _both(tx: ReadTx, review_id: str) -> tuple[Row, Row]:
    row: Any = reviews.get(tx, review_id)
    return row, decisions.get(tx, row.decision_id)

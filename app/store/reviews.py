"""Owns reviews, judgements and verdicts: who may take what, leases and their tokens, the queue's order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.access import Actor, Permission
from app.store import _tally
from app.store._tally import IS_OPEN, Lane
from app.store.db import ReadTx, WriteTx
from app.store.tables import decision, judgement, open_tally, review, shown, verdict

EXACT = 1_000  # up to so many open reviews are looked at one by one to count them
PARKED_AT_MOST = 10_000
ARMS = 100  # lanes in one statement; SQLite takes 500
Key = tuple[int, datetime, str]  # (priority, due_at, id): the order of every queue
ORDER = (review.c.priority, review.c.due_at, review.c.id)


@dataclass(frozen=True, slots=True)
class Taker:
    """Who wants to take reviews: the person, the types they may review, and those they may once escalated."""

    person_id: str
    types: frozenset[str] | None
    escalated: frozenset[str] | None

    @classmethod
    def of(cls, actor: Actor) -> "Taker":
        """What the actor's roles and scopes let them take; nobody's reviews for an actor that is no person."""
        return cls(str(actor.person_id), actor.types(Permission.REVIEW), actor.types(Permission.REVIEW_ESCALATED))

    def may(self, decision_type: str, level: int) -> bool:
        """Whether role and rung allow it."""
        types = self.escalated if level else self.types
        return types is None or decision_type in types


def insert(tx: WriteTx, rows: Sequence[dict[str, Any]]) -> None:
    tx.insert(review, rows)


def get(tx: ReadTx, review_id: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(review).where(review.c.id == review_id))


def lock(tx: WriteTx, review_id: str) -> sa.Row[Any] | None:
    """The review, held until commit."""
    return tx.row(sa.select(review).where(review.c.id == review_id).with_for_update())


def of_decision(tx: ReadTx, decision_id: str) -> Sequence[sa.Row[Any]]:
    return tx.rows(
        sa.select(review).where(review.c.decision_id == decision_id).order_by(review.c.created_at, review.c.id)
    )


def of_decisions(tx: ReadTx, ids: Iterable[str]) -> Sequence[sa.Row[Any]]:
    query = sa.select(review).where(review.c.decision_id.in_(sorted(ids)))
    return tx.rows(query.order_by(review.c.created_at, review.c.id))


def next_free(tx: WriteTx, taker: Taker, queue: str | None) -> sa.Row[Any] | None:
    """The most urgent review that the taker may have now, held until commit; rows that others hold are skipped.

    Each lane is one walk along ix_review_lane that ends at the first free review; the lanes' first ones are compared.
    """
    lanes = [lane for lane in _tally.lanes(tx, queue) if taker.may(lane.decision_type, lane.level)]
    for lane in _by_urgency(tx, taker, lanes):
        query = sa.select(review).where(*_of(lane), *_takeable_now(tx, taker)).order_by(*ORDER).limit(1)
        row = tx.row(query.with_for_update(skip_locked=True))
        if row is not None:
            return row
    return None


def _by_urgency(tx: ReadTx, taker: Taker, lanes: Sequence[Lane]) -> Sequence[Lane]:
    """The lanes in which something is free, the one with the most urgent review first."""
    if len(lanes) < 2:
        return lanes
    c = open_tally.c
    named = sa.tuple_(c.queue, c.decision_type, c.level)
    lane = sa.select(c.queue, c.decision_type, c.level).distinct().where(named.in_(lanes)).subquery()
    free = sa.select(review.c.id).where(*_of(lane.c), *_takeable_now(tx, taker)).order_by(*ORDER).limit(1)
    heads = sa.select(free.correlate(lane).scalar_subquery()).select_from(lane)
    first = review.alias("first")
    f = first.c
    found = tx.rows(sa.select(f.queue, f.decision_type, f.level, f.priority, f.due_at, f.id).where(f.id.in_(heads)))
    return [Lane(row.queue, row.decision_type, row.level) for row in sorted(found, key=_key)]


def _of(lane: Any) -> tuple[sa.ColumnElement[bool], ...]:
    c = review.c
    return IS_OPEN, c.queue == lane.queue, c.decision_type == lane.decision_type, c.level == lane.level


def _key(row: Any) -> Key:
    return row.priority, row.due_at, row.id


def takeable(tx: ReadTx, taker: Taker, review_id: str) -> bool:
    """Whether role, separation of duties and the ladder let the taker have this review, leases aside."""
    return tx.row(sa.select(review.c.id).where(review.c.id == review_id, *_permitted(taker))) is not None


def grant_lease(tx: WriteTx, review_id: str, token: int, person_id: str, until: datetime) -> None:
    """Give the lease under `token`, which must be one above the last."""
    values = {
        "lease_token": token,
        "lease_holder": person_id,
        "lease_expires_at": until,
        "lease_announced": False,
    }
    tx.run(review.update().where(review.c.id == review_id, review.c.lease_token == token - 1).values(values))


def change(tx: WriteTx, review_id: str, token: int, values: dict[str, Any]) -> bool:
    """Change an open review under its fencing token; False when the token is stale or the review settled."""
    fenced = (review.c.id == review_id) & (review.c.lease_token == token) & (review.c.state == "open")
    return tx.run(review.update().where(fenced).values(values)) == 1


NO_LEASE: dict[str, Any] = {"lease_holder": None, "lease_expires_at": None}


@dataclass(slots=True)
class Counts:
    """Open reviews: `waiting` free ones for the taker, `held` by others, `mine`, `snoozed`, `barred` to the taker."""

    waiting: int = 0
    held: int = 0
    mine: int = 0
    snoozed: int = 0
    barred: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        names = self.__slots__
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))


def counts(tx: ReadTx, taker: Taker, queue: str | None) -> Counts:
    """Of one queue or of all; see `counts_by_queue`."""
    return sum(counts_by_queue(tx, taker, queue).values(), Counts())


def counts_by_queue(tx: ReadTx, taker: Taker, queue: str | None = None) -> dict[str, Counts]:
    """By the slugs of queues with open reviews.

    Exact up to 1,000 open reviews. Beyond, from the tally: those the taker has spoken in then count as waiting.
    """
    tallied = _tally.open_reviews(tx, queue)
    if sum(row.n for row in tallied) <= EXACT:
        return _counted(tx, taker, queue)
    found = {row.queue: Counts() for row in tallied}
    for row in tallied:
        n = found[row.queue]
        if _allowed(taker, row):
            n.waiting += row.n
        else:
            n.barred += row.n
    for row in (one for one in _parked(tx, taker) if one.queue in found):
        _park(found[row.queue], row, _allowed(taker, row))
    return found


def _park(n: Counts, row: Any, allowed: bool) -> None:
    """Move what is held or snoozed from where the tally has it."""
    if row.how != "snoozed":
        setattr(n, row.how, getattr(n, row.how) + row.n)
    if allowed:
        n.waiting -= row.n
        n.snoozed += row.n if row.how == "snoozed" else 0
    elif row.how != "snoozed":
        n.barred -= row.n


def _allowed(taker: Taker, row: Any) -> bool:
    return taker.may(row.decision_type, row.level) and row.owner_id != taker.person_id


def _parked(tx: ReadTx, taker: Taker) -> Sequence[sa.Row[Any]]:
    """Open reviews that are held or snoozed now, by queue, type, level and owner: each in an index of its own."""
    c, now = review.c, tx.now()
    own = sa.case((c.lease_holder == taker.person_id, "mine"), (c.lease_expires_at > now, "held"), else_="snoozed")
    columns = (c.queue, c.decision_type, c.level, c.owner_id, own.label("how"))
    leased, later = _not_free(now)
    return [
        *_tallied(tx, sa.select(*columns).where(IS_OPEN, leased)),
        *_tallied(tx, sa.select(*columns).where(IS_OPEN, PUT_OFF, later, sa.not_(leased))),
    ]


def _tallied(tx: ReadTx, some: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    # The limit keeps the grouping out of the choice of an index; nobody holds or snoozes as many.
    rows = some.limit(PARKED_AT_MOST).subquery()
    return tx.rows(sa.select(*rows.c, sa.func.count().label("n")).group_by(*rows.c))


def _counted(tx: ReadTx, taker: Taker, queue: str | None) -> dict[str, Counts]:
    permitted, (leased, later) = sa.and_(*_permitted(taker)), _not_free(tx.now())
    query = sa.select(
        review.c.queue,
        _count(sa.and_(permitted, *_free(tx.now()))),
        _count(leased & (review.c.lease_holder != taker.person_id)),
        _count(leased & (review.c.lease_holder == taker.person_id)),
        _count(sa.and_(permitted, sa.not_(leased), later)),
        _count(sa.and_(sa.not_(permitted), sa.not_(leased))),
    ).where(_in(queue), IS_OPEN)
    rows = tx.rows(query.group_by(review.c.queue))
    return {row[0]: Counts(*map(int, row[1:])) for row in rows}


def waiting_page(
    tx: ReadTx, types: frozenset[str] | None, queue: str | None, *, after: Key | None, limit: int
) -> Sequence[sa.Row[Any]]:
    """Open reviews in the order of the queue, with what the list shows of their decisions."""
    lanes = [lane for lane in _tally.lanes(tx, queue) if types is None or lane.decision_type in types]
    firsts: list[sa.Row[Any]] = []
    for start in range(0, len(lanes), ARMS):
        firsts += tx.rows(_first(lanes[start : start + ARMS], after, limit))
    shown = {row.id for row in sorted(firsts, key=_key)[:limit]}
    columns = (decision.c.subject, decision.c.external_id, decision.c.input, decision.c.proposal_outcome)
    query = (
        sa.select(review, decision.c.service, decision.c.confidence, *columns)
        .select_from(review.join(decision, decision.c.id == review.c.decision_id))
        .where(review.c.id.in_(sorted(shown)))
        .order_by(*ORDER)
    )
    return tx.rows(query) if shown else ()


def _first(lanes: Sequence[Lane], after: Key | None, limit: int) -> sa.Select[Any]:
    """The first reviews of the lanes together: each lane is read in its order, and no further than it is needed."""
    arms = []
    for lane in lanes:
        arm = sa.select(*ORDER).where(*_of(lane), *_later_than(after)).order_by(*ORDER).limit(limit).subquery()
        arms.append(sa.select(arm))
    all_of_them = sa.union_all(*arms).subquery()
    c = all_of_them.c
    return sa.select(all_of_them).order_by(c.priority, c.due_at, c.id).limit(limit)


def _later_than(after: Key | None) -> tuple[sa.ColumnElement[bool], ...]:
    if after is None:
        return ()
    last = [sa.bindparam(None, value, column.type) for value, column in zip(after, ORDER, strict=True)]
    return (sa.tuple_(*ORDER) > sa.tuple_(*last),)


def insert_judgement(tx: WriteTx, row: dict[str, Any]) -> None:
    tx.insert(judgement, [row])


def judgements(tx: ReadTx, review_ids: Iterable[str]) -> Sequence[sa.Row[Any]]:
    query = sa.select(judgement).where(judgement.c.review_id.in_(sorted(review_ids)))
    return tx.rows(query.order_by(judgement.c.created_at))


def insert_verdict(tx: WriteTx, row: dict[str, Any]) -> None:
    tx.insert(verdict, [row])


def verdicts(tx: ReadTx, review_ids: Iterable[str]) -> Sequence[sa.Row[Any]]:
    query = sa.select(verdict).where(verdict.c.review_id.in_(sorted(review_ids)))
    return tx.rows(query.order_by(verdict.c.created_at, verdict.c.id))


def insert_shown(tx: WriteTx, row: dict[str, Any]) -> None:
    tx.insert(shown, [row])


def last_shown(tx: ReadTx, review_id: str, person_id: str) -> sa.Row[Any] | None:
    """What the person saw last of the review."""
    theirs = (shown.c.review_id == review_id) & (shown.c.person_id == person_id)
    # By the database's clock: ids are made by hosts whose own clocks may differ.
    return tx.row(sa.select(shown).where(theirs).order_by(shown.c.created_at.desc(), shown.c.id.desc()).limit(1))


def lapsed(tx: WriteTx, limit: int) -> Sequence[sa.Row[Any]]:
    """Open reviews whose lease is over and not yet announced, held until commit."""
    over = (review.c.lease_expires_at <= tx.now()) & sa.not_(review.c.lease_announced)
    return tx.rows(sa.select(review).where(IS_OPEN, over).limit(limit).with_for_update(skip_locked=True))


def overdue(tx: WriteTx, limit: int) -> Sequence[sa.Row[Any]]:
    """Open reviews past their due time and not yet announced, held until commit."""
    late = (review.c.due_at <= tx.now()) & sa.not_(review.c.overdue_announced)
    return tx.rows(sa.select(review).where(IS_OPEN, late).limit(limit).with_for_update(skip_locked=True))


def mark(tx: WriteTx, ids: Iterable[str], values: dict[str, Any]) -> None:
    tx.run(review.update().where(review.c.id.in_(sorted(ids))).values(values))


def expiring(tx: ReadTx, limit: int) -> Sequence[sa.Row[Any]]:
    """Open reviews past the time after which their policy does not wait."""
    query = sa.select(review).where(IS_OPEN, review.c.expires_at.is_not(None), review.c.expires_at <= tx.now())
    return tx.rows(query.order_by(review.c.expires_at).limit(limit))


def _in(queue: str | None) -> sa.ColumnElement[bool]:
    return review.c.queue == queue if queue else sa.true()


PUT_OFF = review.c.available_at > review.c.created_at  # word for word what ix_review_put_off says


def _of_types(types: frozenset[str] | None) -> sa.ColumnElement[bool]:
    return sa.true() if types is None else review.c.decision_type.in_(sorted(types))


def _takeable_now(tx: ReadTx, taker: Taker) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_free(tx.now()), *_not_barred(taker))


def _not_free(now: datetime) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Held; and put off."""
    held = sa.and_(review.c.lease_expires_at.is_not(None), review.c.lease_expires_at > now)
    return held, review.c.available_at > now


def _free(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        review.c.available_at <= now,
        sa.or_(review.c.lease_expires_at.is_(None), review.c.lease_expires_at <= now),
    )


def _permitted(taker: Taker) -> tuple[sa.ColumnElement[bool], ...]:
    """Role and rung, and nothing that bars the taker."""
    by_role = sa.or_(
        sa.and_(review.c.level == 0, _of_types(taker.types)),
        sa.and_(review.c.level > 0, _of_types(taker.escalated)),
    )
    return (by_role, *_not_barred(taker))


def _not_barred(taker: Taker) -> tuple[sa.ColumnElement[bool], ...]:
    """Not what the taker's own key submitted; never a second verdict in one review."""
    said = sa.select(verdict.c.id).where(verdict.c.review_id == review.c.id, verdict.c.person_id == taker.person_id)
    return (
        sa.or_(review.c.owner_id.is_(None), review.c.owner_id != taker.person_id),
        sa.not_(sa.exists(said)),
    )


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def lease_until(now: datetime, seconds: int) -> datetime:
    return now + timedelta(seconds=seconds)

"""Owns reviews, judgements and verdicts: who may take what, leases and their tokens, the queue's order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.access import Actor, Permission
from app.store.db import ReadTx, WriteTx
from app.store.tables import decision, judgement, review, verdict

Key = tuple[int, datetime, str]  # (priority, due_at, id): the order of every queue


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
    """The most urgent review that the taker may have now, held until commit; rows that others hold are skipped."""
    query = (
        sa.select(review)
        .where(_in(queue), review.c.state == "open", *_free(tx.now()), *_permitted(taker))
        .order_by(review.c.priority, review.c.due_at, review.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return tx.row(query)


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


def counts(tx: ReadTx, taker: Taker, queue: str | None) -> Any:
    """Open reviews: `waiting` free ones for the taker, `held` by others, `mine`, `snoozed`, `barred` to the taker."""
    query = sa.select(*_standing(tx.now(), taker)).where(_in(queue), review.c.state == "open")
    return tx.connection.execute(query).one()


def counts_by_queue(tx: ReadTx, taker: Taker) -> dict[str, sa.Row[Any]]:
    """The same for each queue with open reviews, by its slug."""
    query = sa.select(review.c.queue, *_standing(tx.now(), taker)).where(review.c.state == "open")
    return {row.queue: row for row in tx.rows(query.group_by(review.c.queue))}


def _standing(now: datetime, taker: Taker) -> tuple[sa.Label[int], ...]:
    permitted = sa.and_(*_permitted(taker))
    leased = sa.and_(review.c.lease_expires_at.is_not(None), review.c.lease_expires_at > now)
    mine = sa.and_(leased, review.c.lease_holder == taker.person_id)
    later = sa.and_(sa.not_(leased), review.c.available_at > now)
    return (
        _count(sa.and_(permitted, *_free(now))).label("waiting"),
        _count(sa.and_(leased, review.c.lease_holder != taker.person_id)).label("held"),
        _count(mine).label("mine"),
        _count(sa.and_(permitted, later)).label("snoozed"),
        _count(sa.and_(sa.not_(permitted), sa.not_(leased))).label("barred"),
    )


def waiting_page(
    tx: ReadTx, types: frozenset[str] | None, queue: str | None, *, after: Key | None, limit: int
) -> Sequence[sa.Row[Any]]:
    """Open reviews in the order of the queue, with what the list shows of their decisions."""
    columns = (decision.c.subject, decision.c.external_id, decision.c.input, decision.c.proposal_outcome)
    query = (
        sa.select(review, decision.c.service, decision.c.confidence, *columns)
        .select_from(review.join(decision, decision.c.id == review.c.decision_id))
        .where(_in(queue), review.c.state == "open", _of_types(types))
        .order_by(review.c.priority, review.c.due_at, review.c.id)
        .limit(limit)
    )
    if after:
        c = review.c
        last = [sa.bindparam(None, v, col.type) for v, col in zip(after, (c.priority, c.due_at, c.id), strict=True)]
        query = query.where(sa.tuple_(c.priority, c.due_at, c.id) > sa.tuple_(*last))
    return tx.rows(query)


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


def lapsed(tx: WriteTx, limit: int) -> Sequence[sa.Row[Any]]:
    """Open reviews whose lease is over and not yet announced, held until commit."""
    over = (review.c.lease_expires_at <= tx.now()) & review.c.lease_announced.is_(False)
    return tx.rows(
        sa.select(review).where(review.c.state == "open", over).limit(limit).with_for_update(skip_locked=True)
    )


def overdue(tx: WriteTx, limit: int) -> Sequence[sa.Row[Any]]:
    """Open reviews past their due time and not yet announced, held until commit."""
    late = (review.c.due_at <= tx.now()) & review.c.overdue_announced.is_(False)
    return tx.rows(
        sa.select(review).where(review.c.state == "open", late).limit(limit).with_for_update(skip_locked=True)
    )


def mark(tx: WriteTx, ids: Iterable[str], values: dict[str, Any]) -> None:
    tx.run(review.update().where(review.c.id.in_(sorted(ids))).values(values))


def expiring(tx: ReadTx, limit: int) -> Sequence[sa.Row[Any]]:
    """Open reviews past the time after which their policy does not wait."""
    query = sa.select(review).where(review.c.state == "open", review.c.expires_at <= tx.now())
    return tx.rows(query.order_by(review.c.expires_at).limit(limit))


def _in(queue: str | None) -> sa.ColumnElement[bool]:
    return review.c.queue == queue if queue else sa.true()


def _of_types(types: frozenset[str] | None) -> sa.ColumnElement[bool]:
    return sa.true() if types is None else review.c.decision_type.in_(sorted(types))


def _free(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        review.c.available_at <= now,
        sa.or_(review.c.lease_expires_at.is_(None), review.c.lease_expires_at <= now),
    )


def _permitted(taker: Taker) -> tuple[sa.ColumnElement[bool], ...]:
    """Role and rung; not what the taker's own key submitted; never a second verdict in one review."""
    said = sa.select(verdict.c.id).where(verdict.c.review_id == review.c.id, verdict.c.person_id == taker.person_id)
    return (
        sa.or_(
            sa.and_(review.c.level == 0, _of_types(taker.types)),
            sa.and_(review.c.level > 0, _of_types(taker.escalated)),
        ),
        sa.or_(review.c.owner_id.is_(None), review.c.owner_id != taker.person_id),
        sa.not_(sa.exists(said)),
    )


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def lease_until(now: datetime, seconds: int) -> datetime:
    return now + timedelta(seconds=seconds)

"""Owns reading the tallies that triggers keep (ADR 0008): open reviews by lane, decisions by hour. Writes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.store.db import ReadTx
from app.store.tables import hour_tally, open_tally, review

LATE_AT_MOST = 10_000
IS_OPEN = review.c.state == sa.literal_column("'open'")  # as the partial indexes say it, for any plan


class Lane(NamedTuple):
    """Reviews that the same people may take, in one queue: they are claimed in the order of one index."""

    queue: str
    decision_type: str
    level: int


def lanes(tx: ReadTx, queue: str | None = None) -> list[Lane]:
    """Every lane that ever had an open review."""
    c = open_tally.c
    query = sa.select(c.queue, c.decision_type, c.level).distinct().where(_in(queue))
    return [
        Lane(row.queue, row.decision_type, row.level)
        for row in tx.rows(query.order_by(c.queue, c.decision_type, c.level))
    ]


def open_reviews(tx: ReadTx, queue: str | None = None) -> Sequence[sa.Row[Any]]:
    """Where reviews are open: (queue, decision_type, level, owner_id or "", n, late); `late` were announced as such."""
    c = open_tally.c
    by = (c.queue, c.decision_type, c.level, c.owner_id)
    n, late = (sa.cast(sa.func.sum(column), sa.BigInteger) for column in (c.n, c.late))
    query = sa.select(*by, n.label("n"), late.label("late")).where(_in(queue)).group_by(*by).having(n > 0)
    return tx.rows(query)


def late_unannounced(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    """Open reviews that are late and that the worker has not come by: (queue, decision_type, n), of 10,000 at most."""
    c = review.c
    late = sa.select(c.queue, c.decision_type).where(IS_OPEN, sa.not_(c.overdue_announced), c.due_at <= tx.now())
    some = late.limit(LATE_AT_MOST).subquery()
    query = sa.select(some.c.queue, some.c.decision_type, sa.func.count().label("n"))
    return tx.rows(query.group_by(some.c.queue, some.c.decision_type))


def oldest(tx: ReadTx) -> dict[str, datetime]:
    """Per queue, the creation of the oldest among those due first in each lane and priority."""
    t, r = open_tally.c, review.alias()
    lane = sa.select(t.queue, t.decision_type, t.level, t.priority).distinct().subquery()
    same = [r.c[name] == lane.c[name] for name in ("queue", "decision_type", "level", "priority")]
    first = sa.select(r.c.id).where(r.c.state == sa.literal_column("'open'"), *same)
    heads = sa.select(first.order_by(r.c.due_at, r.c.id).limit(1).correlate(lane).scalar_subquery()).select_from(lane)
    made = sa.func.min(review.c.created_at, type_=review.c.created_at.type).label("made")
    query = sa.select(review.c.queue, made).where(review.c.id.in_(heads)).group_by(review.c.queue)
    return {row.queue: row.made for row in tx.rows(query)}


def hourly(tx: ReadTx, since: datetime) -> Sequence[sa.Row[Any]]:
    """(decision_type, what, n) from the full hour before `since`; `what` is a tier, overridden or overturned."""
    c = hour_tally.c
    n = sa.cast(sa.func.sum(c.n), sa.BigInteger).label("n")
    hour = since.replace(minute=0, second=0, microsecond=0)
    return tx.rows(sa.select(c.decision_type, c.what, n).where(c.hour >= hour).group_by(c.decision_type, c.what))


def _in(queue: str | None) -> sa.ColumnElement[bool]:
    return open_tally.c.queue == queue if queue else sa.true()

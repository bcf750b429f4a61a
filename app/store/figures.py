"""Owns the figures that pages show: counts per decision type and per queue, and when people were last seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store import _tally
from app.store.db import ReadTx
from app.store.tables import person, queue, role_grant, session


@dataclass(slots=True)
class Open:
    """Open reviews, and how many of them are past their due time."""

    waiting: int = 0
    overdue: int = 0


def open_by_type(tx: ReadTx) -> dict[str, Open]:
    """Open reviews per decision type."""
    return _opened(tx, "decision_type", None)


def queues(tx: ReadTx, types: frozenset[str] | None) -> list[tuple[str, str, Open]]:
    """Queues with open reviews of the types, by title: (slug, title, Open)."""
    found = _opened(tx, "queue", types)
    query = sa.select(queue.c.slug, queue.c.title).where(queue.c.slug.in_(sorted(found))).order_by(queue.c.title)
    return [(row.slug, row.title, found[row.slug]) for row in tx.rows(query)]


def _opened(tx: ReadTx, by: str, types: frozenset[str] | None) -> dict[str, Open]:
    found: dict[str, Open] = {}
    for row in _tally.open_reviews(tx):
        if types is None or row.decision_type in types:
            one = found.setdefault(getattr(row, by), Open())
            one.waiting, one.overdue = one.waiting + row.n, one.overdue + row.late
    for row in _tally.late_unannounced(tx):
        if getattr(row, by) in found and (types is None or row.decision_type in types):
            found[getattr(row, by)].overdue += row.n
    return found


def sessions(tx: ReadTx, since: datetime) -> dict[str, tuple[int, datetime]]:
    """Live sessions per person: how many, and when the person was last seen in one."""
    c = session.c
    query = sa.select(c.person_id, sa.func.count().label("n"), sa.func.max(c.seen_at).label("seen_at"))
    return {
        row.person_id: (row.n, row.seen_at) for row in tx.rows(query.where(c.seen_at >= since).group_by(c.person_id))
    }


def grants(tx: ReadTx, person_id: str) -> Sequence[sa.Row[Any]]:
    """A person's grants with `granted_at` and the `granted_by_name` of who gave them (null for the system)."""
    giver = person.alias()
    query = (
        sa.select(role_grant, giver.c.name.label("granted_by_name"))
        .select_from(role_grant.outerjoin(giver, giver.c.id == role_grant.c.granted_by))
        .where(role_grant.c.person_id == person_id)
    )
    return tx.rows(query.order_by(role_grant.c.role, role_grant.c.decision_type))

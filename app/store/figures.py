"""Owns the figures that pages show: counts per decision type and per queue, and when people were last seen."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store.db import ReadTx
from app.store.tables import decision, person, queue, review, role_grant, session, verdict


def open_by_type(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    """Open reviews per decision type: (decision_type, waiting, overdue)."""
    c = review.c
    late = sa.func.sum(sa.case((c.due_at <= tx.now(), 1), else_=0))
    query = sa.select(c.decision_type, sa.func.count().label("waiting"), late.label("overdue"))
    return tx.rows(query.where(c.state == "open").group_by(c.decision_type))


def overrides_by_type(tx: ReadTx, since: datetime) -> Sequence[sa.Row[Any]]:
    """Decisions per type that a person settled against the AI's proposal since a time: (decision_type, n)."""
    said = sa.select(verdict.c.id).where(verdict.c.decision_id == decision.c.id, verdict.c.outcome.is_not(None))
    against = (decision.c.decided_by == "reviewer") & (decision.c.outcome != decision.c.proposal_outcome)
    query = sa.select(decision.c.decision_type, sa.func.count().label("n"))
    query = query.where(decision.c.final_at >= since, against, sa.exists(said))
    return tx.rows(query.group_by(decision.c.decision_type))


def overturned_by_type(tx: ReadTx, since: datetime) -> Sequence[sa.Row[Any]]:
    """Autonomous decisions per type that a quality check found wrong since a time: (decision_type, n)."""
    query = sa.select(decision.c.decision_type, sa.func.count().label("n"))
    return tx.rows(query.where(decision.c.overturned_at >= since).group_by(decision.c.decision_type))


def queues(tx: ReadTx, types: frozenset[str] | None) -> Sequence[sa.Row[Any]]:
    """Queues with open reviews of the types: (slug, title, overdue)."""
    late = sa.func.sum(sa.case((review.c.due_at <= tx.now(), 1), else_=0))
    query = (
        sa.select(queue.c.slug, queue.c.title, late.label("overdue"))
        .select_from(queue.join(review, review.c.queue == queue.c.slug))
        .where(review.c.state == "open")
        .group_by(queue.c.slug, queue.c.title)
        .order_by(queue.c.title)
    )
    return tx.rows(query if types is None else query.where(review.c.decision_type.in_(sorted(types))))


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

"""Owns counts and ages over decisions and reviews, and the workers' heartbeats."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store.db import ReadTx, WriteTx
from app.store.tables import decision, heartbeat, review


def tiers(tx: ReadTx, since: datetime) -> Sequence[sa.Row[Any]]:
    """Decisions since a time, by `decision_type`, `tier` and `status`: (decision_type, tier, status, n, overturned)."""
    c = decision.c
    query = sa.select(
        c.decision_type,
        c.tier,
        c.status,
        sa.func.count().label("n"),
        sa.func.count(c.overturned_at).label("overturned"),
    )
    return tx.rows(query.where(c.created_at >= since).group_by(c.decision_type, c.tier, c.status))


def queues(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    """Per queue: `open` reviews, the `oldest` one's creation, how many are `late` and `held`."""
    c, now = review.c, tx.now()
    late = sa.func.sum(sa.case((c.due_at <= now, 1), else_=0))
    held = sa.func.sum(sa.case((c.lease_expires_at > now, 1), else_=0))
    query = sa.select(
        c.queue,
        sa.func.count().label("open"),
        sa.func.min(c.created_at).label("oldest"),
        late.label("late"),
        held.label("held"),
    )
    return tx.rows(query.where(c.state == "open").group_by(c.queue).order_by(c.queue))


def beat(tx: WriteTx, worker: str) -> None:
    tx.put(heartbeat, {"worker": worker, "seen_at": tx.now()}, key=["worker"])


def last_beat(tx: ReadTx) -> datetime | None:
    """When any worker was last alive."""
    value: datetime | None = tx.value(sa.select(heartbeat.c.seen_at).order_by(heartbeat.c.seen_at.desc()).limit(1))
    return value

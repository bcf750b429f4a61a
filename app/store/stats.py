"""Owns counts and ages over decisions and reviews, as the tallies have them, and the workers' heartbeats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store import _tally
from app.store.db import ReadTx, WriteTx
from app.store.tables import heartbeat, hour_tally


def tiers(tx: ReadTx, since: datetime) -> Sequence[sa.Row[Any]]:
    """(decision_type, what, n) since the full hour: `what` is a tier, `overridden` or `overturned`."""
    return _tally.hourly(tx, since)


@dataclass(slots=True)
class QueueStats:
    """A queue: open reviews, the creation of the `oldest` first one, and how many are `late` (10,000 unannounced)."""

    queue: str
    open: int = 0
    oldest: datetime | None = None
    late: int = 0


def queues(tx: ReadTx) -> list[QueueStats]:
    """Every queue with open reviews, by slug."""
    oldest, found = _tally.oldest(tx), dict[str, QueueStats]()
    for row in _tally.open_reviews(tx):
        one = found.setdefault(row.queue, QueueStats(row.queue, oldest=oldest.get(row.queue, tx.now())))
        one.open, one.late = one.open + row.n, one.late + row.late
    for row in _tally.late_unannounced(tx):
        if row.queue in found:
            found[row.queue].late += row.n
    return [found[slug] for slug in sorted(found)]


def drop_hours_before(tx: WriteTx, moment: datetime) -> int:
    """Forget hours that no page shows any more."""
    return tx.run(hour_tally.delete().where(hour_tally.c.hour < moment))


def beat(tx: WriteTx, worker: str) -> None:
    tx.put(heartbeat, {"worker": worker, "seen_at": tx.now()}, key=["worker"])


def last_beat(tx: ReadTx) -> datetime | None:
    """When any worker was last alive."""
    value: datetime | None = tx.value(sa.select(heartbeat.c.seen_at).order_by(heartbeat.c.seen_at.desc()).limit(1))
    return value

"""Owns what the worker leaves behind: heartbeats, when each duty last ran, and the rows that duties set aside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store.db import ReadTx, WriteTx
from app.store.tables import duty_run, heartbeat, set_aside


def workers(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    """Workers by when they were last seen: (worker, seen_at)."""
    return tx.rows(sa.select(heartbeat).order_by(heartbeat.c.seen_at.desc()))


def drop_workers_before(tx: WriteTx, seen: datetime) -> int:
    return tx.run(heartbeat.delete().where(heartbeat.c.seen_at < seen))


def ran(tx: WriteTx, duty: str, worker: str, did: int, error: str | None) -> None:
    """Keep that the duty ran just now."""
    row = {"duty": duty, "worker": worker, "ran_at": tx.now(), "did": did, "error": error}
    tx.put(duty_run, row, key=["duty"])


def runs(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    return tx.rows(sa.select(duty_run).order_by(duty_run.c.duty))


def put_aside(tx: WriteTx, duty: str, object_id: str, error: str) -> None:
    """Keep the object out of the duty's way; once more is one try more."""
    known = tx.row(sa.select(set_aside).where(_is(duty, object_id)))
    first, tries = (known.first_at, known.tries + 1) if known else (tx.now(), 1)
    row = {"duty": duty, "object_id": object_id, "error": error, "tries": tries, "first_at": first, "last_at": tx.now()}
    tx.put(set_aside, row, key=["duty", "object_id"])


def forget(tx: WriteTx, duty: str, object_id: str) -> int:
    """Put the object in the duty's way again. Returns 0 when it was not set aside."""
    return tx.run(set_aside.delete().where(_is(duty, object_id)))


def is_aside(tx: ReadTx, duty: str, object_id: str) -> bool:
    return tx.row(sa.select(set_aside.c.duty).where(_is(duty, object_id))) is not None


def aside_of(tx: ReadTx, duty: str) -> frozenset[str]:
    """The ids of what the duty has set aside."""
    return frozenset(row.object_id for row in tx.rows(sa.select(set_aside.c.object_id).where(set_aside.c.duty == duty)))


def aside(tx: ReadTx, limit: int) -> Sequence[sa.Row[Any]]:
    """What is set aside, the newest failure first."""
    return tx.rows(sa.select(set_aside).order_by(set_aside.c.last_at.desc(), set_aside.c.object_id).limit(limit))


def aside_counts(tx: ReadTx) -> dict[str, int]:
    """How many rows each duty has set aside."""
    query = sa.select(set_aside.c.duty, sa.func.count().label("n")).group_by(set_aside.c.duty)
    return {row.duty: row.n for row in tx.rows(query)}


def _is(duty: str, object_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(set_aside.c.duty == duty, set_aside.c.object_id == object_id)

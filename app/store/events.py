"""Owns the event table: record and read. Rows are never changed; triggers see to it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.access import Actor
from app.domain.events import Event
from app.store.db import ReadTx, WriteTx, new_id
from app.store.tables import event


def record(tx: WriteTx, actor: Actor, *happened: Event) -> list[str]:
    """Write the events in the transaction of the change that they tell of; returns their ids (`evt_...`)."""
    return record_many(tx, [(actor, one) for one in happened])


def record_many(tx: WriteTx, happened: Sequence[tuple[Actor, Event]]) -> list[str]:
    at = tx.now()
    rows = [_row(new_id("evt"), at, actor, one) for actor, one in happened]
    tx.insert(event, rows)
    return [row["id"] for row in rows]


def _row(event_id: str, at: datetime, actor: Actor, one: Event) -> dict[str, Any]:
    return {
        "id": event_id,
        "created_at": at,
        "type": one.type.value,
        "actor_id": actor.id,
        "object_id": one.object_id,
        "decision_id": one.decision_id,
        "decision_type": one.decision_type,
        "body": one.body(event_id, at, actor),
    }


def of_decision(tx: ReadTx, decision_id: str) -> Sequence[sa.Row[Any]]:
    """The timeline of a decision and its reviews, oldest first."""
    query = sa.select(event).where(event.c.decision_id == decision_id).order_by(event.c.created_at, event.c.id)
    return tx.rows(query)


def page(
    tx: ReadTx,
    *,
    type: str | None = None,
    actor_id: str | None = None,
    object_id: str | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int,
) -> Sequence[sa.Row[Any]]:
    """Events, newest first; `before` is the (created_at, id) of the last row of the page before."""
    query = sa.select(event).order_by(event.c.created_at.desc(), event.c.id.desc()).limit(limit)
    if type:
        query = query.where(event.c.type == type)
    if actor_id:
        query = query.where(event.c.actor_id == actor_id)
    if object_id:
        query = query.where(sa.or_(event.c.object_id == object_id, event.c.decision_id == object_id))
    if before:
        query = query.where(sa.tuple_(event.c.created_at, event.c.id) < sa.tuple_(*_typed(before)))
    return tx.rows(query)


def _typed(key: tuple[datetime, str]) -> tuple[sa.BindParameter[Any], sa.BindParameter[Any]]:
    return sa.bindparam(None, key[0], event.c.created_at.type), sa.bindparam(None, key[1], event.c.id.type)

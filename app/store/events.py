"""Owns the event table: record and read. Rows are never changed; triggers see to it."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.access import Actor
from app.domain.events import NONCE, Event, EventType
from app.domain.merkle import leaf_hash
from app.domain.reads import READS
from app.store.db import ReadTx, WriteTx, new_id
from app.store.tables import event

LOOKS = sorted(READS)


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it was written: what a receipt says of it."""

    id: str
    leaf: str  # 64 hex digits
    at: datetime


def record(tx: WriteTx, actor: Actor, *happened: Event) -> list[Told]:
    """Write the events in the transaction of the change that they tell of.

    Whoever tells of a decision or a review holds its row, so that nobody else takes the same number; if somebody did,
    the transaction is tried again.
    """
    return record_many(tx, [(actor, one) for one in happened])


def record_many(tx: WriteTx, happened: Sequence[tuple[Actor, Event]]) -> list[Told]:
    at = tx.now()
    numbers = _numbers(tx, [one for _, one in happened])
    rows = [
        row(new_id("evt"), at, actor, one, nonce=os.urandom(NONCE), version=version)
        for (actor, one), version in zip(happened, numbers, strict=True)
    ]
    insert(tx, rows)
    return [told(one) for one in rows]


def _numbers(tx: ReadTx, happened: Sequence[Event]) -> list[int | None]:
    """Each event's number among those of its object, where its kind has one."""
    ids = {one.object_id for one in happened if one.is_numbered}
    query = sa.select(event.c.object_id, sa.func.max(event.c.version).label("n"))
    found = tx.rows(query.where(event.c.object_id.in_(sorted(ids))).group_by(event.c.object_id)) if ids else ()
    last = Counter({row.object_id: row.n or 0 for row in found})
    numbers: list[int | None] = []
    for one in happened:
        last[one.object_id] += one.is_numbered
        numbers.append(last[one.object_id] if one.is_numbered else None)
    return numbers


def row(
    event_id: str, at: datetime, actor: Actor, one: Event, *,
    nonce: bytes, version: int | None, request_id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """An event's row to be; its body is made here, once. `request_id` stands in for the actor's."""
    return {
        "id": event_id,
        "created_at": at,
        "type": one.type.value,
        "actor_id": actor.id,
        "object_id": one.object_id,
        "decision_id": one.decision_id,
        "decision_type": one.decision_type,
        "version": version,
        "body": one.body(event_id, at, actor, nonce=nonce, version=version, request_id=request_id),
    }


def told(row: Mapping[str, Any]) -> Told:
    return Told(row["id"], leaf_hash(row["body"]).hex(), row["created_at"])


def insert(tx: WriteTx, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows that `row` made, in the transaction of the change that they tell of."""
    tx.insert(event, rows)


def submissions(tx: ReadTx, decision_ids: Iterable[str]) -> dict[str, Told]:
    """The event that told of each decision's submission, by decision."""
    about = (event.c.type == EventType.DECISION_SUBMITTED.value) & event.c.decision_id.in_(sorted(decision_ids))
    return {row.decision_id: told(dict(row._mapping)) for row in tx.rows(sa.select(event).where(about))}


def of_decision(tx: ReadTx, decision_id: str) -> Sequence[sa.Row[Any]]:
    """The timeline of a decision and its reviews, oldest first; without who read it."""
    told = (event.c.decision_id == decision_id) & event.c.type.not_in(LOOKS)
    query = sa.select(event).where(told).order_by(event.c.created_at, event.c.id)
    return tx.rows(query)


def happened_since(tx: ReadTx, decision_ids: Iterable[str], moment: datetime) -> set[str]:
    """Those of the decisions of which an event was written since."""
    told = event.c.decision_id.in_(sorted(decision_ids)) & (event.c.created_at >= moment)
    return {row.decision_id for row in tx.rows(sa.select(event.c.decision_id).where(told).distinct())}


def get(tx: ReadTx, event_id: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(event).where(event.c.id == event_id))


def last_at(tx: ReadTx, object_id: str, type: EventType) -> datetime | None:
    """When this last happened to the object; None if it never did."""
    happened = (event.c.object_id == object_id) & (event.c.type == type.value)
    moment: datetime | None = tx.value(
        sa.select(event.c.created_at).where(happened).order_by(event.c.created_at.desc()).limit(1)
    )
    return moment


def last(tx: ReadTx, object_id: str, *, besides: EventType) -> sa.Row[Any] | None:
    """The newest event about the object that is neither a read nor of the type left aside."""
    about = (event.c.object_id == object_id) & event.c.type.not_in([besides.value, *LOOKS])
    return tx.row(sa.select(event).where(about).order_by(event.c.created_at.desc(), event.c.id.desc()).limit(1))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; None is every one. `object_id` finds a decision's reviews too; `until` is not included."""

    type: str | None = None
    actor_id: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    types: frozenset[str] | None = None


def page(
    tx: ReadTx, wanted: Wanted, *, before: tuple[datetime, str] | None = None, limit: int
) -> Sequence[sa.Row[Any]]:
    """Events, newest first; `before` is the (created_at, id) of the last row of the page before."""
    query = sa.select(event).where(*_conditions(wanted)).order_by(event.c.created_at.desc(), event.c.id.desc())
    query = query.limit(limit)
    if before:
        query = query.where(sa.tuple_(event.c.created_at, event.c.id) < sa.tuple_(*_typed(before)))
    return tx.rows(query)


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    c, found = event.c, []
    if wanted.type:
        found.append(c.type == wanted.type)
    if wanted.actor_id:
        found.append(c.actor_id == wanted.actor_id)
    if wanted.object_id:
        found.append(sa.or_(c.object_id == wanted.object_id, c.decision_id == wanted.object_id))
    if wanted.since:
        found.append(c.created_at >= wanted.since)
    if wanted.until:
        found.append(c.created_at < wanted.until)
    if wanted.types is not None:
        found.append(c.decision_type.in_(sorted(wanted.types)))
    return found


def _typed(key: tuple[datetime, str]) -> tuple[sa.BindParameter[Any], sa.BindParameter[Any]]:
    return sa.bindparam(None, key[0], event.c.created_at.type), sa.bindparam(None, key[1], event.c.id.type)

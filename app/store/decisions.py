"""Owns the decision table: insert, end, find, page."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store._filters import Filters as Filters
from app.store._filters import conditions
from app.store.db import ReadTx, WriteTx
from app.store.tables import decision


def by_external_id(tx: ReadTx, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], sa.Row[Any]]:
    """Decisions by (service, external_id)."""
    wanted = sorted(set(pairs))
    if not wanted:
        return {}
    rows = tx.rows(sa.select(decision).where(sa.tuple_(decision.c.service, decision.c.external_id).in_(wanted)))
    return {(row.service, row.external_id): row for row in rows}


def insert_missing(tx: WriteTx, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert the decisions whose (service, external_id) is free; returns the ids that went in.

    Of rows that want the same one, the first goes in.
    """
    ordered = sorted(rows, key=lambda row: (row["service"], row["external_id"] or ""))
    conflict = ["service", "external_id"]
    return {row[0] for row in tx.insert_missing(decision, ordered, conflict=conflict, returning=["id"])}


def get(tx: ReadTx, decision_id: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(decision).where(decision.c.id == decision_id))


def many(tx: ReadTx, ids: Iterable[str]) -> dict[str, sa.Row[Any]]:
    rows = tx.rows(sa.select(decision).where(decision.c.id.in_(sorted(set(ids)))))
    return {row.id: row for row in rows}


def lock(tx: WriteTx, decision_id: str) -> sa.Row[Any] | None:
    """The decision, held until commit. Always taken before its reviews, so that nobody waits in a circle."""
    return tx.row(sa.select(decision).where(decision.c.id == decision_id).with_for_update())


def fingerprints(tx: ReadTx, ids: Iterable[str]) -> dict[str, str]:
    """What tells each decision's body from others, by id."""
    query = sa.select(decision.c.id, decision.c.fingerprint).where(tx.among(decision.c.id, ids))
    return {row.id: row.fingerprint for row in tx.rows(query)}


def finalise(tx: WriteTx, decision_id: str, outcome: str, decided_by: str) -> bool:
    """End a pending decision; whether it was pending."""
    values = {"status": "final", "outcome": outcome, "decided_by": decided_by, "final_at": tx.now()}
    return tx.run(_pending(decision_id).values(values)) == 1


def cancel(tx: WriteTx, decision_id: str) -> bool:
    return tx.run(_pending(decision_id).values(status="cancelled", final_at=tx.now())) == 1


def overturn(tx: WriteTx, decision_id: str, outcome: str) -> None:
    """Mark a decision that has taken effect as wrong; its outcome stays what it was."""
    values = {"overturned_outcome": outcome, "overturned_at": tx.now()}
    tx.run(decision.update().where(decision.c.id == decision_id).values(values))


def _pending(decision_id: str) -> sa.Update:
    return decision.update().where(decision.c.id == decision_id, decision.c.status == "pending")


def ended(tx: ReadTx, ids: Iterable[str]) -> set[str]:
    """Which of the decisions are no longer pending."""
    query = sa.select(decision.c.id).where(tx.among(decision.c.id, ids), decision.c.status != "pending")
    return {row.id for row in tx.rows(query)}


def page(
    tx: ReadTx, filters: Filters, *, after: tuple[datetime, str] | None, limit: int, oldest_first: bool = False
) -> Sequence[sa.Row[Any]]:
    """Decisions by (created_at, id), newest first unless told; `after` is the key of the last row seen."""
    key = sa.tuple_(decision.c.created_at, decision.c.id)
    query = sa.select(decision).where(*conditions(filters)).limit(limit)
    if oldest_first:
        query = query.order_by(decision.c.created_at, decision.c.id)
    else:
        query = query.order_by(decision.c.created_at.desc(), decision.c.id.desc())
    if after:
        last = sa.tuple_(
            sa.bindparam(None, after[0], decision.c.created_at.type), sa.bindparam(None, after[1], decision.c.id.type)
        )
        query = query.where(key > last if oldest_first else key < last)
    return tx.rows(query)

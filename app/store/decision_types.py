"""Owns the tables decision_type and queue."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from app.store.db import ReadTx, WriteTx
from app.store.tables import decision_type, policy, queue


def get(tx: ReadTx, slug: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(decision_type).where(decision_type.c.slug == slug))


def all(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    return tx.rows(sa.select(decision_type).order_by(decision_type.c.slug))


def catalogue(tx: ReadTx, slugs: Iterable[str]) -> dict[str, sa.Row[Any]]:
    """Each type with its active policy (`policy_version`, `policy_document`, `policy_digest`; null without one)."""
    active = sa.and_(policy.c.decision_type == decision_type.c.slug, policy.c.state == "active")
    query = (
        sa.select(
            decision_type,
            policy.c.version.label("policy_version"),
            policy.c.document.label("policy_document"),
            policy.c.digest.label("policy_digest"),
        )
        .select_from(decision_type.outerjoin(policy, active))
        .where(decision_type.c.slug.in_(sorted(set(slugs))))
    )
    return {row.slug: row for row in tx.rows(query)}


def insert(tx: WriteTx, row: dict[str, Any]) -> None:
    tx.insert(decision_type, [row])


def change(tx: WriteTx, slug: str, values: dict[str, Any]) -> None:
    tx.run(decision_type.update().where(decision_type.c.slug == slug).values(values))


def queues(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    return tx.rows(sa.select(queue).order_by(queue.c.slug))


def get_queue(tx: ReadTx, slug: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(queue).where(queue.c.slug == slug))


def put_queue(tx: WriteTx, slug: str, title: str, lease_seconds: int) -> None:
    tx.put(queue, {"slug": slug, "title": title, "lease_seconds": lease_seconds}, key=["slug"])


def serves_others(tx: ReadTx, slug: str, but: str) -> bool:
    """Whether a queue holds reviews of other types than `but`."""
    others = (decision_type.c.queue == slug) & (decision_type.c.slug != but)
    return tx.row(sa.select(decision_type.c.slug).where(others).limit(1)) is not None


def add_queue_if_missing(tx: WriteTx, slug: str, title: str) -> bool:
    """Whether the queue is new."""
    row = {"slug": slug, "title": title, "lease_seconds": 900}
    return bool(tx.insert_missing(queue, [row], conflict=["slug"], returning=["slug"]))

"""Owns the tables decision_type and queue."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from app.store.db import ReadTx, WriteTx
from app.store.tables import decision_type, policy, queue, type_revision


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


def keep_revision(tx: WriteTx, slug: str, digest: str, document: str) -> None:
    """Keep a document for ever; the same one again changes nothing."""
    row = {"decision_type": slug, "digest": digest, "document": document, "created_at": tx.now()}
    names = ["decision_type", "digest"]
    tx.insert_missing(type_revision, [row], conflict=names, returning=names)


def document_of(tx: ReadTx, slug: str, digest: str) -> str | None:
    """The document of a type under a digest, however old."""
    same = (type_revision.c.decision_type == slug) & (type_revision.c.digest == digest)
    document: str | None = tx.value(sa.select(type_revision.c.document).where(same))
    return document


def get_queue(tx: ReadTx, slug: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(queue).where(queue.c.slug == slug))


def put_queue(tx: WriteTx, slug: str, title: str, lease_seconds: int) -> None:
    tx.put(queue, {"slug": slug, "title": title, "lease_seconds": lease_seconds}, key=["slug"])


def add_queue_if_missing(tx: WriteTx, slug: str, title: str) -> bool:
    """Whether the queue is new."""
    row = {"slug": slug, "title": title, "lease_seconds": 900}
    return bool(tx.insert_missing(queue, [row], conflict=["slug"], returning=["slug"]))

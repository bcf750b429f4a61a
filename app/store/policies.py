"""Owns the policy table: versions and their states."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from app.store.db import ReadTx, WriteTx
from app.store.tables import decision_type, policy


def versions(tx: ReadTx, slug: str) -> Sequence[sa.Row[Any]]:
    return tx.rows(sa.select(policy).where(policy.c.decision_type == slug).order_by(policy.c.version.desc()))


def get(tx: ReadTx, slug: str, version: int) -> sa.Row[Any] | None:
    return tx.row(sa.select(policy).where(policy.c.decision_type == slug, policy.c.version == version))


def active(tx: ReadTx, slug: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(policy).where(policy.c.decision_type == slug, policy.c.state == "active"))


def all_active(tx: ReadTx, slugs: Iterable[str]) -> Sequence[sa.Row[Any]]:
    """The active version of each type that has one."""
    query = sa.select(policy).where(policy.c.state == "active", policy.c.decision_type.in_(sorted(slugs)))
    return tx.rows(query)


def tallies(tx: ReadTx, slugs: Iterable[str]) -> dict[str, sa.Row[Any]]:
    """Per type with versions: the `newest` number, and how many are `drafts` and `proposed`."""
    c = policy.c
    query = sa.select(
        c.decision_type,
        sa.func.max(c.version).label("newest"),
        sa.func.sum(sa.case((c.state == "draft", 1), else_=0)).label("drafts"),
        sa.func.sum(sa.case((c.state == "proposed", 1), else_=0)).label("proposed"),
    )
    rows = tx.rows(query.where(c.decision_type.in_(sorted(slugs))).group_by(c.decision_type))
    return {row.decision_type: row for row in rows}


def lock_type(tx: WriteTx, slug: str) -> sa.Row[Any] | None:
    """The decision type, held until commit, so that versions are numbered and activated one at a time."""
    return tx.row(sa.select(decision_type).where(decision_type.c.slug == slug).with_for_update())


def next_version(tx: WriteTx, slug: str) -> int:
    newest = tx.value(sa.select(sa.func.max(policy.c.version)).where(policy.c.decision_type == slug))
    return int(newest or 0) + 1


def insert(tx: WriteTx, row: dict[str, Any]) -> None:
    tx.insert(policy, [row])


def change(tx: WriteTx, slug: str, version: int, values: dict[str, Any]) -> None:
    tx.run(policy.update().where(policy.c.decision_type == slug, policy.c.version == version).values(values))

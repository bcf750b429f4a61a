"""Rows that go in many at a time are stored as SQLAlchemy stores them one by one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.store import tables
from app.store.db import Database
from tests.factories import House

AT = datetime(2026, 11, 24, 9, 8, 7, 120_000, tzinfo=UTC)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "evt_1", "created_at": AT, "type": "decision.submitted", "actor_id": "key_1", "object_id": "dec_1",
        "decision_id": None, "decision_type": 'a "quoted", \\ escaped\n\u2028 text', "body": b"\x00\xff'\"{",
    } | changes  # fmt: skip


def test_values_of_every_kind_are_stored_as_sqlalchemy_stores_them(db: Database, house: House) -> None:
    later = AT + timedelta(microseconds=1)
    wanted = [row(), row(id="evt_2", created_at=later), row(id="evt_3", created_at=AT)]
    with db.write() as tx:
        tx.insert(tables.event, wanted)
        tx.connection.execute(tables.event.insert(), [one | {"id": f"{one['id']}_sa"} for one in wanted])
    raw = sa.text("SELECT id, created_at, type, decision_id, decision_type, body FROM event WHERE id LIKE :id")
    with db.read() as tx:
        ours = [tuple(one) for one in tx.rows(raw, {"id": "evt__"})]
        theirs = [tuple(one) for one in tx.rows(raw, {"id": "evt___sa"})]
    assert 3 == len(ours)
    assert sorted(one[1:] for one in theirs) == sorted(one[1:] for one in ours)


def test_a_missing_row_is_stored_like_any_other(db: Database, house: House) -> None:
    names = ["key_id", "route", "key"]
    one = {"key_id": "k", "route": "r", "key": "i", "fingerprint": "f", "created_at": AT, "answer": None}
    with db.write() as tx:
        assert {("k", "r", "i")} == tx.insert_missing(tables.idempotency, [one], conflict=names, returning=names)
        assert set() == tx.insert_missing(tables.idempotency, [one], conflict=names, returning=names)
        tx.connection.execute(tables.idempotency.insert(), [one | {"key": "j"}])
    with db.read() as tx:
        raw = tx.rows(sa.text("SELECT created_at, answer FROM idempotency WHERE key_id = 'k'"))
        assert raw[0] == raw[1]

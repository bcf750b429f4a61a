"""What the schema promises: no drift, down and up, and no change of what happened."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from app.store import schema, tables
from app.store.db import Database
from tests.factories import House


def test_migrations_and_tables_do_not_drift(db: Database) -> None:
    with db.read() as tx:
        context = MigrationContext.configure(tx.connection, opts={"compare_type": True})
        assert [] == compare_metadata(context, tables.SQLModel.metadata)


def test_migrations_go_down_and_up_again(db: Database) -> None:
    schema.migrate(db, "base")
    schema.migrate(db)
    with db.read() as tx:
        assert schema.head() == schema.current(tx)


AT = datetime(2026, 11, 24, tzinfo=UTC)
ROWS: dict[sa.Table, dict[str, Any]] = {
    tables.sealed: {"idx": 0, "event_id": "evt_1"},
    tables.tile: {"level": 0, "n": 0, "hashes": bytes(8192)},
    tables.checkpoint: {"size": 1, "root": bytes(32), "note": "note", "signed_at": AT},
    tables.cosignature: {"size": 1, "line": "line", "name": "witness", "at": AT},
}


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("table", [tables.event, *ROWS], ids=lambda table: table.name)
def test_what_happened_cannot_be_changed_at_head(db: Database, house: House, table: sa.Table, statement: str) -> None:
    if db.is_sqlite and statement.startswith("TRUNCATE"):
        pytest.skip("SQLite has no TRUNCATE")
    with db.write() as tx:
        for filled, row in ROWS.items():
            tx.connection.execute(filled.insert().values(row))
    column = next(iter(table.c)).name
    with pytest.raises(DBAPIError, match="append-only"), db.write() as tx:
        tx.run(sa.text(statement.format(table.name, column, column)))
    with db.read() as tx:
        assert tx.value(sa.select(sa.func.count()).select_from(table)) > 0


def test_sqlite_does_not_replace_what_is_append_only(sqlite_url: str) -> None:
    db = Database(sqlite_url)
    with db.write() as tx:
        tx.connection.execute(tables.sealed.insert().values(ROWS[tables.sealed]))
    with pytest.raises(DBAPIError, match="append-only"), db.write() as tx:
        tx.run(sa.text("INSERT OR REPLACE INTO sealed (idx, event_id) VALUES (0, 'evt_2')"))
    db.close()


def test_every_event_waits_to_be_sealed_those_from_before_the_tree_too(db: Database, house: House) -> None:
    told = _ids(db, tables.event.c.id)
    assert told == _ids(db, tables.unsealed.c.event_id)
    schema.migrate(db, "0005")
    schema.migrate(db)
    assert told == _ids(db, tables.unsealed.c.event_id)


def _ids(db: Database, column: sa.Column[Any]) -> list[str]:
    with db.read() as tx:
        found = sorted(row[0] for row in tx.rows(sa.select(column)))
    assert found
    return found


def test_a_read_transaction_cannot_write(db: Database, house: House) -> None:
    before = _people(db)
    with pytest.raises((DBAPIError, Exception)), db.read() as tx:
        tx.connection.execute(tables.person.update().values(name="x"))
    assert before == _people(db)


def _people(db: Database) -> int:
    with db.read() as tx:
        return int(tx.value(sa.select(sa.func.count()).select_from(tables.person).where(tables.person.c.name != "x")))

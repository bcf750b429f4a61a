"""What the schema promises: no drift, down and up, and no change of what happened."""

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


@pytest.mark.parametrize("statement", ["UPDATE event SET type = 'x'", "DELETE FROM event"])
def test_events_cannot_be_changed_at_head(db: Database, house: House, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), db.write() as tx:
        tx.run(sa.text(statement))
    with db.read() as tx:
        assert tx.value(sa.select(sa.func.count()).select_from(tables.event)) > 0


def test_a_read_transaction_cannot_write(db: Database, house: House) -> None:
    before = _people(db)
    with pytest.raises((DBAPIError, Exception)), db.read() as tx:
        tx.connection.execute(tables.person.update().values(name="x"))
    assert before == _people(db)


def _people(db: Database) -> int:
    with db.read() as tx:
        return int(tx.value(sa.select(sa.func.count()).select_from(tables.person).where(tables.person.c.name != "x")))

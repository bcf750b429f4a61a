"""A row that cannot be processed, for real: the database refuses every event of one object."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.store.db import Database


@contextmanager
def poisoned(db: Database, object_id: str) -> Iterator[None]:
    """Nothing that would be told of the object can be done to it, inside this block."""
    _run(db, *(_SQLITE if db.is_sqlite else _POSTGRES), object_id=object_id)
    yield
    _run(db, "DROP TRIGGER poison" + ("" if db.is_sqlite else " ON event"))


_SQLITE = (
    "CREATE TRIGGER poison BEFORE INSERT ON event WHEN NEW.object_id = '{object_id}' "
    "BEGIN SELECT RAISE(ABORT, 'the amount 4711 is poison'); END",
)
_POSTGRES = (
    "CREATE OR REPLACE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the amount 4711 is poison'; END $$",
    "CREATE TRIGGER poison BEFORE INSERT ON event FOR EACH ROW WHEN (NEW.object_id = '{object_id}') "
    "EXECUTE FUNCTION poison()",
)


def _run(db: Database, *statements: str, **names: str) -> None:
    with db.write() as tx:
        for one in statements:
            tx.connection.exec_driver_sql(one.format(**names))

"""Owns many rows in one statement: the part of the dialect seam that the submit door's speed rests on.

Must not know a table. PostgreSQL takes the rows as one JSON parameter (one prepared statement, however many rows: an
eighth of the client's time that a multi-row VALUES takes); SQLite runs one statement again for each row.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

Rows = Sequence[Mapping[str, Any]]


def insert(connection: sa.Connection, table: sa.Table, rows: Rows) -> None:
    """Insert at least one row; all have the same keys."""
    plan = _plan(table, tuple(rows[0]), (), (), connection.dialect)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(plan.sql, (plan.json(rows),))
    else:
        connection.exec_driver_sql(plan.sql, list(plan.tuples(rows)))


def insert_missing(
    connection: sa.Connection, table: sa.Table, rows: Rows, conflict: tuple[str, ...], returning: tuple[str, ...]
) -> set[tuple[Any, ...]]:
    """Insert the rows whose `conflict` columns are free; the `returning` columns (text) of those that went in."""
    plan = _plan(table, tuple(rows[0]), conflict, returning, connection.dialect)
    if connection.dialect.name == "postgresql":
        return {tuple(row) for row in connection.exec_driver_sql(plan.sql, (plan.json(rows),))}
    return set(_one_by_one(connection, plan, rows))


class _Plan:
    """The statement for one table and set of columns, and how its parameters are made."""

    def __init__(
        self,
        table: sa.Table,
        names: tuple[str, ...],
        conflict: tuple[str, ...],
        returning: tuple[str, ...],
        dialect: sa.Dialect,
    ) -> None:
        columns = [table.c[name] for name in names]
        self._binary = [column.name for column in columns if isinstance(column.type, sa.LargeBinary)]
        self._values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        # What SQLite's driver does not store by itself as SQLAlchemy reads it.
        self._times = [(place, _processor(column, dialect)) for place, column in enumerate(columns) if _is_time(column)]
        listed = _quoted(names)
        source = f"VALUES ({', '.join('?' * len(names))})"
        if dialect.name == "postgresql":
            typed = ", ".join(f'"{column.name}" {column.type.compile(dialect)}' for column in columns)
            source = f"SELECT {listed} FROM json_to_recordset(%s::json) AS given({typed})"  # noqa: S608
        self.sql = f'INSERT INTO "{table.name}" ({listed}) {source}'
        if conflict:
            self.sql += f" ON CONFLICT ({_quoted(conflict)}) DO NOTHING RETURNING {_quoted(returning)}"

    def json(self, rows: Rows) -> str:
        """The rows as one JSON text; bytes as PostgreSQL's hex."""
        if self._binary:
            rows = [{**row, **{name: "\\x" + row[name].hex() for name in self._binary}} for row in rows]
        return _ENCODER.encode(rows).decode()

    def tuples(self, rows: Rows) -> Iterator[tuple[Any, ...]]:
        """Each row's values as SQLite stores them."""
        texts: dict[Any, Any] = {}  # most times of one transaction are the same
        for row in rows:
            values = list(self._values(row))
            for place, process in self._times:
                moment = values[place]
                if moment not in texts:
                    texts[moment] = process(moment)
                values[place] = texts[moment]
            yield tuple(values)


_ENCODER = msgspec.json.Encoder()
_plan = lru_cache(maxsize=256)(_Plan)


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _is_time(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.DateTime | sa.types.TypeDecorator)


def _processor(column: sa.Column[Any], dialect: sa.Dialect) -> Callable[[Any], Any]:
    process: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).bind_processor(dialect)
    assert process is not None
    return process


def _one_by_one(connection: sa.Connection, plan: _Plan, rows: Rows) -> Iterator[tuple[Any, ...]]:
    # The driver's executemany cannot answer RETURNING, and SQLAlchemy around each row would cost more than the row.
    cursor = connection.connection.cursor()
    try:
        for values in plan.tuples(rows):
            yield from cursor.execute(plan.sql, values).fetchall()
    except sqlite3.Error as error:
        named = DBAPIError.instance(plan.sql, None, error, sqlite3.Error, hide_parameters=True)
        raise named from None
    finally:
        cursor.close()

"""Owns transactions and the whole dialect seam: Database, ReadTx, WriteTx, `reads`, `writes`. Must not know a table."""

import json
import logging
import random
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import update_wrapper
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from uuid_utils import uuid7

from app.domain.errors import Malformed, Unavailable
from app.store import _bulk, _patience, _scrub
from app.store._engines import PG_LIMITS, SOON_GONE, postgres_engine, sqlite_engine
from app.store._engines import driver_url as driver_url
from app.store._patience import request_begins as request_begins
from app.store._patience import request_rests as request_rests
from app.store._replica import Replica
from app.store._standing import Kept, Standing, kept

Kind = Literal["read", "survey", "write"]
P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Row = Mapping[str, Any]

RETRIES = 5
# serialization_failure, deadlock_detected, and unique_violation: a twin was faster, so the second try finds its row
RETRIABLE = ("40001", "40P01", "23505")
# the classes of a connection, resources, an operator, the system; a standby; a session or a lock that timed out
AWAY = ("08", "53", "57", "58", "25006", "25P03", "55P03")
log = logging.getLogger(__name__)


def new_id(prefix: str) -> str:
    """A UUIDv7 as text behind a prefix (RFC 9562): `dec_0193...`; sorts by the time it was made."""
    return f"{prefix}_{uuid7()}"


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out, on both databases. SQLite keeps naive text, so we re-attach the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the store")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ReadTx:
    """A read-only transaction, enforced by the engine. `now()` is the database's clock, read once."""

    def __init__(self, connection: sa.Connection, offset: timedelta, standing: Standing | None = None) -> None:
        self.connection = connection
        self._offset = offset
        self._now: datetime | None = None
        self._standing = standing or Standing()
        self._kept: Kept | None = None

    def rows(self, statement: sa.Executable, params: Any = None) -> Sequence[sa.Row[Any]]:
        return self.connection.execute(statement, params).all()

    def row(self, statement: sa.Executable, params: Any = None) -> sa.Row[Any] | None:
        return self.connection.execute(statement, params).first()

    def value(self, statement: sa.Executable, params: Any = None) -> Any:
        return self.connection.execute(statement, params).scalar()

    def now(self) -> datetime:
        """The database's time, aware UTC: leases must not depend on any one process's clock."""
        if self._now is None:
            clock = _CLOCKS[self.connection.dialect.name]
            self._now = self._moment(self.connection.exec_driver_sql(f"SELECT {clock}").scalar_one())
        return self._now

    def kept(self, kind: str, keys: Iterable[K], load: Callable[[set[K]], dict[K, V]]) -> dict[K, V]:
        """Values of keys, people, roles, types or policies, from memory unless any of them changed; see `_standing`."""
        if self._kept is None:
            # One question for both: a submission needs the time as well.
            clock = _CLOCKS[self.connection.dialect.name]
            row = self.connection.exec_driver_sql(f"SELECT {clock}, n FROM generation").one()  # noqa: S608
            self._now = self._now or self._moment(row[0])
            self._kept = self._standing.at(row[1])
        return kept(self._kept, kind, keys, load)

    def _moment(self, raw: Any) -> datetime:
        moment = raw if isinstance(raw, datetime) else datetime.fromisoformat(raw)
        return moment.astimezone(UTC) + self._offset

    def among(self, column: sa.ColumnElement[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
        """`column` is one of many `values`, which travel as one parameter: a third of the cost of a long IN."""
        return _AMONG[self.connection.dialect.name](column, list(values))

    def size(self) -> int:
        """The size of the database in bytes."""
        return int(self.connection.exec_driver_sql(_SIZES[self.connection.dialect.name]).scalar_one())


class WriteTx(ReadTx):
    """A transaction that may change rows; it commits when the block that opened it ends well."""

    def run(self, statement: sa.Executable, params: Any = None) -> int:
        """Execute and return the number of rows touched."""
        return self.connection.execute(statement, params).rowcount

    def insert(self, table: sa.Table, rows: Sequence[Row]) -> None:
        """Insert rows that all have the same keys, in one statement however many they are."""
        if rows:
            _bulk.insert(self.connection, table, rows)

    def insert_missing(
        self, table: sa.Table, rows: Sequence[Row], *, conflict: Sequence[str], returning: Sequence[str]
    ) -> set[tuple[Any, ...]]:
        """Insert the rows whose unique `conflict` columns are free; return the `returning` columns of those.

        Waits for a concurrent twin to commit or fall, so the answer is final. Give rows in a fixed order of keys.
        """
        return _bulk.insert_missing(self.connection, table, rows, tuple(conflict), tuple(returning)) if rows else set()

    def put(self, table: sa.Table, row: Row, *, key: Sequence[str]) -> None:
        """Insert the row or, where its `key` columns are taken, overwrite the rest (an upsert)."""
        insert = _INSERTS[self.connection.dialect.name](table).values(dict(row))
        rest = {name: insert.excluded[name] for name in row if name not in key}
        self.connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=rest))


_CLOCKS = {
    "postgresql": "clock_timestamp()",
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')",
}


def _among_array(column: sa.ColumnElement[str], values: list[str]) -> sa.ColumnElement[bool]:
    return column == sa.any_(sa.bindparam(None, values, type_=postgresql.ARRAY(sa.Text())))


def _among_json(column: sa.ColumnElement[str], values: list[str]) -> sa.ColumnElement[bool]:
    given = sa.func.json_each(json.dumps(values)).table_valued("value")
    return column.in_(sa.select(given.c.value))


_AMONG = {"postgresql": _among_array, "sqlite": _among_json}
_SIZES = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
}
_INSERTS: dict[str, Callable[[sa.Table], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class Database:
    """One database by URL (`sqlite:///path` or `postgresql://...`). `offset` moves its clock, for tests.

    `read_url` is a replica for reads that may be a little late; `pooled` says that PgBouncer in transaction mode is
    between us and PostgreSQL. `read()` and `write()` raise Unavailable when the database is away, full or too busy.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        offset: timedelta = timedelta(),
        read_url: str | None = None,
        pooled: bool = False,
    ) -> None:
        self.url = driver_url(url)
        self.offset = offset
        self._standing = Standing()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer_lock: AbstractContextManager[Any] = _patience.WriterLock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            self._reader = sqlite_engine(self.url, pool_size, read_only=True)
            self._writer = sqlite_engine(self.url, 1, read_only=False)
        else:
            self._writer = postgres_engine(self.url, pool_size, pooled=pooled)
            self._reader = self._writer.execution_options(postgresql_readonly=True)
        self.replica = self._replica(read_url, pool_size, pooled) if read_url else None

    def _replica(self, url: str, pool_size: int, pooled: bool) -> Replica:
        parsed = driver_url(url)
        if self.is_sqlite or parsed.get_backend_name() == "sqlite":
            raise Malformed("A read replica needs PostgreSQL: HANDRAIL_READ_DATABASE_URL is for that alone.")
        engine = postgres_engine(parsed, pool_size, pooled=pooled, **SOON_GONE)
        return Replica(engine.execution_options(postgresql_readonly=True), self._reader)

    @contextmanager
    def read(self) -> Iterator[ReadTx]:
        """Read what is committed: of the primary, always."""
        with self._reading(self._reader, self._standing) as tx:
            yield tx

    @contextmanager
    def _reading(self, engine: sa.Engine, standing: Standing) -> Iterator[ReadTx]:
        with _failures_named(standing), engine.begin() as connection:
            yield ReadTx(connection, self.offset, standing)

    @contextmanager
    def read_replica(self) -> Iterator[ReadTx]:
        """Read what the replica has. Raises Unavailable when it is away."""
        assert self.replica is not None
        with self._reading(self.replica.engine, Standing()) as tx:
            yield tx

    def mark(self) -> int | None:
        """What `Action.after` takes: all that is committed by now is before it. None where there is no replica."""
        if self.replica is None:
            return None
        with _failures_named(self._standing):
            return self.replica.mark()

    @contextmanager
    def write(self) -> Iterator[WriteTx]:
        # One lock in this process is fairer than SQLite's busy polling; other processes still meet BEGIN IMMEDIATE.
        with self._writer_lock, _failures_named(self._standing), self._writer.begin() as connection:
            yield WriteTx(connection, self.offset, self._standing)

    def hold_schema_lock(self, tx: WriteTx) -> None:
        """Let one migration run at a time; SQLite's BEGIN IMMEDIATE does it already."""
        if not self.is_sqlite:
            _patience.be_endless(tx.connection)
            for limit in PG_LIMITS:
                tx.run(sa.text(f"SET LOCAL {limit} = 0"))
            tx.run(sa.text("SELECT pg_advisory_xact_lock(4850321)"))

    def scrub(self, *, full: bool = False) -> bool:
        """Give back what deleted rows took, so that the database's files hold nothing of them; whether that is so.

        SQLite: VACUUM, and the write-ahead log is emptied, unless somebody reads for long. PostgreSQL: VACUUM; `full`
        writes the tables anew, which locks each of them meanwhile. What was archived, replicated or backed up stays.
        """
        with self._writer_lock, _failures_named(self._standing):
            return _scrub.scrub(self._writer, self.is_sqlite, full)

    @property
    def engine(self) -> sa.Engine:
        """The writing engine, for migrations and backups only."""
        return self._writer

    def close(self) -> None:
        if self.replica:
            self.replica.close()
        self._reader.dispose()
        self._writer.dispose()


class Action(Generic[P, R]):
    """A verb as one transaction: call it with a Database and it has committed when it returns.

    `within(tx, ...)` does the same inside a transaction that is open already.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], R], *, kind: Kind, mark: int | None = None) -> None:
        update_wrapper(self, function)
        self.within = function
        self.kind = kind
        self.mark = mark

    def __call__(self, db: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.kind == "write":
            return self._written(db, *args, **kwargs)
        if self.kind == "survey" and db.replica and db.replica.fit(self.mark):
            try:
                with db.read_replica() as tx:
                    return self.within(tx, *args, **kwargs)
            except (DBAPIError, Unavailable) as error:
                db.replica.failed(error)
        with db.read() as tx:
            return self.within(tx, *args, **kwargs)

    def after(self, mark: int | None) -> "Action[P, R]":
        """The same survey, which sees all that was committed when `Database.mark` was asked."""
        return Action(self.within, kind=self.kind, mark=mark)

    def _written(self, db: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(RETRIES):
            try:
                with db.write() as tx:
                    return self.within(tx, *args, **kwargs)
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                last = attempt + 1 == RETRIES
                if state not in RETRIABLE or (last and state == "23505"):
                    raise
                if last:
                    raise _patience.unavailable() from None
                time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311
        raise AssertionError("unreachable")


def writes(function: Callable[Concatenate[WriteTx, P], R]) -> Action[P, R]:
    """Make an action of a function over a write transaction.

    Deadlocks and serialization failures are tried again with jitter, so the function must have no other effects.
    """
    return Action(function, kind="write")


def reads(function: Callable[Concatenate[ReadTx, P], R]) -> Action[P, R]:
    """Make an action of a function over a read-only transaction, which sees all that is committed."""
    return Action(function, kind="read")


def surveys(function: Callable[Concatenate[ReadTx, P], R]) -> Action[P, R]:
    """Make an action as `reads` does, of what may be some seconds late: it is read of the replica where there is one.

    For lists, figures, searches and exports. Never for what somebody has just written, nor for who may do what.
    """
    return Action(function, kind="survey")


@contextmanager
def _failures_named(standing: Standing) -> Iterator[None]:
    _patience.must_be_left()
    try:
        yield
    except DataError:
        raise Malformed("A value cannot be stored as text: it holds a character that is not allowed.") from None
    except (DBAPIError, PoolTimeout) as error:
        original = getattr(error, "orig", None)
        if not _away(error, getattr(original, "sqlstate", None) or ""):
            raise
        standing.forget()
        # The original may quote statement parameters, so only its class is kept.
        log.warning("database unavailable: %s", type(original or error).__name__)
        raise _patience.unavailable() from None


def _away(error: Exception, state: str) -> bool:
    if state in RETRIABLE:
        return False
    return isinstance(error, (OperationalError, InterfaceError, PoolTimeout)) or state.startswith(AWAY)

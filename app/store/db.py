"""Owns transactions and the whole dialect seam: Database, ReadTx, WriteTx, `reads`, `writes`. Must not know a table."""

import logging
import random
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from uuid_utils import uuid7

from app.domain.errors import Malformed
from app.store import _bulk, _patience
from app.store._patience import request_begins as request_begins
from app.store._patience import request_rests as request_rests
from app.store._standing import Kept, Standing, kept

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
PG_OPTIONS = "-c timezone=UTC -c statement_timeout=7s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s"
# A peer that is gone is noticed by the kernel, and see _patience for one that is there and says nothing.
PG_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 10_000}
BUSY_SECONDS = 10
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
_INSERTS: dict[str, Callable[[sa.Table], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class Database:
    """One database by URL (`sqlite:///path` or `postgresql://...`). `offset` moves its clock, for tests.

    `read()` and `write()` raise Unavailable when the database is away, full or too busy.
    """

    def __init__(self, url: str, *, pool_size: int = 10, offset: timedelta = timedelta()) -> None:
        self.url = driver_url(url)
        self.offset = offset
        self._standing = Standing()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer_lock: AbstractContextManager[Any] = _patience.WriterLock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            self._reader = _sqlite_engine(self.url, pool_size, read_only=True)
            self._writer = _sqlite_engine(self.url, 1, read_only=False)
        else:
            self._writer = _postgres_engine(self.url, pool_size)
            self._reader = self._writer.execution_options(postgresql_readonly=True)

    @contextmanager
    def read(self) -> Iterator[ReadTx]:
        with _failures_named(self._standing), self._reader.begin() as connection:
            yield ReadTx(connection, self.offset, self._standing)

    @contextmanager
    def write(self) -> Iterator[WriteTx]:
        # One lock in this process is fairer than SQLite's busy polling; other processes still meet BEGIN IMMEDIATE.
        with self._writer_lock, _failures_named(self._standing), self._writer.begin() as connection:
            yield WriteTx(connection, self.offset, self._standing)

    def hold_schema_lock(self, tx: WriteTx) -> None:
        """Let one migration run at a time; SQLite's BEGIN IMMEDIATE does it already."""
        if not self.is_sqlite:
            _patience.be_endless(tx.connection)
            tx.run(sa.text("SET LOCAL statement_timeout = 0"))
            tx.run(sa.text("SET LOCAL lock_timeout = 0"))
            tx.run(sa.text("SELECT pg_advisory_xact_lock(4850321)"))

    @property
    def engine(self) -> sa.Engine:
        """The writing engine, for migrations and backups only."""
        return self._writer

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()


class Action(Generic[P, R]):
    """A verb as one transaction: call it with a Database and it has committed when it returns.

    `within(tx, ...)` does the same inside a transaction that is open already.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], R], *, kind: Literal["read", "write"]) -> None:
        update_wrapper(self, function)
        self.within = function
        self.kind = kind

    def __call__(self, db: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.kind == "write":
            return self._written(db, *args, **kwargs)
        with db.read() as tx:
            return self.within(tx, *args, **kwargs)

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
    """Make an action of a function over a read-only transaction."""
    return Action(function, kind="read")


def driver_url(url: str) -> sa.URL:
    """The SQLAlchemy URL with our driver: `postgresql://` means psycopg 3. Raises Malformed for other databases."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise Malformed("The database URL cannot be read; say sqlite:///PATH or postgresql://USER@HOST/NAME.") from None
    backend = parsed.get_backend_name()
    if backend == "postgres":
        parsed, backend = parsed.set(drivername="postgresql"), "postgresql"
    if backend not in _CLOCKS:
        raise Malformed("The database URL must begin with sqlite:// or postgresql://.")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise Malformed("SQLite needs a file: say sqlite:///PATH.")
    return parsed.set(drivername="postgresql+psycopg" if backend == "postgresql" else "sqlite+pysqlite")


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


def _sqlite_engine(url: sa.URL, pool_size: int, *, read_only: bool) -> sa.Engine:
    engine = sa.create_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=_patience.POOL, connect_args={"timeout": BUSY_SECONDS}
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    Path(cast(str, url.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
    return engine


def _postgres_engine(url: sa.URL, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_timeout=_patience.POOL,
        pool_pre_ping=True,
        connect_args={"options": PG_OPTIONS, "connect_timeout": 3, **PG_KEEPALIVE},
    )
    return _patience.teach(engine)

"""Owns the engines: how each database is connected to, and its limits on waiting. Part of the seam in db.py.

Must not know a table, a transaction or a verb.
"""

from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from app.domain.errors import Malformed
from app.store import _patience

# A transaction whose client says no more for 5 s has lost it (ours take milliseconds), and others wait for its locks.
PG_LIMITS = {"statement_timeout": "7s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "5s"}
# Compiling a plan takes longer than any statement of ours.
PG_SETTINGS = PG_LIMITS | {"jit": "off"}
# A peer that is gone is noticed by the kernel, and see _patience for one that is there and says nothing.
PG_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 10_000}
BUSY_SECONDS = 10
SOON_GONE = {"connect_timeout": 2, "tcp_user_timeout": 3000}  # a replica that does not answer is soon given up
BACKENDS = ("postgresql", "sqlite")


def driver_url(url: str) -> sa.URL:
    """The SQLAlchemy URL with our driver: `postgresql://` means psycopg 3. Raises Malformed for other databases."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise Malformed("The database URL cannot be read; say sqlite:///PATH or postgresql://USER@HOST/NAME.") from None
    backend = parsed.get_backend_name()
    if backend == "postgres":
        parsed, backend = parsed.set(drivername="postgresql"), "postgresql"
    if backend not in BACKENDS:
        raise Malformed("The database URL must begin with sqlite:// or postgresql://.")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise Malformed("SQLite needs a file: say sqlite:///PATH.")
    return parsed.set(drivername="postgresql+psycopg" if backend == "postgresql" else "sqlite+pysqlite")


def sqlite_engine(url: sa.URL, pool_size: int, *, read_only: bool) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_patience.POOL,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "recursive_triggers=ON",  # else INSERT OR REPLACE deletes append-only rows past their triggers
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    Path(cast(str, url.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
    return engine


def postgres_engine(url: sa.URL, pool_size: int, *, pooled: bool, **connect: Any) -> sa.Engine:
    options = " ".join(f"-c {name}={value}" for name, value in PG_SETTINGS.items())
    # PgBouncer in transaction mode: no start-up options, no prepared statements, nothing that outlives a transaction.
    session = {"prepare_threshold": None} if pooled else {"options": f"-c timezone=UTC {options}"}
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_timeout=_patience.POOL,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": 3, **PG_KEEPALIVE, **session, **connect},
    )
    if pooled:
        limits = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in PG_SETTINGS.items())

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql(limits)

    return _patience.teach(engine)

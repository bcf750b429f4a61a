"""Owns how long anything may wait for the database, so that no request hangs when the network does.

A dead network answers nothing, so the server's own timeouts never come: the client must stop waiting by itself.
"""

import threading
import time
from contextvars import ContextVar
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.errors import _WaitTimeout

from app.domain.errors import Unavailable

REQUEST: Final = 18.0  # seconds until a request gives up; with a wait for a connection begun just before, below 30
TRANSACTION: Final = 8.0  # seconds from the first statement to the commit; an outage is over 10 s after it ended
PING: Final = 3.0  # seconds for a statement outside a transaction: is this connection alive?
POOL: Final = 5.0  # seconds until a connection is free
WRITER: Final = 10.0  # seconds until the one writer of SQLite is free
NEVER: Final = float("inf")
_until: ContextVar[float] = ContextVar("until", default=NEVER)


def unavailable() -> Unavailable:
    return Unavailable("The database cannot be reached or is too busy; try again in a moment.")


def request_begins() -> None:
    """From here on the transactions of this request share its patience."""
    _until.set(time.monotonic() + REQUEST)


def request_rests() -> None:
    """The request is answered or waits for something that is not the database: its patience does not run out."""
    _until.set(NEVER)


def must_be_left() -> None:
    """Raises Unavailable when the request at hand has waited long enough."""
    if time.monotonic() > _until.get():
        raise unavailable()


class Patient(psycopg.Connection[Any]):
    """A connection that is closed when an answer takes too long. `until` (monotonic s) is set while it is lent."""

    until: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        until = time.monotonic() + PING if self.until is None else min(self.until, _until.get())
        if timeout is None and until < NEVER:
            timeout = max(0.0, until - time.monotonic())
        try:
            return super().wait(gen, interval, timeout)
        except _WaitTimeout:
            self.pgconn.finish()  # nobody knows what the server makes of it, so it is not used again
            raise psycopg.OperationalError("no answer in time") from None


def teach(engine: sa.Engine) -> sa.Engine:
    """Make the engine's connections patient ones."""

    @sa.event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: Any, options: Any) -> Any:
        return Patient.connect(*args, **options)

    @sa.event.listens_for(engine, "checkout")
    def lend(connection: Any, *_: Any) -> None:
        connection.until = time.monotonic() + TRANSACTION

    @sa.event.listens_for(engine, "checkin")
    def take_back(connection: Any, *_: Any) -> None:
        if connection is not None:
            connection.until = None

    return engine


def be_endless(connection: sa.Connection) -> None:
    """A migration takes as long as it takes."""
    raw: Any = connection.connection.dbapi_connection
    raw.until = NEVER


class WriterLock:
    """The one writer of SQLite in this process. Raises Unavailable when it is not free in time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=WRITER):
            raise unavailable()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

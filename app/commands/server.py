"""Owns the commands that run Handrail: migrate, serve, worker, doctor. Must not decide anything about decisions."""

import logging
import os
import signal
import socket
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer
from fastapi import FastAPI

from app.actions import health
from app.commands._desk import database, must_be_at_head, say
from app.commands._processes import Server, Supervisor
from app.domain.errors import HandrailError
from app.logs import configure
from app.main import create_app
from app.settings import Settings
from app.signing import signer_of, witnesses_of
from app.store import schema
from app.store.db import Database
from app.targets import plan_of
from app.worker import Worker

log = logging.getLogger(__name__)
MAX_SKEW = 5  # seconds
NO_SECRET = "HANDRAIL_SECRET_KEY is not set: give it a random text of 32 characters or more."  # noqa: S105

Port = Annotated[int, typer.Option(min=1, max=65_535)]


def migrate() -> None:
    """Bring the database's schema to the newest version."""
    with database(any_schema=True) as db:
        schema.migrate(db)
    typer.echo(f"The schema is at {schema.head()}.")


def serve(
    host: str = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; more than one needs PostgreSQL.")] = 1,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave background work to `handrail worker`.")] = False,
) -> None:
    """Serve the API and the pages; background work runs inside unless told not to."""
    settings = Settings()
    if settings.secret_key is None:
        raise HandrailError(NO_SECRET)
    (
        signer_of(settings),
        witnesses_of(settings),
        plan_of(settings),
    )  # what is wrong is said before anybody listens
    with database(any_schema=True) as db:
        if db.is_sqlite and workers > 1:
            raise HandrailError("SQLite serves with one process; use PostgreSQL for --workers above 1.")
        _make_ready(db)
    listener = listen(host, port)
    if workers == 1:
        run(settings, listener, embed_worker=not no_worker)
    else:
        run_many(settings, listener, workers, embed_worker=not no_worker)


def worker() -> None:
    """Do the background work alone, until stopped."""
    settings = Settings()
    with database(any_schema=True) as db:
        _make_ready(db)
        configure(settings.log_format, settings.log_level)
        one = Worker(db, signer_of(settings), plan_of(settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: one.stop_soon())
        one.run()


def doctor() -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 when something is."""
    settings = Settings()
    problems = [] if settings.secret_key else [NO_SECRET]
    keys, unread = _signing(settings)
    with database(any_schema=True) as db:
        found = health.readiness(db, signs=keys > 0 or bool(unread))
        problems += unread + found["problems"] + _replica(found)
        for warning in found["warnings"]:
            say(f"Warning: {warning}")
        problems += _log(db) if found["schema"] else []
        problems += _clock(db)
    for problem in problems:
        say(problem)
    if problems:
        raise typer.Exit(1)
    but = ", but for what the warnings say" if found["warnings"] else ""
    typer.echo(f"All is well{but}: settings, database, schema, worker and clock.")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises HandrailError when the address is taken or none of this machine's."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "there is no such address"
        raise HandrailError(f"Cannot listen at {host}, port {port}: {why}.") from None


def run(settings: Settings, listener: socket.socket, *, embed_worker: bool) -> None:
    """Serve in this process until stopped."""
    app = served(settings, embed_worker)
    log.info("Handrail listens at %s, port %d", *listener.getsockname()[:2])
    try:
        Server(app).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # the operator asked for it, and the server has shut down by now
    finally:
        listener.close()


def run_many(settings: Settings, listener: socket.socket, count: int, *, embed_worker: bool) -> None:
    """Serve in `count` processes until stopped; the first of them embeds the worker. Raises HandrailError."""
    configure(settings.log_format, settings.log_level)
    log.info("Handrail listens at %s, port %d, with %d processes", *listener.getsockname()[:2], count)
    Supervisor(partial(served, settings, embed_worker), listener, count).run()


def served(settings: Settings, embed_worker: bool, first: bool = True) -> FastAPI:
    """The application as a process serves it, with its log; only the `first` process may embed the worker."""
    configure(settings.log_format, settings.log_level)
    return create_app(settings, embed_worker=embed_worker and first)


def _make_ready(db: Database) -> None:
    if db.is_sqlite:
        schema.migrate(db)
    else:
        must_be_at_head(db)


def _signing(settings: Settings) -> tuple[int, list[str]]:
    """How many keys sign, and why they cannot be read."""
    try:
        witnesses_of(settings), plan_of(settings)
        return len(signer_of(settings).keys), []
    except HandrailError as error:
        return 0, [error.detail]
    except OSError as error:
        return 0, [f"{error.filename}: {error.strerror}."]


def _replica(found: dict[str, Any]) -> list[str]:
    standing = found.get("replica") or {}
    if standing and standing["problem"] is None:
        typer.echo(f"The read replica is {standing['behind']:.1f} s behind.")
    return [standing["problem"]] if standing.get("problem") else []


def _log(db: Database) -> list[str]:
    try:
        return health.log_problems(db)
    except HandrailError as error:
        return [f"The events could not be counted: {error.detail}"]


def _clock(db: Database) -> list[str]:
    try:
        with db.read() as tx:
            skew = abs((tx.now() - datetime.now(UTC)).total_seconds())
    except HandrailError:
        return []  # readiness has said that the database is away
    if skew <= MAX_SKEW:
        return []
    return [f"The clocks of this machine and of the database differ by {skew:.0f} s: set both by NTP."]

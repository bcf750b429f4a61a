"""Owns the commands that run Handrail: migrate, serve, worker, doctor. Must not decide anything about decisions."""

import logging
import os
import signal
import socket
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI

from app.actions import health
from app.commands._desk import database, must_be_at_head, say
from app.domain.errors import HandrailError
from app.logs import configure
from app.main import create_app
from app.settings import Settings
from app.store import schema
from app.store.db import Database
from app.worker import Worker

log = logging.getLogger(__name__)
EMBED = "HANDRAIL_EMBED_WORKER"  # how `serve --workers N` tells its processes; not a setting
GRACE = 10  # seconds that requests in flight get at shutdown
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
    with database(any_schema=True) as db:
        if db.is_sqlite and workers > 1:
            raise HandrailError("SQLite serves with one process; use PostgreSQL for --workers above 1.")
        _make_ready(db)
    if workers == 1:
        run(settings, listen(host, port), embed_worker=not no_worker)
    else:
        _run_many(settings, host, port, workers, embed_worker=not no_worker)


def worker() -> None:
    """Do the background work alone, until stopped."""
    settings = Settings()
    with database(any_schema=True) as db:
        _make_ready(db)
        configure(settings.log_format, settings.log_level)
        one = Worker(db, f"worker-{os.getpid()}")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: one.stop_soon())
        one.run()


def doctor() -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 when something is."""
    problems = [] if Settings().secret_key else [NO_SECRET]
    with database(any_schema=True) as db:
        problems += health.readiness(db)["problems"]
        problems += _clock(db)
    for problem in problems:
        say(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo("All is well: settings, database, schema, worker and clock.")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises HandrailError when the address is taken or none of this machine's."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "there is no such address"
        raise HandrailError(f"Cannot listen at {host}, port {port}: {why}.") from None


def run(settings: Settings, listener: socket.socket, *, embed_worker: bool) -> None:
    """Serve in this process until stopped."""
    configure(settings.log_format, settings.log_level)
    app = create_app(settings, embed_worker=embed_worker)
    host, port = listener.getsockname()[:2]
    log.info("Handrail listens at %s, port %d", host, port)
    config = uvicorn.Config(
        app, access_log=False, log_config=None, timeout_graceful_shutdown=GRACE, **forwarding(settings)
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # the operator asked for it, and the server has shut down by now
    finally:
        listener.close()


def forwarding(settings: Settings) -> dict[str, Any]:
    """Whose X-Forwarded-For uvicorn believes: the trusted proxies', and by default nobody's."""
    trusted = [str(network) for network in settings.trusted_proxies]
    return {"proxy_headers": bool(trusted), "forwarded_allow_ips": trusted}


def served() -> FastAPI:
    """The application as each process of `serve --workers N` makes it."""
    settings = Settings()
    configure(settings.log_format, settings.log_level)
    return create_app(settings, embed_worker=os.environ.get(EMBED) == "1")


def _run_many(settings: Settings, host: str, port: int, workers: int, *, embed_worker: bool) -> None:
    listen(host, port).close()  # one sentence now, rather than one from each process
    os.environ[EMBED] = "1" if embed_worker else "0"
    uvicorn.run(
        f"{__name__}:{served.__name__}", factory=True, host=host, port=port, workers=workers,
        access_log=False, log_config=None, timeout_graceful_shutdown=GRACE, **forwarding(settings),
    )  # fmt: skip


def _make_ready(db: Database) -> None:
    if db.is_sqlite:
        schema.migrate(db)
    else:
        must_be_at_head(db)


def _clock(db: Database) -> list[str]:
    try:
        with db.read() as tx:
            skew = abs((tx.now() - datetime.now(UTC)).total_seconds())
    except HandrailError:
        return []  # readiness has said that the database is away
    if skew <= MAX_SKEW:
        return []
    return [f"The clocks of this machine and of the database differ by {skew:.0f} s: set both by NTP."]

"""Owns the `handrail` command: parse, act as the system, say one sentence when something is wrong."""

import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr, ValidationError

from app.actions import exports, health, people, policies, types
from app.actions.sessions import hash_password
from app.domain.access import SYSTEM, Grant
from app.domain.canonical import parse_strict
from app.domain.errors import HandrailError, Invalid
from app.domain.policy import parse_policy
from app.logs import configure
from app.settings import Settings
from app.store import people as person_store
from app.store import schema
from app.store.db import Database
from app.store.decisions import Filters

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="The review queue for AI decisions.")


def _group(name: str, about: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=about)
    cli.add_typer(group, name=name)
    return group


type_cli = _group("type", "Decision types.")
policy_cli = _group("policy", "Policies.")
user_cli = _group("user", "People.")
key_cli = _group("key", "API keys.")
export_cli = _group("export", "Exports.")


def main() -> None:
    """Run the command; what we refuse becomes one sentence on stderr and exit code 1, wrong usage 2."""
    try:
        cli()
    except HandrailError as error:
        _fail(error)
    except ValidationError as error:
        places = "; ".join(f"HANDRAIL_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors())
        _say(f"A setting is wrong: {places}")
        sys.exit(1)
    except OSError as error:
        _say(f"{error.strerror or 'Input or output failed'}: {error.filename or ''}".rstrip(": "))
        sys.exit(1)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _fail(error: HandrailError) -> None:
    for fault in error.faults:
        _say(f"{fault.pointer or '/'}: {fault.detail}")
    if not error.faults:
        _say(error.detail)
    sys.exit(2 if isinstance(error, Invalid) and error.code in ("policy_invalid", "type_invalid") else 1)


@contextmanager
def _database() -> Iterator[Database]:
    db = Database(Settings().database_url)
    try:
        yield db
    finally:
        db.close()


@cli.command()
def migrate() -> None:
    """Bring the database's schema to the newest version."""
    with _database() as db:
        schema.migrate(db)
        typer.echo(f"The schema is at {schema.head()}.")


@cli.command()
def serve(host: str = "127.0.0.1", port: int = 8000, workers: int = 1, no_worker: bool = False) -> None:
    """Serve the API and the pages; the background worker runs inside unless told not to."""
    settings = Settings()
    if settings.secret_key is None:
        raise HandrailError("Set HANDRAIL_SECRET_KEY to a random text of 32 characters or more; it signs forms.")
    with _database() as db:
        if db.is_sqlite and workers > 1:
            raise HandrailError("SQLite serves with one process; use PostgreSQL for --workers above 1.")
        _ready_schema(db)
    if workers > 1:
        os.environ["HANDRAIL_EMBED_WORKER"] = "0" if no_worker else "1"
    _run(settings, host, port, workers, embed=not no_worker)


def _ready_schema(db: Database) -> None:
    if db.is_sqlite:
        schema.migrate(db)
        return
    with db.read() as tx:
        if schema.current(tx) != schema.head():
            raise HandrailError("The database's schema is not this program's; run `handrail migrate` first.")


def _run(settings: Settings, host: str, port: int, workers: int, *, embed: bool) -> None:
    import uvicorn

    configure(settings.log_format, settings.log_level)
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "access_log": False,
        "log_config": None,
        "timeout_graceful_shutdown": 10,
    }
    if workers > 1:
        uvicorn.run("app.cli:serving_app", factory=True, workers=workers, **options)
        return
    from app.main import create_app

    uvicorn.run(create_app(settings, embed_worker=embed), **options)


def serving_app() -> Any:
    """The factory that each process of `serve --workers N` calls."""
    from app.main import create_app

    settings = Settings()
    configure(settings.log_format, settings.log_level)
    return create_app(settings, embed_worker=os.environ.get("HANDRAIL_EMBED_WORKER") == "1")


@cli.command()
def worker() -> None:
    """Run the background duties alone, until stopped."""
    from app.worker import Worker

    with _database() as db:
        _ready_schema(db)
        one = Worker(db, f"worker-{os.getpid()}")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: one.stop_soon())
        one.run()


@cli.command()
def demo(port: int = 8000) -> None:
    """Serve a fresh SQLite database with sample types, people and a simulated AI service."""
    from app.demo import Simulation, prepare

    path = Path("var/demo.db")
    for old in (path, Path("var/demo.db-wal"), Path("var/demo.db-shm")):
        old.unlink(missing_ok=True)
    settings = Settings(
        log_level="warning",
        database_url=f"sqlite:///{path}",
        secret_key=SecretStr(secrets.token_urlsafe(32)),
        public_url=f"http://127.0.0.1:{port}",
    )
    db = Database(settings.database_url)
    schema.migrate(db)
    signs, key = prepare(db)
    db.close()
    typer.echo(f"\nHandrail is at {settings.public_url}/\nSign in as one of:")
    for role, email, password in signs:
        typer.echo(f"  {role:<13}{email:<28}{password}")
    typer.echo("\nA simulated AI service submits decisions through the API. Ctrl-C ends it.\n")
    simulation = Simulation(settings.public_url, key)
    simulation.start()
    _run(settings, "127.0.0.1", port, 1, embed=True)
    simulation.stop()


@type_cli.command("apply")
def type_apply(file: Path) -> None:
    """Create or change a decision type from a YAML or JSON file."""
    with _database() as db:
        done = types.apply(db, SYSTEM, file.read_text(encoding="utf-8"))
    word = "created" if done["created"] else "changed" if done["changed"] else "unchanged"
    typer.echo(f"{done['slug']} {word} (revision {done['revision']})")


@policy_cli.command("validate")
def policy_validate(file: Path) -> None:
    """Say every fault of a policy file with its path; exit 2 when there is one."""
    typer.echo(f"{file} is sound: {parse_policy(file.read_text(encoding='utf-8')).digest}")


@policy_cli.command("apply")
def policy_apply(file: Path, activate: bool = False) -> None:
    """Keep a policy file as a new version, and activate it if asked. Prints the version."""
    source = file.read_text(encoding="utf-8")
    slug = parse_policy(source).decision_type
    with _database() as db:
        version = policies.draft(db, SYSTEM, slug, source)["version"]
        if activate:
            policies.activate(db, SYSTEM, slug, version)
    typer.echo(version)


@user_cli.command("add")
def user_add(
    email: str,
    role: Annotated[list[str], typer.Option()],
    type: str = "*",
    name: str = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Add a person with roles, for one decision type or for all."""
    hashed = hash_password(sys.stdin.readline().rstrip("\r\n")) if password_stdin else None
    with _database() as db:
        done = people.add(
            db, SYSTEM, email, name or email.partition("@")[0], hashed, [Grant(one, type) for one in role]
        )
    typer.echo(done["id"])


@key_cli.command("create")
def key_create(name: str, scope: Annotated[list[str], typer.Option()], user: str = "") -> None:
    """Make an API key and print it, alone. With --user it acts as that person."""
    with _database() as db:
        person_id = _person_id(db, user) if user else None
        typer.echo(people.create_key(db, SYSTEM, name, scope, person_id=person_id)["key"])


def _person_id(db: Database, email: str) -> str:
    with db.read() as tx:
        row = person_store.by_email(tx, email)
    if row is None:
        raise HandrailError("Nobody has this e-mail address; add them with `handrail user add`.")
    return str(row.id)


@cli.command()
def submit(
    file: Path,
    type: Annotated[str, typer.Option()],
    url: Annotated[str, typer.Option()],
    key: Annotated[str, typer.Option()],
    map: Annotated[list[str] | None, typer.Option(help="FIELD=COLUMN for outcome, confidence, external_id.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="A column to leave out.")] = None,
) -> None:
    """Submit a CSV or JSONL file of decisions; it can be run again and changes nothing twice."""
    from app.submit_file import run

    sys.exit(run(file, type, url, key, map or [], drop or []))


@export_cli.command("decisions")
def export_decisions(
    out: Annotated[Path, typer.Option()],
    format: str = "jsonl",
    type: str | None = None,
    since: Annotated[str | None, typer.Option("--from")] = None,
    until: Annotated[str | None, typer.Option("--to")] = None,
) -> None:
    """Write the record of decisions to a file."""
    write: dict[str, Callable[..., Iterator[bytes]]] = {"jsonl": exports.decisions_jsonl, "csv": exports.decisions_csv}
    if format not in write:
        raise typer.BadParameter("say jsonl or csv", param_hint="--format")
    filters = Filters(type=type, since=_moment(since), until=_moment(until))
    with _database() as db, out.open("wb") as file:
        for chunk in write[format](db, SYSTEM, filters):
            file.write(chunk)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("say a date such as 2026-11-24 or an RFC 3339 time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@cli.command()
def verify(file: Path) -> None:
    """Check an exported JSONL file offline: exit 0 when sound, 1 with what is wrong."""
    faults: list[str] = []
    seen: set[str] = set()
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            faults += [f"line {number}: {fault}" for fault in _faults_of(line, seen)]
    for fault in faults:
        _say(fault)
    if faults:
        sys.exit(1)
    typer.echo(f"{len(seen)} decisions, sound.")


def _faults_of(line: bytes, seen: set[str]) -> list[str]:
    try:
        row = parse_strict(line)
        known, status, ended = row["id"], row["status"], row["outcome"] is not None
        rulings = [one["outcome"] for review in row["reviews"] for one in review["verdicts"] if one["outcome"]]
        by, kinds = row["decided_by"], {review["kind"] for review in row["reviews"]}
        hidden = row["proposal_hidden"]
    except HandrailError as error:
        return [error.detail]
    except (KeyError, TypeError):
        return ["this is not a decision of an export."]
    faults = [f"{known} is here twice."] if known in seen else []
    seen.add(known)
    if (status == "final") != ended and not hidden:
        faults.append(f"{known} is {status}, which does not fit its outcome.")
    if by == "reviewer" and "gate" in kinds and row["outcome"] not in rulings and not hidden:
        faults.append(f"{known} has an outcome that no reviewer gave.")
    return faults


@cli.command()
def doctor() -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 when something is."""
    settings = Settings()
    problems = [] if settings.secret_key else ["HANDRAIL_SECRET_KEY is not set: `handrail serve` will refuse to start."]
    with _database() as db:
        problems += health.readiness(db)["problems"]
        try:
            with db.read() as tx:
                skew = abs((tx.now() - datetime.now(UTC)).total_seconds())
            if skew > 5:
                problems.append(f"The clocks of this machine and the database differ by {skew:.0f} s: set both by NTP.")
        except HandrailError:
            pass
    for problem in problems:
        _say(problem)
    if problems:
        sys.exit(1)
    typer.echo("All is well.")

"""Owns `handrail demo`: a fresh database with sample types and people, served beside a simulated AI service."""

import secrets
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from app.actions import people, policies, types
from app.actions.sessions import hash_password
from app.commands import server
from app.commands._service import Service
from app.domain.access import SYSTEM, Grant
from app.paths import PACKAGE
from app.settings import Settings
from app.signing import create_key
from app.store import schema
from app.store.db import Database

FILE = Path("var/demo.db")
SIGNING_KEY = Path("var/demo-signing.key")
ORIGIN = "handrail.example/demo"
SAMPLES = ("refund", "content-moderation", "account-closure")
PEOPLE = {
    "reviewer": "Rea Viewer",
    "lead": "Lena Adler",
    "policy_owner": "Pol Owens",
    "auditor": "Audra Torres",
    "admin": "Ada Minster",
}


def demo(
    port: server.Port = 8000,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the demonstration of last time.")] = False,
) -> None:
    """Try Handrail: SQLite in var/demo.db, sample types, a person for each role, and a simulated AI service."""
    url = f"http://127.0.0.1:{port}"
    settings = Settings(
        database_url=f"sqlite:///{FILE}",
        secret_key=SecretStr(secrets.token_urlsafe(32)),
        public_url=url,
        origin=ORIGIN,
        signing_key_file=(SIGNING_KEY,),
        log_level="warning",
    )
    listener = server.listen("127.0.0.1", port)  # first of all: another demonstration may be using the file
    passwords, key = _prepare(settings, fresh=not keep)
    service = Service(url, key, on_first_answer=lambda: _welcome(url, passwords))
    service.start()
    try:
        server.run(settings, listener, embed_worker=True)
    finally:
        service.stop()


def furnish(db: Database) -> str:
    """The sample types with active policies, and the key of the AI service (returned)."""
    for slug in SAMPLES:
        types.apply(db, SYSTEM, _sample(f"{slug}.yaml"))
        version = policies.draft(db, SYSTEM, slug, _sample(f"{slug}.policy.yaml"), "The first policy")["version"]
        policies.activate(db, SYSTEM, slug, version)
    return _key(db)


def _prepare(settings: Settings, *, fresh: bool) -> tuple[dict[str, str], str]:
    """Passwords by role, and the key of the AI service."""
    if fresh:
        for left in FILE.parent.glob(f"{FILE.name}*"):
            left.unlink()
    if not SIGNING_KEY.exists():
        FILE.parent.mkdir(parents=True, exist_ok=True)
        create_key(SIGNING_KEY, ORIGIN)
    again = FILE.exists()
    db = Database(settings.database_url)
    schema.migrate(db)
    key = _key(db) if again else furnish(db)
    passwords = {role: secrets.token_urlsafe(12) for role in PEOPLE}
    known = {one["email"]: one["id"] for one in people.people(db, SYSTEM)}
    for role, name in PEOPLE.items():
        email, hashed = _email(role), hash_password(passwords[role])
        if email in known:
            people.set_password(db, SYSTEM, known[email], hashed)
        else:
            people.add(db, SYSTEM, email, name, hashed, [Grant(role)])
    db.close()
    return passwords, key


def _sample(name: str) -> str:
    return (PACKAGE / "samples" / name).read_text(encoding="utf-8")


def _key(db: Database) -> str:
    made = people.create_key(db, SYSTEM, "demo-ai-service", ["decisions:write", "decisions:read"])
    return str(made["key"])


def _email(role: str) -> str:
    return f"{role.replace('_', '-')}@demo.example"


def _welcome(url: str, passwords: dict[str, str]) -> None:
    typer.echo("\nAn AI service is submitting decisions: some go through alone, the others wait for people.")
    typer.echo("Ctrl-C ends the demonstration.\n")
    typer.echo(f"Handrail is at {url}/  Sign in as one of:\n")
    for role, password in passwords.items():
        typer.echo(f"  {role:<14}{_email(role):<28}{password}")
    typer.echo("")

"""Owns the commands about people and keys: user add, key create, key create-signing. Prints no password nor seed."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.actions import people
from app.actions.sessions import hash_password
from app.commands._desk import database
from app.domain.access import EVERY_TYPE, ROLES, SCOPES, SYSTEM, Grant
from app.domain.errors import NotFound
from app.settings import Settings
from app.signing import create_key
from app.store.db import Database
from app.store.people import by_email

Roles = Annotated[list[str], typer.Option("--role", help=f"One of {', '.join(ROLES)}; may be given again.")]
Scopes = Annotated[list[str], typer.Option("--scope", help=f"One of {', '.join(SCOPES)}; may be given again.")]


def user_add(
    email: str,
    role: Roles,
    type: Annotated[str, typer.Option(help="The decision type that the roles are for; * is every one.")] = EVERY_TYPE,
    name: Annotated[str, typer.Option(help="What colleagues see; the part before the @ unless given.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input; without it, no sign-in.")
    ] = False,
) -> None:
    """Add a person with roles; prints their id."""
    hashed = hash_password(sys.stdin.readline().rstrip("\r\n")) if password_stdin else None
    grants = [Grant(one, type) for one in role]
    with database() as db:
        done = people.add(db, SYSTEM, email, name or email.partition("@")[0], hashed, grants)
    typer.echo(done["id"])


def key_create(
    name: str,
    scope: Scopes,
    user: Annotated[str, typer.Option(help="E-mail address of the person whom the key acts as.")] = "",
) -> None:
    """Make an API key and print it, alone; it cannot be seen again."""
    with database() as db:
        person_id = _person_id(db, user) if user else None
        made = people.create_key(db, SYSTEM, name, scope, person_id=person_id)
    typer.echo(made["key"])


def key_create_signing(
    file: Annotated[Path, typer.Argument(help="A new file for the private key; nobody else may read it.")],
    origin: Annotated[str, typer.Option(help="The log's name; that of the settings unless given.")] = "",
) -> None:
    """Make a key that signs checkpoints, and print its public half for those who verify."""
    typer.echo(create_key(file, origin or Settings().log_origin).vkey)


def _person_id(db: Database, email: str) -> str:
    with db.read() as tx:
        row = by_email(tx, email.strip().lower())
    if row is None:
        raise NotFound("Nobody has the e-mail address of --user; add them with `handrail user add`.")
    return str(row.id)

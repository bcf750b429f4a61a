"""Owns the commands that forget: erase-subject, user erase, vacuum. Prints no subject and no name."""

from typing import Annotated

import typer

from app.actions import erasure, people
from app.commands._desk import database, say
from app.domain.access import SYSTEM
from app.domain.erasure import Cause
from app.domain.errors import NotFound
from app.store.db import Database
from app.store.people import by_email

Full = Annotated[bool, typer.Option("--vacuum-full", help="PostgreSQL: write the tables anew, which locks them.")]
STILL_THERE = "Somebody reads the database, so its write-ahead log still holds old pages: run `handrail vacuum` again."
DEAD_ROWS = (
    "Freed, to be written over; --vacuum-full removes it from the files now. docs/operations.md tells what stays."
)


def erase_subject(
    subject: Annotated[str, typer.Argument(help="The subject, just as the service sent it.")],
    reason: Annotated[Cause, typer.Option(help="Why.")],
    vacuum_full: Full = False,
) -> None:
    """Erase what is kept of a subject, at once; says how many decisions it was."""
    with database() as db:
        done = erasure.erase_subject(db, subject, reason.value)
        _scrub(db, vacuum_full)
    typer.echo(f"{done['erased']} decisions were erased: request {done['id']}.")
    if done["held"]:
        say(f"{done['held']} are under legal hold; the worker erases them when it ends.")


def user_erase(email: str, vacuum_full: Full = False) -> None:
    """Forget the name and address of somebody who left; their id stays, and they cannot sign in."""
    with database() as db:
        with db.read() as tx:
            row = by_email(tx, email)
        if row is None:
            raise NotFound("Nobody has this e-mail address.")
        done = people.erase(db, SYSTEM, row.id)
        _scrub(db, vacuum_full)
    typer.echo(done["id"])


def vacuum(vacuum_full: Full = False) -> None:
    """Remove what was erased on the pages or by retention from the database's files too."""
    with database() as db:
        _scrub(db, vacuum_full)


def _scrub(db: Database, full: bool) -> None:
    if not db.scrub(full=full):
        say(STILL_THERE if db.is_sqlite else DEAD_ROWS)

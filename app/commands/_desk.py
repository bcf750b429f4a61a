"""Owns what commands share: the database of the settings, a file's text, words for stderr. Must not know a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from app.domain.errors import HandrailError
from app.settings import Settings
from app.store import schema
from app.store.db import Database


def say(text: str) -> None:
    """One line on stderr."""
    typer.echo(text, err=True)


@contextmanager
def database(*, any_schema: bool = False) -> Iterator[Database]:
    """The database that the settings name, at head unless `any_schema`. Raises HandrailError when it is not."""
    settings = Settings()
    db = Database(settings.database_url, read_url=settings.read_database_url, pooled=settings.database_pooled)
    try:
        if not any_schema:
            must_be_at_head(db)
        yield db
    finally:
        db.close()


def must_be_at_head(db: Database) -> None:
    """Raise HandrailError unless the schema is this program's."""
    with db.read() as tx:
        at = schema.current(tx)
    if at != schema.head():
        raise HandrailError(
            f"The schema is at {at or 'nothing'}, not at {schema.head()}: run `handrail migrate` first."
        )


def text_of(file: Path) -> str:
    """The file's text. Raises HandrailError when it is not UTF-8, OSError when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise HandrailError(f"{file} is not UTF-8 text.") from None

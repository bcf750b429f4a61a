"""Owns the schema's version: migrate to head, say where we are. The migrations themselves are in migrations/."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.paths import MIGRATIONS
from app.store.db import Database, ReadTx


def migrate(db: Database, revision: str = "head") -> None:
    """Bring the schema to `head`, or down to an older revision, in one transaction; two at once take turns.

    Raises Unavailable when the database cannot be reached.
    """
    with db.write() as tx:
        db.hold_schema_lock(tx)
        config = _config()
        config.attributes["connection"] = tx.connection
        move = command.upgrade if revision == "head" else command.downgrade
        move(config, revision)


def current(tx: ReadTx) -> str | None:
    """The revision of the database, or None when it has no schema yet."""
    return MigrationContext.configure(tx.connection).get_current_revision()


def head() -> str:
    """The newest revision that this program knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config

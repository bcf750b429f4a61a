"""Owns giving back what deleted rows took, outside any transaction. Part of the seam in db.py."""

from contextlib import closing

import sqlalchemy as sa

from app.store import _patience


def scrub(engine: sa.Engine, on_sqlite: bool, full: bool) -> bool:
    """As Database.scrub says, on a connection of its own."""
    borrowed = engine.raw_connection()
    connection = borrowed.driver_connection
    assert connection is not None
    borrowed.detach()
    with closing(connection):
        if on_sqlite:
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            return bool(busy == 0)
        connection.until = _patience.NEVER
        connection.autocommit = True
        for statement in ("SET statement_timeout = 0", "SET lock_timeout = 0", f"VACUUM{' (FULL)' if full else ''}"):
            connection.execute(statement)
        return full

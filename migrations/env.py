"""Runs migrations over a connection that `app.store.schema` hands in, or over HANDRAIL_DATABASE_URL."""

import os

from alembic import context

from app.store.db import Database
from app.store.tables import SQLModel


def run(connection):
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


handed_in = context.config.attributes.get("connection")
if handed_in is not None:
    run(handed_in)
else:
    database = Database(os.environ.get("HANDRAIL_DATABASE_URL", "sqlite:///var/handrail.db"))
    with database.engine.begin() as own:
        run(own)
    database.close()

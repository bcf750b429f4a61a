"""The audit tree: what waits to be sealed, leaves, tiles, the head, checkpoints, cosignatures, pushes.

A trigger puts every new event into `unsealed`, so that no way of writing one can forget; those that are there already
are put in here. On PostgreSQL it is one statement for all the events of a statement; on SQLite the table is its own
index, so that a submission writes one entry more and not two.
"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

APPEND_ONLY = ("sealed", "tile", "checkpoint", "cosignature")
TABLES = ("push", "cosignature", "checkpoint", "tree_head", "tile", "sealed", "unsealed")
# Rows come and go by the thousand, and the head is written anew with each seal.
BUSY = {"autovacuum_vacuum_scale_factor": 0, "autovacuum_vacuum_threshold": 5000}


def upgrade():
    create_tables()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in APPEND_ONLY:
        forbid_changes(table, on_sqlite)
    if on_sqlite:
        op.execute(
            "CREATE TRIGGER event_unsealed AFTER INSERT ON event "
            "BEGIN INSERT INTO unsealed (event_id) VALUES (NEW.id); END"
        )
    else:
        op.execute(
            "CREATE FUNCTION event_waits_to_be_sealed() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO unsealed (event_id) SELECT id FROM added; RETURN NULL; END $$"
        )
        op.execute(
            "CREATE TRIGGER event_unsealed AFTER INSERT ON event REFERENCING NEW TABLE AS added "
            "FOR EACH STATEMENT EXECUTE FUNCTION event_waits_to_be_sealed()"
        )
        for table in ("unsealed", "tree_head"):
            op.execute(f"ALTER TABLE {table} SET ({', '.join(f'{name} = {value}' for name, value in BUSY.items())})")
    op.execute("INSERT INTO unsealed (event_id) SELECT id FROM event")


def create_tables():
    op.create_table(
        "unsealed",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_unsealed"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sealed",
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("idx", name="pk_sealed"),
        sa.UniqueConstraint("event_id", name="uq_sealed_event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tile",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "n", name="pk_tile"),
        sa.CheckConstraint("length(hashes) = 8192", name="ck_tile_whole"),
    )
    head = op.create_table(
        "tree_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tree_head"),
        sa.CheckConstraint("id = 1", name="ck_tree_head_one_row"),
    )
    op.bulk_insert(head, [{"id": 1, "size": 0, "root": hashlib.sha256().digest(), "edge": b"", "sealed_at": None}])
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_checkpoint"),
    )
    op.create_table(
        "cosignature",
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", "line", name="pk_cosignature"),
        sa.ForeignKeyConstraint(["size"], ["checkpoint.size"], name="fk_cosignature_size"),
    )
    op.create_table(
        "push",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("target", name="pk_push"),
    )


def forbid_changes(table, on_sqlite):
    """Append-only, kept by the database itself. SQLite has no TRUNCATE; its DELETE without WHERE fires the trigger."""
    if on_sqlite:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()"
    )


def downgrade():
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute("DROP TRIGGER event_unsealed" + ("" if on_sqlite else " ON event"))
    for table in TABLES:
        op.drop_table(table)
    if not on_sqlite:
        op.execute("DROP FUNCTION event_waits_to_be_sealed()")
        for table in APPEND_ONLY:
            op.execute(f"DROP FUNCTION {table}_is_append_only()")

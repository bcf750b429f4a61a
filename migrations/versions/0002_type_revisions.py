"""Every document that a decision type ever had, by digest, so that routes can be replayed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "type_revision",
        sa.Column("decision_type", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["decision_type"], ["decision_type.slug"], name="fk_type_revision_decision_type"),
        sa.PrimaryKeyConstraint("decision_type", "digest", name="pk_type_revision"),
    )
    op.execute(
        "INSERT INTO type_revision (decision_type, digest, document, created_at) "
        "SELECT slug, digest, document, changed_at FROM decision_type"
    )
    forbid_changes("type_revision")


def forbid_changes(table):
    """As in 0001: append-only, kept by the database itself."""
    if op.get_bind().dialect.name == "sqlite":
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
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_is_append_only()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()"
    )


def downgrade():
    op.drop_table("type_revision")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION type_revision_is_append_only()")

"""Events of a decision and of a review are numbered; contents get salts; what a reviewer saw is kept.

Events that stand get their numbers too, in the order in which they happened; their bodies stay as they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SALTED = {"decision": "salts", "judgement": "salt", "verdict": "salt"}
NUMBER = """
    UPDATE event SET version = counted.n FROM (
        SELECT id, row_number() OVER (PARTITION BY object_id ORDER BY created_at, id) AS n FROM event
        WHERE (type LIKE 'decision.%' OR type LIKE 'review.%')
        AND type NOT LIKE '%.viewed' AND type NOT LIKE '%.searched'
    ) AS counted WHERE event.id = counted.id
"""
REFUSES = "BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"


def upgrade():
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, column in SALTED.items():
        op.add_column(table, sa.Column(column, sa.LargeBinary(), nullable=True))
    op.add_column("event", sa.Column("version", sa.Integer(), nullable=True))
    number_what_stands(on_sqlite)
    op.drop_index("ix_event_object_id", "event")
    op.create_index("uq_event_object_id_version", "event", ["object_id", "version"], unique=True)
    op.create_table(
        "shown",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("review_id", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shown"),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name="fk_shown_review_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name="fk_shown_decision_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_shown_person_id"),
    )
    op.create_index("ix_shown_review_id_person_id", "shown", ["review_id", "person_id", "id"])
    op.create_index("ix_shown_decision_id", "shown", ["decision_id"])
    forbid_changes("shown", on_sqlite)


def number_what_stands(on_sqlite):
    """With the trigger that forbids changes out of the way, within this transaction."""
    if on_sqlite:
        op.execute("DROP TRIGGER event_no_update")
        op.execute(NUMBER)
        op.execute("CREATE TRIGGER event_no_update BEFORE UPDATE ON event " + REFUSES.format(table="event"))
        return
    op.execute("ALTER TABLE event DISABLE TRIGGER event_no_change")
    op.execute(NUMBER)
    op.execute("ALTER TABLE event ENABLE TRIGGER event_no_change")


def forbid_changes(table, on_sqlite):
    """As in 0006: append-only, kept by the database itself."""
    if on_sqlite:
        for verb in ("UPDATE", "DELETE"):
            trigger = f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            op.execute(trigger + REFUSES.format(table=table))
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
    op.drop_table("shown")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION shown_is_append_only()")
    op.drop_index("uq_event_object_id_version", "event")
    op.create_index("ix_event_object_id", "event", ["object_id", "created_at"])
    op.drop_column("event", "version")
    for table, column in SALTED.items():
        op.drop_column(table, column)

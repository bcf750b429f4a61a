"""Erasure, retention and legal holds: who erased what, requests, and what the append-only tables let go.

What people said and what was shown to them stays append-only, but for one thing: of a decision that is marked as
erased, the text and its salt may become null, together, and nothing else with them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TIMES = {"decision": ("held_at", "erased_at"), "person": ("erased_at",)}
TEXTS = ("hold_cause", "erased_by", "erased_under", "erased_event")
# What may be forgotten, what stays as it is, and how the decision is found.
OF_REVIEW = "SELECT decision_id FROM review WHERE id = NEW.review_id"
FORGETS = {
    "judgement": (
        ("rationale", "salt"),
        ("review_id", "person_id", "outcome", "reason_code", "created_at"),
        OF_REVIEW,
    ),
    "verdict": (
        ("rationale", "salt"),
        (
            "id", "review_id", "decision_id", "person_id", "key_id", "action", "outcome", "reason_code", "lease_token",
            "claimed_at", "proposal_shown_at", "created_at",
        ),
        "NEW.decision_id",
    ),
    "shown": (
        ("content", "salt"),
        ("id", "review_id", "decision_id", "person_id", "token", "created_at"),
        "NEW.decision_id",
    ),
}  # fmt: skip


def upgrade():
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, names in TIMES.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in TEXTS:
        op.add_column("decision", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "erasure",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
        sa.CheckConstraint("state IN ('requested', 'approved', 'done', 'declined')", name="ck_erasure_state_known"),
    )
    op.create_table(
        "retention_run",
        sa.Column("decision_type", sa.Text(), nullable=False),
        sa.Column("ran_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("decision_type", name="pk_retention_run"),
        sa.ForeignKeyConstraint(
            ["decision_type"], ["decision_type.slug"], name="fk_retention_run_decision_type"
        ),
    )  # fmt: skip
    for table, (gone, stays, decision) in FORGETS.items():
        only_forget(table, forgets(gone, stays, decision, on_sqlite), on_sqlite)


def forgets(gone, stays, decision, on_sqlite):
    """The condition under which an update forgets and does nothing else."""
    same = "IS" if on_sqlite else "IS NOT DISTINCT FROM"
    kept = [f"NEW.{name} {same} OLD.{name}" for name in stays]
    empty = [f"NEW.{name} IS NULL" for name in gone]
    erased = f"EXISTS (SELECT 1 FROM decision WHERE id = ({decision}) AND erased_at IS NOT NULL)".replace(
        "(NEW.decision_id)", "NEW.decision_id"
    )
    return " AND ".join([*kept, *empty, erased])


def only_forget(table, condition, on_sqlite):
    if on_sqlite:
        op.execute(f"DROP TRIGGER {table}_no_update")
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} WHEN NOT ({condition}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        return
    op.execute(f"DROP TRIGGER {table}_no_change ON {table}")
    op.execute(
        f"CREATE FUNCTION {table}_only_forgets() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {condition} THEN RETURN NEW; END IF; RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_only_forgets()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()"
    )


def downgrade():
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in FORGETS:
        forbid_updates(table, on_sqlite)
    op.drop_table("retention_run")
    op.drop_table("erasure")
    for name in TEXTS:
        op.drop_column("decision", name)
    for table, names in TIMES.items():
        for name in names:
            op.drop_column(table, name)


def forbid_updates(table, on_sqlite):
    if on_sqlite:
        op.execute(f"DROP TRIGGER {table}_no_update")
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        return
    op.execute(f"DROP TRIGGER {table}_no_update ON {table}")
    op.execute(f"DROP FUNCTION {table}_only_forgets()")
    op.execute(f"DROP TRIGGER {table}_no_change ON {table}")
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()"
    )

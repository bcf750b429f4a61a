"""Claims, pages and counts that cost the same at a million rows: indexes, tallies, autovacuum.

Indexes of `review`. Each submission that waits for people writes four entries (before: five).
- drop ix_review_open, ix_review_open_queue: a reviewer of few types walked over everybody else's reviews.
- add ix_review_lane: a lane (queue, type, level) in the order of its queue. Claims and the queue page read lanes.
- add ix_review_leased, ix_review_put_off: what is held, and what is snoozed or escalated: few rows, which counts leave
  out of what waits; the first also tells the duty which leases are over.
- add ix_review_due_at: open and not announced as overdue: the duty read every open review every two seconds.
- ix_review_open_expires_at becomes ix_review_expires_at without the reviews that never expire.

Indexes of `decision`. An autonomous decision without a subject writes six entries (before: four).
- add ix_decision_model_name_created_at, ix_decision_tier_created_at: the lists by model and by tier; without them a
  model that was never used, or a tier that no policy gives, read every decision.
- add ix_decision_subject_created_at: the list by subject, where there is one.
- add ix_decision_unfinished, ix_decision_overturned: the lists by status. Partial: a page of final decisions is found
  by walking ix_decision_created_at_id.
- external_id needs none: it is looked up under each service in uq_decision_service_external_id.

Tallies are kept by triggers, so that no change can forget them: ADR 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OPEN = "state = 'open'"
ADDED = {
    "ix_decision_model_name_created_at": ("decision", ["model_name", "created_at", "id"], None),
    "ix_decision_subject_created_at": ("decision", ["subject", "created_at", "id"], "subject IS NOT NULL"),
    "ix_decision_unfinished": ("decision", ["status", "created_at", "id"], "status <> 'final'"),
    "ix_decision_tier_created_at": ("decision", ["tier", "created_at", "id"], None),
    "ix_decision_overturned": ("decision", ["created_at", "id"], "overturned_at IS NOT NULL"),
    "ix_review_lane": ("review", ["queue", "decision_type", "level", "priority", "due_at", "id"], OPEN),
    "ix_review_leased": ("review", ["lease_expires_at"], "state = 'open' AND lease_expires_at IS NOT NULL"),
    "ix_review_put_off": ("review", ["available_at"], "state = 'open' AND available_at > created_at"),
    "ix_review_due_at": ("review", ["due_at"], {
        "postgresql": "state = 'open' AND NOT overdue_announced", "sqlite": "state = 'open' AND overdue_announced = 0",
    }),
    "ix_review_expires_at": ("review", ["expires_at"], "state = 'open' AND expires_at IS NOT NULL"),
}  # fmt: skip
DROPPED = {
    "ix_review_open": ["priority", "due_at", "id"],
    "ix_review_open_queue": ["queue", "priority", "due_at", "id"],
    "ix_review_open_expires_at": ["expires_at"],
}


def upgrade():
    op.create_table(
        "open_tally",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("decision_type", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("late", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "queue", "decision_type", "level", "priority", "owner_id", "shard", name="pk_open_tally"
        ),
    )
    op.create_table(
        "hour_tally",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision_type", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "decision_type", "what", "shard", name="pk_hour_tally"),
    )
    for name in DROPPED:
        op.drop_index(name, "review")
    for name, (table, columns, where) in ADDED.items():
        create_index(name, table, columns, where)
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    count_what_is_there("substr({}, 1, 13) || ':00:00.000000'" if on_sqlite else "date_trunc('hour', {}, 'UTC')")
    if on_sqlite:
        keep_tallies_sqlite()
    else:
        keep_tallies_postgres()
        tune_postgres()


def create_index(name, table, columns, where):
    wheres = where if isinstance(where, dict) else dict.fromkeys(("postgresql", "sqlite"), where)
    texts = {f"{dialect}_where": sa.text(text) for dialect, text in wheres.items() if text}
    op.create_index(name, table, columns, unique=False, **texts)


def count_what_is_there(hour):
    op.execute(
        "INSERT INTO open_tally SELECT queue, decision_type, level, priority, coalesce(owner_id, ''), 0, count(*), "
        "sum(CASE WHEN overdue_announced THEN 1 ELSE 0 END) FROM review WHERE state = 'open' GROUP BY 1, 2, 3, 4, 5"
    )
    for what, moment, condition in (
        ("tier", "created_at", "1 = 1"),
        ("'overridden'", "final_at", "decided_by = 'reviewer' AND outcome <> proposal_outcome"),
        ("'overturned'", "overturned_at", "overturned_at IS NOT NULL"),
    ):
        op.execute(
            f"INSERT INTO hour_tally SELECT {hour.format(moment)}, decision_type, {what}, 0, count(*) "
            f"FROM decision WHERE {condition} GROUP BY 1, 2, 3"
        )


REVIEW_CHANGED = (
    "(OLD.state <> NEW.state OR OLD.level <> NEW.level OR OLD.priority <> NEW.priority OR OLD.queue <> NEW.queue "
    "OR OLD.overdue_announced <> NEW.overdue_announced)"
)
OVERRIDDEN = (
    "NEW.decided_by = 'reviewer' AND OLD.status <> NEW.status AND NEW.status = 'final' "
    "AND NEW.outcome <> NEW.proposal_outcome"
)
OVERTURNED = "OLD.overturned_at IS NULL AND NEW.overturned_at IS NOT NULL"
ADD_OPEN = (
    "ON CONFLICT (queue, decision_type, level, priority, owner_id, shard) "
    "DO UPDATE SET n = open_tally.n + excluded.n, late = open_tally.late + excluded.late;"
)
ADD_HOUR = "ON CONFLICT (hour, decision_type, what, shard) DO UPDATE SET n = hour_tally.n + excluded.n;"


def keep_tallies_sqlite():
    """One writer at a time, so one shard."""

    def move(row, sign):
        return (
            f"INSERT INTO open_tally SELECT {row}.queue, {row}.decision_type, {row}.level, {row}.priority, "
            f"coalesce({row}.owner_id, ''), 0, {sign}1, {sign}{row}.overdue_announced WHERE {row}.state = 'open' "
            f"{ADD_OPEN}"
        )

    def happened(what, moment):
        return (
            f"INSERT INTO hour_tally VALUES (substr(NEW.{moment}, 1, 13) || ':00:00.000000', NEW.decision_type, "
            f"{what}, 0, 1) {ADD_HOUR}"
        )

    for name, text in {
        "review_tally_insert": f"AFTER INSERT ON review WHEN NEW.state = 'open' BEGIN {move('NEW', '')} END",
        "review_tally_delete": f"AFTER DELETE ON review WHEN OLD.state = 'open' BEGIN {move('OLD', '-')} END",
        "review_tally_update": (
            f"AFTER UPDATE ON review WHEN {REVIEW_CHANGED} BEGIN {move('OLD', '-')} {move('NEW', '')} END"
        ),
        "decision_tally_insert": f"AFTER INSERT ON decision BEGIN {happened('NEW.tier', 'created_at')} END",
        "decision_tally_overridden": (
            f"AFTER UPDATE ON decision WHEN {OVERRIDDEN} BEGIN {happened(repr('overridden'), 'final_at')} END"
        ),
        "decision_tally_overturned": (
            f"AFTER UPDATE ON decision WHEN {OVERTURNED} BEGIN {happened(repr('overturned'), 'overturned_at')} END"
        ),
    }.items():
        op.execute(f"CREATE TRIGGER {name} {text}")


SHARD = "pg_backend_pid() % 32"  # two connections seldom share a row, so nobody waits for another's commit
FUNCTIONS = ("count_open_added", "count_open_removed", "count_open_changed", "count_decided", "count_overruled")


def keep_tallies_postgres():
    """Rows are added in the order of their key, so that two transactions of one shard do not wait in a circle."""

    def moved(rows, sign):
        return (
            f"INSERT INTO open_tally SELECT queue, decision_type, level, priority, coalesce(owner_id, ''), {SHARD}, "
            f"{sign}count(*), {sign}count(*) FILTER (WHERE overdue_announced) FROM {rows} WHERE state = 'open' "
            f"GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 {ADD_OPEN}"
        )

    changed = (
        f"INSERT INTO open_tally SELECT queue, decision_type, level, priority, owner_id, {SHARD}, sum(n), sum(late) "
        "FROM (SELECT OLD.queue, OLD.decision_type, OLD.level, OLD.priority, coalesce(OLD.owner_id, '') AS owner_id, "
        "-1 AS n, -OLD.overdue_announced::int AS late WHERE OLD.state = 'open' UNION ALL "
        "SELECT NEW.queue, NEW.decision_type, NEW.level, NEW.priority, coalesce(NEW.owner_id, ''), 1, "
        "NEW.overdue_announced::int WHERE NEW.state = 'open') AS moved "
        f"GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 {ADD_OPEN}"
    )
    decided = (
        f"INSERT INTO hour_tally SELECT date_trunc('hour', created_at, 'UTC'), decision_type, tier, {SHARD}, count(*) "
        f"FROM added GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 {ADD_HOUR}"
    )
    overruled = (
        f"INSERT INTO hour_tally SELECT date_trunc('hour', at, 'UTC'), NEW.decision_type, what, {SHARD}, 1 FROM ("
        f"SELECT NEW.final_at AS at, 'overridden' AS what WHERE {OVERRIDDEN} UNION ALL "
        f"SELECT NEW.overturned_at, 'overturned' WHERE {OVERTURNED}) AS told ORDER BY 1, 3 {ADD_HOUR}"
    )
    bodies = (moved("added", ""), moved("removed", "-"), changed, decided, overruled)
    for name, body in zip(FUNCTIONS, bodies, strict=True):
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
    for function, text in zip(
        FUNCTIONS,
        (
            "review_tally_insert AFTER INSERT ON review REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
            "review_tally_delete AFTER DELETE ON review REFERENCING OLD TABLE AS removed FOR EACH STATEMENT",
            f"review_tally_update AFTER UPDATE ON review FOR EACH ROW WHEN {REVIEW_CHANGED}",
            "decision_tally_insert AFTER INSERT ON decision REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
            f"decision_tally_update AFTER UPDATE ON decision FOR EACH ROW WHEN (({OVERRIDDEN}) OR ({OVERTURNED}))",
        ),
        strict=True,
    ):
        op.execute(f"CREATE TRIGGER {text} EXECUTE FUNCTION {function}()")


# Dead entries at the head of a queue are walked over by every claim until a vacuum takes them away.
GROWING = {"autovacuum_vacuum_insert_scale_factor": 0.05, "autovacuum_analyze_scale_factor": 0.02}
COUNTING = {"fillfactor": 50, "autovacuum_vacuum_scale_factor": 0, "autovacuum_vacuum_threshold": 500}
TUNED = {
    "review": {
        "fillfactor": 90,
        "autovacuum_vacuum_scale_factor": 0.01,
        "autovacuum_vacuum_threshold": 500,
        "autovacuum_analyze_scale_factor": 0.02,
    },
    "decision": GROWING,
    "event": GROWING,
    "open_tally": COUNTING,
    "hour_tally": COUNTING,
}


def tune_postgres():
    for table, settings in TUNED.items():
        op.execute(f"ALTER TABLE {table} SET ({', '.join(f'{name} = {value}' for name, value in settings.items())})")


def downgrade():
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    if not on_sqlite:
        for table, settings in TUNED.items():
            op.execute(f"ALTER TABLE {table} RESET ({', '.join(settings)})")
    for name in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER review_tally_{name}" + ("" if on_sqlite else " ON review"))
    for name in ("insert", "overridden", "overturned") if on_sqlite else ("insert", "update"):
        op.execute(f"DROP TRIGGER decision_tally_{name}" + ("" if on_sqlite else " ON decision"))
    if not on_sqlite:
        for name in FUNCTIONS:
            op.execute(f"DROP FUNCTION {name}()")
    for name, (table, _, _) in ADDED.items():
        op.drop_index(name, table)
    for name, columns in DROPPED.items():
        create_index(name, "review", columns, OPEN)
    op.drop_table("hour_tally")
    op.drop_table("open_tally")

"""A number that grows with every change of keys, people, roles, types and policies, so that processes may keep them.

Each process keeps in memory what the submit door needs of them, and asks for this number in every transaction: a
revoked key or an activated policy counts in the next transaction of every process. Triggers see to it, so that no way
of changing those tables can forget.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WATCHED = ("api_key", "person", "role_grant", "decision_type", "policy")
VERBS = ("INSERT", "UPDATE", "DELETE")


def upgrade():
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
        sa.CheckConstraint("id = 1", name="ck_generation_one_row"),
    )
    op.execute("INSERT INTO generation (id, n) VALUES (1, 1)")
    if op.get_bind().dialect.name == "sqlite":
        for table in WATCHED:
            for verb in VERBS:
                op.execute(
                    f"CREATE TRIGGER {table}_{verb.lower()}_counts AFTER {verb} ON {table} "
                    "BEGIN UPDATE generation SET n = n + 1; END"
                )
        return
    op.execute(
        "CREATE FUNCTION next_generation() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE generation SET n = n + 1; RETURN NULL; END $$"
    )
    for table in WATCHED:
        op.execute(
            f"CREATE TRIGGER {table}_counts AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION next_generation()"
        )


def downgrade():
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in WATCHED:
        for name in [f"{table}_{verb.lower()}_counts" for verb in VERBS] if sqlite else [f"{table}_counts"]:
            op.execute(f"DROP TRIGGER {name}" if sqlite else f"DROP TRIGGER {name} ON {table}")
    op.drop_table("generation")
    if not sqlite:
        op.execute("DROP FUNCTION next_generation()")

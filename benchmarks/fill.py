"""Fills a database with decisions, reviews, verdicts and events by the million, in a few statements."""

import argparse
from typing import Any

import sqlalchemy as sa

from app.actions import people
from app.commands.demo import furnish
from app.domain.access import SYSTEM, Grant
from app.store import schema
from app.store.db import Database

REVIEWER = "million@example.org"
# What a share of a thousand decisions are: waiting for people, or settled by them; the rest is autonomous.
MOVES = """
    CREATE TEMPORARY TABLE made AS
    WITH RECURSIVE series(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM series WHERE i < {n})
    SELECT i, i % 1000 * 919 % 1000 < {waiting} AS waits, i % 1000 * 919 % 1000 >= 1000 - {ruled} AS ruled,
        i % 3 AS priority, {hex} AS number, {start} + i * {step} AS at, i * 37 % 60000 AS amount,
        CASE WHEN i * 31 % 100 < {rare} THEN 'account-closure'
            WHEN i % 3 = 0 THEN 'content-moderation' ELSE 'refund' END AS slug
    FROM series
"""
DECISIONS = """
    INSERT INTO decision (id, decision_type, service, key_id, external_id, fingerprint, subject, model_name,
        model_version, proposal_outcome, confidence, proposal, input, metadata, stakes, tier, reasons, policy_version,
        policy_digest, type_digest, sampled, inclusion_probability, status, outcome, decided_by, created_at, final_at)
    SELECT 'dec_' || number, slug, 'fill', 'key_fill', 'fill-{batch}-' || i, 'f', 'order ' || i, 'fill-risk',
        '1.' || priority, 'approve', 0.95,
        '{{"outcome":"approve","confidence":0.95,"explanation":"The claim fits the order."}}',
        '{{"order":"A-' || i || '","amount_cents":' || amount || ',"currency":"EUR","reason":"{text}",'
        || '"customer":{{"name":"Ada Okafor","since":2019,"vip":false}}}}', '{{}}',
        CASE priority WHEN 0 THEN 'high' WHEN 1 THEN 'medium' ELSE 'low' END,
        CASE WHEN waits OR ruled THEN 'review_required' ELSE 'autonomous' END,
        '[{{"code":"threshold","text":"The confidence is 0.95; alone from 0.90.","quotes_proposal":true}}]',
        1, 'sha256:{digest}', 'sha256:{digest}', {false}, 1.0,
        CASE WHEN waits THEN 'pending' ELSE 'final' END,
        CASE WHEN waits THEN NULL WHEN ruled AND i % 5 = 0 THEN 'deny' ELSE 'approve' END,
        CASE WHEN waits THEN NULL WHEN ruled THEN 'reviewer' ELSE 'policy' END,
        {at}, CASE WHEN waits THEN NULL ELSE {at} END
    FROM made
"""
REVIEWS = """
    INSERT INTO review (id, decision_id, decision_type, queue, kind, tier, stakes, priority, level, state, blind,
        required, created_at, due_at, available_at, lease_token, lease_announced, overdue_announced, outcome,
        settled_at)
    SELECT 'rev_' || number, 'dec_' || number, slug, {queue}, 'gate', 'review_required', 'medium', priority, 0,
        CASE WHEN waits THEN 'open' ELSE 'settled' END, {false}, 1, {at}, {due}, {at},
        CASE WHEN waits THEN 0 ELSE 1 END, {false}, {false},
        CASE WHEN waits THEN NULL WHEN i % 5 = 0 THEN 'deny' ELSE 'approve' END,
        CASE WHEN waits THEN NULL ELSE {at} END
    FROM made WHERE waits OR ruled
"""
VERDICTS = """
    INSERT INTO verdict (id, review_id, decision_id, person_id, action, outcome, reason_code, rationale, lease_token,
        claimed_at, proposal_shown_at, created_at)
    SELECT 'ver_' || number, 'rev_' || number, 'dec_' || number, '{person}',
        CASE WHEN i % 5 = 0 THEN 'override' ELSE 'approve' END, CASE WHEN i % 5 = 0 THEN 'deny' ELSE 'approve' END,
        'other', 'Looked at the order, "twice".', 1, {at}, {at}, {at}
    FROM made WHERE ruled
"""
EVENTS = """
    INSERT INTO event (id, created_at, type, actor_id, object_id, decision_id, decision_type, body)
    SELECT 'evt_' || number, {at}, 'decision.submitted', 'key_fill', 'dec_' || number, 'dec_' || number, slug, {body}
    FROM made
"""
BODY = (
    """'{"actor":{"id":"key_fill","key":"key_fill","kind":"key","person":null},"after":null,"before":null,"data":"""
    """{},"decision":"dec_' || number || '","decision_type":"' || slug || '","id":"evt_' || number || '","object":"""
    """{"id":"dec_' || number || '","type":"decision"},"policy":null,"request_id":null,"time":"' || {stamp} || '","""
    """"type":"decision.submitted","v":1}'"""
)
QUEUES = "(SELECT queue FROM decision_type WHERE decision_type.slug = made.slug)"


def main() -> None:
    """Fill the database of a URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("decisions", type=int)
    parser.add_argument("--waiting", type=int, default=1000, help="of a thousand, how many wait for people")
    parser.add_argument("--ruled", type=int, default=0, help="of a thousand, how many were settled by people")
    asked = parser.parse_args()
    db = Database(asked.url)
    prepare(db)
    fill(db, asked.decisions, waiting=asked.waiting, ruled=asked.ruled)
    db.close()


def prepare(db: Database) -> None:
    """A schema, the sample types, a reviewer and the key that everything is from."""
    schema.migrate(db)
    furnish(db)
    people.create_key(db, SYSTEM, "fill", ["decisions:write"])
    people.add(db, SYSTEM, REVIEWER, "Million", None, [Grant("reviewer")])


def fill(
    db: Database,
    decisions: int,
    *,
    waiting: int = 1000,
    ruled: int = 0,
    rare: int = 1,
    batch: int = 0,
    events: bool = True,
) -> None:
    """Add decisions made within the last hour, the oldest first. `rare` of a hundred are account closures.

    Each call with another `batch` adds others. Statistics are brought up to date at the end, as autovacuum would.
    """
    words = _words(db, decisions) | {"waiting": waiting, "ruled": ruled, "rare": rare, "batch": batch}
    words["hex"] = words["hex"].format(batch=batch)
    with plain(db).begin() as connection:
        connection = connection.execution_options(no_parameters=True)  # so that % is an operator
        connection.exec_driver_sql(_no_limit(db))
        for text in (MOVES, DECISIONS, REVIEWS, VERDICTS, *((EVENTS,) if events else ())):
            connection.exec_driver_sql(text.format(**words))
        connection.exec_driver_sql("DROP TABLE made")
    with plain(db).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not db.is_sqlite:
            connection.exec_driver_sql("SET statement_timeout = 0")
            for table in ("decision", "review", "verdict", "event"):
                connection.exec_driver_sql(f"VACUUM ANALYZE {table}")


def plain(db: Database) -> sa.Engine:
    """An engine without Handrail's limits on waiting: nothing of ours takes as long as a million rows."""
    return db.engine if db.is_sqlite else sa.create_engine(db.url, poolclass=sa.NullPool)


def _no_limit(db: Database) -> str:
    return "SELECT 1" if db.is_sqlite else "SET LOCAL statement_timeout = 0"


def _words(db: Database, n: int) -> dict[str, Any]:
    """The parts in which the two databases differ, and the constants."""
    with db.read() as tx:
        now = tx.now().timestamp()
        person = tx.value(sa.text("SELECT id FROM person WHERE email = :email"), {"email": REVIEWER})
    common = {
        "n": n, "start": round(now - 3600, 3), "step": 3500 / n, "person": person, "text": "It never arrived. " * 20,
        "digest": "0" * 64, "queue": QUEUES,
    }  # fmt: skip
    if db.is_sqlite:
        stamp, when = (
            "strftime('%Y-%m-%dT%H:%M:%f000Z', at, 'unixepoch')",
            "strftime('%Y-%m-%d %H:%M:%f000', {}, 'unixepoch')",
        )
        tail = "substr(printf('%016x', i), 5)"
        own = {"false": "0", "body": f"CAST({BODY} AS BLOB)"}
    else:
        stamp, when = (
            """to_char(to_timestamp(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
            "to_timestamp({})",
        )
        tail = "lpad(to_hex(i), 12, '0')"
        own = {"false": "false", "body": f"convert_to({BODY}, 'UTF8')"}
    own["body"] = own["body"].replace("{stamp}", stamp)
    own["hex"] = f"'01900000-0000-7000-80{{batch:02x}}-' || {tail}"
    return common | own | {"at": when.format("at"), "due": when.format("at + 14400 * (priority + 1)")}


if __name__ == "__main__":
    main()

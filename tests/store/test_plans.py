"""What the planners promise: no claim, page or duty reads all of a large table, whoever asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.actions import decisions as submitting
from app.store import decisions, reviews, tables
from app.store.db import Database, ReadTx, WriteTx
from app.store.decisions import Filters
from app.store.reviews import Taker
from tests.factories import House, submission

EVERYBODY = Taker("usr_x", None, None)
FEW = Taker("usr_x", frozenset({"account"}), frozenset())
LARGE = ("review", "decision")


@pytest.fixture
def many(house: House) -> Database:
    """A few thousand open reviews of two types in two queues, which is enough for a planner to care."""
    with house.db.write() as tx:
        _fill(tx, house)
    with house.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if not house.db.is_sqlite else "SELECT 1")
    return house.db


def _fill(tx: WriteTx, house: House) -> None:
    bodies = [{"metadata": {}, "external_id": f"e{n}", "subject": f"s{n}", **submission()} for n in range(40)]
    items = [submitting.Submission(house.keys["service"], body, str(n)) for n, body in enumerate(bodies)]
    submitting.submit_many.within(tx, items)
    tx.run(
        sa.text("UPDATE review SET due_at = due_at, decision_type = 'account' WHERE id IN (SELECT min(id) FROM review)")
    )
    own = {"id": "id || '-' || n", "external_id": "external_id || '-' || n", "decision_id": "decision_id || '-' || n"}
    series = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 100)"
    for table in (tables.decision, tables.review):
        names = [column.name for column in table.c]
        copies = ", ".join(own.get(name, name) for name in names)
        tx.run(
            sa.text(f"INSERT INTO {table.name} ({', '.join(names)}) {series} SELECT {copies} FROM {table.name}, series")
        )


@contextmanager
def plans(db: Database, tx: ReadTx) -> Iterator[list[str]]:
    """The plan of every statement that is run inside, one text each."""
    seen: list[tuple[str, Any]] = []
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    sa.event.listen(tx.connection, "before_cursor_execute", note)
    yield found
    sa.event.remove(tx.connection, "before_cursor_execute", note)
    for statement, parameters in seen:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            how = "EXPLAIN QUERY PLAN" if db.is_sqlite else "EXPLAIN"
            rows = tx.connection.exec_driver_sql(f"{how} {statement}", parameters).all()
            found.append("\n".join(str(row[-1]) for row in rows))


def whole_reads(found: list[str]) -> list[str]:
    """The lines of plans that read a large table from end to end, or sort for an order that an index has."""
    lines = [line for plan in found for line in plan.splitlines()]
    bad = [f"Seq Scan on {table}" for table in LARGE]
    bad += [f"SCAN {name}" for name in (*LARGE, "first")]
    return [line for line in lines if any(one in line for one in bad) and "USING INDEX" not in line]


@pytest.mark.parametrize("taker", [EVERYBODY, FEW], ids=["every type", "few types"])
@pytest.mark.parametrize("queue", [None, "refunds"])
def test_a_claim_walks_along_the_lane(many: Database, taker: Taker, queue: str | None) -> None:
    with many.write() as tx, plans(many, tx) as found:
        assert reviews.next_free(tx, taker, queue) is not None
    assert [] == whole_reads(found)
    walk = "SEARCH review USING INDEX ix_review_lane" if many.is_sqlite else "Index Scan using ix_review_lane on review"
    assert walk in found[-1]
    assert not any(sort in found[-1] for sort in ("TEMP B-TREE", "Sort"))


def test_pages_counts_and_duties_read_no_table_whole(many: Database) -> None:
    with many.write() as tx, plans(many, tx) as found:
        rows = reviews.waiting_page(tx, None, None, after=None, limit=50)
        last = rows[-1]
        reviews.waiting_page(tx, None, None, after=(last.priority, last.due_at, last.id), limit=50)
        reviews.counts(tx, EVERYBODY, None)
        reviews.lapsed(tx, 10)
        reviews.overdue(tx, 10)
        reviews.expiring(tx, 10)
    assert [] == whole_reads(found)


RARE = (
    Filters(), Filters(tier="autonomous"), Filters(status="cancelled"), Filters(model="nobody"), Filters(subject="s1"),
    Filters(external_id="e1"), Filters(type="nothing"), Filters(overturned=True),
)  # fmt: skip


@pytest.mark.parametrize("filters", RARE, ids=str)
def test_a_filtered_page_of_decisions_is_served_by_an_index(many: Database, filters: Filters) -> None:
    with many.read() as tx:
        row = decisions.page(tx, Filters(), after=None, limit=1)[0]
        with plans(many, tx) as found:
            decisions.page(tx, filters, after=None, limit=50)
            decisions.page(tx, filters, after=(row.created_at + timedelta(1), row.id), limit=50)
    assert [] == whole_reads(found)
    if filters != Filters():
        assert all("ix_decision_created_at_id" not in plan for plan in found)

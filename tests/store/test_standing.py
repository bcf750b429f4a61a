"""What is kept in memory is never older than the last commit: every process sees a change in its next transaction."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from app.actions import people, policies
from app.actions.decisions import Submission, submit_many
from app.actions.sessions import actor_of_key
from app.domain.access import SYSTEM
from app.domain.canonical import digest
from app.domain.errors import Unauthenticated
from app.store import keys
from app.store.db import Database
from tests.factories import POLICY, House, put_policy, submission


@pytest.fixture
def elsewhere(database_url: str) -> Iterator[Database]:
    """The same database as another process sees it."""
    other = Database(database_url)
    yield other
    other.close()


def one(db: Database, house: House, external_id: str) -> Any:
    body = submission(external_id=external_id, metadata={}, confidence=0.99)
    return submit_many(db, [Submission(house.keys["service"], body, digest(external_id.encode()))])[0]


def test_a_policy_that_was_activated_elsewhere_routes_the_next_decision(
    db: Database, house: House, elsewhere: Database
) -> None:
    before = one(elsewhere, house, "1")
    never = {level: {"autonomous": "never", "review": 0} for level in ("low", "medium", "high")}
    put_policy(db, {**POLICY, "thresholds": never})
    after = one(elsewhere, house, "2")
    policies.activate(db, SYSTEM, "refund", 1)
    assert ["autonomous", "review_required", "autonomous"] == [
        before.tier, after.tier, one(elsewhere, house, "3").tier,
    ]  # fmt: skip


def test_a_key_that_was_revoked_elsewhere_is_refused_at_once(db: Database, house: House, elsewhere: Database) -> None:
    assert "autonomous" == one(elsewhere, house, "1").tier
    with db.read() as tx:
        key_id = next(row.id for row in keys.all(tx) if row.name == "service")
    people.revoke_key(db, SYSTEM, key_id)
    assert isinstance(one(elsewhere, house, "2"), Unauthenticated)


def test_a_role_that_was_taken_elsewhere_is_gone_at_once(db: Database, house: House, elsewhere: Database) -> None:
    asked = (house.keys["reviewer"], None)
    assert ("reviewer",) == actor_of_key(elsewhere, *asked).roles  # type: ignore[union-attr]
    people.revoke_grant(db, SYSTEM, house.people["reviewer"], "reviewer", "*")
    assert () == actor_of_key(elsewhere, *asked).roles  # type: ignore[union-attr]


def test_a_disabled_person_is_unknown_at_once(db: Database, house: House, elsewhere: Database) -> None:
    asked = (house.keys["reviewer"], None)
    assert actor_of_key(elsewhere, *asked)
    people.disable(db, SYSTEM, house.people["reviewer"])
    assert actor_of_key(elsewhere, *asked) is None


@pytest.mark.parametrize("table", ["api_key", "person", "role_grant", "decision_type", "policy"])
def test_every_way_of_changing_counts(db: Database, house: House, table: str) -> None:
    column = sa.inspect(db.engine).get_columns(table)[0]["name"]
    before = number(db)
    with db.write() as tx:
        tx.run(sa.text(f"UPDATE {table} SET {column} = {column}"))
    assert before < number(db)


def test_a_change_that_was_rolled_back_leaves_nothing_behind(db: Database, house: House) -> None:
    before = number(db)
    with suppress(ZeroDivisionError), db.write() as tx:
        tx.run(sa.text("UPDATE policy SET state = 'retired'"))
        _ = 1 / 0
    assert before == number(db)
    assert "autonomous" == one(db, house, "1").tier


def number(db: Database) -> int:
    with db.read() as tx:
        return int(tx.value(sa.text("SELECT n FROM generation")))

"""A row that a duty cannot process does not stop the duty; it is set aside, counted, and can be tried again."""

import json
from copy import deepcopy
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from app.actions import operations, reading, upkeep
from app.actions.decisions import Submission, Submitted, submit_many
from app.actions.reviews import claim
from app.actions.upkeep import Duty
from app.domain.access import SYSTEM, Actor, Grant
from app.domain.errors import Forbidden, NotFound
from app.store.db import Database
from app.worker import run_once
from tests.factories import POLICY, House, put_policy, submission
from tests.poison import poisoned

HOURS = timedelta(hours=30)
DUTIES = {
    Duty.ANNOUNCE_LAPSED: "review.lease_expired",
    Duty.ANNOUNCE_OVERDUE: "review.overdue",
    Duty.EXPIRE: "review.expired",
}


@pytest.fixture
def three(db: Database, house: House) -> list[tuple[str, str]]:
    """Three reviews (decision, review) that every duty will have something to do with in thirty hours."""
    policy = deepcopy(dict(POLICY))
    policy["review"] |= {"expires_after": "24h", "on_expiry": {"outcome": "deny"}}
    put_policy(db, policy)
    made = []
    for number in range(3):
        (answer,) = submit_many(db, [Submission(house.keys["service"], submission() | {"metadata": {}}, str(number))])
        assert isinstance(answer, Submitted)
        told = json.loads(answer.text)
        claim(db, reviewer(house), told["review"]["id"])
        made.append((told["id"], told["review"]["id"]))
    db.offset = HOURS
    return made


def reviewer(house: House) -> Actor:
    who = house.people["reviewer"]
    return Actor("person", who, "Reviewer", person_id=who, grants=(Grant("reviewer"),))


def admin(house: House) -> Actor:
    who = house.people["admin"]
    return Actor("person", who, "Admin", person_id=who, grants=(Grant("admin"),))


def told(db: Database, decision_id: str, kind: str) -> bool:
    return kind in [one["type"] for one in reading.timeline(db, SYSTEM, decision_id)]


@pytest.mark.parametrize("duty", DUTIES)
def test_a_duty_goes_on_with_the_others(db: Database, three: list[tuple[str, str]], duty: Duty) -> None:
    run = {Duty.ANNOUNCE_LAPSED: upkeep.announce_lapsed, Duty.ANNOUNCE_OVERDUE: upkeep.announce_overdue}
    poison = three[1][1]
    with poisoned(db, poison):
        assert 2 == run.get(duty, upkeep.expire)(db)
        assert [True, False, True] == [told(db, decision, DUTIES[duty]) for decision, _ in three]
        assert {duty: 1} == operations.set_aside_counts(db)
        assert 0 == run.get(duty, upkeep.expire)(db)
    (row,) = operations.overview(db, SYSTEM)["aside"]
    assert (duty, poison, 1) == (row["duty"], row["object_id"], row["tries"])
    assert "4711" not in row["error"]  # what a database says may quote a payload
    assert 0 == run.get(duty, upkeep.expire)(db)


def test_trying_again_processes_the_row_and_is_told(db: Database, house: House, three: list[tuple[str, str]]) -> None:
    decision, poison = three[0]
    with poisoned(db, poison):
        upkeep.announce_overdue(db)
        assert upkeep.try_again(db, admin(house), Duty.ANNOUNCE_OVERDUE, poison)
    assert 2 == operations.overview(db, SYSTEM)["aside"][0]["tries"]
    assert upkeep.try_again(db, admin(house), Duty.ANNOUNCE_OVERDUE, poison) is None
    assert told(db, decision, "review.overdue")
    assert {} == operations.set_aside_counts(db)
    events = reading.event_list(db, SYSTEM, type="duty.retried").data
    data = [(one["actor"]["person"], one["data"]) for one in events]
    who = house.people["admin"]
    assert [(who, {"object": poison, "succeeded": ok}) for ok in (True, False)] == data


def test_only_administrators_try_again_and_only_what_is_there(
    db: Database, house: House, three: list[tuple[str, str]]
) -> None:
    with pytest.raises(Forbidden):
        upkeep.try_again(db, reviewer(house), Duty.EXPIRE, three[0][1])
    for duty in (Duty.EXPIRE, Duty.PURGE, "nonsense"):
        with pytest.raises(NotFound):
            upkeep.try_again(db, admin(house), duty, three[0][1])


def test_a_round_says_what_each_duty_did_and_metrics_count_what_is_set_aside(
    db: Database, client: TestClient, three: list[tuple[str, str]]
) -> None:
    with poisoned(db, three[2][1]):
        run_once(db, "somewhere-1")
    seen = operations.overview(db, SYSTEM)
    assert {("announce_lapsed", 2), ("announce_overdue", 2), ("expire", 2)} <= {
        (one["duty"], one["did"]) for one in seen["duties"]
    }
    assert [("somewhere-1", True)] == [(one["name"], one["alive"]) for one in seen["workers"]]
    text = client.get("/metrics").text
    for duty, count in (("announce_lapsed", 1), ("announce_overdue", 1), ("expire", 1), ("purge", 0)):
        assert f'handrail_set_aside{{duty="{duty}"}} {count}.0' in text

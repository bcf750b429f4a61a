"""Undo takes back one's own snooze or release, and nothing else."""

from datetime import timedelta

import pytest

from app.actions import reading, reviews, upkeep, verdicts
from app.domain.access import Actor, Grant
from app.domain.errors import Conflict, Forbidden
from app.domain.review import Action, Said
from tests.actions.test_promises import actor, claim, submit
from tests.factories import House


@pytest.fixture
def ada(house: House) -> Actor:
    return actor(house, "reviewer")


@pytest.fixture
def ben(house: House) -> Actor:
    return actor(house, "second", Grant("reviewer"))


def test_a_snooze_is_taken_back_and_the_review_is_held_again_under_a_new_token(house: House, ada: Actor) -> None:
    decision = submit(house)
    held = claim(house, ada)
    reviews.snooze(house.db, ada, held["id"], held["lease"]["token"], 60)
    again = reviews.undo(house.db, ada, held["id"])
    assert again["lease"]["token"] > held["lease"]["token"]
    given = verdicts.give_verdict(house.db, ada, held["id"], again["lease"]["token"], Said(Action.APPROVE))
    assert isinstance(given, verdicts.Ruled)
    told = [event["type"] for event in reading.timeline(house.db, actor(house, "auditor"), decision)]
    assert ["review.snoozed", "review.undone", "review.claimed"] == told[2:5]


def test_a_release_is_taken_back_too_and_the_event_names_what_it_took_back(house: House, ada: Actor) -> None:
    decision = submit(house)
    held = claim(house, ada)
    reviews.release(house.db, ada, held["id"], held["lease"]["token"])
    reviews.undo(house.db, ada, held["id"])
    told = reading.timeline(house.db, actor(house, "auditor"), decision)
    released, undone = (next(one for one in told if one["type"] == f"review.{name}") for name in ("released", "undone"))
    assert {"event": released["id"], "type": "review.released"} == undone["data"]


def test_an_undone_snooze_no_longer_hides_the_review(house: House, ada: Actor, ben: Actor) -> None:
    submit(house)
    held = claim(house, ada)
    reviews.snooze(house.db, ada, held["id"], held["lease"]["token"], 60)
    again = reviews.undo(house.db, ada, held["id"])
    reviews.release(house.db, ada, held["id"], again["lease"]["token"])
    assert held["id"] == claim(house, ben)["id"]


def test_what_somebody_else_has_taken_stays_theirs(house: House, ada: Actor, ben: Actor) -> None:
    submit(house)
    held = claim(house, ada)
    reviews.release(house.db, ada, held["id"], held["lease"]["token"])
    theirs = claim(house, ben)
    with pytest.raises(Conflict) as refused:
        reviews.undo(house.db, ada, held["id"])
    assert "held" == refused.value.code
    reviews.snooze(house.db, ben, held["id"], theirs["lease"]["token"], 60)
    with pytest.raises(Conflict) as refused:
        reviews.undo(house.db, ada, held["id"])
    assert "nothing_to_undo" == refused.value.code


def test_it_can_be_undone_once_only(house: House, ada: Actor) -> None:
    submit(house)
    held = claim(house, ada)
    with pytest.raises(Conflict, match="nothing of yours"):
        reviews.undo(house.db, ada, held["id"])
    reviews.snooze(house.db, ada, held["id"], held["lease"]["token"], 60)
    reviews.undo(house.db, ada, held["id"])
    with pytest.raises(Conflict, match="nothing of yours"):
        reviews.undo(house.db, ada, held["id"])


def test_a_verdict_has_no_undo(house: House, ada: Actor) -> None:
    submit(house)
    held = claim(house, ada)
    verdicts.give_verdict(house.db, ada, held["id"], held["lease"]["token"], Said(Action.APPROVE))
    with pytest.raises(Conflict) as refused:
        reviews.undo(house.db, ada, held["id"])
    assert "already_settled" == refused.value.code


def test_a_skip_has_no_undo_because_it_may_be_a_conflict_of_interest(house: House, ada: Actor) -> None:
    submit(house)
    held = claim(house, ada)
    verdicts.give_verdict(house.db, ada, held["id"], held["lease"]["token"], Said(Action.ABSTAIN))
    with pytest.raises(Forbidden) as refused:
        reviews.undo(house.db, ada, held["id"])
    assert "separation_of_duties" == refused.value.code


def test_a_lead_cannot_undo_taking_a_review_from_its_holder_into_their_own_hands(house: House, ada: Actor) -> None:
    submit(house)
    held, lead = claim(house, ada), actor(house, "lead")
    reviews.release(house.db, lead, held["id"])
    for who in (lead, ada):
        with pytest.raises(Conflict, match="nothing of yours"):
            reviews.undo(house.db, who, held["id"])


def test_who_may_no_longer_review_cannot_undo(house: House, ada: Actor) -> None:
    submit(house)
    held = claim(house, ada)
    reviews.snooze(house.db, ada, held["id"], held["lease"]["token"], 60)
    with pytest.raises(Forbidden):
        reviews.undo(house.db, actor(house, "reviewer", Grant("auditor")), held["id"])


def test_being_past_its_due_time_does_not_stand_in_the_way(house: House, ada: Actor) -> None:
    submit(house)
    held = claim(house, ada)
    reviews.snooze(house.db, ada, held["id"], held["lease"]["token"], 600)
    house.db.offset = timedelta(hours=5)
    assert 1 == upkeep.announce_overdue(house.db)
    assert held["id"] == reviews.undo(house.db, ada, held["id"])["id"]

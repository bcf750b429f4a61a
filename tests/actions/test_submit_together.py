"""Submissions that share a transaction are answered as if each had come alone, in order."""

import json
from typing import Any

import pytest

from app.actions import decisions
from app.actions.decisions import Outcome, Submission, Submitted, submit_many
from app.domain.errors import HandrailError
from app.store.db import Database
from tests.factories import House, submission


def asked(house: House, print_: str, key: str | None = None, **changes: Any) -> Submission:
    body = {"metadata": {}, **submission(external_id="e", **changes)}
    return Submission(house.keys["service"], body, print_, key)


def told(outcomes: list[Outcome]) -> list[str | None]:
    """What each heard: the refusal's code, how its answer was replayed, or "new"."""
    return [one.code if isinstance(one, HandrailError) else one.replayed or "new" for one in outcomes]


def refused(house: House, print_: str, key: str | None = None) -> Submission:
    return asked(house, print_, key, proposal={"outcome": "no such outcome"})


def test_a_body_that_was_refused_takes_no_external_id_from_the_next(db: Database, house: House) -> None:
    assert ["unknown_outcome", "new"] == told(submit_many(db, [refused(house, "wrong"), asked(house, "right")]))


def test_who_gave_no_key_never_hears_of_a_key(db: Database, house: House) -> None:
    submit_many(db, [Submission(house.keys["service"], {"metadata": {}, **submission()}, "other", "k")])
    both = [asked(house, "same", "k"), asked(house, "same")]
    assert ["idempotency_key_reused", "new"] == told(submit_many(db, both))


@pytest.mark.parametrize("keys", [(None, None), ("k1", None), (None, "k1"), ("k1", "k2")])
def test_twins_by_external_id_get_the_very_answer_of_the_first(
    db: Database, house: House, keys: tuple[str | None, str | None]
) -> None:
    first, twin = submit_many(db, [asked(house, "same", key) for key in keys])
    assert ["new", "external_id"] == told([first, twin])
    assert isinstance(first, Submitted)
    assert isinstance(twin, Submitted)
    assert first.text == twin.text


def test_another_body_under_the_same_external_id_is_told_which_decision_has_it(db: Database, house: House) -> None:
    first, other = submit_many(db, [asked(house, "one"), asked(house, "two")])
    assert ["new", "external_id_taken"] == told([first, other])
    assert isinstance(first, Submitted)
    assert isinstance(other, HandrailError)
    assert {"decision_id": json.loads(first.text)["id"]} == other.extra


def test_of_rows_that_want_the_same_external_id_the_first_goes_in(db: Database, house: House) -> None:
    many = [asked(house, str(n)) for n in range(20)]
    assert ["new", *["external_id_taken"] * 19] == told(submit_many(db, many))


def test_a_submission_without_an_outcome_stores_nothing(
    db: Database, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions._Batch, "_insert", lambda _: None)
    with pytest.raises(AssertionError, match="no outcome"):
        submit_many(db, [asked(house, "one")])

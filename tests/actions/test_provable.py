"""What events promise about contents that they do not hold, about their own order, and about what reviewers saw."""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa

from app.actions import _shown, reading, reviews, types
from app.actions.decisions import Submission, Submitted, cancel, submit_many
from app.actions.sessions import actor_of_key
from app.actions.verdicts import Judged, Ruled, give_verdict
from app.domain.access import SYSTEM, Actor
from app.domain.commitments import OF_DECISION, commit, salt_of
from app.domain.events import Event, EventType
from app.domain.merkle import leaf_hash
from app.domain.notes import key_of, parse_note, signers
from app.domain.review import Action, Said
from app.signing import check
from app.store import events, schema, tables
from app.store.db import Database, new_id
from tests.factories import REFUND, House, signer, submission


def rows(db: Database, table: sa.Table) -> list[Any]:
    with db.read() as tx:
        return list(tx.rows(sa.select(table).order_by(next(iter(table.c)))))


def bodies(db: Database) -> list[dict[str, Any]]:
    return [json.loads(row.body) for row in rows(db, tables.event)]


def submit(house: House, external_id: str = "one", **changes: Any) -> dict[str, Any]:
    body = submission(external_id=external_id, subject="Ada Okafor", **changes) | {"metadata": {"desk": "nord"}}
    body["proposal"]["explanation"] = "The order never arrived."
    made = [Submission(house.keys["service"], body, external_id)]
    (done,) = submit_many(house.db, made, signer().promise)
    assert isinstance(done, Submitted), done
    answer: dict[str, Any] = json.loads(done.text)
    return answer


def me(house: House, name: str = "reviewer") -> Actor:
    return actor_of_key(house.db, house.keys[name], None)


def rule(house: House, review_id: str, token: int, said: Said) -> Judged | Ruled:
    return give_verdict(house.db, me(house), review_id, token, said, signer().promise)


def with_rationale(house: House) -> None:
    types.apply(house.db, SYSTEM, {**REFUND, "rationale": "override"})


def test_a_submission_commits_to_each_of_its_contents_under_a_salt_of_its_own(db: Database, house: House) -> None:
    submit(house)
    (row,) = rows(db, tables.decision)
    (told,) = (one for one in bodies(db) if one["type"] == "decision.submitted")
    contents = {
        "input": row.input, "proposal": row.proposal, "metadata": row.metadata, "subject": "Ada Okafor",
        "explanation": "The order never arrived.",
    }  # fmt: skip
    salts = {label: salt_of(row.salts, label) for label in OF_DECISION}
    assert len(OF_DECISION) == len(set(salts.values()))
    assert told["commitments"] == {
        label: commit(salts[label], label, text.encode()) for label, text in contents.items()
    }
    assert "Ada" not in json.dumps(bodies(db))
    assert "12900" not in json.dumps(bodies(db))


def test_the_events_of_each_decision_and_review_are_numbered_without_a_gap(db: Database, house: House) -> None:
    settled, open_one = submit(house, "one"), submit(house, "two")
    cancelled, alone = submit(house, "three"), submit(house, "four", confidence=0.99, amount_cents=100)
    for _ in range(2):
        held = reviews.claim(db, me(house), settled["review"]["id"])
        reviews.snooze(db, me(house), settled["review"]["id"], held["lease"]["token"], 5)
        held = reviews.undo(db, me(house), settled["review"]["id"])
    rule(house, settled["review"]["id"], held["lease"]["token"], Said(Action.APPROVE))
    held = reviews.claim(db, me(house), open_one["review"]["id"])
    rule(house, open_one["review"]["id"], held["lease"]["token"], Said(Action.ESCALATE, rationale="Too odd."))
    cancel(db, me(house, "service"), cancelled["id"])
    numbers = defaultdict(list)
    for one in bodies(db):
        numbers[one["object"]["id"]].append(one["object"]["version"])
    about = [one["id"] for one in (settled, open_one, cancelled, alone)]
    about += [one["review"]["id"] for one in (settled, open_one, cancelled)]
    assert {name: list(range(1, len(numbers[name]) + 1)) for name in about} == {name: numbers[name] for name in about}
    assert [2, 1, 2, 1, 10, 3, 1] == [len(numbers[name]) for name in about]
    assert {None} == {one for name, each in numbers.items() if name not in about for one in each}


def test_an_event_that_has_no_number_uses_none_up(db: Database, house: House) -> None:
    with db.write() as tx:
        kinds = (EventType.QUEUE_CHANGED, EventType.DECISION_CANCELLED, EventType.QUEUE_CHANGED)
        events.record(tx, SYSTEM, *(Event(kind, "dec_1") for kind in kinds))
    assert [None, 1, None] == [one["object"]["version"] for one in bodies(db) if one["object"]["id"] == "dec_1"]


def test_the_receipts_of_a_submission_and_a_verdict_promise_their_events(db: Database, house: House) -> None:
    answer = submit(house)
    held = reviews.claim(db, me(house), answer["review"]["id"])
    ruled = rule(house, answer["review"]["id"], held["lease"]["token"], Said(Action.APPROVE))
    stored = {row.id: row for row in rows(db, tables.event)}
    for receipt, type in ((answer["receipt"], "decision.submitted"), (ruled.receipt, "review.verdict_given")):
        event = stored[receipt["event_id"]]
        assert type == event.type
        assert sha256(b"\0" + event.body).hexdigest() == receipt["leaf_hash"] == leaf_hash(event.body).hex()
        note = parse_note(receipt["promise"])
        assert [key_of(signer().vkeys[0])] == signers(note, [key_of(signer().vkeys[0])], check)
        origin, event_id, _, at, end = note.text.split("\n")
        assert ("handrail.example/audit/promise", event.id, "") == (origin, event_id, end)
        assert json.loads(event.body)["time"] == at


def test_who_sends_a_submission_again_gets_the_same_receipt(db: Database, house: House) -> None:
    assert submit(house)["receipt"] == submit(house)["receipt"]


def test_a_verdict_commits_to_the_rationale_and_to_what_the_reviewer_saw(db: Database, house: House) -> None:
    with_rationale(house)
    answer = submit(house)
    held = reviews.claim(db, me(house), answer["review"]["id"])
    said = Said(Action.OVERRIDE, outcome="deny", reason_code="fraud", rationale="The stamps differ.")
    rule(house, answer["review"]["id"], held["lease"]["token"], said)
    (told,) = (one for one in bodies(db) if one["type"] == "review.verdict_given")
    (shown,), (verdict,) = rows(db, tables.shown), rows(db, tables.verdict)
    assert shown.id == told["data"]["shown"]
    assert told["commitments"] == {
        "rationale": commit(verdict.salt, "rationale", b"The stamps differ."),
        "shown": commit(shown.salt, "shown", shown.content.encode()),
    }
    assert held["decision"] == json.loads(shown.content)["decision"]
    assert "stamps" not in json.dumps(bodies(db))


def test_in_a_blind_review_what_was_seen_before_and_after_the_judgement_is_kept(db: Database, house: House) -> None:
    answer = submit(house, amount_cents=200_000, confidence=0.5)
    review_id = answer["review"]["id"]
    token = reviews.claim(db, me(house), review_id)["lease"]["token"]
    judged = rule(house, review_id, token, Said(Action.DECIDE, outcome="deny", reason_code="fraud"))
    assert isinstance(judged, Judged)
    rule(house, review_id, token, Said(Action.DECIDE, outcome="deny", reason_code="fraud"))
    before, after = rows(db, tables.shown)
    assert [None, "approve"] == [
        (json.loads(one.content)["decision"]["proposal"] or {}).get("outcome") for one in (before, after)
    ]
    told = {one["type"]: one for one in bodies(db)}
    assert [before.id, after.id] == [told[name]["data"]["shown"] for name in ("review.judged", "review.verdict_given")]


def test_what_was_seen_last_is_known_by_the_databases_clock_not_by_ids(
    db: Database, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    review_id = submit(house, amount_cents=200_000, confidence=0.5)["review"]["id"]
    falling = iter(("shw_2", "shw_1"))  # as the ids of a host whose clock is behind
    monkeypatch.setattr(_shown, "new_id", lambda _: next(falling))
    token = reviews.claim(db, me(house), review_id)["lease"]["token"]
    db.offset = timedelta(seconds=1)
    for _ in range(2):
        rule(house, review_id, token, Said(Action.DECIDE, outcome="deny", reason_code="fraud"))
    (last,) = (one for one in bodies(db) if one["type"] == "review.verdict_given")
    assert "shw_1" == last["data"]["shown"]


def test_a_screen_that_changed_is_kept_when_the_holder_looks_again_and_not_twice(db: Database, house: House) -> None:
    answer = submit(house)
    review_id = answer["review"]["id"]
    reviews.claim(db, me(house), review_id)
    assert reading.review(db, me(house), review_id)["to_keep"] is False
    types.apply(db, SYSTEM, {**REFUND, "guidance": "Look at the customer first."})
    assert reading.review(db, me(house), review_id)["to_keep"] is True
    for who in ("reviewer", "reviewer", "second"):
        reviews.look(db, me(house, who), review_id)
    assert 2 == len(rows(db, tables.shown))
    assert reading.review(db, me(house), review_id)["to_keep"] is False
    assert reading.review(db, me(house, "second"), review_id)["to_keep"] is False


def test_events_from_before_are_numbered_in_their_order_and_keep_their_bytes(db: Database, house: House) -> None:
    answer = submit(house)
    with db.write() as tx:  # a look at it, which has no number, between its events
        (submitted,) = tx.rows(sa.select(tables.event).where(tables.event.c.object_id == answer["id"]))
        looked = {"id": new_id("evt"), "type": "decision.viewed", "version": None}
        tx.insert(tables.event, [{**submitted._mapping, **looked}])
    reviews.claim(db, me(house), answer["review"]["id"])
    before = {row.id: (row.version, row.body) for row in rows(db, tables.event)}
    schema.migrate(db, "0006")
    schema.migrate(db)
    assert before == {row.id: (row.version, row.body) for row in rows(db, tables.event)}
    held = reviews.claim(db, me(house), answer["review"]["id"])
    rule(house, answer["review"]["id"], held["lease"]["token"], Said(Action.APPROVE))
    numbers = [one["object"]["version"] for one in bodies(db) if one["object"]["id"] == answer["review"]["id"]]
    assert [1, 2, 3, 4] == numbers


@pytest.mark.parametrize("part", ["rationale", "input"])
def test_a_commitment_opens_for_its_own_content_salt_and_label_alone(part: str) -> None:
    made = commit(b"s" * 16, part, b"content")
    others = {commit(b"t" * 16, part, b"content"), commit(b"s" * 16, "shown", b"content"), commit(b"s" * 16, part, b"")}
    assert 64 == len(made)
    assert made not in others


def test_without_a_key_a_receipt_says_the_leaf_and_promises_nothing(db: Database, house: House) -> None:
    nobody = replace(signer(), keys=())
    (done,) = submit_many(db, [Submission(house.keys["service"], submission() | {"metadata": {}}, "f")], nobody.promise)
    assert isinstance(done, Submitted)
    assert json.loads(done.text)["receipt"]["promise"] is None

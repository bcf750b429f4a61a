"""What the actions promise where it is easy to break it: blindness, timeouts, the last admin, twins, expiries."""

import csv
import io
import json
import threading
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from app.actions import decisions, exports, people, policies, reading, reviews, sessions, types, upkeep, verdicts
from app.domain.access import SYSTEM, Actor, Grant
from app.domain.errors import Conflict, Forbidden, HandrailError, Invalid, Throttled, Unauthenticated
from app.domain.review import Action, Said
from app.store import decision_types
from app.store.db import Database
from app.store.decisions import Filters
from tests.factories import POLICY, REFUND, House, person, put_policy, submission


def actor(house: House, who: str, *grants: Grant) -> Actor:
    return Actor("person", house.people[who], who, person_id=house.people[who], grants=grants or (Grant(who),))


def submit(house: House, **changes: Any) -> str:
    body = {"metadata": {}, **submission(**changes)}
    (done,) = decisions.submit_many(house.db, [decisions.Submission(house.keys["service"], body, json.dumps(body))])
    assert isinstance(done, decisions.Submitted), done
    return str(json.loads(done.text)["id"])


def claim(house: House, who: Actor) -> dict[str, Any]:
    got = reviews.claim_next(house.db, who)
    assert isinstance(got, dict), got
    return got


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call gave or raised, all begun together."""
    gate, results = threading.Barrier(len(calls)), []

    def run(call: Callable[[], Any]) -> None:
        gate.wait()
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_key_with_fewer_scopes_does_not_show_its_person_a_blind_proposal(db: Database, house: House) -> None:
    decision_id = submit(house, confidence=0.1)
    grants = (Grant("reviewer"), Grant("auditor"))
    for scope in ("decisions:read", "audit:read"):
        key = Actor(
            "key", "key_x", "x", house.people["reviewer"], "key_x", grants=grants, scopes=frozenset({scope})
        )  # fmt: skip
        assert reading.decision(db, key, decision_id)["proposal"] is None
    assert json.loads(b"".join(exports.decisions_jsonl(db, key, Filters())))["proposal"] is None


def with_expiry(**more: Any) -> dict[str, Any]:
    document = deepcopy(dict(POLICY))
    document["review"] |= {"expires_after": "1h", "on_expiry": {"outcome": "deny"}, **more}
    return document


def test_a_type_cannot_change_so_that_its_active_policy_approves_by_timeout(db: Database, house: House) -> None:
    put_policy(db, with_expiry())
    approving = [{"key": "approve", "title": "Pay"}, {"key": "deny", "title": "Deny", "approving": True}]
    with pytest.raises(Invalid, match="active policy"):
        types.apply(db, SYSTEM, {**REFUND, "outcomes": approving})


def test_a_waiting_review_whose_outcome_became_approving_is_escalated_not_settled(db: Database, house: House) -> None:
    put_policy(db, with_expiry())
    decision_id = submit(house)
    put_policy(db, POLICY)
    approving = [{"key": "approve", "title": "Pay"}, {"key": "deny", "title": "Deny", "approving": True}]
    types.apply(db, SYSTEM, {**REFUND, "outcomes": approving})
    db.offset = timedelta(hours=2)
    assert 1 == upkeep.expire(db)
    told = reading.decision(db, SYSTEM, decision_id)
    assert ("pending", 1) == (told["status"], told["reviews"][0]["level"])


def test_a_timeout_gives_the_policys_outcome_when_it_approves_nothing(db: Database, house: House) -> None:
    put_policy(db, with_expiry())
    decision_id = submit(house)
    db.offset = timedelta(hours=2)
    assert 1 == upkeep.expire(db)
    told = reading.decision(db, SYSTEM, decision_id)
    assert ("final", "deny", "timeout") == (told["status"], told["outcome"], told["decided_by"])


def test_a_review_that_cannot_expire_does_not_keep_the_others_from_it(db: Database, house: House) -> None:
    types.apply(db, SYSTEM, {**REFUND, "slug": "voucher"})
    for slug in ("refund", "voucher"):
        put_policy(db, with_expiry() | {"decision_type": slug})
    broken, sound = submit(house, decision_type="voucher"), submit(house)
    with db.write() as tx:
        whole: Any = decision_types.get(tx, "voucher")
        decision_types.change(tx, "voucher", {"document": "no JSON"})
    db.offset = timedelta(hours=2)
    assert 1 == upkeep.expire(db)
    assert ["pending", "final"] == [reading.decision(db, SYSTEM, one)["status"] for one in (broken, sound)]
    with db.write() as tx:
        decision_types.change(tx, "voucher", {"document": whole.document})
    review = reading.decision(db, SYSTEM, broken)["reviews"][0]["id"]
    assert upkeep.try_again(db, SYSTEM, upkeep.Duty.EXPIRE, review) is None
    assert "final" == reading.decision(db, SYSTEM, broken)["status"]


def test_who_has_judged_hears_what_others_judged_only_after_their_own_verdict(db: Database, house: House) -> None:
    put_policy(db, {**POLICY, "review": {**POLICY["review"], "reviewers": 3}})
    decision_id = submit(house, amount_cents=200_000, confidence=0.5)
    first, second, auditor = (
        actor(house, "reviewer"),
        actor(house, "second", Grant("reviewer")),
        actor(house, "auditor"),
    )
    review_id, deny = review_of(db, decision_id), Said(Action.DECIDE, outcome="deny")
    for who, times in ((first, 2), (second, 1)):
        token = claim(house, who)["lease"]["token"]
        for _ in range(times):
            verdicts.give_verdict(db, who, review_id, token, deny)
    heard = {who.id: judgements_heard(db, who, decision_id) for who in (second, auditor)}
    assert {second.id: [second.person_id], auditor.id: [first.person_id, second.person_id]} == heard
    verdicts.give_verdict(db, second, review_id, token, deny)
    assert [first.person_id, second.person_id] == judgements_heard(db, second, decision_id)


def review_of(db: Database, decision_id: str) -> str:
    return str(reading.decision(db, SYSTEM, decision_id)["reviews"][0]["id"])


def judgements_heard(db: Database, who: Actor, decision_id: str) -> list[str]:
    """Whose judgements the timeline tells them."""
    told = [one for one in reading.timeline(db, who, decision_id) if one["type"] == "review.judged"]
    return [one["actor"]["person"] for one in told if one["data"]]


def test_two_administrators_cannot_take_each_other_out_at_once(db: Database, house: House) -> None:
    other = person(db, "other", "admin")
    one = house.people["admin"]
    for _ in range(4):
        results = at_once(lambda: people.disable(db, SYSTEM, one), lambda: people.disable(db, SYSTEM, other))
        assert 1 == sum(isinstance(result, Conflict) for result in results), results
        for known in (one, other):
            people.enable(db, SYSTEM, known)


def test_twins_that_create_the_same_thing_get_an_answer_and_never_a_fault(db: Database, house: House) -> None:
    for n in range(3):
        voucher = {**REFUND, "slug": f"voucher-{n}"}
        made = at_once(*[lambda v=voucher: types.apply(db, SYSTEM, v) for _ in range(4)])
        assert 1 == sum(isinstance(one, dict) and one["created"] for one in made), made
        added = at_once(*[lambda n=n: people.add(db, SYSTEM, f"p{n}@example.org", "P", None) for _ in range(4)])
        assert [True] * 3 == [isinstance(one, HandrailError) for one in added if not isinstance(one, dict)], added


def test_a_replay_uses_the_type_as_it_was(db: Database, house: House) -> None:
    strict = {**REFUND, "on_invalid_input": "human_decides"}
    types.apply(db, SYSTEM, strict)
    decision_id = submit(house, amount_cents="lots")
    types.apply(db, SYSTEM, {**strict, "input_schema": {"type": "object"}})
    told = policies.replay(db, SYSTEM, decision_id)
    assert told["stored"] == told["again"]


def test_a_lease_that_is_over_is_told_even_when_somebody_claims_before_the_worker_comes(
    db: Database, house: House
) -> None:
    decision_id = submit(house)
    claim(house, actor(house, "reviewer"))
    db.offset = timedelta(minutes=20)
    claim(house, actor(house, "second", Grant("reviewer")))
    upkeep.announce_lapsed(db)
    kinds = [one["type"] for one in reading.timeline(db, SYSTEM, decision_id)]
    assert ["decision.submitted", "review.claimed", "review.lease_expired", "review.claimed"] == kinds


def test_a_late_verdict_of_the_newest_holder_stands_and_the_expiry_is_told(db: Database, house: House) -> None:
    decision_id, me = submit(house), actor(house, "reviewer")
    got = claim(house, me)
    db.offset = timedelta(minutes=20)
    verdicts.give_verdict(db, me, got["id"], got["lease"]["token"], Said(Action.APPROVE))
    kinds = [one["type"] for one in reading.timeline(db, SYSTEM, decision_id)]
    assert ["review.claimed", "review.lease_expired", "review.verdict_given"] == kinds[1:4]


def test_parallel_guesses_meet_the_limit_of_the_account(db: Database, house: House) -> None:
    people.add(db, SYSTEM, "ada@example.org", "Ada", sessions.hash_password("correct horse battery"), [])

    def guess(n: int) -> Any:
        return sessions.sign_in(db, "ada@example.org", f"wrong {n} wrong wrong", address=f"10.0.0.{n}", request_id=None)

    results = at_once(*[lambda n=n: guess(n) for n in range(10)])
    refused = [sum(isinstance(one, kind) for one in results) for kind in (Unauthenticated, Throttled)]
    assert [5, 5] == refused, results


def test_failures_of_some_do_not_lock_out_others_at_the_same_address(db: Database, house: House) -> None:
    people.add(db, SYSTEM, "ada@example.org", "Ada", sessions.hash_password("correct horse battery"), [])
    for n in range(8):
        with pytest.raises(Unauthenticated):
            sessions.sign_in(db, f"nobody{n}@example.org", "wrong wrong wrong", address="10.0.0.1", request_id=None)
    known = sessions.sign_in(db, "ada@example.org", "correct horse battery", address="10.0.0.1", request_id=None)
    assert "Ada" == known.actor.name


def test_the_second_of_two_reviewers_does_not_hear_the_first(db: Database, house: House) -> None:
    document = deepcopy(dict(POLICY))
    document["review"] |= {"reviewers": 2}
    put_policy(db, document)
    decision_id = submit(house)
    first, second = actor(house, "reviewer"), actor(house, "second", Grant("reviewer"), Grant("auditor"))
    got = claim(house, first)
    verdicts.give_verdict(db, first, got["id"], got["lease"]["token"], Said(Action.OVERRIDE, "deny", "fraud"))
    assert ["deny"] == [one["outcome"] for one in reading.review(db, first, got["id"])["verdicts"]]
    assert [] == reading.review(db, second, got["id"])["verdicts"]
    assert "deny" not in json.dumps(reading.timeline(db, second, decision_id))
    assert "deny" not in json.dumps(reading.event_list(db, second, object_id=got["id"]).data)
    again = claim(house, second)
    verdicts.give_verdict(db, second, again["id"], again["lease"]["token"], Said(Action.OVERRIDE, "deny", "fraud"))
    assert ("final", "deny") == tuple(reading.decision(db, second, decision_id)[name] for name in ("status", "outcome"))


def test_the_owner_of_one_type_cannot_change_a_queue_that_another_policy_routes_to(db: Database, house: House) -> None:
    document = deepcopy(dict(POLICY))
    document["review"]["queue"] = "shared-vip"
    put_policy(db, document)
    types.apply(db, SYSTEM, {**REFUND, "slug": "voucher"})
    owner = Actor("person", "usr_x", "O", person_id="usr_x", grants=(Grant("policy_owner", "voucher"),))
    with pytest.raises(Forbidden, match="serves other types"):
        types.apply(db, owner, {**REFUND, "slug": "voucher", "queue": "shared-vip", "lease": "10s"})


def test_a_page_of_a_scoped_auditor_is_full_of_what_they_may_read(db: Database, house: House) -> None:
    submit(house)
    for n in range(6):
        person(db, f"later{n}", "reviewer")
    scoped = actor(house, "auditor", Grant("auditor", "refund"))
    page = reading.event_list(db, scoped, limit=2)
    assert (2, True) == (len(page.data), page.next is not None)


@pytest.mark.parametrize("hostile", ["=1+1", " =1", "\n=1+1", "\u00a0=1", "＝1", "\ufeff=1", "@x", "\t=1", "-1+1"])
def test_no_cell_of_a_csv_can_start_a_formula(db: Database, house: House, hostile: str) -> None:
    submit(house, subject=hostile)
    text = b"".join(exports.decisions_csv(db, SYSTEM, Filters())).decode()
    row = next(csv.DictReader(io.StringIO(text, newline="")))
    assert f"'{hostile}" == row["subject"]


def test_the_event_of_an_export_does_not_keep_who_it_was_about(db: Database, house: House) -> None:
    list(exports.decisions_jsonl(db, SYSTEM, Filters(subject="ada@example.org")))
    told = reading.event_list(db, SYSTEM, type="export.started").data[0]
    assert "ada@example.org" not in json.dumps(told)
    assert {"subject": "given"} == told["data"]["filters"]


def test_a_twin_by_external_id_keeps_its_own_idempotency_key(db: Database, house: House) -> None:
    body = {"metadata": {}, **submission(external_id="t1")}
    key = house.keys["service"]
    both = [decisions.Submission(key, body, "f", ticket) for ticket in ("k1", "k2")]
    decisions.submit_many(db, both)
    (other,) = decisions.submit_many(db, [decisions.Submission(key, body, "another", "k2")])
    assert isinstance(other, Invalid)
    assert "idempotency_key_reused" == other.code

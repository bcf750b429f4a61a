"""What is erased is gone, what stays still proves itself, and who may not erase does not."""

import hashlib
import hmac
import json
from typing import get_args

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError

from app.actions import audit, erasure, people, reading, types
from app.actions.sessions import actor_of_key
from app.api import erasure_schemas
from app.domain import merkle
from app.domain.access import SYSTEM
from app.domain.erasure import Cause, HoldCause
from app.domain.errors import Conflict, Forbidden, Invalid, NotFound
from app.store import tables
from app.store.db import Database
from app.worker import run_once
from tests.actions.erasing import SECRET, Who, agreed, decided, events, everything, submit
from tests.factories import REFUND, House, key, person, signer


def test_no_table_holds_anything_of_an_erased_subject(client: TestClient, house: House, who: Who) -> None:
    submit(client, house)
    decided(client, house)
    assert everything(house.db).count(SECRET) > 10
    assert ("done", 2) == (agreed(house.db, who)["state"], erasure.requests(house.db, who("admin"))[0]["erased"])
    assert SECRET not in everything(house.db)


def test_the_event_names_every_commitment_whose_text_is_gone(client: TestClient, house: House, who: Who) -> None:
    told = decided(client, house)
    mine = [one for one in events(house.db) if one["decision"] == told["id"]]
    named = {f"{one['id']} {label}": value for one in mine for label, value in one["commitments"].items()}
    assert {"input", "proposal", "metadata", "explanation", "subject", "rationale", "shown"} <= {
        name.split()[1] for name in named
    }
    asked = agreed(house.db, who)
    (erased,) = events(house.db, "decision.erased")
    data = {"commitments": named, "under": "request", "request": asked["id"], "cause": "consent_withdrawn"}
    assert data == erased["data"]
    numbered = [one["object"]["version"] for one in events(house.db) if one["object"]["id"] == told["id"]]
    assert list(range(1, len(numbered) + 1)) == numbered


def test_no_event_changes_and_every_proof_of_before_still_holds(client: TestClient, house: House, who: Who) -> None:
    decided(client, house)
    audit.seal(house.db, signer())
    with house.db.read() as tx:
        size, root = tx.connection.execute(sa.select(tables.tree_head.c.size, tables.tree_head.c.root)).one()
    leaves = stored(house.db)
    assert size == len(leaves)
    agreed(house.db, who)
    audit.seal(house.db, signer())
    after = stored(house.db)
    assert leaves == after[:size]
    assert root == merkle.root(merkle.leaf_hash(one) for one in after[:size])
    assert len(after) > size


def stored(db: Database) -> list[bytes]:
    """The bytes of the sealed events, by index."""
    query = sa.select(tables.event.c.body).join(tables.sealed, tables.sealed.c.event_id == tables.event.c.id)
    with db.read() as tx:
        return [bytes(row.body) for row in tx.rows(query.order_by(tables.sealed.c.idx))]


def test_a_salt_that_is_gone_leaves_nothing_to_guess_with(client: TestClient, house: House, who: Who) -> None:
    told = submit(client, house)
    with house.db.read() as tx:
        salts = tx.value(sa.select(tables.decision.c.salts).where(tables.decision.c.id == told["id"]))
    (submitted,) = events(house.db, "decision.submitted")
    proof = hmac.new(salts[64:80], b"subject" + SECRET.encode(), hashlib.sha256).hexdigest()
    assert submitted["commitments"]["subject"] == proof
    agreed(house.db, who)
    assert salts.hex() not in everything(house.db)
    assert repr(salts)[2:-1] not in everything(house.db)


def test_whoever_reads_it_then_is_told_when_by_whom_and_under_what(client: TestClient, house: House, who: Who) -> None:
    told = decided(client, house)
    agreed(house.db, who)
    (erased,) = events(house.db, "decision.erased")
    view = reading.decision(house.db, who("auditor"), told["id"])
    assert {"at": erased["time"], "by": who("boss").id, "under": "request", "event": erased["id"]} == {
        name: value for name, value in view["erased"].items() if name != "by_name"
    }
    assert "Boss" == view["erased"].pop("by_name")
    assert (None, None, None, None) == (view["input"], view["metadata"], view["subject"], view["external_id"])
    assert ({"outcome": "approve", "confidence": 0.5}, "approve") == (view["proposal"], view["outcome"])
    assert [None] == [one["rationale"] for one in view["reviews"][0]["verdicts"]]
    lines = client.get("/api/v1/exports/decisions.jsonl", headers=house.headers("auditor")).text.splitlines()
    assert [view["erased"]] == [json.loads(line)["erased"] for line in lines]
    replayed = client.get(f"/api/v1/decisions/{told['id']}/replay", headers=house.headers("auditor"))
    assert (409, "erased") == (replayed.status_code, replayed.json()["code"])


def test_exports_written_by_the_database_and_row_by_row_tell_erasures_and_holds_alike(
    client: TestClient, house: House, who: Who
) -> None:
    held = submit(client, house, confidence=0.98)
    submit(client, house)
    erasure.hold(house.db, who("admin"), held["id"], "litigation")
    types.apply(house.db, SYSTEM, REFUND | {"slug": "other"})
    with house.db.write() as tx:
        tx.run(sa.update(tables.decision).where(tables.decision.c.id == held["id"]).values(subject="somebody else"))
    agreed(house.db, who)
    for kind in ("jsonl", "csv"):
        plain = client.get(f"/api/v1/exports/decisions.{kind}", headers=house.headers("auditor")).text
        by_row = client.get(f"/api/v1/exports/decisions.{kind}", headers=auditing_reviewer(house)).text
        assert plain == by_row
        assert "request" in plain


def auditing_reviewer(house: House) -> dict[str, str]:
    both = person(house.db, f"both{len(events(house.db))}", "reviewer")

    people.grant(house.db, SYSTEM, both, "auditor")
    return {"Authorization": f"Bearer {key(house.db, f'both{both}', 'audit:read', person_id=both)}"}


def test_nobody_approves_what_they_asked_for(client: TestClient, house: House, who: Who) -> None:
    submit(client, house)
    asked = erasure.request(house.db, who("admin"), SECRET, "objection")
    with pytest.raises(Conflict, match="somebody else must approve") as refused:
        erasure.approve(house.db, who("admin"), asked["id"])
    assert "same_person" == refused.value.code
    assert SECRET in everything(house.db)
    assert [] == events(house.db, "erasure.approved")


def test_nobody_approves_their_own_request_with_a_key_that_they_made_for_another(
    client: TestClient, house: House, who: Who
) -> None:
    submit(client, house)
    asked = erasure.request(house.db, who("admin"), SECRET, "objection")
    made = people.create_key(house.db, who("admin"), "borrowed", ["admin"], person_id=who("boss").person_id)["key"]
    borrowed = actor_of_key(house.db, made, None)
    assert borrowed
    with pytest.raises(Forbidden, match="signed in"):
        erasure.approve(house.db, borrowed, asked["id"])
    assert SECRET in everything(house.db)


def test_a_type_that_comes_under_hold_after_the_approval_keeps_its_data(
    client: TestClient, house: House, who: Who
) -> None:
    submit(client, house)
    asked = erasure.request(house.db, who("admin"), SECRET, "objection")
    erasure._approve(house.db, who("boss"), asked["id"])
    types.apply(house.db, SYSTEM, REFUND | {"legal_hold": True})
    run_once(house.db)
    assert [] == events(house.db, "decision.erased")
    (row,) = erasure.requests(house.db, who("admin"))
    assert ("approved", SECRET, 0, 1, ["decision_type"]) == tuple(
        row[name] for name in ("state", "subject", "erased", "held", "held_for")
    )


def test_a_request_that_meets_a_later_hold_says_what_it_waits_for_and_ends_with_the_hold(
    client: TestClient, house: House, who: Who
) -> None:
    first, second = submit(client, house), submit(client, house)
    asked = erasure.request(house.db, who("admin"), SECRET, "objection")
    erasure._approve(house.db, who("boss"), asked["id"])
    erasure.hold(house.db, who("admin"), second["id"], "litigation")
    for _ in range(2):
        done = erasure.finish(house.db, asked["id"], SYSTEM)
        assert ("approved", 1, 1, ["litigation"]) == tuple(done[n] for n in ("state", "erased", "held", "held_for"))
        assert 0 == run_once(house.db)["erase"]
    assert [first["id"]] == [one["object"]["id"] for one in events(house.db, "decision.erased")]
    with pytest.raises(Conflict, match=f"{second['id']} is under legal hold"):
        erasure.request(house.db, who("admin"), SECRET, "objection")
    erasure.release_hold(house.db, who("admin"), second["id"])
    assert 1 == run_once(house.db)["erase"]
    (row,) = erasure.requests(house.db, who("admin"))
    assert ("done", None, 2, 0, []) == tuple(row[name] for name in ("state", "subject", "erased", "held", "held_for"))
    assert SECRET not in everything(house.db)


@pytest.mark.parametrize("name", ["reviewer", "auditor", "lead", "owner"])
def test_only_administrators_erase_and_hold(client: TestClient, house: House, who: Who, name: str) -> None:
    told = submit(client, house)
    with pytest.raises(Forbidden):
        erasure.request(house.db, who(name), SECRET, "objection")
    with pytest.raises(Forbidden):
        erasure.requests(house.db, who(name))
    with pytest.raises(Forbidden):
        erasure.hold(house.db, who(name), told["id"], "litigation")


def test_a_key_that_is_nobody_erases_nothing(client: TestClient, house: House, who: Who) -> None:
    submit(client, house)
    robot = actor_of_key(house.db, key(house.db, "robot", "admin"), None)
    assert robot
    with pytest.raises(Forbidden, match="Only people"):
        erasure.request(house.db, robot, SECRET, "objection")


def test_a_legal_hold_blocks_and_says_which(client: TestClient, house: House, who: Who) -> None:
    told = submit(client, house)
    erasure.hold(house.db, who("admin"), told["id"], "litigation")
    with pytest.raises(Conflict, match=f"{told['id']} is under legal hold") as refused:
        erasure.request(house.db, who("admin"), SECRET, "objection")
    assert "legal_hold" == refused.value.code
    erasure.release_hold(house.db, who("admin"), told["id"])
    erasure.release_hold(house.db, who("admin"), told["id"])
    assert "done" == agreed(house.db, who)["state"]
    assert [{"hold": "litigation"}] == [one["after"] for one in events(house.db, "decision.held")]
    assert [{"hold": None}] == [one["after"] for one in events(house.db, "decision.hold_released")]
    with pytest.raises(Conflict, match="nothing left to hold"):
        erasure.hold(house.db, who("admin"), told["id"], "litigation")


def test_a_hold_that_comes_between_request_and_approval_blocks_too(client: TestClient, house: House, who: Who) -> None:
    told = submit(client, house)
    asked = erasure.request(house.db, who("admin"), SECRET, "objection")
    erasure.hold(house.db, who("admin"), told["id"], "regulator")
    with pytest.raises(Conflict, match="legal hold"):
        erasure.approve(house.db, who("boss"), asked["id"])
    assert SECRET in everything(house.db)


def test_a_type_under_legal_hold_blocks(client: TestClient, house: House, who: Who) -> None:
    submit(client, house)
    types.apply(house.db, SYSTEM, REFUND | {"legal_hold": True})
    with pytest.raises(Conflict, match="legal hold"):
        erasure.request(house.db, who("admin"), SECRET, "objection")


def test_a_pending_decision_must_be_decided_or_withdrawn_first(client: TestClient, house: House, who: Who) -> None:
    told = submit(client, house, confidence=0.83)
    with pytest.raises(Conflict, match=f"{told['id']} is still pending, and nobody can judge without the input"):
        erasure.request(house.db, who("admin"), SECRET, "objection")
    client.post(f"/api/v1/decisions/{told['id']}/cancellation", headers=house.headers("service"))
    assert "done" == agreed(house.db, who)["state"]
    assert SECRET not in everything(house.db)


def test_an_unknown_subject_or_cause_is_refused_in_a_sentence(house: House, who: Who) -> None:
    with pytest.raises(NotFound, match="spelt just as the service sent it"):
        erasure.request(house.db, who("admin"), "nobody", "objection")
    with pytest.raises(Invalid, match="must be one of no_longer_needed"):
        erasure.request(house.db, who("admin"), "nobody", "because")


def test_a_request_is_declined_or_taken_back_once(client: TestClient, house: House, who: Who) -> None:
    submit(client, house)
    asked = erasure.request(house.db, who("admin"), SECRET, "objection")
    assert "declined" == erasure.decline(house.db, who("admin"), asked["id"])["state"]
    assert [None] == [one["subject"] for one in erasure.requests(house.db, who("boss"))]
    with pytest.raises(Conflict, match="declined already"):
        erasure.approve(house.db, who("boss"), asked["id"])
    assert ["erasure.declined"] == [one["type"] for one in events(house.db, "erasure.declined")]


def test_the_worker_goes_on_where_a_process_died(client: TestClient, house: House, who: Who) -> None:
    for _ in range(3):
        submit(client, house)
    asked = erasure.request(house.db, who("admin"), SECRET, "objection")
    erasure._approve(house.db, who("boss"), asked["id"])
    assert SECRET in everything(house.db)
    run_once(house.db)
    assert SECRET not in everything(house.db)
    assert [("done", 3)] == [(one["state"], one["erased"]) for one in erasure.requests(house.db, who("admin"))]


def test_no_event_of_an_erasure_says_the_subject(client: TestClient, house: House, who: Who) -> None:
    submit(client, house)
    agreed(house.db, who)
    kinds = ("erasure.requested", "erasure.approved", "decision.erased")
    assert kinds == tuple(one["type"] for one in events(house.db) if one["type"] in kinds)
    assert SECRET not in json.dumps(events(house.db))


def test_what_is_asked_of_an_erased_decision_is_refused_or_answered_and_never_a_fault(
    client: TestClient, house: House, who: Who
) -> None:
    told = decided(client, house)
    agreed(house.db, who)
    review = events(house.db, "review.claimed")[0]["object"]["id"]
    paths = (f"decisions/{told['id']}", f"decisions/{told['id']}/events", f"reviews/{review}", "decisions", "events")
    for path in paths:
        answer = client.get(f"/api/v1/{path}", headers=house.headers("auditor"))
        assert (200, False) == (answer.status_code, SECRET in answer.text), path


class TestOverTheApi:
    def test_the_causes_of_the_wire_are_those_of_the_domain(self) -> None:
        assert list(Cause) == list(get_args(erasure_schemas.CauseName))
        assert list(HoldCause) == list(get_args(erasure_schemas.HoldCauseName))

    def test_an_erasure_takes_two_administrators(self, client: TestClient, house: House, who: Who) -> None:
        submit(client, house)
        boss = {"Authorization": f"Bearer {key(house.db, 'two', 'admin', person_id=str(who('boss').person_id))}"}
        body = {"subject": SECRET, "cause": "unlawful"}
        asked = client.post("/api/v1/erasures", json=body, headers=house.headers("admin", Idempotency_Key="1"))
        assert (201, False) == (asked.status_code, SECRET in asked.text)
        url = f"/api/v1/erasures/{asked.json()['id']}/approval"
        assert 409 == client.post(url, headers=house.headers("admin")).status_code
        assert [SECRET] == [one["subject"] for one in client.get("/api/v1/erasures", headers=boss).json()["data"]]
        done = client.post(url, headers=boss)
        assert (200, "done", 1) == (done.status_code, done.json()["state"], done.json()["erased"])
        assert SECRET not in everything(house.db)
        assert 404 == client.post("/api/v1/erasures/ers_x/refusal", headers=boss).status_code

    def test_a_decision_is_held_and_released(self, client: TestClient, house: House) -> None:
        told = submit(client, house)
        url = f"/api/v1/decisions/{told['id']}"
        held = client.put(f"{url}/hold", json={"cause": "regulator"}, headers=house.headers("admin"))
        assert (200, "regulator") == (held.status_code, held.json()["legal_hold"]["cause"])
        seen = client.get(url, headers=house.headers("auditor")).json()
        assert held.json()["legal_hold"] == seen["legal_hold"]
        assert 422 == client.put(f"{url}/hold", json={"cause": "x"}, headers=house.headers("admin")).status_code
        assert 403 == client.delete(f"{url}/hold", headers=house.headers("auditor")).status_code
        assert {"decision_id": told["id"], "legal_hold": None} == client.delete(
            f"{url}/hold", headers=house.headers("admin")
        ).json()


FORGOTTEN = [
    ("verdict", "rationale = NULL, salt = NULL"), ("judgement", "rationale = NULL, salt = NULL"),
    ("shown", "content = NULL, salt = NULL"),
]  # fmt: skip
KEPT = [
    ("verdict", "rationale = NULL, salt = NULL, outcome = 'deny'"),
    ("verdict", "rationale = 'another', salt = NULL"),
    ("verdict", "rationale = NULL"),
    ("verdict", "rationale = NULL, salt = NULL, created_at = claimed_at"),
    ("judgement", "rationale = NULL, salt = NULL, person_id = 'usr_x'"),
    ("judgement", "rationale = 'another', salt = NULL"),
    ("shown", "content = 'another', salt = NULL"),
    ("shown", "content = NULL, salt = NULL, token = 7"),
]


class TestTriggers:
    @pytest.mark.parametrize(("table", "change"), KEPT)
    def test_not_even_of_an_erased_decision_anything_else_changes(
        self, client: TestClient, house: House, table: str, change: str
    ) -> None:
        told = decided(client, house)
        with house.db.write() as tx:
            tx.run(sa.text("UPDATE decision SET erased_at = created_at"))
        with pytest.raises(DBAPIError, match="append-only"), house.db.write() as tx:
            tx.run(sa.text(f"UPDATE {table} SET {change}"))
        assert told["id"] in everything(house.db)

    @pytest.mark.parametrize(("table", "change"), FORGOTTEN)
    def test_forgetting_is_for_decisions_that_are_marked(
        self, client: TestClient, house: House, table: str, change: str
    ) -> None:
        decided(client, house)
        with pytest.raises(DBAPIError, match="append-only"), house.db.write() as tx:
            tx.run(sa.text(f"UPDATE {table} SET {change}"))
        with house.db.write() as tx:
            tx.run(sa.text("UPDATE decision SET erased_at = created_at"))
            assert tx.run(sa.text(f"UPDATE {table} SET {change}")) > 0

    @pytest.mark.parametrize("table", ["verdict", "judgement", "shown"])
    def test_nothing_is_deleted(self, client: TestClient, house: House, table: str) -> None:
        decided(client, house)
        for statement in ("DELETE FROM {}", "TRUNCATE {}"):
            if house.db.is_sqlite and statement.startswith("TRUNCATE"):
                continue
            with pytest.raises(DBAPIError, match="append-only"), house.db.write() as tx:
                tx.run(sa.text(statement.format(table)))

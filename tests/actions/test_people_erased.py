"""Somebody who left is forgotten but for their id; and no event ever said who anybody is."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.actions import erasure, people, reading, reads, reviews, sessions
from app.actions.sessions import actor_of_key
from app.domain.access import SYSTEM, Actor
from app.domain.errors import Conflict, Forbidden, Unauthenticated
from app.domain.events import EventType
from app.store import tables
from app.store.db import Database
from app.worker import run_once
from tests.factories import House, key, person, submission


def me(house: House, name: str) -> Actor:
    found = actor_of_key(house.db, house.keys[name], None)
    assert found
    return found


def bodies(db: Database) -> list[tuple[str, bytes]]:
    with db.read() as tx:
        return [(row.type, bytes(row.body)) for row in tx.rows(sa.select(tables.event))]


def test_name_and_address_go_and_the_id_stays(house: House) -> None:
    left = house.people["reviewer"]
    token = key(house.db, "theirs", "decisions:read", person_id=left)
    done = people.erase(house.db, me(house, "admin"), left)
    assert (left, "Erased person", left, True, []) == (
        done["id"], done["name"], done["email"], done["disabled"], done["grants"],
    )  # fmt: skip
    assert actor_of_key(house.db, token, None) is None
    kinds = [kind for kind, _ in bodies(house.db)]
    assert {"person.disabled", "person.grant_revoked", "key.revoked", "person.erased"} <= set(kinds)
    before = len(bodies(house.db))
    people.erase(house.db, me(house, "admin"), left)
    assert before == len(bodies(house.db))


def test_names_of_their_keys_go_unless_they_are_the_name_of_a_service(client: TestClient, house: House) -> None:
    left = house.people["reviewer"]
    for name in ("Ada's laptop", "Ada's phone", "refund bot"):
        token = key(house.db, name, "decisions:read", "decisions:write", person_id=left)
    people.revoke_key(house.db, SYSTEM, next(k["id"] for k in people.keys(house.db, SYSTEM) if "laptop" in k["name"]))
    told = client.post("/api/v1/decisions", json=submission(), headers={"Authorization": f"Bearer {token}"})
    assert 201 == told.status_code
    people.erase(house.db, SYSTEM, left)
    theirs = [one["name"] for one in people.keys(house.db, SYSTEM) if one["person_id"] == left]
    assert ["Key of an erased person"] * 3 + ["refund bot"] == sorted(theirs)
    assert "service" in {one["name"] for one in people.keys(house.db, SYSTEM)}
    assert [] == [kind for kind, body in bodies(house.db) if b"Ada" in body or b"reviewer-key" in body]
    assert ["decision.submitted"] == [kind for kind, body in bodies(house.db) if b"refund bot" in body]


def test_the_address_is_free_again_and_the_erased_get_nothing(house: House) -> None:
    left = house.people["reviewer"]
    people.erase(house.db, SYSTEM, left)
    again = person(house.db, "reviewer", "reviewer")
    assert again != left
    for change in (
        lambda: people.enable(house.db, SYSTEM, left),
        lambda: people.grant(house.db, SYSTEM, left, "auditor"),
        lambda: people.set_password(house.db, SYSTEM, left, "hash"),
        lambda: people.create_key(house.db, SYSTEM, "k", ["decisions:read"], person_id=left),
    ):
        with pytest.raises(Conflict, match="was erased"):
            change()


def test_nobody_erases_themselves_the_last_administrator_or_without_the_role(house: House) -> None:
    with pytest.raises(Conflict, match="themselves"):
        people.erase(house.db, me(house, "admin"), house.people["admin"])
    with pytest.raises(Conflict, match="nobody to manage people"):
        people.erase(house.db, SYSTEM, house.people["admin"])
    with pytest.raises(Forbidden):
        people.erase(house.db, me(house, "auditor"), house.people["reviewer"])


SILENT = {
    # Of a duty or a step that this walk does not take; what writes them takes ids only, and the tests of each say so.
    EventType.REVIEW_LEASE_EXPIRED, EventType.REVIEW_OVERDUE, EventType.REVIEW_EXPIRED, EventType.DUTY_RETRIED,
    EventType.DECISION_OVERTURNED, EventType.RETENTION_RAN, EventType.TYPE_ARCHIVED, EventType.TYPE_RESTORED,
    EventType.TYPE_CHANGED, EventType.POLICY_PROPOSED, EventType.POLICY_RETIRED,
}  # fmt: skip


def test_no_event_says_the_name_or_address_of_anybody(client: TestClient, house: House) -> None:
    walk(client, house)
    with house.db.read() as tx:
        known = tx.rows(sa.select(tables.person))
    told = bodies(house.db)
    assert set() == {one.value for one in set(EventType) - SILENT} - {kind for kind, _ in told}
    for kind, body in told:
        for one in known:
            assert one.name.encode() not in body, (kind, body)
        assert b"@example.org" not in body.lower(), (kind, body)


def walk(client: TestClient, house: House) -> None:
    """Everything that people do, by people whose names and addresses could not be there by chance."""
    with house.db.write() as tx:
        for row in tx.rows(sa.select(tables.person)):
            change = {"name": f"Zz{row.name}zZ", "email": f"zz{row.email}"}
            tx.run(tables.person.update().where(tables.person.c.id == row.id).values(change))
    decide(client, house)
    admin, auditor = house.headers("admin"), house.headers("auditor")
    for path in ("decisions", "events"):
        client.get(f"/api/v1/{path}?" + ("subject=zzada@example.org" if path == "decisions" else ""), headers=auditor)
    client.get("/api/v1/exports/decisions.csv?subject=zzada@example.org", headers=auditor)
    told = client.post("/api/v1/decisions", json=asked(0.99), headers=house.headers("service")).json()
    client.get(f"/api/v1/decisions/{told['id']}", headers=auditor)
    client.put(f"/api/v1/decisions/{told['id']}/hold", json={"cause": "other"}, headers=admin)
    client.delete(f"/api/v1/decisions/{told['id']}/hold", headers=admin)
    erasure.decline(house.db, me(house, "admin"), request(house)["id"])
    second = person(house.db, "boss", "admin")
    boss = actor_of_key(house.db, key(house.db, "b", "admin", person_id=second), None)
    assert boss
    erasure.approve(house.db, boss, request(house)["id"])
    told = reads.Reads(house.db)
    told.people(me(house, "admin"), 8)
    told.person(me(house, "admin"), house.people["reviewer"])
    told.event(me(house, "admin"), reading.event_list(house.db, SYSTEM).data[0]["id"], None, None)
    sign(house)
    reviewer = house.people["reviewer"]
    people.disable(house.db, me(house, "admin"), reviewer)
    people.enable(house.db, me(house, "admin"), reviewer)
    people.set_preferences(house.db, me(house, "reviewer"), "Europe/Vienna", True)
    people.erase(house.db, me(house, "admin"), reviewer)
    run_once(house.db)


def request(house: House) -> Any:
    return erasure.request(house.db, me(house, "admin"), "zzada@example.org", "objection")


def asked(confidence: float) -> dict[str, Any]:
    return submission(subject="zzada@example.org", external_id=f"zzada@example.org {confidence}", confidence=confidence)


def decide(client: TestClient, house: House) -> None:
    def move(path: str, **body: Any) -> Any:
        who = house.headers(body.pop("who", "reviewer"))
        answer = client.request(body.pop("verb", "POST"), f"/api/v1/{path}", json=body or None, headers=who)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def fresh(n: int, confidence: float = 0.83) -> tuple[str, int]:
        told = move("decisions", who="service", **asked(confidence + n / 10_000))
        taken = move(f"reviews/{told['review']['id']}/claim")
        return taken["id"], taken["lease"]["token"]

    review, token = fresh(0)
    token = move(f"reviews/{review}/lease", verb="PUT", token=token)["lease"]["token"]
    move(f"reviews/{review}/lease", verb="DELETE", token=token)
    reviews.undo(house.db, me(house, "reviewer"), review)
    token = move(f"reviews/{review}/claim")["lease"]["token"]
    reviews.snooze(house.db, me(house, "reviewer"), review, token, 30)
    reviews.undo(house.db, me(house, "reviewer"), review)
    token = move(f"reviews/{review}/claim")["lease"]["token"]
    move(f"reviews/{review}/verdict", token=token, action="escalate", rationale="zzada@example.org")
    token = move(f"reviews/{review}/claim", who="lead")["lease"]["token"]
    move(f"reviews/{review}/verdict", who="lead", token=token, action="approve", rationale="ZzReviewerzZ")
    review, token = fresh(1)
    move(f"reviews/{review}/verdict", token=token, action="abstain", rationale="zzada@example.org")
    token = move(f"reviews/{review}/claim", who="second")["lease"]["token"]
    move(f"reviews/{review}/verdict", who="second", token=token, action="approve")
    review, token = fresh(0, 0.4)
    move(f"reviews/{review}/verdict", token=token, action="decide", outcome="deny", rationale="zzada@example.org")
    move(f"reviews/{review}/verdict", token=token, action="decide", outcome="deny", rationale="zzada@example.org")
    told = move("decisions", who="service", **asked(0.85))
    move(f"decisions/{told['id']}/cancellation", who="service")
    client.get(f"/api/v1/reviews/{review}", headers=house.headers("auditor"))


def sign(house: House) -> None:
    """In, wrong, and out again."""
    people.set_password(house.db, SYSTEM, house.people["lead"], sessions.hash_password("correct horse battery"))
    where: Any = {"address": "127.0.0.1", "request_id": None}
    made = sessions.sign_in(house.db, "zzlead@example.org", "correct horse battery", **where)
    actor = sessions.actor_of_session(house.db, made.token, None)
    assert actor
    sessions.sign_out(house.db, actor)
    with pytest.raises(Unauthenticated):
        sessions.sign_in(house.db, "zzlead@example.org", "wrong", **where)

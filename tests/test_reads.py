"""Who opened and searched what is told, in both doors: of auditors and administrators, and before they see it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.actions import audit, reads, reviews
from app.actions.sessions import actor_of_key
from app.domain.access import Actor, Grant
from app.domain.errors import Unavailable
from app.domain.events import Event, EventType
from app.store import tables
from app.store.db import Database
from tests.factories import House, signer, submission
from tests.web.house import House as Pages


def told(db: Database) -> list[dict[str, Any]]:
    """The bodies of all reads, oldest first."""
    with db.read() as tx:
        rows = tx.rows(sa.select(tables.event).order_by(tables.event.c.created_at, tables.event.c.id))
        return [json.loads(row.body) for row in rows if row.type.endswith((".viewed", ".searched"))]


def in_short(db: Database) -> list[tuple[Any, ...]]:
    return [(one["type"], one["object"]["id"], one["actor"]["person"], one["data"]) for one in told(db)]


@pytest.fixture
def submitted(client: TestClient, house: House) -> dict[str, Any]:
    body = submission(subject="ada@example.net", external_id="order of ada")
    answer: dict[str, Any] = client.post("/api/v1/decisions", json=body, headers=house.headers("service")).json()
    return answer


def get(client: TestClient, house: House, who: str, path: str, **query: Any) -> None:
    answer = client.get(f"/api/v1{path}", params=query, headers=house.headers(who))
    assert 200 == answer.status_code, answer.text


def test_the_api_tells_what_an_auditor_read(client: TestClient, house: House, submitted: dict[str, Any]) -> None:
    decision, review, auditor = submitted["id"], submitted["review"]["id"], house.people["auditor"]
    get(client, house, "auditor", f"/decisions/{decision}")
    get(client, house, "auditor", f"/decisions/{decision}/events")
    get(client, house, "auditor", f"/decisions/{decision}/replay")
    get(client, house, "auditor", f"/reviews/{review}")
    get(client, house, "auditor", "/decisions", type="refund", status="pending")
    get(client, house, "auditor", "/events", type="decision.submitted", object=decision)
    searched = {"filters": {"type": "decision.submitted", "object": decision}, "shown": 1}
    assert in_short(house.db) == [
        ("decision.viewed", decision, auditor, {"part": "whole"}),
        ("decision.viewed", decision, auditor, {"part": "timeline"}),
        ("decision.viewed", decision, auditor, {"part": "replay"}),
        ("review.viewed", review, auditor, {}),
        ("decision.searched", "*", auditor, {"filters": {"type": "refund", "status": "pending"}, "shown": 1}),
        ("event.searched", "*", auditor, searched),
    ]


def test_the_api_tells_whose_proof_an_auditor_asked_for(
    client: TestClient, house: House, submitted: dict[str, Any]
) -> None:
    audit.seal(house.db, signer())
    event_id = submitted["event"]["id"]
    get(client, house, "service", f"/audit/events/{event_id}/proof")
    get(client, house, "auditor", f"/audit/events/{event_id}/proof")
    assert [("event.viewed", event_id, house.people["auditor"], {"part": "proof"})] == in_short(house.db)
    assert (submitted["id"], "refund") == (told(house.db)[0]["decision"], told(house.db)[0]["decision_type"])


def test_what_could_name_a_person_is_told_as_given_and_no_more(
    client: TestClient, house: House, submitted: dict[str, Any]
) -> None:
    get(
        client,
        house,
        "auditor",
        "/decisions",
        subject="zoltan@example.net",
        external_id="cus_550e8400-e29b-41d4-a716-446655440000",
    )
    get(client, house, "auditor", "/decisions", type="zoltan@example.net", model="Zoltan Lovelace")
    get(client, house, "auditor", "/events", actor="Zoltan Lovelace", object="zoltan@example.net")
    assert [2, 2, 2] == [len(one["data"]["filters"]) for one in told(house.db)]
    for one in told(house.db):
        assert {"given"} == set(one["data"]["filters"].values()), one
        assert "zoltan" not in json.dumps(one).lower()


def test_work_is_no_sensitive_read(client: TestClient, house: House, submitted: dict[str, Any]) -> None:
    for who in ("reviewer", "lead", "owner"):
        get(client, house, who, f"/decisions/{submitted['id']}")
        get(client, house, who, "/decisions")
    get(client, house, "service", f"/decisions/{submitted['id']}")
    get(client, house, "reviewer", f"/reviews/{submitted['review']['id']}")
    assert [] == told(house.db)


def test_whoever_holds_a_review_opens_it_untold_also_as_an_administrator(house: House) -> None:
    kept = reads.Reads(house.db)
    admin = Actor("person", "usr_1", "A", person_id="usr_1", grants=(Grant("admin"), Grant("reviewer")))
    review = {"id": "rev_1", "decision_id": None, "decision_type": "refund"}
    kept.review(admin, review | {"mine": True})
    assert [] == told(house.db)
    kept.review(admin, review | {"mine": False})
    assert ["review.viewed"] == [one["type"] for one in told(house.db)]


def test_what_is_not_given_is_not_told(client: TestClient, house: House) -> None:
    answer = client.get("/api/v1/decisions/ada@example.net", headers=house.headers("auditor"))
    assert 404 == answer.status_code
    assert [] == told(house.db)


def test_a_read_that_cannot_be_told_is_not_given(
    client: TestClient, house: House, submitted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("The database is away.")

    monkeypatch.setattr(reads, "record", away)
    answer = client.get(f"/api/v1/decisions/{submitted['id']}", headers=house.headers("auditor"))
    assert 503 == answer.status_code
    assert "amount_cents" not in answer.text
    get(client, house, "reviewer", f"/decisions/{submitted['id']}")


def test_reads_are_in_no_timeline_and_do_not_stand_in_the_way_of_an_undo(
    client: TestClient, house: House, submitted: dict[str, Any], actor: Callable[[str], Actor]
) -> None:
    review = submitted["review"]["id"]
    claimed: Any = reviews.claim(house.db, actor("reviewer"), review)
    reviews.release(house.db, actor("reviewer"), review, claimed["lease"]["token"])
    get(client, house, "auditor", f"/reviews/{review}")
    get(client, house, "auditor", f"/decisions/{submitted['id']}")
    reviews.undo(house.db, actor("reviewer"), review)
    answer = client.get(f"/api/v1/decisions/{submitted['id']}/events", headers=house.headers("auditor"))
    kinds = [one["type"] for one in answer.json()["data"]]
    assert "review.undone" in kinds
    assert not [one for one in kinds if one.endswith(("viewed", "searched"))]


@pytest.fixture
def actor(house: House) -> Callable[[str], Actor]:
    def known(who: str) -> Actor:
        found = actor_of_key(house.db, house.keys[who], None)
        assert found
        return found

    return known


def test_the_setting_turns_it_off(house: House, actor: Callable[[str], Actor]) -> None:
    reads.Reads(house.db, on=False).people(actor("admin"), 3)
    assert [] == told(house.db)


def test_every_kind_of_read_can_be_recognised_by_its_name(house: House, actor: Callable[[str], Actor]) -> None:
    for kind in (EventType.PERSON_VIEWED, EventType.EVENT_SEARCHED):
        reads.record(house.db, actor("admin"), Event(kind, "x"))
    assert ["person.viewed", "event.searched"] == [one["type"] for one in told(house.db)]


class TestPages:
    @pytest.fixture
    def pages(self, db: Database) -> Pages:
        return Pages(db)

    def test_the_pages_tell_what_was_opened_and_searched(self, pages: Pages) -> None:
        decision = pages.submit(confidence=0.85)
        pages.app.state.signer = signer()
        audit.seal(pages.db, signer())
        auditor, admin = pages.browser("auditor"), pages.browser("admin")
        auditor.get("/decisions?status=pending")
        auditor.get(f"/decisions/{decision['id']}")
        auditor.get(f"/reviews/{decision['review']['id']}")
        auditor.get("/audit?actor=Auditor&event=person.signed_in")
        auditor.get(f"/audit/events/{decision['event']['id']}")
        auditor.get(f"/audit/events/{decision['event']['id']}/proof")
        admin.get("/people")
        admin.get(f"/people/{pages.ids['auditor']}")
        admin.get(f"/people/{pages.ids['admin']}")
        me, boss = pages.ids["auditor"], pages.ids["admin"]
        assert in_short(pages.db) == [
            ("decision.searched", "*", me, {"filters": {"status": "pending"}, "shown": 1}),
            ("decision.viewed", decision["id"], me, {"part": "whole"}),
            ("review.viewed", decision["review"]["id"], me, {}),
            ("event.searched", "*", me, {"filters": {"type": "person.signed_in", "actor": me}, "shown": 0}),
            ("event.viewed", decision["event"]["id"], me, {"part": "whole"}),
            ("event.viewed", decision["event"]["id"], me, {"part": "proof"}),
            ("person.searched", "*", boss, {"filters": {}, "shown": 6}),
            ("person.viewed", me, boss, {}),
        ]

    def test_pages_that_ask_again_by_themselves_tell_nothing(self, pages: Pages) -> None:
        admin = pages.browser("admin")
        admin.get("/flow")
        assert [] == told(pages.db)

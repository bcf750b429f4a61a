"""A key does not show its owner what they may still have to judge blind."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.actions import people
from app.domain.access import SYSTEM, Actor, Grant
from app.store.db import Database
from tests.api.test_calls import claim, rule, submit
from tests.factories import House, key

BLIND = {"confidence": 0.1}
SCOPES = ["decisions:read", "decisions:write", "audit:read"]


@pytest.fixture
def watched(db: Database, house: House) -> House:
    """The house, and `watcher`: a service's key that a reviewer made and so owns."""
    people.grant(db, SYSTEM, house.people["reviewer"], "admin")
    owner = Actor(
        "person", house.people["reviewer"], "R", person_id=house.people["reviewer"],
        grants=(Grant("reviewer"), Grant("admin")),
    )  # fmt: skip
    made = people.create_key(db, owner, "watcher", SCOPES)
    return House(db, house.people, {**house.keys, "watcher": made["key"], "unowned": key(db, "unowned", *SCOPES)})


def seen(client: TestClient, house: House, who: str, decision_id: str) -> list[Any]:
    """The proposal as each way of reading gives it."""
    headers = house.headers(who)
    one = client.get(f"/api/v1/decisions/{decision_id}", headers=headers).json()
    listed = client.get("/api/v1/decisions", headers=headers).json()["data"]
    exported = client.get("/api/v1/exports/decisions.jsonl", headers=headers).text.splitlines()
    return [view["proposal"] for view in (one, *listed, *map(json.loads, exported)) if view["id"] == decision_id]


def test_a_services_key_hides_what_its_owner_may_still_judge(client: TestClient, watched: House) -> None:
    told = submit(client, watched, **BLIND)
    assert [None] * 3 == seen(client, watched, "watcher", told["id"])
    events = client.get(f"/api/v1/decisions/{told['id']}/events", headers=watched.headers("watcher")).json()["data"]
    assert [{}] * len(events) == [one["data"] for one in events]
    proposal = {"outcome": "approve", "confidence": 0.1}
    assert [proposal] * 3 == seen(client, watched, "unowned", told["id"])


def test_it_shows_the_proposal_once_its_owner_has_judged(client: TestClient, watched: House) -> None:
    told = submit(client, watched, **BLIND)
    assert 202 == rule(client, watched, claim(client, watched), action="decide", outcome="deny").status_code
    assert None not in seen(client, watched, "watcher", told["id"])


def test_it_shows_what_it_submitted_itself_for_its_owner_can_never_rule_on_that(
    client: TestClient, watched: House
) -> None:
    told = submit(client, watched, who="watcher", **BLIND)
    assert None not in seen(client, watched, "watcher", told["id"])


def test_it_shows_what_its_owner_has_no_role_for(client: TestClient, db: Database, watched: House) -> None:
    told = submit(client, watched, **BLIND)
    people.revoke_grant(db, SYSTEM, watched.people["reviewer"], "reviewer")
    assert None not in seen(client, watched, "watcher", told["id"])

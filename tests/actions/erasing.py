"""Owns decisions that are full of a secret, and the two administrators who erase it, for the tests of erasure."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.actions import erasure
from app.actions.sessions import actor_of_key
from app.domain.access import Actor
from app.store import tables
from app.store.db import Database
from tests.factories import House, key, person, submission

SECRET = "ada-5512-secret"
Who = Callable[[str], Actor]


@pytest.fixture
def who(house: House) -> Who:
    boss = person(house.db, "boss", "admin")
    keys = dict(house.keys) | {"boss": key(house.db, "boss-key", "admin", "audit:read", person_id=boss)}

    def known(name: str) -> Actor:
        found = actor_of_key(house.db, keys[name], None)
        assert found
        return found

    return known


def submit(client: TestClient, house: House, **changes: Any) -> dict[str, Any]:
    """A decision that is full of the secret."""
    body = submission(
        subject=SECRET, external_id=f"order {SECRET} {len(events(house.db))}", metadata={"note": SECRET},
        **({"confidence": 0.99} | changes),
    )  # fmt: skip
    body["input"] |= {"customer": {"name": SECRET}}
    body["proposal"] |= {"explanation": SECRET, "arguments": {"to": SECRET}}
    answer = client.post("/api/v1/decisions", json=body, headers=house.headers("service"))
    assert 201 == answer.status_code, answer.text
    told: dict[str, Any] = answer.json()
    return told


def decided(client: TestClient, house: House, *, confidence: float = 0.5, **given: Any) -> dict[str, Any]:
    """One that a reviewer judged blind, then ruled on, with the secret in what they wrote and in kept answers."""
    told = submit(client, house, confidence=confidence)
    claim = client.post("/api/v1/claims", headers=house.headers("reviewer", Idempotency_Key=told["id"])).json()
    url = f"/api/v1/reviews/{claim['id']}"
    client.get(url, headers=house.headers("reviewer"))
    ruling = {"token": claim["lease"]["token"], "action": "decide", "outcome": "approve", "rationale": SECRET} | given
    first = client.post(f"{url}/verdict", json=ruling, headers=house.headers("reviewer", Idempotency_Key="a"))
    assert 202 == first.status_code, first.text
    second = client.post(f"{url}/verdict", json=ruling, headers=house.headers("reviewer", Idempotency_Key="b"))
    assert 201 == second.status_code, second.text
    return told


def events(db: Database, kind: str | None = None) -> list[dict[str, Any]]:
    with db.read() as tx:
        rows = tx.rows(sa.select(tables.event).order_by(tables.event.c.created_at, tables.event.c.id))
    return [json.loads(row.body) for row in rows if kind in (None, row.type)]


def everything(db: Database) -> str:
    """Every value of every row of every table."""
    with db.read() as tx:
        rows = [row for table in tables.SQLModel.metadata.sorted_tables for row in tx.rows(sa.select(table))]
    return "\n".join(str([bytes(v) if isinstance(v, bytes | memoryview) else v for v in row]) for row in rows)


def agreed(db: Database, who: Who, cause: str = "consent_withdrawn") -> dict[str, Any]:
    asked = erasure.request(db, who("admin"), SECRET, cause)
    return erasure.approve(db, who("boss"), asked["id"])

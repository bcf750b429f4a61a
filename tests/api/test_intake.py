"""What sharing a transaction promises: a fault of ours is one submission's alone, and nobody's body is too much."""

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient

from app import intake
from app.actions import decisions
from app.domain.errors import Unavailable
from app.intake import Intake
from app.store.db import Database
from tests.conftest import in_loop
from tests.factories import House, submission


def test_an_item_that_meets_a_fault_fails_alone_and_its_neighbours_are_told_what_became_of_them(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = decisions.fresh

    def faulty(at: Any, actor: Any, body: Any, *rest: Any) -> Any:
        if body["external_id"] == "poison":
            raise RuntimeError("a fault of ours")
        return made(at, actor, body, *rest)

    monkeypatch.setattr(decisions, "fresh", faulty)
    items = [submission(external_id=name) for name in ("a", "poison", "b")]
    answer = client.post("/api/v1/decisions/batch", json={"items": items}, headers=house.headers("service"))
    results = answer.json()["results"]
    assert [201, 500, 201] == [one["status"] for one in results]
    assert "internal" == results[1]["problem"]["code"]
    again = client.post("/api/v1/decisions/batch", json={"items": items}, headers=house.headers("service"))
    assert [200, 500, 200] == [one["status"] for one in again.json()["results"]]


def test_bodies_of_one_transaction_are_few_megabytes(db: Database) -> None:
    async def groups() -> list[int]:
        one = Intake(db)
        loop = asyncio.get_running_loop()
        big = decisions.Submission("key", {}, "print", size=2**20)
        one._waiting = [([big], loop.create_future()) for _ in range(20)]
        one._count, one._bytes = 20, 20 * 2**20
        sizes = []
        while one._waiting:
            sizes.append(len(one._next_group()))
        assert (0, 0) == (one._count, one._bytes)
        return sizes

    assert [8, 8, 4] == in_loop(groups())


def test_who_comes_when_too_much_waits_is_asked_to_come_again(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_WAITING_BYTES", 10)

    async def refused() -> None:
        one = Intake(db)
        one._bytes = 10
        with pytest.raises(Unavailable):
            await one.submit(decisions.Submission("key", {}, "print", size=1))

    in_loop(refused())

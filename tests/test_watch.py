"""Waiting for decisions to end: a look that fails does not end the looking."""

import asyncio
from typing import Any, cast

import pytest

from app import watch
from app.domain.errors import Unavailable
from app.store.db import Database
from tests.conftest import in_loop


@pytest.mark.parametrize("fault", [Unavailable("away"), RuntimeError("unexpected")])
def test_a_look_that_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    monkeypatch.setattr(watch, "PERIOD", 0)
    monkeypatch.setattr(watch, "PAUSE", 0)
    looks: list[frozenset[str]] = []

    def look(_db: Any, ids: frozenset[str]) -> set[str]:
        looks.append(ids)
        if len(looks) < 3:
            raise fault
        return set(ids)

    async def wait() -> None:
        one = watch.Watch(cast(Database, None), look)
        one.start()
        await asyncio.wait_for(one.ended("dec_1", 30), 10)
        await one.stop()

    in_loop(wait())
    assert [frozenset({"dec_1"})] * 3 == looks[:3]


def test_those_who_began_to_wait_together_do_not_ask_again_together(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def wait_for(_: Any, seconds: float) -> None:
        waits.append(seconds)

    async def wait() -> None:
        one = watch.Watch(cast(Database, None))
        await asyncio.gather(*(one.ended(f"dec_{number}", 30) for number in range(100)))

    monkeypatch.setattr(watch.asyncio, "wait_for", wait_for)
    in_loop(wait())
    assert 100 == len(set(waits))
    assert [] == [one for one in waits if not 27 <= one <= 30]

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

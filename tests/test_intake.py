"""What the intake promises to those who wait when the database is away."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from app import intake
from app.actions.decisions import Submission, Submitted
from app.domain.errors import Unavailable
from app.intake import Intake
from app.store.db import Database
from tests.conftest import in_loop


async def outcomes(db: Database, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What two callers get of whom the second comes while the first one's flush is under way, and fails."""
    begun, go, calls = threading.Event(), threading.Event(), []

    def flush(_: Database, items: Sequence[Submission], promise: object) -> list[Submitted]:
        calls.append(items)
        if len(calls) > 1:
            return [Submitted("{}", "dec_1", "autonomous") for _ in items]
        begun.set()
        go.wait(10)
        raise Unavailable("away")

    monkeypatch.setattr(intake, "submit_many", flush)
    one = Intake(db)
    one.start()
    first = asyncio.create_task(one.submit(Submission("key", {}, "a")))
    await asyncio.to_thread(begun.wait, 10)
    second = asyncio.create_task(one.submit(Submission("key", {}, "b")))
    await asyncio.sleep(0)
    go.set()
    found = await asyncio.gather(first, second, return_exceptions=True)
    await one.stop()
    return [type(outcome).__name__ for outcome in found]


def test_who_waits_behind_an_outage_is_told_at_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "OUTAGE", -1.0)
    assert ["Unavailable", "Unavailable"] == in_loop(outcomes(db, monkeypatch))


def test_who_waits_behind_a_short_failure_has_their_turn(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ["Unavailable", "Submitted"] == in_loop(outcomes(db, monkeypatch))

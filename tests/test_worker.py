"""The rounds of the worker: what fails does not stop what comes after it."""

import pytest

from app import worker
from app.domain.errors import Unavailable
from app.store import stats
from app.store.db import Database
from app.worker import Worker, run_once


def test_a_duty_that_fails_does_not_stop_the_others(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_db: Database) -> int:
        raise RuntimeError("unexpected")

    monkeypatch.setattr(worker, "DUTIES", {"fails": fails, "works": lambda _db: 7})
    assert {"works": 7} == run_once(db)
    with db.read() as tx:
        assert stats.last_beat(tx) is not None


@pytest.mark.parametrize("fault", [Unavailable("away"), RuntimeError("unexpected")])
def test_a_round_that_fails_is_followed_by_another(
    db: Database, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    rounds: list[str] = []

    def round_of(_db: Database, name: str) -> dict[str, int]:
        rounds.append(name)
        if len(rounds) < 3:
            raise fault
        one.stop_soon()
        return {}

    monkeypatch.setattr(worker, "PERIOD", 0)
    monkeypatch.setattr(worker, "run_once", round_of)
    one = Worker(db)
    one.run()
    assert (3, 1) == (len(rounds), len(set(rounds)))

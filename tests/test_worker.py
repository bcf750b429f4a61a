"""The rounds of the worker: what fails does not stop what comes after it."""

import threading

import pytest

from app import worker
from app.actions import audit
from app.actions.upkeep import Duty
from app.domain.errors import Unavailable
from app.domain.notes import Signer
from app.store import stats, tree
from app.store.db import Database
from app.worker import Duties, Worker, run_once
from tests.factories import House


def test_a_duty_that_fails_does_not_stop_the_others(db: Database) -> None:
    def fails(_db: Database) -> int:
        raise RuntimeError("unexpected")

    assert {Duty.PURGE: 7} == run_once(db, todo={Duty.EXPIRE: fails, Duty.PURGE: lambda _db: 7})
    with db.read() as tx:
        assert stats.last_beat(tx) is not None


@pytest.mark.parametrize("fault", [Unavailable("away"), RuntimeError("unexpected")])
def test_a_round_that_fails_is_followed_by_another(
    db: Database, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    rounds: list[str] = []

    def round_of(_db: Database, name: str, _todo: Duties) -> dict[str, int]:
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


def test_sealing_does_not_wait_for_the_rounds(db: Database, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    held, sealed = threading.Event(), threading.Event()
    monkeypatch.setattr(worker, "run_once", lambda *_: held.wait(20))
    monkeypatch.setattr(worker, "SEAL_PERIOD", 0)
    seal = audit.seal

    def watched(db: Database, signer: Signer) -> int:
        if count := seal(db, signer):
            sealed.set()
        return count

    monkeypatch.setattr(audit, "seal", watched)
    one = Worker(db)
    one.start()
    assert sealed.wait(20)
    held.set()
    one.stop()
    with db.read() as tx:
        assert 0 == tree.state(tx).waiting

"""Owns background work: `duties` is a page of it; `run_once` drives it in tests. Nothing here is needed for safety."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from app.actions import audit, erasure, pushes, retention, upkeep
from app.actions.pushes import Plan
from app.actions.upkeep import Duty
from app.domain.errors import Unavailable
from app.domain.notes import Signer
from app.store.db import Database

PERIOD = 2.0  # seconds between rounds
SEAL_PERIOD = 0.25  # seconds between seals, which come beside the rounds: an event must not wait for a slow duty
UNSIGNED = Signer("")
NOWHERE = Plan()
T = TypeVar("T")
log = logging.getLogger(__name__)

Duties = Mapping[Duty, Callable[[Database], int]]


def duties(signer: Signer = UNSIGNED, plan: Plan = NOWHERE) -> Duties:
    """What is to be done in a round, in this order; each says how much it did."""
    return {
        Duty.SEAL: partial(audit.seal, signer=signer),
        Duty.ANNOUNCE_LAPSED: upkeep.announce_lapsed,
        Duty.ANNOUNCE_OVERDUE: upkeep.announce_overdue,
        Duty.EXPIRE: upkeep.expire,
        Duty.PURGE: upkeep.purge,
        Duty.RETAIN: retention.retain,
        Duty.ERASE: erasure.finish_all,
        Duty.PUSH: partial(pushes.push, plan=plan),
    }


def run_once(db: Database, worker: str = "worker", todo: Duties | None = None) -> dict[str, int]:
    """Do every duty once; how much each did. A duty that fails does not stop the others."""
    done: dict[str, int] = {}
    failed: dict[str, str] = {}
    for name, duty in (todo or duties()).items():
        try:
            done[name] = duty(db)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("a duty failed: %s", name)
            failed[name] = type(error).__name__
    upkeep.beat(db, worker, done, failed)
    return done


class Worker:
    """Does the duties in a thread until stopped, and seals in another; its name says where it lives."""

    def __init__(self, db: Database, signer: Signer = UNSIGNED, plan: Plan = NOWHERE) -> None:
        self._db = db
        self._todo = duties(signer, plan)
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._sealer = threading.Thread(target=self._seal, name="sealer", daemon=True)

    def start(self) -> None:
        self._sealer.start()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        self._sealer.join(timeout=10)

    def stop_soon(self) -> None:
        """Ask the loops to end after the duty at hand; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work in this thread until `stop` is called from another or by a signal."""
        self._sealer.start()
        self._run()
        self._sealer.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._tried(lambda: run_once(self._db, self._name, self._todo))
            self._stop.wait(PERIOD)

    def _seal(self) -> None:
        while not self._stop.is_set():
            count = self._tried(lambda: self._todo[Duty.SEAL](self._db))
            pause = PERIOD if count is None else SEAL_PERIOD
            self._stop.wait(0 if (count or 0) >= audit.BATCH else pause)

    def _tried(self, work: Callable[[], T]) -> T | None:
        """What the work gives; None when it failed, which is told."""
        try:
            return work()
        except Unavailable:
            log.warning("the worker cannot reach the database; it tries again")
        except Exception:
            log.exception("a round of the worker failed; it goes on")
        return None

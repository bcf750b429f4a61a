"""Owns background work: DUTIES is one page of it; `run_once` drives it in tests. Nothing here is needed for safety."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping

from app.actions import upkeep
from app.actions.upkeep import Duty
from app.domain.errors import Unavailable
from app.store.db import Database

PERIOD = 2.0  # seconds between rounds
log = logging.getLogger(__name__)

DUTIES: Mapping[Duty, Callable[[Database], int]] = {
    Duty.ANNOUNCE_LAPSED: upkeep.announce_lapsed,
    Duty.ANNOUNCE_OVERDUE: upkeep.announce_overdue,
    Duty.EXPIRE: upkeep.expire,
    Duty.PURGE: upkeep.purge,
}


def run_once(db: Database, worker: str = "worker") -> dict[str, int]:
    """Do every duty once; how much each did. A duty that fails does not stop the others."""
    done: dict[str, int] = {}
    failed: dict[str, str] = {}
    for name, duty in DUTIES.items():
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
    """Runs the duties in a thread until stopped; its name says where it lives."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def stop_soon(self) -> None:
        """Ask the loop to end after the duty at hand; safe in a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work in this thread until `stop` is called from another or by a signal."""
        self._run()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                run_once(self._db, self._name)
            except Unavailable:
                log.warning("the worker cannot reach the database; it tries again")
            except Exception:
                log.exception("a round of the worker failed; it goes on")
            self._stop.wait(PERIOD)

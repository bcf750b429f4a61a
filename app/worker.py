"""Owns background work: DUTIES is one page of it; `run_once` drives it in tests. Nothing here is needed for safety."""

import logging
import threading
from collections.abc import Callable, Mapping

from app.actions import upkeep
from app.domain.errors import Unavailable
from app.store.db import Database

PERIOD = 2.0  # seconds between rounds
log = logging.getLogger(__name__)

DUTIES: Mapping[str, Callable[[Database], int]] = {
    "announce leases that are over": upkeep.announce_lapsed,
    "announce reviews that are overdue": upkeep.announce_overdue,
    "end reviews whose policy does not wait": upkeep.expire,
    "drop what is no longer needed": upkeep.purge,
}


def run_once(db: Database, worker: str = "worker") -> dict[str, int]:
    """Do every duty once; how much each did. A duty that fails does not stop the others."""
    done = {}
    for name, duty in DUTIES.items():
        try:
            done[name] = duty(db)
        except Unavailable:
            raise
        except Exception:
            log.exception("a duty failed: %s", name)
    upkeep.beat(db, worker)
    return done


class Worker:
    """Runs the duties in a thread until stopped."""

    def __init__(self, db: Database, name: str = "worker") -> None:
        self._db = db
        self._name = name
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

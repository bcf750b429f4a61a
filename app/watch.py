"""Owns waiting for decisions to become final: one small query serves every waiting caller of this process.

Must not hold a connection while it waits. Polling works across processes on both databases; see ADR 0006.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app.actions.reading import which_ended
from app.domain.errors import Unavailable
from app.store.db import Database

log = logging.getLogger(__name__)
PERIOD = 0.2  # seconds between looks, only while somebody waits
PAUSE = 1.0  # seconds after a look that failed


class Watch:
    """One per process; start it inside the running event loop."""

    def __init__(self, db: Database, look: Callable[[Database, frozenset[str]], set[str]] = which_ended) -> None:
        self._db = db
        self._look = look
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._somebody = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watch")
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._look_forever())

    async def stop(self) -> None:
        """Let every waiter go with what is known now; who comes later does not wait. May be called again."""
        self._stopping = True
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._free(set(self._waiters))
        self._thread.shutdown()

    async def ended(self, decision_id: str, seconds: float) -> None:
        """Return when the decision is no longer pending, or after `seconds` or up to a tenth less.

        So those who began to wait together do not all ask again together.
        """
        if self._stopping:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(decision_id, set()).add(future)
        self._somebody.set()
        try:
            await asyncio.wait_for(future, seconds * random.uniform(0.9, 1))  # noqa: S311
        except TimeoutError:
            pass
        finally:
            self._forget(decision_id, future)

    async def _look_forever(self) -> None:
        while True:
            await self._somebody.wait()
            await asyncio.sleep(PERIOD)
            wanted = frozenset(self._waiters)
            if not wanted:
                self._somebody.clear()
                continue
            try:
                self._free(await asyncio.get_running_loop().run_in_executor(self._thread, self._look, self._db, wanted))
            except Unavailable:
                await asyncio.sleep(PAUSE)
            except Exception:
                log.exception("looking for decisions that ended failed; it goes on")
                await asyncio.sleep(PAUSE)

    def _free(self, ids: set[str]) -> None:
        for decision_id in ids:
            for future in self._waiters.get(decision_id, ()):
                if not future.done():
                    future.set_result(None)

    def _forget(self, decision_id: str, future: "asyncio.Future[None]") -> None:
        waiting = self._waiters.get(decision_id, set())
        waiting.discard(future)
        if not waiting:
            self._waiters.pop(decision_id, None)

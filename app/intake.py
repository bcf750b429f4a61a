"""Owns group commit: concurrent submissions share one transaction, and each is answered after the commit.

Must not wait on a timer: it flushes when the flush before it returns, so a lone caller never waits for company.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from app.actions.decisions import Outcome, Submission, submit_many
from app.domain.errors import HandrailError, Unavailable
from app.store.db import Database

MAX_GROUP = 500
MAX_WAITING = 5_000
log = logging.getLogger(__name__)
Waiting = tuple[Submission, "asyncio.Future[Outcome]"]


class Intake:
    """One per process; start it inside the running event loop."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[Waiting] = []
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="intake")
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._flush_forever())

    async def stop(self) -> None:
        """Answer everybody who waits, then end."""
        self._stopping = True
        self._wake.set()
        if self._task:
            await self._task
        self._thread.shutdown()

    async def submit(self, submission: Submission) -> Outcome:
        """The answer, after its commit. Never raises for a refusal: refusals are outcomes.

        Raises Unavailable when too many wait already, or the database is away.
        """
        if self._stopping or len(self._waiting) >= MAX_WAITING:
            raise Unavailable("Too many submissions are waiting; try again in a moment.")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((submission, future))
        self._wake.set()
        return await future

    async def _flush_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                await self._flush(group)
            if self._stopping:
                return

    async def _flush(self, group: Sequence[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self._commit, [item for item, _ in group])
        except Exception as error:
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), outcome in zip(group, answers, strict=True):
            if not future.done():
                if isinstance(outcome, BaseException) and not isinstance(outcome, HandrailError):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _commit(self, items: Sequence[Submission]) -> Sequence[Outcome | Exception]:
        try:
            return submit_many(self._db, items)
        except Unavailable:
            raise
        except Exception:
            if len(items) == 1:
                raise
            # One of them is poison: it must fail alone.
            log.exception("a group of %d submissions failed; trying them one by one", len(items))
            return [self._commit_alone(item) for item in items]

    def _commit_alone(self, item: Submission) -> Outcome | Exception:
        try:
            return submit_many(self._db, [item])[0]
        except Exception as error:
            return error

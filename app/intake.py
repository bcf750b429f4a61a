"""Owns group commit: concurrent submissions share one transaction, and each is answered after the commit.

Must not wait on a timer: it flushes when the flush before it returns, so a lone caller never waits for company.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from app.actions._receipts import Promise, no_promise
from app.actions.decisions import Outcome, Submission, submit_many
from app.domain.errors import HandrailError, Unavailable
from app.store.db import Database

MAX_GROUP = 500
MAX_BYTES = 8 * 2**20  # of the bodies in one transaction
MAX_WAITING = 5_000
MAX_WAITING_BYTES = 256 * 2**20
OUTAGE = 2.0  # seconds; a flush that fails sooner says nothing about the next
log = logging.getLogger(__name__)
Answers = Sequence[Outcome | Exception]
Waiting = tuple[Sequence[Submission], "asyncio.Future[Answers]"]


class Intake:
    """One per process; start it inside the running event loop."""

    def __init__(self, db: Database, promise: Promise = no_promise) -> None:
        self._db = db
        self._promise = promise
        self._waiting: list[Waiting] = []
        self._count = self._bytes = 0
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
        answer = (await self.submit_all([submission]))[0]
        if isinstance(answer, Exception) and not isinstance(answer, HandrailError):
            raise answer
        return answer

    async def submit_all(self, submissions: Sequence[Submission]) -> Answers:
        """The same for several, which share a transaction; answers in their order.

        One that meets a fault of ours fails alone: its answer is that exception, and nothing of it is stored.
        """
        if self._stopping or self._count >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
            raise Unavailable("Too many submissions are waiting; try again in a moment.")
        future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._waiting.append((submissions, future))
        self._count += len(submissions)
        self._bytes += sum(one.size for one in submissions)
        self._wake.set()
        return await future

    async def _flush_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._flush(self._next_group())
            if self._stopping:
                return

    def _next_group(self) -> Sequence[Waiting]:
        """Callers in their order, until their submissions are enough; the first one always."""
        many, size, callers = 0, 0, 0
        for submissions, _ in self._waiting:
            weight = sum(one.size for one in submissions)
            if callers and (many + len(submissions) > MAX_GROUP or size + weight > MAX_BYTES):
                break
            many, size, callers = many + len(submissions), size + weight, callers + 1
        group, self._waiting = self._waiting[:callers], self._waiting[callers:]
        self._count, self._bytes = self._count - many, self._bytes - size
        return group

    def _everybody(self) -> Sequence[Waiting]:
        # Behind an outage nobody's turn comes before they have waited for too long.
        waiting, self._waiting, self._count, self._bytes = self._waiting, [], 0, 0
        return waiting

    async def _flush(self, group: Sequence[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        items = [one for submissions, _ in group for one in submissions]
        try:
            answers = await loop.run_in_executor(self._thread, self._commit, items)
        except Exception as error:
            outage = isinstance(error, Unavailable) and loop.time() - started > OUTAGE
            for _, future in (*group, *(self._everybody() if outage else ())):
                if not future.done():
                    future.set_exception(error)
            return
        at = 0
        for submissions, future in group:
            mine, at = answers[at : at + len(submissions)], at + len(submissions)
            if not future.done():
                future.set_result(mine)

    def _commit(self, items: Sequence[Submission]) -> Sequence[Outcome | Exception]:
        try:
            return submit_many(self._db, items, self._promise)
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
            return submit_many(self._db, [item], self._promise)[0]
        except Exception as error:
            log.exception("a submission failed; nothing of it is stored")
            return error

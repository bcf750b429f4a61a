"""Owns one installation under test: a furnished database, its processes, its clients, and the judgement at the end."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app import signing
from app.actions import types
from app.domain.access import SYSTEM
from app.domain.notes import Signer
from app.store.db import Database
from tests.factories import POLICY, REFUND, key, person, put_policy
from tests.faults import history, log
from tests.faults.clients import Call, Client, Door, Record, Reviewer, Submitter, finish, submission
from tests.faults.servers import App, Here, Process, worker

FULL = os.environ.get("HANDRAIL_FAULTS") == "full"
REVIEWERS = 6
ORIGIN = "faults.example/log"


class Site:
    """A refund type whose leases last `lease` seconds, six reviewers, a service, an auditor; what they were told."""

    def __init__(self, url: str, folder: Path, lease: int = 900) -> None:
        self.url = url
        self.folder = folder
        self.lease = lease
        self.record = Record()
        self.processes: list[Process | Here] = []
        self._doors: list[Door] = []
        self.key_file = folder / "signing.key"
        if not self.key_file.exists():
            signing.create_key(self.key_file, ORIGIN)
        self._workers: list[Process] = []
        self.db = Database(url, pool_size=5)
        types.apply(self.db, SYSTEM, {**REFUND, "lease": f"{lease}s"})
        put_policy(self.db, POLICY)
        self.reviewers = [f"rev{n}" for n in range(REVIEWERS)]
        self.people = {name: person(self.db, name, "reviewer") for name in self.reviewers}
        scopes = ("reviews:write", "decisions:read")
        self.keys = {name: key(self.db, name, *scopes, person_id=self.people[name]) for name in self.reviewers}
        self.keys["service"] = key(self.db, "service", "decisions:write")
        auditor = person(self.db, "auditor", "auditor")
        self.keys["auditor"] = key(self.db, "auditor", "audit:read", person_id=auditor)

    def app(self, *options: str, url: str = "", **env: str) -> App:
        made = App(url or self.url, self.folder, *options, **self._signing, **env)
        self.processes.append(made)
        return made.start()

    def serve(self, processes: int = 1) -> list[int]:
        """Ports of servers that nobody will break: processes in the full run, else one in this process."""
        if FULL:
            return [self.app().port for _ in range(processes)]
        return [self.here().port]

    def here(self) -> Here:
        made = Here(self.url)
        self.processes.append(made)
        return made.start()

    def worker(self) -> Process:
        made = worker(self.url, self.folder, **self._signing)
        self.processes.append(made)
        self._workers.append(made)
        return made.start()

    @property
    def _signing(self) -> dict[str, str]:
        return {"HANDRAIL_ORIGIN": ORIGIN, "HANDRAIL_SIGNING_KEY_FILE": str(self.key_file)}

    def door(self, port: int, who: str, **options: Any) -> Door:
        self._doors.append(Door(self.record, port, self.keys[who], **options))
        return self._doors[-1]

    def submit(self, port: int, *marks: str, confidence: float = 0.83) -> list[str]:
        """Decisions by mark; the ids of their reviews, of which each has one below a confidence of 0.97."""
        found = []
        for mark in marks:
            call = self.submitter(port).submit(submission(mark, confidence=confidence))
            assert call.done, call
            found.append(call.answer.json["review"]["id"] if call.answer.json["review"] else "")
        return found

    def submitter(self, port: int) -> Submitter:
        """A service that is not at work by itself."""
        return Submitter(self.record, [port], self.keys["service"], "service", keep=False)

    def claim(self, port: int, who: str, review: str) -> tuple[Reviewer, Call]:
        """A reviewer who claims this very review, and how that went."""
        one, path = Reviewer(self.record, [port], self.keys[who], who, keep=False), f"/reviews/{review}/claim"
        return one, one.want("claim", {"review": review}, again=False, ask=lambda door: door.ask("POST", path))

    def claim_next(self, port: int, who: str) -> tuple[Reviewer, Call]:
        """A reviewer who claims what is next, and how that went."""
        one = Reviewer(self.record, [port], self.keys[who], who, keep=False)
        return one, one.want("claim", {}, again=False, ask=lambda door: door.ask("POST", "/claims", {}))

    def load(
        self, ports: list[int], *, submitters: int = 4, reviewers: int = REVIEWERS, pace: float = 0.05,
        keep: bool = True,
    ) -> list[Client]:  # fmt: skip
        """Clients at work."""
        made: list[Client] = []
        for n in range(submitters):
            made.append(Submitter(self.record, ports, self.keys["service"], f"sub{n}", pace, keep=keep))
        for name in self.reviewers[:reviewers]:
            made.append(Reviewer(self.record, ports, self.keys[name], name, pace, keep=keep))
        for one in made:
            one.start()
        return made

    @contextmanager
    def loaded(self, ports: list[int], **options: Any) -> Iterator[list[Client]]:
        clients = self.load(ports, **options)
        try:
            yield clients
        finally:
            finish(*clients)

    def faults(self) -> list[str]:
        """Every broken promise, as sentences: what clients were told against database, events and orders."""
        self.record.calls.sort(key=lambda call: call.start)
        held = history.read(self.db)
        return self.record.faults + history.faults(held, self.record.calls, self.people, self.lease)

    def await_signed(self) -> None:
        """Wait until a worker is up. One that finds no database at its start ends, and is for a supervisor to start."""
        until(lambda: bool(log.read(self.db).checkpoints), 60, "a worker has signed something")

    def log_faults(self) -> list[str]:
        """What is wrong with the audit tree once all is sealed. Ends the workers, so that nothing happens meanwhile."""
        self.await_signed()
        for one in self._workers:
            one.kill()
        signer = Signer(ORIGIN, (signing.read_key(self.key_file, ORIGIN),))
        until(lambda: log.finished(self.db, signer), 60, "every event is sealed and signed for")
        return log.faults(log.read(self.db), signer)

    def unanswered(self) -> list[str]:
        """What took effect and was not answered."""
        return history.unanswered(history.read(self.db), self.record.calls, self.people)

    def export_faults(self, port: int) -> list[str]:
        answer = self.door(port, "auditor").ask("GET", "/exports/decisions.jsonl")
        assert answer.status == 200, answer
        return history.exported(history.read(self.db), answer.text.splitlines())

    def acknowledged(self, *verbs: str) -> int:
        return sum(call.done for call in self.record.of(*verbs))

    def await_progress(self, submits: int, verdicts: int = 0, within: float = 60) -> float:
        """Wait for so many more answers; the seconds that it took."""
        wanted = self.acknowledged("submit") + submits, self.acknowledged("verdict") + verdicts

        def reached() -> bool:
            return self.acknowledged("submit") >= wanted[0] and self.acknowledged("verdict") >= wanted[1]

        return until(reached, within, f"{submits} more decisions and {verdicts} more verdicts")

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        for door in self._doors:
            door.close()
        self.db.close()


def until(true: Callable[[], bool], within: float, what: str) -> float:
    """Wait for something to become true; the seconds that it took. Raises AssertionError when it does not."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < within, f"not within {within} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - started

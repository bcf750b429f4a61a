"""Owns clients that write down what they asked and what they were told. Must not look into the database."""

import http.client
import itertools
import json
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

REFUSED, CUT = "refused", "cut"
PATIENCE = 40  # seconds; ten more than the product may take
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Status 0 is no answer: `text` says whether the request was `refused` unsent or `cut` off."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def known(self) -> bool:
        """Whether it says what became of the request: no answer does not, and neither does "try again"."""
        return self.status not in (0, 503, 507)

    @property
    def json(self) -> Any:
        return json.loads(self.text) if self.text else None

    @property
    def code(self) -> str:
        return str(self.json["code"]) if self.status >= 400 else ""


@dataclass(slots=True)
class Call:
    """One thing wanted, from the first try's start to the last answer's arrival (monotonic s); `answer` may be open."""

    verb: str
    who: str
    asked: Mapping[str, Any]
    start: float
    end: float
    answer: Answer
    tries: int = 1

    @property
    def done(self) -> bool:
        """Whether it was granted; a claim that found nothing (204) was not."""
        return self.answer.status in (200, 201, 202) or (self.answer.status == 204 and self.verb != "claim")


class Record:
    """Everything that the clients of one run were told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: list[Call] = []
        self.slowest = 0.0
        self.faults: list[str] = []
        self.statuses: Counter[int] = Counter()  # of single tries; 0 is no answer

    def keep(self, call: Call) -> Call:
        with self._lock:
            self.calls.append(call)
        return call

    def see(self, what: str, answer: Answer) -> None:
        with self._lock:
            self.statuses[answer.status] += 1
            self.slowest = max(self.slowest, answer.seconds)
            if answer.status >= 500 and answer.status not in (503, 507):
                self.faults.append(f"{what}: {answer.status} {answer.text[:300]}")

    def of(self, *verbs: str) -> list[Call]:
        return [call for call in self.calls if call.verb in verbs]


class Door:
    """One client's way to one address, by a connection that it keeps (or not) between requests."""

    def __init__(self, record: Record, port: int, key: str, *, keep: bool = True, patience: float = PATIENCE) -> None:
        self.record = record
        self.port = port
        self._key = key
        self._keep = keep
        self._patience = patience
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request, once; never raises for what the network does."""
        started = time.monotonic()
        sent = False
        try:
            connection = self._connected()
            sent = True
            raw = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/api/v1{path}", raw, self._headers(headers))
            with connection.getresponse() as came:
                told = came.read()
            answer = Answer(
                came.status, told.decode(), {k.lower(): v for k, v in came.getheaders()}, time.monotonic() - started
            )
            if not _is_whole(came.status, answer.headers, told):
                raise http.client.IncompleteRead(told)  # cut off among the headers, which http.client lets pass
            if not self._keep or came.will_close:
                self.close()
        except (OSError, http.client.HTTPException):
            self.close()
            answer = Answer(0, CUT if sent else REFUSED, {}, time.monotonic() - started)
        self.record.see(f"{method} {path}", answer)
        return answer

    def connect(self) -> None:
        """Connect anew, so that a server that closes idle connections does not spoil the next request."""
        self.close()
        self._connected()

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._patience)
            self._connection.connect()
        return self._connection

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        known = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        return known | {name.replace("_", "-"): value for name, value in more.items()}


def _is_whole(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    return status == 204 or "transfer-encoding" in headers or headers.get("content-length") == str(len(body))


def insist(door: Door, stop: threading.Event, ask: Callable[[], Answer]) -> tuple[Answer, int]:
    """Ask until there is an answer that says what became of it, or the run ends; (the last answer, tries)."""
    for tries in itertools.count(1):
        answer = ask()
        if answer.known or stop.is_set():
            return answer, tries
        time.sleep(random.uniform(0.02, 0.2))
    raise AssertionError("unreachable")


class Client(ABC, threading.Thread):
    """A thread that does its round until told to stop, resting up to `pace` seconds in it; its error is kept."""

    def __init__(
        self, record: Record, ports: list[int], key: str, name: str, pace: float = 0.0, *, keep: bool = True
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._pace = pace
        self.stop = threading.Event()
        self.error: Exception | None = None
        self._doors = [Door(record, port, key, keep=keep) for port in ports]
        self._record = record
        self._random = random.Random(name)

    @property
    def door(self) -> Door:
        return self._random.choice(self._doors)

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.round()
        except Exception as error:
            self.error = error
        finally:
            for door in self._doors:
                door.close()

    @abstractmethod
    def round(self) -> None:
        """What this client does again and again."""

    def want(self, verb: str, asked: Mapping[str, Any], *, again: bool, ask: Callable[[Door], Answer]) -> Call:
        """Do one thing, insisting or not, and write down what came of it."""
        start = time.monotonic()
        if again:
            answer, tries = insist(self.door, self.stop, lambda: ask(self.door))
        else:
            answer, tries = ask(self.door), 1
        end = time.monotonic() if answer.known else FOREVER
        return self._record.keep(Call(verb, self.name, asked, start, end, answer, tries))


class Submitter(Client):
    """Submits decisions that it can tell apart, by external id or by Idempotency-Key alone, until each is answered."""

    _numbers = itertools.count()

    def submit(self, body: Mapping[str, Any]) -> Call:
        """One try at one decision."""
        return self.want("submit", body, again=False, ask=lambda door: door.ask("POST", "/decisions", body))

    def round(self) -> None:
        mark = f"{self.name}-{next(self._numbers)}"
        by_id = self._random.random() < 0.6
        body = submission(mark, external=by_id, confidence=self._random.choice((0.83, 0.83, 0.83, 0.99)))
        headers = {} if by_id and self._random.random() < 0.5 else {"Idempotency_Key": f"k-{mark}"}
        time.sleep(self._random.uniform(0, self._pace))
        self.want("submit", body, again=True, ask=lambda door: door.ask("POST", "/decisions", body, **headers))


class Reviewer(Client):
    """Claims what is next and says something of it, or gives it back."""

    def round(self) -> None:
        claim = self.want("claim", {}, again=False, ask=lambda door: door.ask("POST", "/claims", {}))
        if claim.answer.status != 201:
            time.sleep(0.05)
            return
        review, token = claim.answer.json["id"], claim.answer.json["lease"]["token"]
        time.sleep(self._random.uniform(0, self._pace))
        if self._random.random() < 0.1:
            self.renew(review, token)
        if self._random.random() < 0.1:
            self.release(review, token)
        else:
            self.rule(review, token)

    def renew(self, review: str, token: int) -> Call:
        asked = {"review": review, "token": token}
        path = f"/reviews/{review}/lease"
        return self.want("renew", asked, again=False, ask=lambda door: door.ask("PUT", path, {"token": token}))

    def release(self, review: str, token: int) -> Call:
        asked = {"review": review, "token": token}
        path = f"/reviews/{review}/lease"
        return self.want("release", asked, again=False, ask=lambda door: door.ask("DELETE", path, {"token": token}))

    def rule(self, review: str, token: int, outcome: str | None = None) -> Call:
        """A verdict, by half with an Idempotency-Key; asked again until answered."""
        outcome = outcome or self._random.choice(("approve", "deny"))
        said = verdict(token, outcome)
        headers = {"Idempotency_Key": f"v-{review}-{token}"} if self._random.random() < 0.5 else {}
        asked = {"review": review, "token": token, "outcome": outcome, "keyed": bool(headers)}
        path = f"/reviews/{review}/verdict"
        return self.want("verdict", asked, again=bool(headers), ask=lambda d: d.ask("POST", path, said, **headers))


def submission(mark: str, *, external: bool = True, confidence: float = 0.83) -> dict[str, Any]:
    """A refund that a person must review (0.83) or not (0.99); `subject` tells it from all others."""
    body = {
        "decision_type": "refund",
        "model": {"name": "refund-risk", "version": "1"},
        "proposal": {"outcome": "approve", "confidence": confidence},
        "input": {"amount_cents": 12_900},
        "subject": mark,
    }
    return body | ({"external_id": mark} if external else {})


def verdict(token: int, outcome: str) -> dict[str, Any]:
    """What a reviewer says of a refund that the AI would approve."""
    if outcome == "approve":
        return {"token": token, "action": "approve"}
    return {"token": token, "action": "override", "outcome": outcome, "reason_code": "policy"}


def finish(*clients: Client) -> None:
    """Let every client end its round; raises the first error of their own."""
    for client in clients:
        client.stop.set()
    for client in clients:
        client.join(PATIENCE * 3)
        assert not client.is_alive(), f"{client.name} hangs"
        if client.error:
            raise client.error

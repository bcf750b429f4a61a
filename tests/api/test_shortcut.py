"""The short way to the submit door answers as the long way does, whatever comes in."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.api import shortcut
from tests.api.bad import table
from tests.conftest import in_loop
from tests.factories import House, submission

IDS = re.compile(r"(dec|rev|evt|req)_[0-9a-f-]{36}|(?<=:.)[0-9a-f]{64}|\d{4}-\d\d-\d\dT[0-9:.]+Z")
GOOD = json.dumps(submission()).encode()
BATCH = b"[" + GOOD + b",1]"
Ask = tuple[str, str, dict[str, str], bytes]
Heard = Callable[[Ask], tuple[Any, ...]]


class Ways:
    """One running application, asked by its short way or without it."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.short = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.app if self.short else partial(FastAPI.__call__, self.app))(scope, receive, send)


@pytest.fixture
def ways(app: FastAPI) -> Iterator[tuple[Heard, Heard]]:
    """What the application answers by its short way, and by the long one."""
    both = Ways(app)
    with TestClient(both, raise_server_exceptions=False) as client:

        def heard(short: bool, ask: Ask) -> tuple[Any, ...]:
            both.short = short
            method, path, headers, body = ask
            raw = {name: value.encode() for name, value in headers.items()}
            told = client.request(method, path, headers=raw, content=body)
            names = sorted((name, IDS.sub("ID", value)) for name, value in told.headers.items())
            return told.status_code, names, IDS.sub("ID", told.text)

        yield partial(heard, True), partial(heard, False)


def asks(house: House) -> Iterator[Ask]:
    """Method, path, headers, body."""
    known = house.headers("service", Content_Type="application/json")
    bearer = {"Authorization": "Bearer hr_12345678_" + "a" * 43}
    for path, body in (("/api/v1/decisions", GOOD), ("/api/v1/decisions/batch", BATCH)):
        yield "POST", path, known, body
        yield "POST", f"{path}?x=1", known, body
        yield "POST", f"{path}/", known, body
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"):
            yield method, path, known, b""
        yield "POST", path, {}, body
        yield "POST", path, {**known, **bearer}, body
        yield "POST", path, {**known, **bearer}, b"{"
        yield "POST", path, house.headers("auditor", Content_Type="application/json"), body
        yield "POST", path, {**known, "Content-Type": "text/plain", "Accept": "text/html"}, body
        yield "POST", path, {**known, "Idempotency-Key": "x" * 256}, body
        yield "POST", path, {**known, "X-Request-ID": "mine.1"}, b""
        yield "POST", path, {**known, "X-Request-ID": "not mine"}, b""
    for one in table():
        yield "POST", "/api/v1/decisions", {**known, "Content-Type": one.media_type}, one.raw


def test_both_ways_answer_alike(ways: tuple[Heard, Heard], house: House) -> None:
    short, long = ways
    for ask in asks(house):
        assert long(ask) == short(ask), ask[:3]


def test_it_is_taken_by_submissions_alone() -> None:
    def leads(kind: str = "http", method: str = "POST", path: str = "/api/v1/decisions") -> bool:
        return shortcut.leads({"type": kind, "method": method, "path": path})

    assert [True, True] == [leads(), leads(path="/api/v1/decisions/batch")]
    assert [False] * 3 == [leads(method="GET"), leads(path="/api/v1/decisions/"), leads(path="/api/v1/claims")]
    assert [False] * 2 == [shortcut.leads({"type": "websocket", "path": "/api/v1/decisions"}),
                           shortcut.leads({"type": "lifespan"})]  # fmt: skip


def test_a_fault_of_ours_is_a_500_on_both_ways(
    ways: tuple[Heard, Heard], app: FastAPI, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state.intake, "submit", None)
    ask = ("POST", "/api/v1/decisions", house.headers("service", Content_Type="application/json"), GOOD)
    short, long = (way(ask) for way in ways)
    assert 500 == short[0]
    assert long == short


def test_a_known_external_id_is_replayed_alike(ways: tuple[Heard, Heard], house: House) -> None:
    body = json.dumps(submission(external_id="twice")).encode()
    ask = ("POST", "/api/v1/decisions", house.headers("service", Content_Type="application/json"), body)
    assert [201, 200] == [ways[0](ask)[0], ways[0](ask)[0]]
    assert ways[1](ask) == ways[0](ask)


def test_a_caller_who_hangs_up_gets_no_answer(app: FastAPI) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/decisions",
        "headers": [(b"authorization", b"Bearer hr_12345678_" + b"a" * 43)],
    }  # fmt: skip
    in_loop(shortcut.go(app, scope, receive, send))
    assert [] == sent

"""Owns what surrounds every request: its id, the limit on its body, its line in the log. Must not log a payload."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.canonical import MAX_BODY
from app.store.db import new_id, request_begins, request_rests

_OURS: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}")
log = structlog.get_logger("handrail.http")


class Frame:
    """Pure ASGI, so that nothing is buffered and context variables reach the handlers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        request_begins()
        with logged(scope) as line:

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    line.status = message["status"]
                    request_rests()
                    MutableHeaders(scope=message)["X-Request-ID"] = request_id
                await send(message)

            await self.app(scope, limited(scope, receive), answer)


@dataclass(slots=True)
class Line:
    """What the log will say of a request: its status, once that is known."""

    status: int = 500


@contextmanager
def logged(scope: Scope) -> Iterator[Line]:
    """One line for the request when it is over."""
    started, line = time.perf_counter(), Line()
    try:
        yield line
    finally:
        spent = round((time.perf_counter() - started) * 1000, 1)
        request_id = scope["state"]["request_id"]
        log.debug(
            "request", method=scope["method"], path=scope["path"], status=line.status, ms=spent, request_id=request_id
        )


def request_id_of(scope: Scope) -> str:
    """The caller's id where it is short and plain, else one of ours."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _OURS.fullmatch(given) else new_id("req")


def limited(scope: Scope, receive: Receive) -> Receive:
    """`receive`, which raises HTTPException(413) at a body over the limit."""
    announced = Headers(scope=scope).get("content-length", "")
    taken = 0

    async def within() -> Message:
        nonlocal taken
        if announced.isdecimal() and int(announced) > MAX_BODY:
            raise HTTPException(413)
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            raise HTTPException(413)
        return message

    return within

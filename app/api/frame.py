"""Owns what surrounds every request: its id, the limit on its body, its line in the log. Must not log a payload."""

import re
import time
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
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
        started, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                request_rests()
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self.app(scope, limited(scope, receive), answer)
        finally:
            write_line(scope, status, started)


def write_line(scope: Scope, status: int, started: float) -> None:
    """The request's line in the log, when it is over; `started` is of time.perf_counter."""
    spent = round((time.perf_counter() - started) * 1000, 1)
    request_id = scope["state"]["request_id"]
    log.debug("request", method=scope["method"], path=scope["path"], status=status, ms=spent, request_id=request_id)


def request_id_of(scope: Scope) -> str:
    """The caller's id where it is short and plain, else one of ours."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _OURS.fullmatch(given) else new_id("req")


def limited(scope: Scope, receive: Receive) -> Receive:
    """`receive`, which raises HTTPException(413) at a body over the limit."""
    announced = dict(scope["headers"]).get(b"content-length", b"")
    taken = 0

    async def within() -> Message:
        nonlocal taken
        if announced.isdigit() and int(announced) > MAX_BODY:
            raise HTTPException(413)
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            raise HTTPException(413)
        return message

    return within

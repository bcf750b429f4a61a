"""Owns the short way to the submit door: no middleware stands between the server and its handlers. See ADR 0010.

Must answer as the long way does: the same problems and headers, limit on a body and line in the log.
"""

import time

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from app.api import problems, submit
from app.api.frame import limited, request_id_of, write_line
from app.store.db import request_begins

DOORS = {route.path: route.endpoint for route in submit.ROUTES}


def leads(scope: Scope) -> bool:
    """Whether the request is one that may take the short way."""
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in DOORS


async def go(app: Starlette, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that `leads` here."""
    scope["app"] = app
    request_id = request_id_of(scope)
    scope.setdefault("state", {})["request_id"] = request_id
    request_begins()
    started, status = time.perf_counter(), 500

    async def answer(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            message["headers"].append((b"x-request-id", request_id.encode()))
        await send(message)

    request = Request(scope, limited(scope, receive))
    try:
        response = await DOORS[scope["path"]](request)
    except ClientDisconnect:
        return
    except Exception as error:
        response = await problems.answer(request, error)
        del response.headers["X-Request-ID"]
    try:
        await response(scope, receive, answer)
    finally:
        write_line(scope, status, started)

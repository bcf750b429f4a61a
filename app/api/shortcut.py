"""Owns the short way to the submit door: no middleware stands between the server and its handlers. See ADR 0010.

Must answer as the long way does: the same problems and headers, limit on a body and line in the log.
"""

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from app.api import problems, submit
from app.api.frame import limited, logged, request_id_of

DOORS = {route.path: route.endpoint for route in submit.ROUTES}


def leads(scope: Scope) -> bool:
    """Whether the request is one that may take the short way."""
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in DOORS


async def go(app: Starlette, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that `leads` here."""
    scope["app"] = app
    request_id = request_id_of(scope)
    scope.setdefault("state", {})["request_id"] = request_id
    with logged(scope) as line:

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                line.status = message["status"]
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
        await response(scope, receive, answer)

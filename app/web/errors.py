"""Owns how errors look to people: the error page with a status. Must not name what only the API answers."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from app.domain.errors import (
    Conflict,
    Forbidden,
    HandrailError,
    Invalid,
    Malformed,
    NotFound,
    Throttled,
    Unauthenticated,
    Unavailable,
)
from app.web import render, session
from app.web.ask import SignedOut, Visit, identified, sign_in_path
from app.web.forms import Form

STATUSES: Final[dict[type[HandrailError], tuple[int, str]]] = {
    Malformed: (400, "That could not be read"),
    Invalid: (422, "That is not quite right"),
    Unauthenticated: (401, "Sign in first"),
    Forbidden: (403, "You may not do this"),
    NotFound: (404, "There is no such thing"),
    Conflict: (409, "Things have moved on"),
    Throttled: (429, "Too many tries"),
    Unavailable: (503, "Handrail cannot do that right now"),
}
BY_CODE: Final = {"form_too_large": 413, "unsupported_media_type": 415}
ENDED: Final = "Your session has ended. Sign in, and you are back where you were."
MISSING: Final = (404, "There is no such page", "It may have moved, or you may not see it.")

OUTSIDE: Final = {
    404: MISSING[1:],
    405: ("That is not how this page works", "Go back, and load the page again."),
    500: ("Something broke here", "It was not your doing, and it was logged. Nothing was half done."),
}


class Problem(Protocol):
    """What the API door says of an error."""

    status: int
    detail: str
    request_id: str | None
    headers: Mapping[str, str]


class Page(APIRoute):
    """A route of the HTML door: whatever goes wrong in it is answered with a page."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except SignedOut:
                return _to_sign_in(request)
            except (HandrailError, RequestValidationError) as error:
                return await run_in_threadpool(answer, request, error)

        return guarded


def status_of(error: HandrailError) -> int:
    return BY_CODE.get(error.code) or STATUSES.get(type(error), (422, ""))[0]


def answer(request: Request, error: Exception) -> Response:
    """The error as a page; a database that is away still gets one."""
    status, title, detail = _said(error)
    me = getattr(request.state, "me", None)
    seen = Visit(request, me, getattr(request.state, "token", ""), Form())
    request_id = getattr(request.state, "request_id", None)
    response = _fault_page(seen, status, title, detail, request_id)
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = error.extra.get("retry_after", "60")
    if status == 503:
        response.headers["Retry-After"] = "2"
    return response


class Fault(Response):
    """The page of an error outside our routes: an unknown path, a wrong method, a bug. Made for `app.state.error_page`.

    It is drawn when it is sent, in a thread, because it asks the database who is signed in.
    """

    def __init__(self, request: Request, problem: Problem) -> None:
        super().__init__(status_code=problem.status, headers=dict(problem.headers))
        self.seen, self.problem = request, problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = await run_in_threadpool(self._drawn)
        own = {name: value for name, value in self.headers.items() if name != "content-length"}
        page.headers.update(own)
        await page(scope, receive, send)

    def _drawn(self) -> Response:
        status, detail = self.problem.status, self.problem.detail
        title, said = OUTSIDE.get(status, ("That did not work", detail))
        try:
            seen = identified(self.seen, Form())
        except HandrailError:
            seen = Visit(self.seen, None, "", Form())
        return _fault_page(seen, status, title, said, self.problem.request_id)


def _fault_page(seen: Visit, status: int, title: str, detail: str | None, request_id: str | None) -> Response:
    return render.page(seen, "error.html", status=status, title=title, detail=detail, request_id=request_id)


def _to_sign_in(request: Request) -> Response:
    # htmx would put the sign-in page inside the page that it asked from; this header moves the whole window.
    if request.headers.get("hx-request") == "true":
        response = Response(status_code=200, headers={"HX-Redirect": sign_in_path(request)})
    else:
        response = RedirectResponse(sign_in_path(request), status_code=303)
    if session.session_token(request):
        session.put_notice(request, response, "ok", ENDED)
        session.drop_cookie(request, response, session.cookie_name(request))
    return response


def _said(error: Exception) -> tuple[int, str, str | None]:
    # A path whose parts do not read (a version that is no number) is a page that does not exist.
    if isinstance(error, HandrailError):
        _, title = STATUSES.get(type(error), (422, "That did not work"))
        return status_of(error), title, error.detail
    return MISSING

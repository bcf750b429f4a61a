"""Owns how every refusal looks over HTTP (RFC 9457), and which status a refusal has. Must not echo any input."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from app.api.faults import faults_of
from app.domain import errors
from app.domain.errors import Fault, HandrailError

log = structlog.get_logger("handrail.api")

CLASSES: Final[Mapping[type[HandrailError], int]] = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Invalid: 422,
    errors.Throttled: 429,
    errors.Unavailable: 503,
}
CODES: Final[Mapping[str, int]] = {"json_too_large": 413, "unsupported_media_type": 415}
TITLES: Final[Mapping[int, str]] = {
    400: "The request cannot be read",
    401: "We do not know who asks",
    403: "Not allowed",
    404: "Not found",
    405: "This address does not take that method",
    409: "In the way of how things stand",
    413: "Too large",
    415: "Not the media type that we take",
    422: "Not acceptable as it is",
    429: "Too many tries",
    500: "A fault of ours",
    503: "Not available right now",
}
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
OF_HTTP: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method; the Allow header lists those that it takes."),
    413: ("json_too_large", "The body is larger than 1,048,576 bytes."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal, ready to be shown: by `response()` as JSON, or by the HTML door as a page."""

    status: int
    code: str
    detail: str
    faults: tuple[Fault, ...] = ()
    request_id: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return TITLES.get(self.status, "Not possible")

    def body(self) -> dict[str, Any]:
        """The members of RFC 9457, and ours."""
        return {
            "type": f"urn:handrail:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "errors": [{"pointer": fault.pointer, "detail": fault.detail} for fault in self.faults],
            "request_id": self.request_id,
            **self.extra,
        }

    def response(self) -> Response:
        content = json.dumps(self.body(), ensure_ascii=False)
        return Response(content, self.status, self.headers, media_type="application/problem+json")


def problem_of(error: Exception, request_id: str | None = None) -> Problem:
    """The problem of any exception; what we did not foresee is a 500 that says nothing of its cause."""
    if isinstance(error, HandrailError):
        return _refusal(error, request_id)
    if isinstance(error, RequestValidationError):
        return _refusal(errors.Invalid("The request has parameters that are not acceptable.", "invalid",
                                       faults_of(error.errors())), request_id)  # fmt: skip
    if isinstance(error, HTTPException):
        code, detail = OF_HTTP.get(error.status_code, (f"http_{error.status_code}", "The request is not possible."))
        return Problem(error.status_code, code, detail, request_id=request_id, headers=error.headers or {})
    return Problem(500, "internal", "Something went wrong on our side; nothing was changed.", request_id=request_id)


def status_of(error: HandrailError) -> int:
    """The HTTP status of a refusal."""
    return CODES.get(error.code) or next((n for kind, n in CLASSES.items() if isinstance(error, kind)), 400)


def install(app: FastAPI) -> None:
    """Answer every exception of the app; pages are left to `app.state.error_page(request, problem)` where it is set."""
    for kind in (HandrailError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


async def answer(request: Request, error: Exception) -> Response:
    """The answer to an exception, as a problem or as a page."""
    request_id = getattr(request.state, "request_id", None)
    problem = problem_of(error, request_id)
    if problem.status == 500:
        log.error("unhandled", exc_info=error, request_id=request_id)
    if problem.status == 405:
        problem = _with_allow(request, problem)
    page = getattr(request.app.state, "error_page", None)
    # A cause of ours leaves the middleware behind, so the id is put on here as well.
    response = problem.response() if page is None or wants_json(request) else cast(Response, page(request, problem))
    if request_id:
        response.headers["X-Request-ID"] = request_id
    return response


def wants_json(request: Request) -> bool:
    """Whether a refusal is for a program: under /api/, or wherever HTML was not asked for."""
    return request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", "")


def _refusal(error: HandrailError, request_id: str | None) -> Problem:
    status = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers["Retry-After"] = error.extra.get("retry_after", "2")
    code = re.sub(r"[^a-z0-9_.-]", "_", error.code)
    return Problem(status, code, error.detail, error.faults, request_id, error.extra, headers)


def _with_allow(request: Request, problem: Problem) -> Problem:
    # One address may be the matter of several routes, so each method is tried on all of them.
    headers = {"Allow": ", ".join(method for method in METHODS if _taken(request, method))}
    return Problem(problem.status, problem.code, problem.detail, request_id=problem.request_id, headers=headers)


def _taken(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes)

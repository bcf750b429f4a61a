"""Owns the submit door: bare Starlette routes, one validation of the raw bytes, a ready answer. See ADR 0003."""

import time
from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.actions.decisions import Outcome, Submission, Submitted
from app.api.calls import credential, encode, idempotency_key, known_or_refused, parse, request_id, shaped
from app.api.metrics import Metrics
from app.api.problems import problem_of, status_of
from app.api.schemas import NewDecision
from app.domain.access import Permission, declare
from app.domain.canonical import digest, sorted_bytes
from app.domain.errors import Fault, HandrailError, Invalid, Unavailable
from app.intake import Intake

MAX_ITEMS: Final = 1_000
SHAPE: Final[TypeAdapter[NewDecision]] = TypeAdapter(NewDecision)


@declare(Permission.SUBMIT)
async def submit_decision(request: Request) -> ASGIApp:
    """One decision in; may I act, or must I wait."""
    started = time.perf_counter()
    presented, key = credential(request), idempotency_key(request)
    raw = await request.body()
    try:
        plain = parse(request, raw)
        print_ = fingerprint(plain)
        body = _checked(plain)
    except HandrailError:
        await known_or_refused(request)
        raise
    submission = Submission(presented, body, print_, key, request_id=request_id(request), size=len(raw))
    outcome = await _intake(request).submit(submission)
    if isinstance(outcome, HandrailError):
        raise outcome
    _count(request, body, outcome)
    _metrics(request).submit_seconds.observe(time.perf_counter() - started)
    return _Ready(outcome)


@declare(Permission.SUBMIT)
async def submit_batch(request: Request) -> Response:
    """Up to 1,000 decisions in; one result or problem for each, in order."""
    presented, key = credential(request), idempotency_key(request)
    raw = await request.body()
    await known_or_refused(request)
    items = _items(parse(request, raw))
    outcomes = await _all(request, presented, key, items, len(raw) // len(items))
    _refuse_whole(outcomes)
    results = [_result(request, outcome) for outcome in outcomes]
    return Response(f'{{"results":[{",".join(results)}]}}', media_type="application/json")


ROUTES: Final = [
    Route("/api/v1/decisions", submit_decision, methods=["POST"]),
    Route("/api/v1/decisions/batch", submit_batch, methods=["POST"]),
]


def fingerprint(plain: Any) -> str:
    """A digest of what a body says, before defaults are filled in; the order of keys and white space do not count."""
    return digest(sorted_bytes(plain))


def _checked(plain: Any) -> dict[str, Any]:
    shaped(SHAPE, plain)
    plain.setdefault("metadata", {})
    body: dict[str, Any] = plain
    return body


class _Ready:
    """A response that is sent as it is."""

    def __init__(self, outcome: Submitted) -> None:
        self.body = outcome.text.encode()
        self.status = 200 if outcome.replayed == "external_id" else 201
        self.headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"application/json"),
            (b"location", b"/api/v1/decisions/" + outcome.decision_id.encode()),
        ]
        if outcome.replayed:
            self.headers.append((b"idempotent-replayed", b"true"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def _items(plain: Any) -> list[Any]:
    items = plain.get("items") if isinstance(plain, dict) and set(plain) == {"items"} else plain
    pointer = "/items" if items is not plain else ""
    if not isinstance(items, list):
        detail = 'must be a list of decisions, or {"items": [...]}.'
    elif not 1 <= len(items) <= MAX_ITEMS:
        detail = f"must have 1 to {MAX_ITEMS:,} items."
    else:
        return items
    raise Invalid("The body is not a batch.", "invalid", (Fault(pointer, detail),))


async def _all(
    request: Request, presented: str, key: str | None, items: list[Any], size: int
) -> list[Outcome | Exception]:
    """Every item's outcome; each has its own fingerprint, and its own ticket under the batch's key."""
    outcomes: list[Outcome | Exception | None] = [None] * len(items)
    good: dict[int, Submission] = {}
    for place, item in enumerate(items):
        try:
            print_ = fingerprint(item)
            ticket = key and f"{key}#{place}"
            body = _checked(item)
            good[place] = Submission(presented, body, print_, ticket, "batch", request_id(request), size)
        except HandrailError as refusal:
            outcomes[place] = refusal
    if good:
        for place, outcome in zip(good, await _intake(request).submit_all(list(good.values())), strict=True):
            outcomes[place] = outcome
            if isinstance(outcome, Submitted):
                _count(request, good[place].body, outcome)
    return [outcome for outcome in outcomes if outcome is not None]


def _refuse_whole(outcomes: list[Outcome | Exception]) -> None:
    """What is wrong with the caller or with us, and not with an item, is the answer to the whole."""
    codes = {outcome.code if isinstance(outcome, HandrailError) else "" for outcome in outcomes}
    first = outcomes[0]
    if len(codes) == 1 and isinstance(first, HandrailError) and (
        status_of(first) in (401, 403) or isinstance(first, Unavailable)
    ):  # fmt: skip
        raise first


def _result(request: Request, outcome: Outcome | Exception) -> str:
    if isinstance(outcome, Submitted):
        status = 200 if outcome.replayed else 201
        return f'{{"status":{status},"decision":{outcome.text}}}'
    problem = problem_of(outcome, request_id(request))
    return encode({"status": problem.status, "problem": problem.body()})


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def _count(request: Request, body: Mapping[str, Any], outcome: Submitted) -> None:
    if not outcome.replayed:
        _metrics(request).decisions.labels(body["decision_type"], outcome.tier).inc()

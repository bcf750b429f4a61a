"""Owns what every call shares: who asks, the strict body, the Idempotency-Key, the answer. Must not know any verb."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Concatenate, Final, Generic, ParamSpec, TypeVar

from fastapi import Depends
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.actions.once import Ticket, once
from app.actions.reads import Reads
from app.actions.sessions import actor_of_key
from app.api.faults import faults_of
from app.domain.access import ONLY_PEOPLE, SIGNED_IN, Actor, Permission
from app.domain.canonical import digest, parse_strict
from app.domain.errors import Forbidden, Invalid, Malformed, NotFound, Unauthenticated
from app.domain.events import timestamp
from app.domain.notes import Signer
from app.store.db import Action, Database

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
UNKNOWN: Final = "The API key is missing, wrong, expired or revoked: send Authorization: Bearer hr_..."


def database(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


def reads(request: Request) -> Reads:
    """What tells of reads."""
    return Reads(database(request), on=request.app.state.settings.record_reads)


def promise(request: Request) -> Callable[[str], str | None]:
    """What signs the promises of receipts."""
    signer: Signer = request.app.state.signer
    return signer.promise


def request_id(request: Request) -> str | None:
    found: str | None = getattr(request.state, "request_id", None)
    return found


def credential(request: Request) -> str:
    """The bearer token (RFC 6750). Raises Unauthenticated when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(UNKNOWN)
    return token.strip()


def actor_of(request: Request) -> Actor:
    """Whoever asks, with the request's id; it has what the route says that it needs.

    Raises Unauthenticated, Forbidden.
    """
    actor = actor_of_key(database(request), credential(request), request_id(request))
    if actor is None:
        raise Unauthenticated(UNKNOWN)
    needed = request.scope["endpoint"].__permission__
    if needed != SIGNED_IN:
        _must(actor, needed)
    _clean_path(request)
    return actor


def _must(actor: Actor, needed: Permission) -> None:
    if needed in ONLY_PEOPLE and actor.person_id is None:
        raise Forbidden("Only people review: a service's key cannot; use a key that acts as a person.")
    actor.must(needed)


def _clean_path(request: Request) -> None:
    # PostgreSQL cannot be asked for a text with U+0000; nothing of ours has one in its name.
    if any("\0" in str(value) for value in request.path_params.values()):
        raise NotFound("There is nothing at this address.")


Asker = Annotated[Actor, Depends(actor_of)]


@dataclass(frozen=True, slots=True)
class Posted(Generic[T]):
    """A body that has its shape: the model, the JSON as it came, and the digest of its bytes."""

    value: T
    plain: Any
    fingerprint: str


def body(shape: type[T], *, optional: bool = False) -> Any:
    """A dependency that reads a strict JSON body of this shape; an `optional` one may be left out for `{}`."""
    adapter = TypeAdapter(shape)

    async def read(request: Request) -> Posted[T]:
        raw = await request.body()
        plain = {} if optional and not raw else parse(request, raw)
        return Posted(shaped(adapter, plain), plain, digest(raw))

    return Depends(read)


def parse(request: Request, raw: bytes) -> Any:
    """Strict JSON of a body that says it is JSON. Raises Malformed."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Malformed("Send the body as application/json.", "unsupported_media_type")
    return parse_strict(raw)


def shaped(adapter: TypeAdapter[T], plain: Any) -> T:
    """The value in its shape. Raises Invalid with a fault for each place."""
    try:
        return adapter.validate_python(plain)
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False, include_input=False))
    raise Invalid("The body does not have the shape that this call takes.", "invalid", faults)


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key, 1 to 255 printable ASCII characters. Raises Malformed."""
    key = request.headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise Malformed("The Idempotency-Key must be 1 to 255 printable ASCII characters.", "bad_idempotency_key")
    return key


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answers: JSON, or nothing at all when `content` is None."""

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        if self.content is None:
            return Response(status_code=self.status, headers=dict(self.headers))
        return Response(encode(self.content), self.status, dict(self.headers), media_type="application/json")

    def kept(self) -> str:
        return encode({"content": self.content, "status": self.status, "headers": dict(self.headers)})


def encode(value: Any) -> str:
    """Compact JSON; times in RFC 3339."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return timestamp(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def perform(
    request: Request,
    actor: Actor,
    fingerprint: str,
    action: Action[Concatenate[Actor, P], R],
    answer: Callable[[R], Answer],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Response:
    """Do it, once per Idempotency-Key where there is one: the answer is then kept in the effect's transaction."""
    key = idempotency_key(request)
    if key is None:
        return answer(action(database(request), actor, *args, **kwargs)).response()
    ticket = Ticket(f"{request.method} {request.url.path}", key, fingerprint)
    text, replayed = once(
        database(request), actor, ticket, lambda tx: answer(action.within(tx, actor, *args, **kwargs)).kept()
    )
    response = Answer(**json.loads(text)).response()
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


async def known_or_refused(request: Request) -> None:
    """Raise Unauthenticated before anything is said about the body of somebody we do not know."""
    actor = await run_in_threadpool(actor_of_key, database(request), credential(request), request_id(request))
    if actor is None:
        raise Unauthenticated(UNKNOWN)

"""Owns the log's static addresses, as C2SP tlog-tiles has them, so that any monitor can follow it. Must not prove."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.actions import proofs
from app.actions.sessions import actor_of_key
from app.api.calls import UNKNOWN, credential, database, request_id
from app.domain.access import PUBLIC, Actor, Permission, declare
from app.domain.errors import NotFound, Unauthenticated
from app.domain.tiles import ENTRIES, parse

router = APIRouter(tags=["log"], include_in_schema=False)
BYTES: Final = "application/octet-stream"
FOREVER: Final = "max-age=31536000, immutable"
METHODS: Final = ["GET", "HEAD"]  # the server leaves the body of a HEAD out


@router.api_route("/checkpoint", methods=METHODS)
@declare(PUBLIC)
def log_checkpoint(request: Request) -> Response:
    """The newest checkpoint."""
    _let_in(request)
    note = proofs.checkpoint(database(request)).note
    return Response(note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.api_route("/tile/{path:path}", methods=METHODS)
@declare(PUBLIC)
def log_tile(request: Request, path: str) -> Response:
    """A tile of hashes, or a bundle of events: which needs a key, whatever the settings say."""
    place = parse(path)
    if place is None:
        raise NotFound("A tile is named /tile/LEVEL/NNN, with x in front of all groups but the last.")
    if place.level == ENTRIES:
        return _bytes(proofs.entries(database(request), _asker(request), place), "no-store")
    _let_in(request)
    scope = "public" if request.app.state.settings.log_public else "private"
    return _bytes(proofs.tile(database(request), place), f"{scope}, {FOREVER}")


def _let_in(request: Request) -> None:
    if not request.app.state.settings.log_public:
        _asker(request).must(Permission.READ_AUDIT)


def _asker(request: Request) -> Actor:
    actor = actor_of_key(database(request), credential(request), request_id(request))
    if actor is None:
        raise Unauthenticated(UNKNOWN)
    return actor


def _bytes(content: bytes, caching: str) -> Response:
    return Response(content, media_type=BYTES, headers={"Cache-Control": caching})

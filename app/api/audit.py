"""Owns the audit trail over the API: events, checkpoints and proofs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.actions import proofs, reading
from app.actions.proofs import Proof, Signed
from app.api import audit_schemas, schemas
from app.api.audit_schemas import NewCosignatures
from app.api.calls import Answer, Asker, Posted, body, database, perform, reads
from app.api.openapi import answers, takes
from app.api.params import AtSize, EventQuery, Sizes, from_cursor, paged
from app.domain.access import SIGNED_IN, Permission, declare

router = APIRouter(tags=["audit"])


@router.get("/events", operation_id="list_events", responses=answers(schemas.EventPage))
@declare(Permission.READ_AUDIT)
def list_events(request: Request, actor: Asker, query: Annotated[EventQuery, Query()]) -> Response:
    """Everything that happened, newest first."""
    page = reading.event_list(
        database(request),
        actor,
        type=query.type.value if query.type else None,
        actor_id=query.actor,
        object_id=query.object,
        before=from_cursor(query.cursor),
        limit=query.limit,
    )
    told = {"type": query.type and query.type.value, "actor": query.actor, "object": query.object}
    reads(request).events(actor, told, len(page.data))
    return paged(request, page).response()


def _or_text(shape: type[Any]) -> dict[int | str, dict[str, Any]]:
    """JSON, or plain text for who asks for that."""
    found = answers(shape)
    found[200]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return found


@router.get("/audit/checkpoint", operation_id="get_checkpoint", responses=_or_text(audit_schemas.CheckpointView))
@declare(SIGNED_IN)
def get_checkpoint(request: Request, actor: Asker, query: Annotated[AtSize, Query()]) -> Response:
    """The newest signed size and root; with `Accept: text/plain` the C2SP note. Keep what you get."""
    found = proofs.checkpoint(database(request), query.size)
    return _text(found.note) if _wants_text(request) else Answer(_checkpoint(found)).response()


@router.post(
    "/audit/checkpoint/cosignatures", operation_id="add_cosignatures", status_code=201,
    responses=answers(audit_schemas.CheckpointView, status=201), openapi_extra=takes(NewCosignatures),
)  # fmt: skip
@declare(Permission.READ_AUDIT)
def add_cosignatures(
    request: Request, actor: Asker, posted: Annotated[Posted[NewCosignatures], body(NewCosignatures)]
) -> Response:
    """Keep what witnesses signed under a checkpoint, once it is verified."""
    size, lines, witnesses = posted.value.size, posted.value.lines, request.app.state.witnesses
    return perform(request, actor, posted.fingerprint, proofs.cosign, _cosigned, witnesses, size, lines)


@router.get("/audit/events/{event_id}/proof", operation_id="get_proof", responses=_or_text(audit_schemas.ProofView))
@declare(SIGNED_IN)
def get_proof(request: Request, actor: Asker, event_id: str) -> Response:
    """That an event is under the newest checkpoint; with `Accept: text/plain` a C2SP tlog-proof."""
    found = proofs.prove(database(request), actor, event_id)
    reads(request).event(actor, event_id, *found.decision, part="proof")
    return _text(found.text) if _wants_text(request) else Answer(_proof(found)).response()


@router.get(
    "/audit/consistency", operation_id="get_consistency", responses=answers(audit_schemas.ConsistencyView)
)  # fmt: skip
@declare(SIGNED_IN)
def get_consistency(request: Request, actor: Asker, query: Annotated[Sizes, Query()]) -> Response:
    """That the newer tree begins with the older one: nothing in between was changed or taken away."""
    found = proofs.consistent(database(request), query.old, query.new)
    return Answer({
        "older": {"size": found.old, "root": found.old_root.hex()},
        "newer": {"size": found.new, "root": found.new_root.hex()},
        "path": [one.hex() for one in found.path],
    }).response()  # fmt: skip


def _wants_text(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "text/plain" in accept and "application/json" not in accept


def _text(text: str) -> Response:
    return Response(text, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


def _checkpoint(found: Signed) -> dict[str, Any]:
    return {
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "signed_at": found.signed_at,
        "note": found.note,
    }


def _cosigned(found: Signed) -> Answer:
    return Answer(_checkpoint(found), 201)


def _proof(found: Proof) -> dict[str, Any]:
    return {
        "event_id": found.event_id,
        "index": found.index,
        "leaf_hash": found.leaf.hex(),
        "path": [one.hex() for one in found.path],
        "checkpoint": _checkpoint(found.checkpoint),
    }

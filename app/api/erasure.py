"""Owns erasures and legal holds over the API."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.actions import erasure
from app.api import erasure_schemas as shapes
from app.api import schemas
from app.api.calls import Answer, Asker, Posted, body, database, perform
from app.api.openapi import answers, takes
from app.domain.access import Permission, declare

router = APIRouter(tags=["erasure"])


@router.get("/erasures", operation_id="list_erasures", responses=answers(shapes.Erasures))
@declare(Permission.ERASE)
def list_erasures(request: Request, actor: Asker) -> Response:
    """The newest 100 requests, those that wait for approval first."""
    return Answer({"data": erasure.requests(database(request), actor)}).response()


@router.post(
    "/erasures", operation_id="request_erasure", status_code=201, responses=answers(shapes.Erasure, status=201),
    openapi_extra=takes(shapes.NewErasure),
)  # fmt: skip
@declare(Permission.ERASE)
def request_erasure(
    request: Request, actor: Asker, posted: Annotated[Posted[shapes.NewErasure], body(shapes.NewErasure)]
) -> Response:
    """Ask for the erasure of a subject; somebody else must approve it."""
    wanted = posted.value
    said = (wanted.subject, wanted.cause)
    return perform(request, actor, posted.fingerprint, erasure.request, lambda found: Answer(found, 201), *said)


@router.post(
    "/erasures/{erasure_id}/approval", operation_id="approve_erasure", status_code=200,
    responses=answers(shapes.Erasure), openapi_extra=takes(schemas.Empty, required=False, idempotent=False),
)  # fmt: skip
@declare(Permission.ERASE)
def approve_erasure(
    request: Request, actor: Asker, erasure_id: str,
    _posted: Annotated[Posted[schemas.Empty], body(schemas.Empty, optional=True)],
) -> Response:  # fmt: skip
    """Approve what somebody else asked for, and erase; the answer comes when it is done."""
    return Answer(erasure.approve(database(request), actor, erasure_id)).response()


@router.post(
    "/erasures/{erasure_id}/refusal", operation_id="decline_erasure", status_code=200,
    responses=answers(shapes.Erasure), openapi_extra=takes(schemas.Empty, required=False, idempotent=False),
)  # fmt: skip
@declare(Permission.ERASE)
def decline_erasure(
    request: Request, actor: Asker, erasure_id: str,
    _posted: Annotated[Posted[schemas.Empty], body(schemas.Empty, optional=True)],
) -> Response:  # fmt: skip
    """Decline a request, or take your own back."""
    return Answer(erasure.decline(database(request), actor, erasure_id)).response()


@router.put(
    "/decisions/{decision_id}/hold", operation_id="hold_decision", responses=answers(shapes.Held),
    openapi_extra=takes(shapes.NewHold, idempotent=False),
)  # fmt: skip
@declare(Permission.HOLD)
def hold_decision(
    request: Request, actor: Asker, decision_id: str, posted: Annotated[Posted[shapes.NewHold], body(shapes.NewHold)]
) -> Response:
    """Put a decision under legal hold: nothing of it is erased until it is released."""
    return Answer(erasure.hold(database(request), actor, decision_id, posted.value.cause)).response()


@router.delete("/decisions/{decision_id}/hold", operation_id="release_decision", responses=answers(shapes.Held))
@declare(Permission.HOLD)
def release_decision(request: Request, actor: Asker, decision_id: str) -> Response:
    """Release a decision from its legal hold."""
    return Answer(erasure.release_hold(database(request), actor, decision_id)).response()

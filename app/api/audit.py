"""Owns the audit trail over the API."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.actions import reading
from app.api import schemas
from app.api.calls import Asker, database
from app.api.openapi import answers
from app.api.params import EventQuery, from_cursor, paged
from app.domain.access import Permission, declare

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
    return paged(request, page).response()

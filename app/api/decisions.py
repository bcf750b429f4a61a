"""Owns reading and withdrawing decisions over the API. Must not submit: submit.py does."""

import hashlib
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.actions import policies, reading
from app.actions.decisions import cancel
from app.api import schemas
from app.api.calls import Answer, Asker, Posted, body, database, encode, perform, reads
from app.api.openapi import MATCH_AND_WAIT, UNCHANGED, answers, takes
from app.api.params import DecisionQuery, Wait, from_cursor, paged
from app.domain.access import SIGNED_IN, Permission, declare
from app.store.db import request_begins

router = APIRouter(tags=["decisions"])
_PREFER: Final = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?(?=\s*(?:[,;]|$))')
MAX_WAIT: Final = 30


@router.get("/decisions", operation_id="list_decisions", responses=answers(schemas.DecisionPage))
@declare(Permission.READ_DECISIONS)
def list_decisions(request: Request, actor: Asker, query: Annotated[DecisionQuery, Query()]) -> Response:
    """Decisions that you may read, newest first, without input and metadata."""
    after = from_cursor(query.cursor)
    page = reading.decision_list(database(request), actor, query.filters(), after, query.limit)
    reads(request).decisions(actor, query.filters(), len(page.data))
    return paged(request, page).response()


# A service may read its own decisions with decisions:write alone, so the action decides.
@router.get(
    "/decisions/{decision_id}", operation_id="get_decision", responses=answers(schemas.Decision) | UNCHANGED,
    openapi_extra=MATCH_AND_WAIT,
)  # fmt: skip
@declare(SIGNED_IN)
async def get_decision(request: Request, actor: Asker, decision_id: str, query: Annotated[Wait, Query()]) -> Response:
    """One decision with its reviews. With `?wait=30` (or `Prefer: wait=30`) the answer waits for the end."""
    seconds, preferred = _seconds(request, query)
    found = await _look(request, actor, decision_id)
    if seconds and found["status"] == "pending":
        await request.app.state.watch.ended(decision_id, seconds)
        request_begins()
        found = await _look(request, actor, decision_id)
    await run_in_threadpool(reads(request).decision, actor, decision_id, found["decision_type"])
    response = _tagged(request, found)
    if preferred:
        response.headers["Preference-Applied"] = f"wait={seconds}"
    return response


@router.get("/decisions/{decision_id}/events", operation_id="list_decision_events", responses=answers(schemas.Events))
@declare(SIGNED_IN)
def list_decision_events(request: Request, actor: Asker, decision_id: str) -> Response:
    """The timeline of a decision and its reviews, oldest first."""
    told = reading.timeline(database(request), actor, decision_id)
    reads(request).decision(actor, decision_id, part="timeline")
    return Answer({"data": told}).response()


@router.get("/decisions/{decision_id}/replay", operation_id="replay_decision", responses=answers(schemas.Replay))
@declare(Permission.READ_AUDIT)
def replay_decision(request: Request, actor: Asker, decision_id: str) -> Response:
    """Route a decision again as on its day, and say what differs; nothing changes."""
    again = policies.replay(database(request), actor, decision_id)
    reads(request).decision(actor, decision_id, part="replay")
    return Answer(again).response()


@router.post(
    "/decisions/{decision_id}/cancellation", operation_id="cancel_decision", status_code=200,
    responses=answers(schemas.Decision), openapi_extra=takes(schemas.Empty, required=False),
)  # fmt: skip
@declare(Permission.CANCEL)
def cancel_decision(
    request: Request, actor: Asker, decision_id: str,
    posted: Annotated[Posted[schemas.Empty], body(schemas.Empty, optional=True)],
) -> Response:  # fmt: skip
    """Withdraw a decision of yours while it is pending; doing it twice changes nothing more."""
    return perform(request, actor, posted.fingerprint, cancel, Answer, decision_id)


def _seconds(request: Request, query: Wait) -> tuple[int, bool]:
    if query.wait is not None:
        return query.wait, False
    preferred = _PREFER.search(request.headers.get("prefer", ""))  # RFC 7240; what cannot be met is ignored
    return (min(int(preferred[1]), MAX_WAIT), True) if preferred else (0, False)


async def _look(request: Request, actor: Any, decision_id: str) -> dict[str, Any]:
    return await run_in_threadpool(reading.decision, database(request), actor, decision_id)


def _tagged(request: Request, found: dict[str, Any]) -> Response:
    text = encode(found)
    tag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    known = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or tag.removeprefix("W/") in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(text, 200, headers, media_type="application/json")

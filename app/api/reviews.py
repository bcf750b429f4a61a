"""Owns claims, leases and verdicts over the API."""

import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from app.actions import reading
from app.actions.reviews import Nothing, claim, claim_next, look, release, renew
from app.actions.verdicts import Judged, Ruled, give_verdict
from app.api import schemas
from app.api.calls import Answer, Asker, Posted, body, database, perform, promise, reads
from app.api.openapi import answers, takes
from app.domain.access import SIGNED_IN, Permission, declare
from app.domain.review import Action, Said

router = APIRouter(tags=["reviews"])


class Token(BaseModel):
    model_config = ConfigDict(extra="forbid")
    token: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None


@router.post(
    "/claims", operation_id="claim_next_review", status_code=201, openapi_extra=takes(schemas.NewClaim, required=False),
    responses=answers(schemas.Claimed, status=201, nothing="Nothing to claim; Handrail-Queue-Status says why."),
)  # fmt: skip
@declare(Permission.REVIEW)
def claim_next_review(
    request: Request, actor: Asker, posted: Annotated[Posted[schemas.NewClaim], body(schemas.NewClaim, optional=True)]
) -> Response:
    """Lease the most urgent review that you may take."""
    started = time.perf_counter()
    response = perform(request, actor, posted.fingerprint, claim_next, _claimed, posted.value.queue)
    request.app.state.metrics.claim_seconds.observe(time.perf_counter() - started)
    return response


@router.get("/reviews/{review_id}", operation_id="get_review", responses=answers(schemas.ReviewView))
@declare(SIGNED_IN)
def get_review(request: Request, actor: Asker, review_id: str) -> Response:
    """A review as you see it: your lease's token, your judgement, and what is not hidden of the decision."""
    view = reading.review(database(request), actor, review_id)
    if view["to_keep"]:
        look(database(request), actor, review_id)
        view = reading.review(database(request), actor, review_id)
    del view["to_keep"]
    reads(request).review(actor, view)
    return Answer(_own_lease(view)).response()


@router.post(
    "/reviews/{review_id}/claim", operation_id="claim_review", status_code=201,
    responses=answers(schemas.Claimed, status=201), openapi_extra=takes(schemas.Empty, required=False),
)  # fmt: skip
@declare(Permission.REVIEW)
def claim_review(
    request: Request, actor: Asker, review_id: str,
    posted: Annotated[Posted[schemas.Empty], body(schemas.Empty, optional=True)],
) -> Response:  # fmt: skip
    """Lease this very review; your own claim again renews it under a new token."""
    return perform(request, actor, posted.fingerprint, claim, _claimed, review_id)


@router.put(
    "/reviews/{review_id}/lease", operation_id="renew_lease",
    responses=answers(schemas.Claimed), openapi_extra=takes(schemas.Lease),
)  # fmt: skip
@declare(Permission.REVIEW)
def renew_lease(
    request: Request, actor: Asker, review_id: str, posted: Annotated[Posted[schemas.Lease], body(schemas.Lease)]
) -> Response:
    """Lengthen your lease."""
    return Answer(renew(database(request), actor, review_id, posted.value.token)).response()


@router.delete(
    "/reviews/{review_id}/lease", operation_id="release_lease", status_code=204,
    responses=answers(None, status=204), openapi_extra=takes(schemas.FreedLease, required=False),
)  # fmt: skip
@declare(Permission.REVIEW)
def release_lease(
    request: Request, actor: Asker, review_id: str, query: Annotated[Token, Query()],
    posted: Annotated[Posted[schemas.FreedLease], body(schemas.FreedLease, optional=True)],
) -> Response:  # fmt: skip
    """Give the review back. A lead may leave the token out, to free what somebody else holds."""
    token = query.token if posted.value.token is None else posted.value.token
    release(database(request), actor, review_id, token)
    return Answer(None, 204).response()


@router.post(
    "/reviews/{review_id}/verdict", operation_id="give_verdict", status_code=201,
    responses=answers(schemas.Ruled, status=201, judged=schemas.Judged), openapi_extra=takes(schemas.NewVerdict),
)  # fmt: skip
@declare(Permission.REVIEW)
def give_a_verdict(
    request: Request, actor: Asker, review_id: str,
    posted: Annotated[Posted[schemas.NewVerdict], body(schemas.NewVerdict)],
) -> Response:  # fmt: skip
    """Say what you think. In a blind review the first call is your judgement (202), the second settles (201)."""
    value = posted.value
    said = Said(Action(value.action), value.outcome, value.reason_code, value.rationale)
    response = perform(
        request, actor, posted.fingerprint, give_verdict, _ruled, review_id, value.token, said, promise(request)
    )
    if response.status_code == 201 and "idempotent-replayed" not in response.headers:
        request.app.state.metrics.verdicts.labels(value.action).inc()
    return response


def _claimed(found: dict[str, Any] | Nothing) -> Answer:
    if isinstance(found, Nothing):
        return Answer(None, 204, {"Handrail-Queue-Status": found.sentence})
    return Answer(found, 201, {"Location": f"/api/v1/reviews/{found['id']}"})


def _ruled(found: Judged | Ruled) -> Answer:
    return Answer(asdict(found), 202 if isinstance(found, Judged) else 201)


def _own_lease(view: dict[str, Any]) -> dict[str, Any]:
    """The token belongs to the lease, and to nobody but its holder."""
    token = view.pop("token")
    if token is not None and view["lease"]:
        view["lease"] = {"token": token, **view["lease"]}
    return view

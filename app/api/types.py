"""Owns decision types and their policies over the API."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from app.actions import policies, types
from app.api import schemas
from app.api import type_schemas as told
from app.api.calls import Answer, Asker, Posted, body, database
from app.api.openapi import answers, takes
from app.domain.access import Permission, declare
from app.domain.errors import Fault, Invalid

router = APIRouter(prefix="/decision-types", tags=["decision types and policies"])
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
Nothing = Annotated[Posted[schemas.Empty], body(schemas.Empty, optional=True)]
NOTHING = takes(schemas.Empty, required=False, idempotent=False)


@router.get("", operation_id="list_decision_types", responses=answers(told.Types))
@declare(Permission.READ_POLICIES)
def list_decision_types(request: Request, actor: Asker) -> Response:
    """Every decision type that you may read."""
    return Answer({"data": types.list_types(database(request), actor)}).response()


@router.get("/{slug}", operation_id="get_decision_type", responses=answers(told.TypeView))
@declare(Permission.READ_POLICIES)
def get_decision_type(request: Request, actor: Asker, slug: str) -> Response:
    """One decision type."""
    return Answer(types.get_type(database(request), actor, slug)).response()


@router.put(
    "/{slug}", operation_id="put_decision_type",
    responses=answers(told.TypeView) | {201: {"model": told.TypeView, "description": "Made."}},
    openapi_extra=takes(schemas.NewType, idempotent=False),
)  # fmt: skip
@declare(Permission.EDIT_TYPES)
def put_decision_type(
    request: Request, actor: Asker, slug: str, posted: Annotated[Posted[dict[str, Any]], body(dict[str, Any])]
) -> Response:
    """Create or change a decision type; takes effect on the next decision."""
    wanted = {"slug": slug, **posted.value}
    if wanted["slug"] != slug:
        detail = "must be the slug of the address, or be left out."
        raise Invalid("The document is about another type.", "type_invalid", (Fault("/slug", detail),))
    done = types.apply(database(request), actor, wanted)
    headers = {"Location": f"/api/v1/decision-types/{slug}"} if done["created"] else {}
    view = types.get_type(database(request), actor, slug)
    return Answer(view, 201 if done["created"] else 200, headers).response()


@router.post(
    "/{slug}/archival", operation_id="archive_decision_type", responses=answers(told.TypeView),
    openapi_extra=NOTHING,
)  # fmt: skip
@declare(Permission.EDIT_TYPES)
def archive_decision_type(request: Request, actor: Asker, slug: str, _: Nothing) -> Response:
    """Take no new decisions of this type; what waits is still decided. Doing it twice changes nothing more."""
    return Answer(types.archive(database(request), actor, slug)).response()


@router.delete("/{slug}/archival", operation_id="restore_decision_type", responses=answers(told.TypeView))
@declare(Permission.EDIT_TYPES)
def restore_decision_type(request: Request, actor: Asker, slug: str) -> Response:
    """Take decisions of this type again."""
    return Answer(types.restore(database(request), actor, slug)).response()


@router.get("/{slug}/policies", operation_id="list_policies", responses=answers(told.Policies))
@declare(Permission.READ_POLICIES)
def list_policies(request: Request, actor: Asker, slug: str) -> Response:
    """Every version of the policy, newest first."""
    return Answer({"data": policies.versions(database(request), actor, slug)}).response()


@router.post(
    "/{slug}/policies", operation_id="draft_policy", status_code=201,
    responses=answers(told.Drafted, status=201), openapi_extra=takes(schemas.NewPolicy, idempotent=False),
)  # fmt: skip
@declare(Permission.EDIT_POLICIES)
def draft_policy(
    request: Request, actor: Asker, slug: str, posted: Annotated[Posted[schemas.NewPolicy], body(schemas.NewPolicy)]
) -> Response:
    """Keep a new version as a draft; nothing routes by it until it is activated."""
    value = posted.value
    if (value.source is None) == (value.document is None):
        detail = "Give the policy as source (text) or as document (an object): one of the two."
        raise Invalid(detail, "policy_invalid", (Fault("/source", detail),))
    source = value.source if value.source is not None else value.document
    made = policies.draft(database(request), actor, slug, source, value.note)
    return Answer(made, 201, {"Location": f"/api/v1/decision-types/{slug}/policies/{made['version']}"}).response()


@router.get("/{slug}/policies/{version}", operation_id="get_policy", responses=answers(told.PolicyView))
@declare(Permission.READ_POLICIES)
def get_policy(request: Request, actor: Asker, slug: str, version: Version) -> Response:
    """One version of the policy."""
    return Answer(policies.get_version(database(request), actor, slug, version)).response()


@router.post(
    "/{slug}/policies/{version}/proposal", operation_id="propose_policy", responses=answers(told.PolicyView),
    openapi_extra=NOTHING,
)  # fmt: skip
@declare(Permission.EDIT_POLICIES)
def propose_policy(request: Request, actor: Asker, slug: str, version: Version, _: Nothing) -> Response:
    """Offer a draft for activation."""
    return Answer(policies.propose(database(request), actor, slug, version)).response()


@router.post(
    "/{slug}/policies/{version}/activation", operation_id="activate_policy", responses=answers(told.PolicyView),
    openapi_extra=NOTHING,
)  # fmt: skip
@declare(Permission.EDIT_POLICIES)
def activate_policy(request: Request, actor: Asker, slug: str, version: Version, _: Nothing) -> Response:
    """Let a version route from the next decision on; activating an older one rolls back."""
    return Answer(policies.activate(database(request), actor, slug, version)).response()

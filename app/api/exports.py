"""Owns exports over the API: streamed, in constant memory."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.actions import audit
from app.actions.bundles import bundle
from app.actions.exports import decisions_csv, decisions_jsonl
from app.api.calls import Asker, database
from app.api.openapi import PROBLEM
from app.api.params import BundleQuery, DecisionFilter
from app.domain.access import Permission, declare

router = APIRouter(prefix="/exports", tags=["exports"])


def _answers(media_type: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string"}}}
    return {200: {"description": "Streamed, oldest first.", "content": content}, "default": PROBLEM}


@router.get(
    "/decisions.jsonl", operation_id="export_decisions_jsonl", response_class=Response,
    responses=_answers("application/x-ndjson"),
)  # fmt: skip
@declare(Permission.EXPORT)
def export_decisions_jsonl(request: Request, actor: Asker, query: Annotated[DecisionFilter, Query()]) -> Response:
    """One decision a line, with its reviews, judgements and verdicts."""
    return _streamed(request, actor, query, decisions_jsonl, "application/x-ndjson", "decisions.jsonl")


@router.get(
    "/decisions.csv", operation_id="export_decisions_csv", response_class=Response, responses=_answers("text/csv")
)
@declare(Permission.EXPORT)
def export_decisions_csv(request: Request, actor: Asker, query: Annotated[DecisionFilter, Query()]) -> Response:
    """One decision a row; no cell can start a formula."""
    return _streamed(request, actor, query, decisions_csv, "text/csv; charset=utf-8", "decisions.csv")


@router.get("/bundle", operation_id="export_bundle", response_class=Response, responses=_answers("application/zip"))
@declare(Permission.EXPORT)
def export_bundle(request: Request, actor: Asker, query: Annotated[BundleQuery, Query()]) -> Response:
    """Everything an auditor needs in one zip that proves itself: see docs/audit.md. Reading the trail is needed too."""
    db, signer = database(request), request.app.state.signer
    chunks = bundle(db, actor, query.filters(), signer, partial(audit.seal, db, signer), query.checkpoint)
    return _sent(chunks, "application/zip", "handrail-bundle.zip")


def _streamed(
    request: Request, actor: Asker, query: DecisionFilter, export: Callable[..., Iterator[bytes]], kind: str, name: str
) -> Response:
    return _sent(export(database(request), actor, query.filters()), kind, name)


def _sent(chunks: Iterator[bytes], kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(chunks, media_type=kind, headers=headers)

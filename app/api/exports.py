"""Owns exports over the API: streamed, in constant memory."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.actions.exports import decisions_csv, decisions_jsonl
from app.api.calls import Asker, database
from app.api.openapi import PROBLEM
from app.api.params import DecisionFilter
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


def _streamed(
    request: Request, actor: Asker, query: DecisionFilter, export: Callable[..., Iterator[bytes]], kind: str, name: str
) -> Response:
    chunks = export(database(request), actor, query.filters())
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(chunks, media_type=kind, headers=headers)

"""Owns the JSON door: mounts every route of /api/v1, the operators' routes, the problems and the frame."""

from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import Response

from app.api import audit, decisions, erasure, exports, ops, problems, reviews, submit, tiles, types
from app.api.calls import Answer
from app.api.frame import Frame
from app.api.metrics import Metrics
from app.api.openapi import document
from app.domain.access import PUBLIC, declare


def mount(app: FastAPI) -> None:
    """Put the door into the app; `app.state.db` and `app.state.settings` must be there."""
    app.state.metrics = Metrics(app.state.db)
    app.router.routes.extend(submit.ROUTES)
    api = APIRouter(prefix="/api/v1")
    for room in (decisions, reviews, types, exports, audit, erasure):
        api.include_router(room.router)
    app.include_router(api)
    app.include_router(ops.router)
    app.include_router(tiles.router)
    app.get("/api/v1/openapi.json", include_in_schema=False)(_openapi(app, api))
    problems.install(app)
    app.add_middleware(Frame)


def _openapi(app: FastAPI, api: APIRouter) -> Any:
    made = cache(lambda: document(app, api.routes))

    @declare(PUBLIC)
    def openapi_document() -> Response:
        """The OpenAPI document of this API."""
        return Answer(made()).response()

    return openapi_document


__all__ = ["mount"]

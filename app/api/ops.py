"""Owns what operators ask: livez, readyz, metrics. Needs no sign-in, tells nothing of anybody."""

import os

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from app.actions.health import readiness
from app.api.calls import Answer, database
from app.domain.access import PUBLIC, declare
from app.domain.errors import NotFound

router = APIRouter(tags=["operations"], include_in_schema=False)


@router.get("/livez")
@declare(PUBLIC)
async def livez() -> Response:
    """This process answers; the database is not asked."""
    return Answer({"live": True, "process": os.getpid()}).response()


@router.get("/readyz")
@declare(PUBLIC)
def readyz(request: Request) -> Response:
    """Database, schema and worker, with a sentence for each thing that is wrong; warnings are no reason for a 503."""
    found = readiness(database(request), signs=bool(request.app.state.signer.keys))
    ready = not found["problems"]
    headers = {"Cache-Control": "no-store"} | ({} if ready else {"Retry-After": "2"})
    return Answer({"ready": ready, **found}, 200 if ready else 503, headers).response()


@router.get("/metrics")
@declare(PUBLIC)
def metrics(request: Request) -> Response:
    """Prometheus, unless the settings say no."""
    if not request.app.state.settings.metrics_enabled:
        raise NotFound("Metrics are switched off here.")
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)

"""Owns the page that draws the API's reference; the document itself is the API's."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.domain.access import PUBLIC, declare
from app.web import render
from app.web.errors import Page

router = APIRouter(route_class=Page)
OPENAPI: Final = "/api/v1/openapi.json"


@router.get("/api/docs")
@declare(PUBLIC)
def api_docs(request: Request) -> Response:
    return render.bare(request, "api_docs.html", openapi_url=OPENAPI)

"""The HTML door: thin handlers that turn actions into pages. Must not hold rules of the domain, nor any SQL."""

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles

from app.paths import STATIC
from app.web import (
    account,
    audit,
    decisions,
    docs,
    erasure,
    errors,
    exports,
    flow,
    keys,
    log,
    operations,
    people,
    policies,
    queue,
    reviews,
    sign_in,
    types,
)
from app.web.headers import SecureHeaders

PAGES: tuple[APIRouter, ...] = tuple(
    group.router
    for group in (
        sign_in, queue, reviews, decisions, flow, policies, types, audit, log, exports, people, keys, erasure,
        operations, account, docs,
    )
)  # fmt: skip


def mount(app: FastAPI) -> None:
    """Add every page, the static files, the headers, and the pages for errors."""
    for router in PAGES:
        app.include_router(router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(SecureHeaders)
    app.state.error_page = errors.Fault

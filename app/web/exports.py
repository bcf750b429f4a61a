"""Owns the export page and the downloads behind it, streamed."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse

from app.actions import audit, bundles, exports, reading, types
from app.domain.access import P, declare
from app.domain.errors import Invalid
from app.domain.events import EventType
from app.web import render, shown
from app.web.ask import AnAsk, Ask
from app.web.errors import Page, status_of
from app.web.forms import by_field
from app.web.lists import decision_filters, filters_of

router = APIRouter(route_class=Page, prefix="/exports")
NAMES: Final = ("type", "tier", "status", "from", "to")
RECENT: Final = 10
PACKED: Final = 500  # bytes of a bundle for each event of the log, measured by benchmarks/bench_bundle.py
ALWAYS: Final = 17_000  # bytes of a bundle that has no event: the verifier, for the most part
WHAT: Final = {"csv": "decisions, CSV", "jsonl": "decisions, JSON Lines", "bundle": "a bundle that proves itself"}


@router.get("")
@declare(P.EXPORT)
def exports_page(ask: AnAsk) -> Response:
    return _page(ask, filters_of(ask, *NAMES))


@router.get("/decisions.csv")
@declare(P.EXPORT)
def csv(ask: AnAsk) -> Response:
    return _download(ask, exports.decisions_csv, "csv", "text/csv; charset=utf-8")


@router.get("/decisions.jsonl")
@declare(P.EXPORT)
def jsonl(ask: AnAsk) -> Response:
    return _download(ask, exports.decisions_jsonl, "jsonl", "application/x-ndjson")


@router.get("/bundle.zip")
@declare(P.EXPORT)
def bundle(ask: AnAsk) -> Response:
    signer = ask.request.app.state.signer
    make = partial(bundles.bundle, signer=signer, seal=partial(audit.seal, ask.db, signer))
    return _download(ask, make, "zip", "application/zip", name="handrail-bundle")


@router.get("/bundle-size")
@declare(P.EXPORT)
def bundle_size(ask: AnAsk) -> Response:
    """About how large a bundle gets, for the page's script: {events, bytes}."""
    found = exports.events_about(ask.db, ask.me, decision_filters(ask, filters_of(ask, *NAMES)))
    return JSONResponse({"events": found, "bytes": _bytes(found)})


def _bytes(found: int) -> int:
    return ALWAYS + found * PACKED


def _download(
    ask: Ask, export: Callable[..., Iterator[bytes]], kind: str, media: str, name: str = "decisions"
) -> Response:
    asked = filters_of(ask, *NAMES)
    try:
        filters = decision_filters(ask, asked)
    except Invalid as error:
        return _page(ask, asked, error)
    chunks = export(ask.db, ask.me, filters)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return StreamingResponse(chunks, media_type=media, headers=headers)


def _page(ask: Ask, asked: Mapping[str, str], error: Invalid | None = None) -> Response:
    return render.page(
        ask,
        "exports.html",
        status=status_of(error) if error else 200,
        types=shown.titled(types.list_types(ask.db, ask.me)),
        form=asked,
        errors=by_field(error, *NAMES) if error else {},
        recent=_recent(ask),
        proves=ask.me.may(P.READ_AUDIT),
        size=(size := bundles.log_size(ask.db)),
        bytes=_bytes(size),
    )


def _recent(ask: Ask) -> list[dict[str, Any]]:
    if not ask.me.may(P.READ_AUDIT):
        return []
    found = reading.event_list(ask.db, ask.me, type=EventType.EXPORT_STARTED, limit=RECENT)
    return [
        {
            "at": event["time"],
            "by": event["actor"]["name"],
            "what": WHAT[event["data"]["format"]],
            "filters": ", ".join(f"{name} {value}" for name, value in event["data"]["filters"].items()),
        }
        for event in found.data
    ]

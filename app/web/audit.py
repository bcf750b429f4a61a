"""Owns the page of the audit trail."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import figures, reading
from app.domain.access import Actor, P, declare
from app.domain.events import EventType
from app.web import render, titles
from app.web.ask import AnAsk
from app.web.errors import Page
from app.web.forms import day_start
from app.web.lists import filters_of, next_url, read_cursor

router = APIRouter(route_class=Page, prefix="/audit")
LISTED: Final = 50


@router.get("")
@declare(P.READ_AUDIT)
def audit_page(ask: AnAsk) -> Response:
    """Everything that happened, newest first."""
    asked = filters_of(ask, "event", "actor", "object", "from", "to")
    who = figures.person_named(ask.db, ask.me, asked["actor"]) if asked["actor"] else None
    found = reading.event_list(
        ask.db,
        ask.me,
        type=asked["event"] or None,
        actor_id=who,
        object_id=asked["object"] or None,
        since=day_start("from", asked["from"], ask.me.zone),
        until=day_start("to", asked["to"], ask.me.zone, after=True),
        before=read_cursor(ask.query.get("cursor", "")),
        limit=LISTED,
    )
    told = {name: asked[name] for name in ("object", "from", "to")} | {"type": asked["event"], "actor": who}
    ask.reads.events(ask.me, told, len(found.data))
    return render.page(
        ask,
        "audit.html",
        filters=asked,
        event_types=[kind.value for kind in EventType],
        events=[_row(event, ask.me) for event in found.data],
        next_url=next_url("/audit", asked, found.next),
    )


def _row(event: Mapping[str, Any], me: Actor) -> dict[str, Any]:
    return {
        "id": event["id"],
        "at": event["time"],
        "type": event["type"],
        "title": titles.title_of(event),
        "by": event["actor"]["name"],
        "actor_kind": event["actor"]["kind"],
        "object": event["object"]["id"],
        "object_url": titles.link_to(event, me),
        "request_id": event["request_id"],
        "body": event,
    }

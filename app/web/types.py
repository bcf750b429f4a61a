"""Owns the pages of decision types: the list, and one with its schema and guidance."""

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import figures, types
from app.domain.access import P, declare
from app.domain.decision_type import parse_decision_type
from app.web import render, shown
from app.web.ask import AnAsk
from app.web.errors import Page

router = APIRouter(route_class=Page, prefix="/types")


@router.get("")
@declare(P.READ_POLICIES)
def list_page(ask: AnAsk) -> Response:
    counted = figures.by_type(ask.db, ask.me)
    rows = [
        {
            **{name: one[name] for name in ("slug", "title", "queue", "archived", "active_version")},
            "owner": one["owner"] or "nobody named",
            "outcomes": [outcome["title"] for outcome in one["document"]["outcomes"]],
            "decisions_24h": counted[one["slug"]].total,
            "waiting": counted[one["slug"]].waiting,
        }
        for one in types.list_types(ask.db, ask.me)
    ]
    return render.page(ask, "types.html", types=rows)


@router.get("/{slug}")
@declare(P.READ_POLICIES)
def type_page(ask: AnAsk, slug: str) -> Response:
    row = types.get_type(ask.db, ask.me, slug)
    known = parse_decision_type(row["document"])
    about = {
        **shown.type_of(known),
        "owner": known.owner or "nobody named",
        "queue": known.queue,
        "on_invalid_input": known.on_invalid_input,
        "retention_days": known.retention_days,
        "legal_hold": known.legal_hold,
        "input_schema": known.input_schema,
        "archived": row["archived"],
        "active_version": row["active_version"],
        "may_edit": ask.me.may(P.EDIT_TYPES, slug),
        "updated_at": row["changed_at"],
    }
    return render.page(ask, "type.html", type=about)


@router.post("/{slug}/archive")
@declare(P.EDIT_TYPES)
def archive(ask: AnAsk, slug: str) -> Response:
    types.archive(ask.db, ask.me, slug)
    return ask.go(f"/types/{slug}", "Archived: no new decisions are taken; what waits is still decided.")


@router.post("/{slug}/restore")
@declare(P.EDIT_TYPES)
def restore(ask: AnAsk, slug: str) -> Response:
    types.restore(ask.db, ask.me, slug)
    return ask.go(f"/types/{slug}", "Restored: decisions of this type are taken again.")

"""Owns the page of API keys: make, look, revoke. A whole key is in one answer and nowhere else."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import people
from app.domain.access import SCOPES, P, Permission, declare
from app.domain.errors import HandrailError, Invalid, NotFound
from app.web import render
from app.web.ask import AnAsk, Ask
from app.web.errors import Page, status_of
from app.web.forms import by_field, day_start, wrong

router = APIRouter(route_class=Page, prefix="/keys")
RENAMED = {"/scopes": "/scope", "/expires_at": "/expires_on"}


@router.get("")
@declare(P.MANAGE_KEYS)
def list_page(ask: AnAsk) -> Response:
    return _list(ask)


@router.post("")
@declare(P.MANAGE_KEYS)
def make(ask: AnAsk) -> Response:
    """Make a key and show it once."""
    form = ask.form
    try:
        expires = day_start("expires_on", form.text("expires_on", 20), ask.me.zone, after=True)
        person_id = form.text("person_id", 200) or None
        made = people.create_key(
            ask.db, ask.me, form.text("name", 300), form.all("scope"), person_id=person_id, expires_at=expires
        )
    except NotFound as error:
        return _list(ask, error=wrong("person_id", error.detail))
    except Invalid as error:
        return _list(ask, error=error)
    return _list(ask, fresh={"name": made["name"], "key": made["key"]})


@router.post("/{key_id}/revoke")
@declare(P.MANAGE_KEYS)
def revoke(ask: AnAsk, key_id: str) -> Response:
    people.revoke_key(ask.db, ask.me, key_id)
    return ask.go("/keys", "The key is revoked; it stops working at once.")


def _list(ask: Ask, *, fresh: Any = None, error: HandrailError | None = None) -> Response:
    now = datetime.now(UTC)
    return render.page(
        ask,
        "keys.html",
        status=status_of(error) if error else 200,
        keys=[_row(one, now) for one in people.keys(ask.db, ask.me)],
        fresh=fresh,
        scopes=[{"key": key, "means": _means(may)} for key, may in SCOPES.items()],
        people=_people(ask),
        form=ask.form.typed("scope") if error else {},
        errors=_errors(error) if error else {},
    )


def _row(key: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    expired = key["expires_at"] is not None and key["expires_at"] <= now
    return {
        **{name: key[name] for name in ("id", "name", "scopes", "created_at", "expires_at")},
        "public": f"hr_{key['public']}",
        "owner_name": key["owner_name"] or "nobody",
        "acts_as": key["person_name"],
        "state": "revoked" if key["revoked_at"] else "expired" if expired else "active",
    }


def _means(permissions: frozenset[Permission]) -> str:
    return ", ".join(one.value for one in Permission if one in permissions)


def _people(ask: Ask) -> list[dict[str, str]]:
    if not ask.me.may(P.MANAGE_PEOPLE):
        return []
    return [{"id": one["id"], "name": one["name"]} for one in people.people(ask.db, ask.me) if not one["disabled"]]


def _errors(error: HandrailError) -> dict[str, str]:
    found = {}
    for fault in error.faults:
        found[RENAMED.get(fault.pointer, fault.pointer).lstrip("/")] = fault.detail
    known = ("name", "scope", "person_id", "expires_on")
    return {name: text for name, text in found.items() if name in known} or by_field(error)

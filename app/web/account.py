"""Owns a person's own page: password, time zone, keyboard shortcuts, theme."""

from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import people, sessions
from app.domain.access import SIGNED_IN, declare
from app.domain.errors import HandrailError, Invalid
from app.web import render, session
from app.web.ask import AnAsk, Ask
from app.web.errors import Page, status_of
from app.web.forms import by_field, wrong

router = APIRouter(route_class=Page, prefix="/account")


@router.get("")
@declare(SIGNED_IN)
def account_page(ask: AnAsk) -> Response:
    return _page(ask)


def _page(ask: Ask, error: HandrailError | None = None) -> Response:
    known: dict[str, Any] = {"person": people.get_person(ask.db, ask.me, str(ask.me.person_id)), "zones": zones()}
    if error:
        known["errors"] = by_field(error, "current", "new", "again", "zone")
    return render.page(ask, "account.html", status=status_of(error) if error else 200, **known)


@lru_cache(maxsize=1)
def zones() -> list[str]:
    """Every place with a time zone of its own, by name."""
    places = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return [*places, "UTC"]


@router.post("/password")
@declare(SIGNED_IN)
def change_password(ask: AnAsk) -> Response:
    """Set a new password, after the old one; other sessions end."""
    try:
        people.set_password(ask.db, ask.me, str(ask.me.person_id), _new_hash(ask))
    except Invalid as error:
        return _page(ask, error)
    return ask.go("/account", "Your password is changed; your other sessions are signed out.")


def _new_hash(ask: Ask) -> str:
    current, new, again = (ask.form.raw(name, 1_000) for name in ("current", "new", "again"))
    known = people.password_hash_of(ask.db, ask.me)
    if not known or not sessions.password_matches(known, current):
        raise wrong("current", "That is not your current password.")
    if new != again:
        raise wrong("again", "The two new passwords are not the same.")
    try:
        return sessions.hash_password(new)
    except Invalid as error:
        raise wrong("new", error.detail) from None


@router.post("/preferences")
@declare(SIGNED_IN)
def set_preferences(ask: AnAsk) -> Response:
    try:
        people.set_preferences(ask.db, ask.me, ask.form.text("zone", 100), ask.form.text("shortcuts", 10) == "on")
    except Invalid as error:
        return _page(ask, error)
    response = ask.go("/account", "Saved.")
    session.put_theme(ask.request, response, ask.form.text("theme", 10))
    return response

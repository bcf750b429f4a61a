"""Owns the pages of people: the list, one person, their roles and first password."""

import secrets
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import figures, people, sessions, types
from app.domain.access import ROLES, Grant, P, Permission, declare
from app.domain.errors import Conflict, HandrailError, Invalid
from app.web import render, shown
from app.web.ask import AnAsk, Ask
from app.web.errors import Page, status_of
from app.web.forms import by_field, wrong

router = APIRouter(route_class=Page, prefix="/people")
MAX_WORD: Final = 300


@router.get("")
@declare(P.MANAGE_PEOPLE)
def list_page(ask: AnAsk) -> Response:
    return _list(ask)


@router.post("")
@declare(P.MANAGE_PEOPLE)
def add(ask: AnAsk) -> Response:
    """Add a person; their first password is in this answer and nowhere else."""
    email, name = ask.form.text("email", MAX_WORD), ask.form.text("name", MAX_WORD)
    password = secrets.token_urlsafe(15)
    try:
        people.add(ask.db, ask.me, email, name, sessions.hash_password(password), [_grant(ask)])
    except Conflict as error:
        return _list(ask, error=wrong("email", error.detail), status=status_of(error))
    except Invalid as error:
        return _list(ask, error=error)
    return _list(ask, fresh={"email": email, "password": password})


def _list(ask: Ask, *, fresh: Any = None, error: HandrailError | None = None, status: int | None = None) -> Response:
    seen = figures.presence(ask.db, ask.me)
    rows = [
        one | {"last_seen_at": seen.get(one["id"], {}).get("last_seen_at")} for one in people.people(ask.db, ask.me)
    ]
    ask.reads.people(ask.me, len(rows))
    return render.page(
        ask,
        "people.html",
        status=status or (status_of(error) if error else 200),
        people=rows,
        fresh=fresh,
        form=ask.form.typed() if error else {},
        errors=by_field(error, "name", "email", "role", "decision_type") if error else {},
        **_choices(ask),
    )


def _choices(ask: Ask) -> dict[str, Any]:
    return {"roles": [{"key": role, "means": _means(may)} for role, may in ROLES.items()], "types": _types(ask)}


def _means(permissions: frozenset[Permission]) -> str:
    return ", ".join(one.value for one in Permission if one in permissions).capitalize() + "."


def _types(ask: Ask) -> list[dict[str, str]]:
    return shown.titled(types.list_types(ask.db, ask.me)) if ask.me.may(P.READ_POLICIES) else []


@router.get("/{person_id}")
@declare(P.MANAGE_PEOPLE)
def person_page(ask: AnAsk, person_id: str) -> Response:
    return _person(ask, person_id)


def _person(ask: Ask, person_id: str, *, fresh: Any = None, error: HandrailError | None = None) -> Response:
    person = people.get_person(ask.db, ask.me, person_id)
    ask.reads.person(ask.me, person_id)
    seen = figures.presence(ask.db, ask.me).get(person_id, {"sessions": 0, "last_seen_at": None})
    keys = people.keys(ask.db, ask.me) if ask.me.may(P.MANAGE_KEYS) else []
    about = {
        "grants": figures.grants(ask.db, ask.me, person_id),
        "keys": [{"id": one["id"], "name": one["name"]} for one in keys if one["owner_id"] == person_id],
    }
    return render.page(
        ask,
        "person.html",
        status=status_of(error) if error else 200,
        person=person | seen | about,
        fresh=fresh,
        is_me=person_id == ask.me.person_id,
        form=ask.form.typed() if error else {},
        errors=by_field(error, "role", "decision_type") if error else {},
        **_choices(ask),
    )


@router.post("/{person_id}/grants")
@declare(P.MANAGE_PEOPLE)
def give_role(ask: AnAsk, person_id: str) -> Response:
    wanted = _grant(ask)
    return _changed(ask, person_id, "The role is given.", people.grant, wanted.role, wanted.decision_type)


@router.post("/{person_id}/grants/revoke")
@declare(P.MANAGE_PEOPLE)
def take_role(ask: AnAsk, person_id: str) -> Response:
    gone = _grant(ask)
    return _changed(ask, person_id, "The role is taken away.", people.revoke_grant, gone.role, gone.decision_type)


def _grant(ask: Ask) -> Grant:
    return Grant(ask.form.text("role", MAX_WORD), ask.form.text("decision_type", MAX_WORD) or "*")


@router.post("/{person_id}/disable")
@declare(P.MANAGE_PEOPLE)
def disable(ask: AnAsk, person_id: str) -> Response:
    return _changed(ask, person_id, "Disabled: their sessions have ended.", people.disable)


@router.post("/{person_id}/enable")
@declare(P.MANAGE_PEOPLE)
def enable(ask: AnAsk, person_id: str) -> Response:
    return _changed(ask, person_id, "They may sign in again.", people.enable)


@router.post("/{person_id}/erase")
@declare(P.ERASE)
def erase(ask: AnAsk, person_id: str) -> Response:
    """Forget the name and address of somebody who left."""
    return _changed(ask, person_id, "Erased: the id stays.", people.erase)


def _changed(ask: Ask, person_id: str, done: str, change: Callable[..., Any], *args: Any) -> Response:
    """Make the change and say so, or say on the person's page why not."""
    try:
        change(ask.db, ask.me, person_id, *args)
    except (Conflict, Invalid) as error:
        return _person(ask, person_id, error=error)
    return ask.go(f"/people/{person_id}", done)


@router.post("/{person_id}/password")
@declare(P.MANAGE_PEOPLE)
def reset_password(ask: AnAsk, person_id: str) -> Response:
    """A new first password, in this answer and nowhere else."""
    password = secrets.token_urlsafe(15)
    people.set_password(ask.db, ask.me, person_id, sessions.hash_password(password))
    email = people.get_person(ask.db, ask.me, person_id)["email"]
    return _person(ask, person_id, fresh={"email": email, "password": password})

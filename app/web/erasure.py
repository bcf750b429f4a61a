"""Owns the page of erasures (request, approval by a second person) and the buttons of a decision's legal hold."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import erasure
from app.actions.erasure import OF_TYPE
from app.domain.access import P, declare
from app.domain.erasure import Cause, HoldCause
from app.domain.errors import Conflict, HandrailError, Invalid, NotFound
from app.web import render
from app.web.ask import AnAsk, Ask
from app.web.errors import Page, status_of
from app.web.forms import by_field

router = APIRouter(route_class=Page)
MAX_WORD: Final = 300
Said = Callable[[dict[str, Any]], str]
CAUSES: Final[dict[str, str]] = {
    Cause.NO_LONGER_NEEDED: "No longer needed (17(1)(a))",
    Cause.CONSENT_WITHDRAWN: "Consent was withdrawn (17(1)(b))",
    Cause.OBJECTION: "The person objects (17(1)(c))",
    Cause.UNLAWFUL: "It was processed unlawfully (17(1)(d))",
    Cause.LEGAL_DUTY: "The law demands it (17(1)(e))",
    Cause.OTHER: "Another cause",
}
TYPE_HELD: Final = "the whole decision type"
HOLDS: Final[dict[str, str]] = {
    HoldCause.LITIGATION: "Litigation",
    HoldCause.INVESTIGATION: "An investigation",
    HoldCause.REGULATOR: "A regulator asks",
    HoldCause.OTHER: "Another cause",
}


@router.get("/erasures")
@declare(P.ERASE)
def erasures_page(ask: AnAsk) -> Response:
    return _page(ask)


@router.post("/erasures")
@declare(P.ERASE)
def request(ask: AnAsk) -> Response:
    """Ask for the erasure of a subject."""
    subject, cause = ask.form.text("subject", MAX_WORD), ask.form.text("cause", MAX_WORD)
    try:
        erasure.request(ask.db, ask.me, subject, cause)
    except (Conflict, Invalid, NotFound) as error:
        return _page(ask, error)
    return ask.go("/erasures", "Asked for: another administrator must approve it.")


def _page(ask: Ask, error: HandrailError | None = None) -> Response:
    rows = [_row(ask, one) for one in erasure.requests(ask.db, ask.me)]
    return render.page(
        ask,
        "erasures.html",
        status=status_of(error) if error else 200,
        waiting=[one for one in rows if one["state"] == "requested"],
        going=[one for one in rows if one["state"] == "approved"],
        over=[one for one in rows if one["state"] in ("done", "declined")],
        causes=list(CAUSES.items()),
        form=ask.form.typed() if error else {},
        errors=_wrong(error) if error else {},
    )


def _wrong(error: HandrailError) -> dict[str, str]:
    found = by_field(error, "cause")
    return found if "cause" in found else {"subject": error.detail}


def _row(ask: Ask, one: dict[str, Any]) -> dict[str, Any]:
    holds = [TYPE_HELD if cause == OF_TYPE else HOLDS.get(cause, cause) for cause in one["held_for"]]
    why = CAUSES.get(one["cause"], one["cause"])
    return one | {"mine": one["requested_by"] == ask.me.person_id, "why": why, "holds": holds}


@router.post("/erasures/{erasure_id}/approve")
@declare(P.ERASE)
def approve(ask: AnAsk, erasure_id: str) -> Response:
    """Approve what another asked for, and erase."""
    return _settled(ask, erasure.approve, erasure_id, _erased)


@router.post("/erasures/{erasure_id}/decline")
@declare(P.ERASE)
def decline(ask: AnAsk, erasure_id: str) -> Response:
    return _settled(ask, erasure.decline, erasure_id, lambda _: "Declined: nothing was erased.")


def _erased(done: dict[str, Any]) -> str:
    held = f" Under legal hold: {done['held']}; they go when it ends." if done["held"] else ""
    return f"Erased. Decisions: {done['erased']}.{held}"


def _settled(ask: Ask, settle: Callable[..., dict[str, Any]], erasure_id: str, said: Said) -> Response:
    try:
        done = settle(ask.db, ask.me, erasure_id)
    except Conflict as error:
        return ask.go("/erasures", error.detail, kind="error")
    return ask.go("/erasures", said(done))


@router.post("/decisions/{decision_id}/hold")
@declare(P.HOLD)
def hold(ask: AnAsk, decision_id: str) -> Response:
    """Put a decision under legal hold."""
    try:
        erasure.hold(ask.db, ask.me, decision_id, ask.form.text("cause", MAX_WORD))
    except (Conflict, Invalid) as error:
        return ask.go(f"/decisions/{decision_id}", error.detail, kind="error")
    return ask.go(f"/decisions/{decision_id}", "Under legal hold: nothing of it is erased.")


@router.post("/decisions/{decision_id}/release")
@declare(P.HOLD)
def release(ask: AnAsk, decision_id: str) -> Response:
    erasure.release_hold(ask.db, ask.me, decision_id)
    return ask.go(f"/decisions/{decision_id}", "Released from legal hold.")

"""Owns signing in and out, and where a person goes first."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from app.actions import sessions
from app.domain.access import PUBLIC, SIGNED_IN, Actor, P, declare
from app.domain.errors import HandrailError, Throttled, Unauthenticated
from app.web import render, session
from app.web.ask import AnAsk, AVisit, Visit, local_path
from app.web.errors import Page, status_of

router = APIRouter(route_class=Page)
FIRST = (
    (P.REVIEW, "/queue"),
    (P.READ_DECISIONS, "/decisions"),
    (P.READ_POLICIES, "/flow"),
    (P.MANAGE_PEOPLE, "/people"),
    (P.MANAGE_KEYS, "/keys"),
)


@router.get("/")
@declare(SIGNED_IN)
def home(ask: AnAsk) -> Response:
    """The first page that the person may see."""
    return ask.go(first_page(ask.me))


def first_page(me: Actor) -> str:
    return next((path for permission, path in FIRST if me.may(permission)), "/account")


@router.get("/sign-in")
@declare(PUBLIC)
def sign_in_page(visit: AVisit) -> Response:
    wanted = local_path(visit.query.get("next", ""))
    if visit.me:
        return visit.go(wanted or first_page(visit.me))
    return _page(visit, wanted)


def _page(visit: Visit, wanted: str, **context: Any) -> Response:
    return render.page(visit, "sign_in.html", next=wanted, **context)


@router.post("/sign-in")
@declare(PUBLIC)
def sign_in(visit: AVisit) -> Response:
    """Open a session and go on; every cause of failure has the same sentence."""
    email, wanted = visit.form.text("email", 300), local_path(visit.form.text("next"))
    request = visit.request
    address = request.client.host if request.client else "unknown"
    request_id = getattr(request.state, "request_id", None)
    try:
        opened = sessions.sign_in(
            visit.db, email, visit.form.raw("password", 1_000), address=address, request_id=request_id
        )
    except (Unauthenticated, Throttled) as error:
        return _refused(visit, wanted, error)
    response = RedirectResponse(wanted or first_page(opened.actor), status_code=303)
    session.set_cookie(request, response, session.cookie_name(request), opened.token, session.SESSION_SECONDS)
    session.drop_cookie(request, response, session.VISIT)
    return response


def _refused(visit: Visit, wanted: str, error: HandrailError) -> Response:
    form = {"email": visit.form.text("email", 300)}
    response = _page(visit, wanted, status=status_of(error), form=form, errors={"": error.detail})
    if "retry_after" in error.extra:
        response.headers["Retry-After"] = error.extra["retry_after"]
    return response


@router.post("/sign-out")
@declare(SIGNED_IN)
def sign_out(ask: AnAsk) -> Response:
    sessions.sign_out(ask.db, ask.me)
    response = ask.go("/sign-in", "You are signed out.")
    session.drop_cookie(ask.request, response, session.cookie_name(ask.request))
    return response

"""Owns who asks for a page, and whether they may: session, permission, origin and form token, in one place."""

import hmac
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from app.actions import sessions
from app.actions.reads import Reads
from app.domain.access import PUBLIC, SIGNED_IN, Actor, Permission
from app.domain.errors import Forbidden
from app.store.db import Database
from app.web import session
from app.web.forms import Form, check_text, read_form

POLL = "handrail-poll"


class SignedOut(Exception):
    """Nobody is signed in; the browser is sent to the sign-in page."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a public page: perhaps nobody is signed in. `token` is the session's, or the visit's."""

    request: Request
    me: Actor | None
    token: str
    form: Form

    @property
    def db(self) -> Database:
        db: Database = self.request.app.state.db
        return db

    @property
    def reads(self) -> Reads:
        """What tells of reads."""
        return Reads(self.db, on=self.request.app.state.settings.record_reads)

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query_params)

    @property
    def wants_part(self) -> bool:
        return self.request.headers.get("hx-request") == "true"

    @property
    def is_poll(self) -> bool:
        """A page that asks again by itself: it must neither keep a session alive nor use up a notice."""
        return POLL in self.request.headers

    def go(self, path: str, notice: str | None = None, *, kind: str = "ok", undo: str = "") -> Response:
        """303 to a path of ours, with a notice (ok or error); `undo` is the path that takes back what was done."""
        response = RedirectResponse(path, status_code=303)
        if notice:
            session.put_notice(self.request, response, kind, notice, undo)
        return response


@dataclass(frozen=True, slots=True)
class Ask(Visit):
    """A request of somebody who is signed in and holds the permission that the handler declared."""

    me: Actor


def visit(request: Request, form: Annotated[Form, Depends(read_form)]) -> Visit:
    """Whoever asks for a public page."""
    return known(request, form)


def ask(request: Request, form: Annotated[Form, Depends(read_form)]) -> Ask:
    """Whoever asks, signed in and permitted. Raises SignedOut, Forbidden."""
    seen = known(request, form)
    needed = request.scope["endpoint"].__permission__
    if seen.me is None:
        raise SignedOut
    if needed not in (PUBLIC, SIGNED_IN):
        seen.me.must(Permission(needed))
    return Ask(request, seen.me, seen.token, form)


AnAsk = Annotated[Ask, Depends(ask)]
AVisit = Annotated[Visit, Depends(visit)]


def sign_in_path(request: Request) -> str:
    """Where to sign in, and to come back from afterwards."""
    here = _page_of(request)
    return "/sign-in" if here == "/" else f"/sign-in?next={quote(here, safe='')}"


def _page_of(request: Request) -> str:
    """The page that the person is on: for a form, the one that it stands on."""
    if request.method == "GET":
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    try:
        sent_from = urlsplit(request.headers.get("hx-current-url") or request.headers.get("referer") or "")
    except ValueError:
        return "/"
    return local_path(sent_from._replace(scheme="", netloc="", fragment="").geturl()) or "/"


def local_path(text: str) -> str:
    """`text` when it is a path of ours to go to, else ""."""
    plain = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and "\\" not in text
    return text if plain and len(text) < 2_000 else ""


def known(request: Request, form: Form) -> Visit:
    """Whoever asks; a POST is checked for its origin and token. Raises Forbidden, Invalid, SignedOut."""
    seen = identified(request, form)
    check_text(*request.query_params.keys(), *request.query_params.values(), *map(str, request.path_params.values()))
    if request.method == "POST":
        _check_origin(request)
        _check_token(seen)
    return seen


def identified(request: Request, form: Form) -> Visit:
    """The session or the visit behind a request, unchecked; kept for the page of an error."""
    token = session.session_token(request)
    me = _actor(request, token) if token else None
    request.state.me = me
    request.state.token = token if me else session.visit_token(request)
    return Visit(request, me, request.state.token, form)


def _actor(request: Request, token: str) -> Actor | None:
    request_id = getattr(request.state, "request_id", None)
    return sessions.actor_of_session(request.app.state.db, token, request_id, touch=POLL not in request.headers)


def _check_origin(request: Request) -> None:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        same = site == "same-origin"
    elif origin is not None:
        hosts = {request.headers.get("host"), urlsplit(str(request.app.state.settings.public_url)).netloc}
        same = urlsplit(origin).netloc in hosts
    else:
        same = True  # no browser of today; the token still decides
    if not same:
        raise Forbidden("This form was sent from another site; nothing was changed.", "cross_site")


def _check_token(seen: Visit) -> None:
    expected = session.csrf(seen.request, seen.token) if seen.token else ""
    if expected and hmac.compare_digest(seen.form.text("csrf", 200).encode(), expected.encode()):
        return
    if seen.me is None and seen.request.scope["endpoint"].__permission__ != PUBLIC:
        raise SignedOut
    raise Forbidden("This form is out of date; nothing was changed. Load the page again, and retry.", "csrf")

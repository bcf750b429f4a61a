"""Owns the cookies of the HTML door: the session, the visit before it, and the notice that is shown once."""

import base64
import hmac
import json
import secrets
from typing import Any, Final

from fastapi import Request, Response

from app.actions.sessions import csrf_token

NOTICE: Final = "handrail_notice"
VISIT: Final = "handrail_visit"
NOTICE_SECONDS: Final = 60
SESSION_SECONDS: Final = 12 * 3600
THEME: Final = "handrail_theme"
THEME_SECONDS: Final = 365 * 86_400


def is_secure(request: Request) -> bool:
    """Whether people reach us over https, as the public URL says."""
    return str(request.app.state.settings.public_url).startswith("https://")


def cookie_name(request: Request) -> str:
    return "__Host-handrail" if is_secure(request) else "handrail_session"


def session_token(request: Request) -> str:
    return request.cookies.get(cookie_name(request), "")


def visit_token(request: Request) -> str:
    """What ties the sign-in form to this browser; empty at the first visit."""
    return request.cookies.get(VISIT, "")


def new_visit() -> str:
    return secrets.token_urlsafe(24)


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )


def drop_cookie(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=is_secure(request), httponly=True, samesite="lax")


def csrf(request: Request, token: str) -> str:
    """The form token that belongs to a session or a visit."""
    return csrf_token(_secret(request), token)


def theme(request: Request) -> str:
    """light or dark when this browser was told so, else "": as the system has it."""
    chosen = request.cookies.get(THEME, "")
    return chosen if chosen in ("light", "dark") else ""


def put_theme(request: Request, response: Response, chosen: str) -> None:
    """Keep the theme for this browser; anything but light and dark means the system's."""
    if chosen in ("light", "dark"):
        set_cookie(request, response, THEME, chosen, THEME_SECONDS)
    else:
        drop_cookie(request, response, THEME)


def put_notice(request: Request, response: Response, kind: str, text: str, undo: str = "") -> None:
    """Keep a notice for the next page, with the path that undoes what it tells of: signed, so that it is ours."""
    notice = {"kind": kind, "text": text[:500], "undo": undo}
    said = base64.urlsafe_b64encode(json.dumps(notice).encode()).decode()
    set_cookie(request, response, NOTICE, f"{said}.{_mac(request, said)}", NOTICE_SECONDS)


def read_notice(request: Request) -> dict[str, Any] | None:
    """The notice that is due, or None."""
    said, _, mac = request.cookies.get(NOTICE, "").partition(".")
    if not said or not hmac.compare_digest(mac.encode(), _mac(request, said).encode()):
        return None
    notice: dict[str, Any] = json.loads(base64.urlsafe_b64decode(said))
    return notice


def _mac(request: Request, said: str) -> str:
    return hmac.new(_secret(request).encode(), b"notice:" + said.encode(), "sha256").hexdigest()


def _secret(request: Request) -> str:
    return str(request.app.state.settings.secret_key.get_secret_value())

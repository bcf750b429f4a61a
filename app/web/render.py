"""Owns turning a template and its context into a page, whole or (for htmx) the part that changes."""

from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app import __version__
from app.actions import reading
from app.domain.access import P
from app.domain.errors import HandrailError
from app.paths import TEMPLATES
from app.web import session
from app.web.ask import Visit
from app.web.filters import FILTERS

PAGES: Final = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
PAGES.filters.update(FILTERS)


def page(seen: Visit, template: str, *, status: int = 200, **context: Any) -> Response:
    """The page with what every page gets; the notice that was kept is shown and dropped."""
    request = seen.request
    notice = None if seen.is_poll else session.read_notice(request)
    token = seen.token or session.new_visit()
    base = {
        "status": status,
        "me": seen.me,
        "P": P,
        "csrf": session.csrf(request, token),
        "path": request.url.path,
        "version": __version__,
        "notice": notice,
        "theme": session.theme(request),
        "waiting_count": _waiting(seen),
        "form": {},
        "errors": {},
        "layout": "swap.html" if seen.wants_part else "base.html",
    }
    response = HTMLResponse(PAGES.get_template(template).render(base | context), status_code=status)
    if request.method == "POST":
        response.headers["HX-Push-Url"] = "false"  # loading the form's own address again would be no page
    if notice:
        session.drop_cookie(request, response, session.NOTICE)
    if seen.me is None and token != seen.token:
        session.set_cookie(request, response, session.VISIT, token, session.SESSION_SECONDS)
    return response


def bare(request: Request, template: str, **context: Any) -> Response:
    """A template that stands alone."""
    return HTMLResponse(PAGES.get_template(template).render({"version": __version__} | context))


def _waiting(seen: Visit) -> int | None:
    if seen.me is None:
        return None
    try:
        return reading.waiting_count(seen.db, seen.me)
    except HandrailError:  # the page may itself be the one that says that the database is away
        return None

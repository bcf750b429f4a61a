"""Owns the operations page: how this installation is doing, and trying again what a duty had to set aside."""

from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import health, operations, upkeep
from app.domain.access import P, declare
from app.web import render
from app.web.ask import AnAsk
from app.web.errors import Page

router = APIRouter(route_class=Page, prefix="/operations")
TITLES: Final = {
    "seal": "Seal events into the audit tree",
    "announce_lapsed": "Announce leases that are over",
    "announce_overdue": "Announce reviews that are overdue",
    "expire": "End reviews whose policy does not wait",
    "purge": "Drop what is no longer needed",
    "retain": "Erase data that is past its retention",
    "erase": "Finish erasures that were approved",
    "push": "Send checkpoints out",
}


@router.get("")
@declare(P.OPERATE)
def operations_page(ask: AnAsk) -> Response:
    """Workers, database, queues, duties, rows set aside."""
    found = operations.overview(ask.db, ask.me)
    for one in (*found["duties"], *found["aside"]):
        one["title"] = TITLES.get(one["duty"], one["duty"])
    replica = ask.db.replica.look() if ask.db.replica else None
    kind = "SQLite" if ask.db.is_sqlite else "PostgreSQL"
    warnings = health.log_warnings(found["log"], bool(ask.request.app.state.signer.keys))
    return render.page(ask, "operations.html", **found, database=kind, replica=replica, log_warnings=warnings)


@router.post("/try-again")
@declare(P.OPERATE)
def try_again(ask: AnAsk) -> Response:
    """Process a row that was set aside, and say how it went."""
    wrong = upkeep.try_again(ask.db, ask.me, ask.form.text("duty", 100), ask.form.text("object", 100))
    if wrong:
        return ask.go("/operations", f"It failed again: {wrong}.", kind="error")
    return ask.go("/operations", "Done: the row is processed.")

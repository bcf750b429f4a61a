"""Owns the queue page, and claiming the next review from it."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import figures, reading, reviews
from app.actions.reviews import Nothing
from app.domain.access import P, declare
from app.domain.decision_type import DecisionType
from app.web import render
from app.web.ask import AnAsk, Ask
from app.web.errors import Page
from app.web.questions import question

router = APIRouter(route_class=Page)
LISTED: Final = 100


@router.get("/queue")
@declare(P.REVIEW)
def queue_page(ask: AnAsk) -> Response:
    """What waits, most urgent first."""
    chosen = ask.query.get("queue", "")
    listed, counts = reading.queue_list(ask.db, ask.me, chosen or None, None, LISTED)
    known = reading.decision_types_of(ask.db, ask.me, [row["decision_type"] for row in listed.data])
    rows = [_row(row, known[row["decision_type"]]) for row in listed.data]
    return render.page(
        ask,
        "queue.html",
        queues=figures.queues(ask.db, ask.me),
        queue=chosen,
        reviews=rows,
        more=max(counts["waiting"] - len(rows), 0),
        empty=_empty(counts, chosen),
    )


def _row(row: Mapping[str, Any], known: DecisionType) -> dict[str, Any]:
    lease = (
        {"mine": row["mine"], "holder_name": row["holder_name"], "expires_at": row["lease"]["expires_at"]}
        if row["held"]
        else None
    )
    return {
        **{name: row[name] for name in ("id", "kind", "tier", "stakes", "level", "due_at", "created_at")},
        "question": question(known.title, [one.title for one in known.outcomes], row["subject"], row["input"]),
        "external_id": row["external_id"],
        "service": row["service"],
        "overdue": row["late"],
        "lease": lease,
        "snoozed_until": row["available_at"] if row["snoozed"] else None,
    }


def _empty(counts: Mapping[str, int], chosen: str) -> dict[str, str] | None:
    if counts["waiting"]:
        return None
    why = Nothing(counts["held"], counts["barred"], counts["snoozed"], counts["mine"]).sentence
    if why == "nothing waiting":
        where = " in this queue" if chosen else ""
        return {"title": f"Nothing is waiting{where}", "detail": "New reviews appear here by themselves."}
    return {"title": "Nothing for you to claim now", "detail": f"{why.capitalize()}."}


@router.post("/queue/claim")
@declare(P.REVIEW)
def claim_next(ask: AnAsk) -> Response:
    """Lease the most urgent review and open it."""
    return next_or_queue(ask, ask.form.text("queue", 200))


def next_or_queue(ask: Ask, queue: str, done: str = "") -> Response:
    """On to the next review of the queue, or back to the queue with the reason; `done` is what was just done."""
    with ask.request.app.state.metrics.claim_seconds.time():
        claimed = reviews.claim_next(ask.db, ask.me, queue or None)
    if isinstance(claimed, Nothing):
        return ask.go("/queue", f"{done} There is nothing more to claim: {claimed.sentence}.".strip())
    return ask.go(f"/reviews/{claimed['id']}", f"{done} Here is the next one." if done else None)

"""Owns the review screen and what a reviewer does there: claim, judge, rule, skip, snooze, release, undo."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import reading, reviews
from app.actions.verdicts import Judged, Ruled, give_verdict
from app.domain.access import P, declare
from app.domain.decision_type import DecisionType
from app.domain.errors import Conflict, Forbidden, HandrailError, Invalid
from app.domain.review import Action, Said
from app.web import render, shown
from app.web.ask import AnAsk, Ask
from app.web.errors import Page, status_of
from app.web.fields import laid_out
from app.web.filters import minute, read_moment
from app.web.forms import by_field, wrong
from app.web.queue import next_or_queue

router = APIRouter(route_class=Page, prefix="/reviews")
BARRED: Final = (
    "You may not take it: your roles do not cover it, you said something in it already, or your own key submitted it."
)
WITH_LEADS: Final = "It was escalated, so a lead takes it from here."
PLAIN: Final = {
    "reason_required": "Choose a reason.",
    "outcome_required": "Choose an outcome.",
}  # keys are not for people
FIELDS: Final = ("outcome", "reason_code", "rationale", "action")


@router.get("/{review_id}")
@declare(P.READ_DECISIONS)
def review_page(ask: AnAsk, review_id: str) -> Response:
    """One review on one screen."""
    return _screen(ask, review_id)


@router.post("/{review_id}/claim")
@declare(P.REVIEW)
def claim(ask: AnAsk, review_id: str) -> Response:
    try:
        reviews.claim(ask.db, ask.me, review_id)
    except (Conflict, Forbidden) as error:
        return _screen(ask, review_id, error)
    return ask.go(f"/reviews/{review_id}")


@router.post("/{review_id}/renew")
@declare(P.REVIEW)
def renew(ask: AnAsk, review_id: str) -> Response:
    try:
        reviews.renew(ask.db, ask.me, review_id, _token(ask))
    except Conflict as error:
        return _screen(ask, review_id, error)
    return ask.go(f"/reviews/{review_id}", "It stays yours for longer.")


@router.post("/{review_id}/release")
@declare(P.REVIEW)
def release(ask: AnAsk, review_id: str) -> Response:
    """Give it back; a lead, who has no token, frees what somebody else holds."""
    try:
        token = ask.form.whole("token")
        reviews.release(ask.db, ask.me, review_id, token)
    except Conflict as error:
        return _screen(ask, review_id, error)
    undo = "" if token is None else f"/reviews/{review_id}/undo"
    return ask.go("/queue", "The review is back in the queue.", undo=undo)


@router.post("/{review_id}/snooze")
@declare(P.REVIEW)
def snooze(ask: AnAsk, review_id: str) -> Response:
    try:
        until = reviews.snooze(ask.db, ask.me, review_id, _token(ask), ask.form.whole("minutes") or 0)
    except Conflict as error:
        return _screen(ask, review_id, error)
    return ask.go("/queue", f"Snoozed until {minute(until, ask.me.zone)}.", undo=f"/reviews/{review_id}/undo")


@router.post("/{review_id}/undo")
@declare(P.REVIEW)
def undo(ask: AnAsk, review_id: str) -> Response:
    """Take back a snooze or a release: the review is the person's again."""
    try:
        reviews.undo(ask.db, ask.me, review_id)
    except (Conflict, Forbidden) as error:
        return _screen(ask, review_id, error)
    return ask.go(f"/reviews/{review_id}", "Taken back: you hold the review again.")


@router.post("/{review_id}/judgement")
@declare(P.REVIEW)
def judge(ask: AnAsk, review_id: str) -> Response:
    """The reviewer's own judgement, before they see the proposal."""
    return _say(ask, review_id, Action.DECIDE)


@router.post("/{review_id}/verdict")
@declare(P.REVIEW)
def rule(ask: AnAsk, review_id: str) -> Response:
    """A verdict; then the next review."""
    try:
        action = Action(ask.form.text("action", 40))
    except ValueError:
        raise wrong("action", f"Say one of {', '.join(Action)}.") from None
    return _say(ask, review_id, action)


def _say(ask: Ask, review_id: str, action: Action) -> Response:
    try:
        given = give_verdict(ask.db, ask.me, review_id, _token(ask), _said(ask, action))
    except (Invalid, Conflict, Forbidden) as error:
        return _screen(ask, review_id, error)
    if isinstance(given, Judged):
        return ask.go(f"/reviews/{review_id}")
    ask.request.app.state.metrics.verdicts.labels(action.value).inc()
    known = reading.decision_type(ask.db, ask.me, given.decision["decision_type"])
    return next_or_queue(ask, given.review["queue"], _done(known, given))


def _said(ask: Ask, action: Action) -> Said:
    form = ask.form
    return Said(
        action, form.text("outcome", 200) or None, form.text("reason_code", 200) or None, form.text("rationale") or None
    )


def _done(known: DecisionType, given: Ruled) -> str:
    verdict = given.verdict
    outcome = known.title_of(verdict["outcome"]) if verdict["outcome"] else ""
    words = {
        "approve": f"Approved: {outcome}.",
        "override": f"Overridden: {outcome}.",
        "decide": f"Decided: {outcome}.",
        "escalate": "Escalated to the leads.",
        "abstain": "Left to somebody else.",
    }[verdict["action"]]
    waits = verdict["outcome"] and given.review["state"] == "open"
    return f"{words} It needs another reviewer." if waits else words


def _token(ask: Ask) -> int:
    # No token is none that was ever given, so the answer is that the lease is lost.
    return ask.form.whole("token") or 0


def _screen(ask: Ask, review_id: str, error: HandrailError | None = None) -> Response:
    """The screen, with what was typed when something was wrong with it."""
    view = reading.review(ask.db, ask.me, review_id)
    if view["to_keep"]:
        reviews.look(ask.db, ask.me, review_id)
        view = reading.review(ask.db, ask.me, review_id)
    known = reading.decision_type(ask.db, ask.me, view["decision_type"])
    ask.reads.review(ask.me, view)
    decision = view["decision"]
    return render.page(
        ask,
        "review.html",
        status=status_of(error) if error else 200,
        form=ask.form.typed(),
        errors=_wrong(error) if error else {},
        question=shown.asked(known, decision),
        review=_review(ask, known, view),
        decision=shown.decision_of(known, decision),
        type=shown.type_of(known),
        fields=laid_out(known.input_schema, decision["input"]),
        thresholds=shown.thresholds_of(ask.db, ask.me, decision),
        my_judgement=_judgement(known, view["my_judgement"]),
        **_claiming(ask, view),
    )


def _wrong(error: HandrailError) -> dict[str, str]:
    found = by_field(error, *FIELDS)
    return dict.fromkeys(found, PLAIN[error.code]) if error.code in PLAIN else found


def _review(ask: Ask, known: DecisionType, view: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "kind", "queue", "tier", "stakes", "priority", "state", "level", "due_at", "created_at", "blind",
             "required", "note")  # fmt: skip
    later = read_moment(view["available_at"]) > view["server_time"]
    return {
        **{name: view[name] for name in names},
        "snoozed_until": view["available_at"] if later and view["state"] == "open" else None,
        "overdue": read_moment(view["due_at"]) < view["server_time"],
        "proposal_visible": view["decision"]["proposal"] is not None,
        "lease": _lease(ask, view),
        "verdicts": [shown.verdict_of(known, one) for one in view["verdicts"]],
    }


def _lease(ask: Ask, view: Mapping[str, Any]) -> dict[str, Any] | None:
    if not (view["mine"] or view["held"]):
        return None
    holder = ask.me.name if view["mine"] else view["holder_name"]
    token = view["token"] if view["mine"] else ""
    return {"token": token, "expires_at": view["lease"]["expires_at"], "mine": view["mine"], "holder_name": holder}


def _judgement(known: DecisionType, said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if said is None:
        return None
    names = ("outcome", "reason_code", "rationale")
    return {**{name: said[name] for name in names}, "title": known.title_of(said["outcome"])}


def _claiming(ask: Ask, view: Mapping[str, Any]) -> dict[str, Any]:
    free = view["state"] == "open" and not view["mine"] and not view["held"]
    hint = None
    if free and not view["may_take"]:
        hint = WITH_LEADS if view["level"] and not ask.me.may(P.REVIEW_ESCALATED, view["decision_type"]) else BARRED
    more = view["state"] != "open" and reading.waiting_count(ask.db, ask.me) > 0
    return {"may_claim": free and view["may_take"], "claim_hint": hint, "next": more}

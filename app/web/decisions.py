"""Owns the pages of decisions: the list with filters, and one decision with its timeline."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import policies, proofs, reading, types
from app.domain.access import P, declare
from app.domain.decision_type import DecisionType, parse_decision_type
from app.store.decisions import Filters
from app.web import render, shown, titles
from app.web.ask import AnAsk, Ask
from app.web.erasure import HOLDS
from app.web.errors import Page
from app.web.fields import laid_out
from app.web.lists import decision_filters, filters_of, next_url, read_cursor

router = APIRouter(route_class=Page, prefix="/decisions")
LISTED: Final = 50


@router.get("")
@declare(P.READ_DECISIONS)
def list_page(ask: AnAsk) -> Response:
    """Decisions that the person may read, newest first."""
    asked = filters_of(ask, "type", "tier", "status", "model", "from", "to")
    after = read_cursor(ask.query.get("cursor", ""))
    filters = decision_filters(ask, asked)
    found = reading.decision_list(ask.db, ask.me, filters, after, LISTED)
    ask.reads.decisions(ask.me, filters, len(found.data))
    known = {one["slug"]: parse_decision_type(one["document"]) for one in types.list_types(ask.db, ask.me)}
    return render.page(
        ask,
        "decisions.html",
        filters=asked,
        types=shown.titled([{"slug": slug, "title": one.title} for slug, one in known.items()]),
        rows=[_row(view, known[view["decision_type"]]) for view in found.data],
        next_url=next_url("/decisions", asked, found.next),
        any_at_all=bool(found.data) or _any(ask),
    )


def _any(ask: Ask) -> bool:
    return bool(reading.decision_list(ask.db, ask.me, Filters(), None, 1).data)


def _row(view: Mapping[str, Any], known: DecisionType) -> dict[str, Any]:
    proposal = view["proposal"] or {}
    names = ("id", "external_id", "subject", "tier", "stakes", "status", "created_at")
    return {
        **{name: view[name] for name in names},
        "type_title": known.title,
        "overturned": view["overturned"] is not None,
        "outcome_title": view["outcome"] and known.title_of(view["outcome"]),
        "proposed_title": proposal and known.title_of(proposal["outcome"]),
        "confidence": proposal.get("confidence"),
        "hidden": view["proposal_hidden"],
        "model": " ".join(filter(None, view["model"].values())),
    }


@router.get("/{decision_id}")
@declare(P.READ_DECISIONS)
def decision_page(ask: AnAsk, decision_id: str) -> Response:
    """One decision: what was proposed, why it went its way, and everything that happened to it."""
    view = reading.decision(ask.db, ask.me, decision_id)
    known = reading.decision_type(ask.db, ask.me, view["decision_type"])
    ask.reads.decision(ask.me, decision_id, known.slug)
    told = reading.timeline(ask.db, ask.me, decision_id)
    return render.page(
        ask,
        "decision.html",
        title_text=shown.asked(known, view),
        decision=_decision(known, view),
        type={"slug": known.slug, "title": known.title},
        fields=laid_out(known.input_schema, view["input"]),
        thresholds=shown.thresholds_of(ask.db, ask.me, view),
        reviews=[_review(known, one) for one in view["reviews"]],
        replayed=_replayed(ask, known, view),
        holds=[{"key": key, "title": title} for key, title in HOLDS.items()] if _holds(ask, view) else [],
        proved=_proved(ask, told) if _audits(ask, known) else None,
        timeline=_timeline(known, view, told),
    )


def _replayed(ask: Ask, known: DecisionType, view: Mapping[str, Any]) -> str | None:
    if view["erased"] or not _audits(ask, known):
        return None
    return shown.replayed(policies.replay(ask.db, ask.me, view["id"]))


def _holds(ask: Ask, view: Mapping[str, Any]) -> bool:
    return ask.me.may(P.HOLD, view["decision_type"]) and not view["erased"]


def _audits(ask: Ask, known: DecisionType) -> bool:
    return ask.me.may(P.READ_AUDIT, known.slug)


def _proved(ask: Ask, told: list[dict[str, Any]]) -> dict[str, Any]:
    count, size = proofs.covered(ask.db, [one["id"] for one in told])
    return {"count": count, "of": len(told), "size": size, "event": told[-1]["id"]}


def _decision(known: DecisionType, view: Mapping[str, Any]) -> dict[str, Any]:
    return shown.decision_of(known, view) | {
        "status": view["status"],
        "overturned": view["overturned"] is not None,
        "outcome_title": view["outcome"] and known.title_of(view["outcome"]),
        "tier": view["tier"],
        "sampled": view["sampled"],
        "sample_rate": view["inclusion_probability"],
        "digest": view["policy"] and view["policy"]["digest"],
        "finished_at": view["final_at"],
        "metadata": view["metadata"] or None,
    }


def _review(known: DecisionType, view: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "kind", "state", "queue", "level", "due_at")
    return {
        **{name: view[name] for name in names},
        "verdicts": [shown.verdict_of(known, one) for one in view["verdicts"]],
    }


def _timeline(known: DecisionType, view: Mapping[str, Any], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = {one["id"]: one for review in view["reviews"] for one in review["verdicts"]}
    return [
        {
            "id": event["id"],
            "at": event["time"],
            "type": event["type"],
            "title": titles.title_of(event),
            "by": event["actor"]["name"],
            "actor_kind": event["actor"]["kind"],
            "detail": (said.get(event["data"].get("verdict")) or {}).get("rationale"),
            "changes": _in_words(known, titles.changes_of(event)),
        }
        for event in events
    ]


def _in_words(known: DecisionType, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for one in changes:
        if "outcome" in one["what"].lower():
            one |= {key: one[key] and known.title_of(one[key]) for key in ("before", "after")}
    return changes

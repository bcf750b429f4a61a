"""Owns looking: what an actor may see of decisions, reviews and events. Changes nothing."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from app.actions import _shown, _views
from app.domain.access import Actor, Permission
from app.domain.decision_type import DecisionType, cached_type
from app.domain.errors import NotFound
from app.domain.events import EventType
from app.store import decision_types, decisions, events, keys, people, reviews, stats
from app.store.db import ReadTx, reads, surveys

Row = Any
P = Permission
SAYINGS = (EventType.REVIEW_JUDGED, EventType.REVIEW_VERDICT_GIVEN)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list. `next` is the key of the last row when there are more, as the caller's cursor takes it."""

    data: Sequence[dict[str, Any]]
    next: tuple[Any, ...] | None


@reads
def which_ended(tx: ReadTx, ids: frozenset[str]) -> set[str]:
    """Which of the decisions are no longer pending."""
    return decisions.ended(tx, ids)


@reads
def decision(tx: ReadTx, actor: Actor, decision_id: str) -> dict[str, Any]:
    """A decision with its reviews, judgements and verdicts. Raises NotFound, also when the actor may not read it."""
    row = _readable(tx, actor, decision_id)
    hide = row.id in _views.hidden(tx, actor, [row])
    return _signed(tx, _views.decision(row, hide=hide)) | {"reviews": _reviews(tx, actor, row.id, hide)}


@surveys
def decision_list(
    tx: ReadTx, actor: Actor, filters: decisions.Filters, after: tuple[datetime, str] | None, limit: int
) -> Page:
    """Decisions that the actor may read, newest first, without `input` and `metadata`."""
    actor.must(P.READ_DECISIONS)
    allowed = replace(filters, types=actor.types(P.READ_DECISIONS))
    rows = decisions.page(tx, allowed, after=after, limit=limit + 1)
    hide = _views.hidden(tx, actor, rows[:limit])
    last = rows[limit - 1] if len(rows) > limit else None
    data = [_views.decision(row, hide=row.id in hide, payload=False) for row in rows[:limit]]
    return Page(data, (last.created_at, last.id) if last else None)


@reads
def timeline(tx: ReadTx, actor: Actor, decision_id: str) -> list[dict[str, Any]]:
    """Every event of a decision, oldest first, each with `actor.name`. Raises NotFound."""
    row = _readable(tx, actor, decision_id)
    hide = row.id in _views.hidden(tx, actor, [row])
    told = events.of_decision(tx, decision_id)
    unheard = _views.unheard(tx, actor, reviews.of_decision(tx, decision_id))
    return _named(tx, [_views.event(one, hide=hide or _tells(one, unheard, actor)) for one in told])


@surveys
def event_list(
    tx: ReadTx,
    actor: Actor,
    *,
    type: str | None = None,
    actor_id: str | None = None,
    object_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> Page:
    """The audit trail, newest first. Proposals under blind review are hidden from those who may judge them."""
    actor.must(P.READ_AUDIT)
    wanted = events.Wanted(type, actor_id, object_id, since, until, actor.types(P.READ_AUDIT))
    rows = events.page(tx, wanted, before=before, limit=limit + 1)
    shown = rows[:limit]
    ids = {one.decision_id for one in shown if one.decision_id}
    hide = _views.hidden(tx, actor, decisions.many(tx, ids).values())
    unheard = _views.unheard(tx, actor, reviews.of_decisions(tx, ids))
    last = rows[limit - 1] if len(rows) > limit else None
    data = _named(tx, [_views.event(one, hide=one.decision_id in hide or _tells(one, unheard, actor)) for one in shown])
    return Page(data, (last.created_at, last.id) if last else None)


@reads
def event(tx: ReadTx, actor: Actor, event_id: str) -> tuple[dict[str, Any], str | None]:
    """An event, and its bytes as they are stored unless something in them is hidden from the actor. Raises NotFound."""
    row: Row = events.get(tx, event_id)
    types = actor.types(P.READ_AUDIT)
    if row is None or not (types is None or row.decision_type in types):
        raise NotFound("There is no such event.")
    ids = {row.decision_id} if row.decision_id else set()
    unheard = _views.unheard(tx, actor, reviews.of_decisions(tx, ids))
    hide = row.decision_id in _views.hidden(tx, actor, decisions.many(tx, ids).values()) or _tells(row, unheard, actor)
    return _named(tx, [_views.event(row, hide=hide)])[0], None if hide else row.body.decode()


@reads
def review(tx: ReadTx, actor: Actor, review_id: str) -> dict[str, Any]:
    """A review as the actor sees it: with the lease's token if it is theirs, their judgement, and the decision.

    Adds `may_take` (role and duties allow it), `holder_name`, `mine`, and `to_keep`: whether it is not yet kept that
    the holder sees this (see actions.reviews.look). Raises NotFound.
    """
    row = reviews.get(tx, review_id)
    if row is None or not (actor.may(P.REVIEW, row.decision_type) or actor.may(P.READ_DECISIONS, row.decision_type)):
        raise NotFound("There is no such review.")
    decision_row = decisions.get(tx, row.decision_id)
    hide = row.decision_id in _views.hidden(tx, actor, [decision_row])
    view = _views.review(row) | {
        "decision": _signed(tx, _views.decision(decision_row, hide=hide)),
        "server_time": tx.now(),
    }
    standing = _standing(tx, actor, row)
    new = standing["mine"] and not _shown.is_kept(tx, actor, row, decision_row)
    return view | standing | _said(tx, actor, row, hide) | {"to_keep": new}


@reads
def queue_list(
    tx: ReadTx, actor: Actor, queue: str | None, after: reviews.Key | None, limit: int
) -> tuple[Page, dict[str, int]]:
    """Open reviews of the types the actor may review, most urgent first, and counts as in store.reviews.counts."""
    actor.must(P.REVIEW)
    allowed = actor.types(P.REVIEW)
    rows = reviews.waiting_page(tx, allowed, queue, after=after, limit=limit + 1)
    names = people.names(tx, {row.lease_holder for row in rows if row.lease_holder})
    last = rows[limit - 1] if len(rows) > limit else None
    data = [_queued(tx, actor, row, names) for row in rows[:limit]]
    counts = asdict(reviews.counts(tx, reviews.Taker.of(actor), queue))
    page = Page(data, (last.priority, last.due_at, last.id) if last else None)
    return page, counts


@reads
def waiting_count(tx: ReadTx, actor: Actor) -> int:
    """How many open reviews the actor could take now."""
    return reviews.counts(tx, reviews.Taker.of(actor), None).waiting if actor.may(P.REVIEW) else 0


@reads
def queue_stats(tx: ReadTx) -> list[dict[str, Any]]:
    """Per queue: open and late reviews, and the creation of the oldest."""
    return [asdict(one) for one in stats.queues(tx)]


def _signed(tx: ReadTx, view: dict[str, Any]) -> dict[str, Any]:
    """With the name of whoever erased it."""
    if view["erased"]:
        key = keys.get(tx, view["erased"]["by"])
        by = key.person_id if key else view["erased"]["by"]
        view["erased"]["by_name"] = (people.names(tx, {by}) | {"system": "Handrail"}).get(by, by)
    return view


def _readable(tx: ReadTx, actor: Actor, decision_id: str) -> Row:
    row = decisions.get(tx, decision_id)
    if row is None or not _may_read(actor, row):
        raise NotFound("There is no such decision.")
    return row


def _may_read(actor: Actor, row: Row) -> bool:
    # A service sees what it submitted, whatever else its key may do.
    own = actor.kind == "key" and row.service == actor.service and actor.may(P.SUBMIT)
    return own or actor.may(P.READ_DECISIONS, row.decision_type)


def _reviews(tx: ReadTx, actor: Actor, decision_id: str, hide: bool) -> list[dict[str, Any]]:
    rows = reviews.of_decision(tx, decision_id)
    ids = [row.id for row in rows]
    said, judged = reviews.verdicts(tx, ids), reviews.judgements(tx, ids)
    names = people.names(tx, {one.person_id for one in (*said, *judged)})
    unheard = _views.unheard(tx, actor, rows)
    views = []
    for row in rows:
        view = _views.review(row)
        alone = hide or row.id in unheard
        view["verdicts"] = _of(row.id, said, names, _views.verdict, actor, alone)
        view["judgements"] = _of(row.id, judged, names, _views.judgement, actor, alone)
        views.append(view)
    return views


def _of(review_id: str, rows: Any, names: dict[str, str], view: Any, actor: Actor, hide: bool) -> list[dict[str, Any]]:
    mine = [one for one in rows if one.review_id == review_id and (not hide or one.person_id == actor.person_id)]
    return [view(one) | {"person_name": names.get(one.person_id, one.person_id)} for one in mine]


def _tells(event: Row, unheard: frozenset[str], actor: Actor) -> bool:
    """Whether the event says what somebody else judged or ruled in a review that the actor may yet speak in."""
    if event.object_id not in unheard or event.type not in SAYINGS:
        return False
    return actor.person_id is None or json.loads(event.body)["actor"]["person"] != actor.person_id


def _standing(tx: ReadTx, actor: Actor, row: Row) -> dict[str, Any]:
    live = row.lease_expires_at is not None and row.lease_expires_at > tx.now()
    # The newest holder may still finish after their time is over, as long as nobody else has claimed.
    mine = row.lease_holder is not None and row.lease_holder == actor.person_id and row.state == "open"
    names = people.names(tx, {row.lease_holder} if row.lease_holder else set())
    permitted = (
        actor.person_id is not None and actor.may(P.REVIEW) and reviews.takeable(tx, reviews.Taker.of(actor), row.id)
    )
    return {
        "mine": mine,
        "token": row.lease_token if mine else None,
        "held": live,
        "holder_name": names.get(row.lease_holder) if live else None,
        "may_take": permitted and row.state == "open",
    }


def _said(tx: ReadTx, actor: Actor, row: Row, hide: bool) -> dict[str, Any]:
    (view,) = (one for one in _reviews(tx, actor, row.decision_id, hide) if one["id"] == row.id)
    mine = next((one for one in view["judgements"] if one["person_id"] == actor.person_id), None)
    return {"verdicts": view["verdicts"], "judgements": view["judgements"], "my_judgement": mine}


def _queued(tx: ReadTx, actor: Actor, row: Row, names: dict[str, str]) -> dict[str, Any]:
    live = row.lease_expires_at is not None and row.lease_expires_at > tx.now()
    return _views.review(row) | {
        "subject": row.subject,
        "external_id": row.external_id,
        "service": row.service,
        "input": json.loads(row.input),
        "proposal_outcome": None if row.blind else row.proposal_outcome,
        "confidence": None if row.blind else row.confidence,
        "held": live,
        "mine": live and row.lease_holder == actor.person_id,
        "holder_name": names.get(row.lease_holder) if live else None,
        "snoozed": row.available_at > tx.now(),
        "late": row.due_at <= tx.now(),
    }


def _named(tx: ReadTx, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    actors = {one["actor"]["id"] for one in found} | {one["actor"]["person"] for one in found}
    ids = {one for one in actors if one}
    names = people.names(tx, ids) | keys.names(tx, ids) | {"system": "Handrail"}
    for one in found:
        who = one["actor"]["person"] or one["actor"]["id"]
        one["actor"]["name"] = names.get(who, who)
    return found


@reads
def decision_types_of(tx: ReadTx, actor: Actor, slugs: Iterable[str]) -> dict[str, DecisionType]:
    """Those of the decision types that the actor may read, by slug."""
    found = decision_types.catalogue(tx, slugs)
    return {slug: cached_type(row.document) for slug, row in found.items() if _may_read_type(actor, slug)}


@reads
def decision_type(tx: ReadTx, actor: Actor, slug: str) -> DecisionType:
    """The decision type. Raises NotFound."""
    row = decision_types.get(tx, slug)
    if row is None or not _may_read_type(actor, slug):
        raise NotFound("There is no such decision type.")
    return cached_type(row.document)


def _may_read_type(actor: Actor, slug: str) -> bool:
    return actor.may(P.READ_POLICIES, slug) or actor.may(P.READ_DECISIONS, slug)

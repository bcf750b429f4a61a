"""Owns how rows look to whoever asks: plain dicts for both doors, the proposal hidden where the review is blind."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.domain.access import Actor, Permission
from app.domain.events import timestamp
from app.store import people, reviews
from app.store.db import ReadTx

Row = Any


def hidden(tx: ReadTx, actor: Actor, decisions: Iterable[Row]) -> frozenset[str]:
    """Ids of the decisions whose proposal the actor may not see yet: an open blind review that they may judge."""
    judge = _judge(tx, actor)
    mine = [row for row in decisions if _could_review(judge, row)]
    if not mine:
        return frozenset()
    blind = [row for row in reviews.of_decisions(tx, {row.id for row in mine}) if row.blind and row.state == "open"]
    ids = {row.id for row in blind}
    if not ids:
        return frozenset()
    spoken = {
        row.review_id
        for row in (*reviews.judgements(tx, ids), *reviews.verdicts(tx, ids))
        if row.person_id == judge.person_id
    }
    return frozenset(row.decision_id for row in blind if row.id not in spoken)


def sees_all(tx: ReadTx, actor: Actor, slugs: Iterable[str]) -> bool:
    """Whether nothing of these decision types can be hidden from the actor, as they could judge none of them."""
    judge = _judge(tx, actor)
    return not any(_judges(judge, slug) for slug in slugs)


def _judge(tx: ReadTx, actor: Actor) -> Actor:
    # A service's key must not show its owner what that person may not see yet.
    if actor.person_id is not None or actor.owner_id is None:
        return actor
    return replace(actor, person_id=actor.owner_id, grants=people.grants(tx, {actor.owner_id})[actor.owner_id])


def _could_review(judge: Actor, row: Row) -> bool:
    own = row.owner_id is not None and row.owner_id == judge.person_id  # which nobody rules on
    return not own and _judges(judge, row.decision_type)


def _judges(judge: Actor, decision_type: str) -> bool:
    # By role, not by scope: a key with fewer scopes must not show what the person may not see yet.
    wanted = (Permission.REVIEW, Permission.REVIEW_ESCALATED)
    return any(judge.may_as_person(permission, decision_type) for permission in wanted)


def unheard(tx: ReadTx, actor: Actor, rows: Iterable[Row]) -> frozenset[str]:
    """Ids of the reviews in which others spoke that the actor may yet speak in: each of several says it unprompted."""
    several = [one for one in rows if one.required > 1 and one.state == "open" and one.level == 0]
    if not several:
        return frozenset()
    judge = _judge(tx, actor)
    mine = {one.id for one in several if _could_review(judge, one)}
    if not mine:
        return frozenset()
    return frozenset(mine - {one.review_id for one in reviews.verdicts(tx, mine) if one.person_id == judge.person_id})


def decision(row: Row, *, hide: bool = False, payload: bool = True) -> dict[str, Any]:
    """A decision as both doors show it; `hide` leaves out everything that gives the AI's proposal away."""
    view = {
        "id": row.id,
        "decision_type": row.decision_type,
        "service": row.service,
        "external_id": row.external_id,
        "subject": row.subject,
        "model": {"name": row.model_name, "version": row.model_version},
        "proposal": None if hide else json.loads(row.proposal),
        "proposal_hidden": hide,
        "stakes": row.stakes,
        "tier": row.tier,
        "status": row.status,
        "outcome": None if hide else row.outcome,
        "decided_by": row.decided_by,
        "reasons": reasons(json.loads(row.reasons), hide=hide),
        "policy": policy(row),
        "sampled": row.sampled,
        "inclusion_probability": row.inclusion_probability,
        "overturned": overturned(row),
        "created_at": timestamp(row.created_at),
        "final_at": row.final_at and timestamp(row.final_at),
        "legal_hold": legal_hold(row),
        "erased": erased(row),
    }
    if payload:
        view |= {"input": json.loads(row.input), "metadata": json.loads(row.metadata)}
    return view


def legal_hold(row: Row) -> dict[str, str] | None:
    return row.held_at and {"cause": row.hold_cause, "at": timestamp(row.held_at)}


def erased(row: Row) -> dict[str, str] | None:
    """When, by whom and under what (request, retention) the data went, and the event that tells of it."""
    if row.erased_at is None:
        return None
    at = timestamp(row.erased_at)
    return {"at": at, "by": row.erased_by, "under": row.erased_under, "event": row.erased_event}


def reasons(stored: Sequence[Mapping[str, Any]], *, hide: bool) -> list[dict[str, str]]:
    """Reasons as `{code, text}`; those that quote the proposal are left out while it is hidden."""
    return [{"code": one["code"], "text": one["text"]} for one in stored if not (hide and one["quotes_proposal"])]


def policy(row: Row) -> dict[str, Any] | None:
    if row.policy_version is None:
        return None
    return {"version": row.policy_version, "digest": row.policy_digest}


def overturned(row: Row) -> dict[str, str] | None:
    if row.overturned_at is None:
        return None
    return {"outcome": row.overturned_outcome, "at": timestamp(row.overturned_at)}


def review(row: Row) -> dict[str, Any]:
    """A review without its decision."""
    leased = row.lease_holder is not None
    return {
        "id": row.id,
        "decision_id": row.decision_id,
        "decision_type": row.decision_type,
        "kind": row.kind,
        "queue": row.queue,
        "tier": row.tier,
        "stakes": row.stakes,
        "priority": row.priority,
        "level": row.level,
        "state": row.state,
        "blind": row.blind,
        "required": row.required,
        "note": row.note,
        "created_at": timestamp(row.created_at),
        "due_at": timestamp(row.due_at),
        "expires_at": row.expires_at and timestamp(row.expires_at),
        "available_at": timestamp(row.available_at),
        "lease": {"holder_id": row.lease_holder, "expires_at": timestamp(row.lease_expires_at)} if leased else None,
        "settled_at": row.settled_at and timestamp(row.settled_at),
    }


def claimed(tx: ReadTx, actor: Actor, review_row: Row, decision_row: Row) -> dict[str, Any]:
    """A review with the lease's token and its decision, as its holder sees it."""
    hide = review_row.decision_id in hidden(tx, actor, [decision_row])
    view = review(review_row)
    view["lease"] = {"token": review_row.lease_token, "expires_at": timestamp(review_row.lease_expires_at)}
    view["decision"] = decision(decision_row, hide=hide)
    return view


def event(row: Row, *, hide: bool = False) -> dict[str, Any]:
    """An event as its body tells it; `hide` leaves out what would give a hidden proposal away."""
    body: dict[str, Any] = json.loads(row.body)
    if hide:
        body |= {"before": None, "after": None, "data": {}}
    return body


def judgement(row: Row) -> dict[str, Any]:
    return {
        "person_id": row.person_id,
        "outcome": row.outcome,
        "reason_code": row.reason_code,
        "rationale": row.rationale,
        "created_at": timestamp(row.created_at),
    }


def verdict(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "review_id": row.review_id,
        "person_id": row.person_id,
        "key_id": row.key_id,
        "action": row.action,
        "outcome": row.outcome,
        "reason_code": row.reason_code,
        "rationale": row.rationale,
        "claimed_at": row.claimed_at and timestamp(row.claimed_at),
        "proposal_shown_at": row.proposal_shown_at and timestamp(row.proposal_shown_at),
        "created_at": timestamp(row.created_at),
    }

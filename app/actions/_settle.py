"""Owns how a review ends and what that does to its decision: rows and events together. For verdicts and upkeep."""

from typing import Any

from app.domain.access import SYSTEM, Actor
from app.domain.events import Event, EventType, timestamp
from app.domain.review import LEADS
from app.store import decisions, events, reviews
from app.store.db import WriteTx

Row = Any


def settle(tx: WriteTx, actor: Actor, review: Row, decision: Row, outcome: str, *, by: str) -> None:
    """Close the review with an outcome. `by` is reviewer or timeout. The caller holds both rows."""
    state = "settled" if by == "reviewer" else "expired"
    close(tx, review, state, outcome)
    kind = EventType.REVIEW_SETTLED if by == "reviewer" else EventType.REVIEW_EXPIRED
    happened = [about(review, kind, after={"state": state, "outcome": outcome})]
    if review.kind == "gate":
        happened.append(_finalise(tx, review, decision, outcome, by))
    elif outcome != decision.outcome:
        decisions.overturn(tx, decision.id, outcome)
        happened.append(_overturned(review, decision, outcome))
    events.record(tx, actor, *happened)


def close(tx: WriteTx, review: Row, state: str, outcome: str | None = None) -> None:
    values = {"state": state, "outcome": outcome, "settled_at": tx.now(), **reviews.NO_LEASE}
    if not reviews.change(tx, review.id, review.lease_token, values):
        raise AssertionError("an open review that is held cannot change under us")


def escalate(tx: WriteTx, actor: Actor, review: Row, why: str, note: str | None) -> None:
    """Put the review before the leads, free for them to take. `why`: reviewer, split or timeout."""
    values = {"level": LEADS, "note": note, "expires_at": None, "available_at": tx.now(), **reviews.NO_LEASE}
    reviews.change(tx, review.id, review.lease_token, values)
    happened = about(
        review, EventType.REVIEW_ESCALATED, before={"level": review.level}, after={"level": LEADS}, data={"why": why}
    )
    events.record(tx, actor, happened)


def announce_if_over(tx: WriteTx, review: Row) -> None:
    """Say that the lease is over, once, before something else happens to it: the worker may not have come by yet."""
    if review.lease_expires_at is None or review.lease_expires_at > tx.now() or review.lease_announced:
        return
    reviews.mark(tx, [review.id], {"lease_announced": True})
    data = {
        "holder": review.lease_holder,
        "token": review.lease_token,
        "ended": timestamp(review.lease_expires_at),
    }
    events.record(tx, SYSTEM, about(review, EventType.REVIEW_LEASE_EXPIRED, data=data))


def about(review: Row, type: EventType, **said: Any) -> Event:
    """An event about a review."""
    return Event(type, review.id, decision_id=review.decision_id, decision_type=review.decision_type, **said)


def _finalise(tx: WriteTx, review: Row, decision: Row, outcome: str, by: str) -> Event:
    decisions.finalise(tx, decision.id, outcome, by)
    return Event(
        EventType.DECISION_FINALISED,
        decision.id,
        decision_id=decision.id,
        decision_type=decision.decision_type,
        before={"status": decision.status},
        after={"status": "final", "outcome": outcome, "decided_by": by},
        data={"review": review.id, "agreed_with_ai": outcome == decision.proposal_outcome},
        policy_version=decision.policy_version,
        policy_digest=decision.policy_digest,
    )


def _overturned(review: Row, decision: Row, outcome: str) -> Event:
    return Event(
        EventType.DECISION_OVERTURNED,
        decision.id,
        decision_id=decision.id,
        decision_type=decision.decision_type,
        before={"outcome": decision.outcome},
        after={"overturned_outcome": outcome},
        data={"review": review.id},
        policy_version=decision.policy_version,
        policy_digest=decision.policy_digest,
    )

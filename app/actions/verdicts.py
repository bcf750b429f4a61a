"""Owns the verdict: judgement first where it is blind, then a ruling, an escalation or an abstention, by token."""

import os
from dataclasses import dataclass
from typing import Any

from app.actions import _shown, _views
from app.actions._receipts import Promise, no_promise, receipt
from app.actions._settle import about, announce_if_over, escalate, settle
from app.domain.access import Actor, Permission
from app.domain.commitments import RATIONALE, SALT, commit
from app.domain.decision_type import cached_type
from app.domain.errors import Conflict, Forbidden, NotFound
from app.domain.events import EventType
from app.domain.policy import Tier
from app.domain.review import RULINGS, Action, Case, Said, check, tally
from app.store import decision_types, decisions, events, reviews
from app.store.db import ReadTx, WriteTx, new_id, writes

Row = Any


@dataclass(frozen=True, slots=True)
class Judged:
    """The reviewer has judged blind; here is what the AI proposed. The next call, with the same token, settles."""

    judgement: dict[str, Any]
    proposal: dict[str, Any]
    decision: dict[str, Any]
    receipt: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ruled:
    """The verdict stands. `review` and `decision` are as they are now (the review may still be open)."""

    verdict: dict[str, Any]
    review: dict[str, Any]
    decision: dict[str, Any]
    receipt: dict[str, Any]


@writes
def give_verdict(
    tx: WriteTx, actor: Actor, review_id: str, token: int, said: Said, promise: Promise = no_promise
) -> Judged | Ruled:
    """Say something of a review whose lease the actor holds under `token`. `promise` signs what the receipt promises.

    Raises NotFound, Forbidden (role, `separation_of_duties`), Conflict (`lease_lost`, `already_settled`), Invalid
    (see domain.review.check).
    """
    review, decision = _both_locked(tx, review_id)
    _must_hold(tx, actor, review, token)
    announce_if_over(tx, review)
    case = _case(tx, actor, review, decision)
    whole = check(case, said)
    if case.proposal_hidden and whole.action in RULINGS:
        return _judge(tx, actor, review, decision, whole, promise)
    verdict, told = _record(tx, actor, review, whole)
    _act_on(tx, actor, review, decision, whole)
    now_review, now_decision = reviews.get(tx, review_id), decisions.get(tx, decision.id)
    hide = decision.id in _views.hidden(tx, actor, [now_decision])
    decided = _views.decision(now_decision, hide=hide)
    return Ruled(_views.verdict(verdict), _views.review(now_review), decided, receipt(told, promise))


def _both_locked(tx: WriteTx, review_id: str) -> tuple[Row, Row]:
    found = reviews.get(tx, review_id)
    if found is None:
        raise NotFound("There is no such review.")
    decision = decisions.lock(tx, found.decision_id)  # decision first: see decisions.lock
    return reviews.lock(tx, review_id), decision


def _must_hold(tx: WriteTx, actor: Actor, review: Row, token: int) -> None:
    actor.must(Permission.REVIEW, review.decision_type)
    if actor.person_id is None:
        raise Forbidden("Only a person may give a verdict; a service's key may not.")
    said = any(row.person_id == actor.person_id for row in reviews.verdicts(tx, [review.id]))
    if said or (review.state != "open" and token == review.lease_token):
        raise Conflict("This review has your verdict, or is settled, already.", "already_settled")
    if token != review.lease_token or review.lease_holder != actor.person_id or review.state != "open":
        raise Conflict("You no longer hold this review; nothing was changed. Claim it again.", "lease_lost")
    if not reviews.takeable(tx, reviews.Taker.of(actor), review.id):
        raise Forbidden("Separation of duties: you may not rule on this review.", "separation_of_duties")


def _case(tx: ReadTx, actor: Actor, review: Row, decision: Row) -> Case:
    row: Row = decision_types.get(tx, review.decision_type)
    known = cached_type(row.document)
    judged = any(row.person_id == actor.person_id for row in reviews.judgements(tx, [review.id]))
    return Case(
        kind=review.kind,
        tier=Tier(review.tier),
        level=review.level,
        proposal_outcome=decision.proposal_outcome,
        outcomes=known.outcome_keys,
        reason_codes=known.reason_keys,
        rationale=known.rationale,  # type: ignore[arg-type]
        blind=review.blind,
        judged=judged,
    )


def _judge(tx: WriteTx, actor: Actor, review: Row, decision: Row, said: Said, promise: Promise) -> Judged:
    seen, commitments = _committed(tx, actor, review, said, salt := os.urandom(SALT))
    row = {
        "review_id": review.id,
        "person_id": actor.person_id,
        "outcome": said.outcome,
        "reason_code": said.reason_code,
        "rationale": said.rationale,
        "created_at": tx.now(),
        "salt": salt,
    }
    reviews.insert_judgement(tx, row)
    data = {
        "outcome": said.outcome,
        "reason_code": said.reason_code,
        "token": review.lease_token,
        "proposal_shown": True,
        "shown": seen,
    }
    judged = about(review, EventType.REVIEW_JUDGED, data=data, commitments=commitments)
    (told,) = events.record(tx, actor, judged)
    _shown.keep(tx, actor, review, decision)  # the proposal is before them from here on
    (kept,) = (one for one in reviews.judgements(tx, [review.id]) if one.person_id == actor.person_id)
    shown = _views.decision(decision)
    return Judged(_views.judgement(kept), shown["proposal"], shown, receipt(told, promise))


def _record(tx: WriteTx, actor: Actor, review: Row, said: Said) -> tuple[Row, events.Told]:
    seen, commitments = _committed(tx, actor, review, said, salt := os.urandom(SALT))
    judged = next((one for one in reviews.judgements(tx, [review.id]) if one.person_id == actor.person_id), None)
    claimed = events.last_at(tx, review.id, EventType.REVIEW_CLAIMED)
    row = {
        "id": new_id("ver"),
        "review_id": review.id,
        "decision_id": review.decision_id,
        "person_id": actor.person_id,
        "key_id": actor.key_id,
        "action": said.action.value,
        "outcome": said.outcome if said.action in RULINGS else None,
        "reason_code": said.reason_code,
        "rationale": said.rationale,
        "lease_token": review.lease_token,
        "claimed_at": claimed,
        "proposal_shown_at": (judged and judged.created_at) if review.blind else claimed,
        "created_at": tx.now(),
        "salt": salt,
    }
    reviews.insert_verdict(tx, row)
    (kept,) = (one for one in reviews.verdicts(tx, [review.id]) if one.id == row["id"])
    data = {
        "verdict": row["id"],
        "action": row["action"],
        "reason_code": row["reason_code"],
        "token": review.lease_token,
        "shown": seen,
    }
    kind = EventType.REVIEW_ABSTAINED if said.action is Action.ABSTAIN else EventType.REVIEW_VERDICT_GIVEN
    happened = about(review, kind, after={"outcome": row["outcome"]}, data=data, commitments=commitments)
    (told,) = events.record(tx, actor, happened)
    return kept, told


def _committed(tx: ReadTx, actor: Actor, review: Row, said: Said, salt: bytes) -> tuple[str | None, dict[str, str]]:
    """The id of what the reviewer saw, and the commitments to that and to what they wrote."""
    seen, commitments = _shown.last(tx, actor, review)
    if said.rationale is not None:
        commitments[RATIONALE] = commit(salt, RATIONALE, said.rationale.encode())
    return seen, commitments


def _act_on(tx: WriteTx, actor: Actor, review: Row, decision: Row, said: Said) -> None:
    if said.action is Action.ESCALATE:
        escalate(tx, actor, review, "reviewer", said.rationale)
    elif said.action is Action.ABSTAIN:
        reviews.change(tx, review.id, review.lease_token, reviews.NO_LEASE)
    else:
        _count(tx, actor, review, decision)


def _count(tx: WriteTx, actor: Actor, review: Row, decision: Row) -> None:
    rulings = [row.outcome for row in reviews.verdicts(tx, [review.id]) if row.outcome]
    result = tally(review.required, review.level, rulings)
    if result.outcome is not None:
        settle(tx, actor, review, decision, result.outcome, by="reviewer")
    elif result.split:
        escalate(tx, actor, review, "split", "The reviewers do not agree.")
    else:
        reviews.change(tx, review.id, review.lease_token, reviews.NO_LEASE)

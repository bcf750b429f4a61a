"""Owns what forgetting asks of the database: whose decisions, which are past their time, and the wiping itself."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store.db import ReadTx, WriteTx
from app.store.tables import decision, erasure, idempotency, judgement, retention_run, review, shown, verdict

NOTHING: Mapping[str, Any] = {
    "input": "null", "metadata": "null", "subject": None, "external_id": None, "fingerprint": "", "salts": None,
}  # fmt: skip


def wipe(tx: WriteTx, decision_id: str, left: Mapping[str, str], by: Mapping[str, Any]) -> None:
    """Delete what a decision and its reviews hold; `left` is what is kept of proposal and reasons, `by` who erased it.

    The decision must be marked first: the triggers of the other tables ask.
    """
    tx.run(decision.update().where(decision.c.id == decision_id).values({**NOTHING, **left, **by}))
    tx.run(review.update().where(review.c.decision_id == decision_id).values(note=None))
    asked = sa.select(review.c.id).where(review.c.decision_id == decision_id)
    tx.run(judgement.update().where(judgement.c.review_id.in_(asked)).values(rationale=None, salt=None))
    tx.run(verdict.update().where(verdict.c.decision_id == decision_id).values(rationale=None, salt=None))
    tx.run(shown.update().where(shown.c.decision_id == decision_id).values(content=None, salt=None))


def drop_answers(tx: WriteTx, decision_ids: Iterable[str]) -> None:
    """Drop kept answers that hold what a claim, a verdict or a withdrawal showed of the decisions."""
    told = [idempotency.c.answer.contains(one) for one in sorted(decision_ids)]
    if told:
        tx.run(idempotency.delete().where(idempotency.c.route.contains("/"), sa.or_(*told)))


def of_subject(tx: ReadTx, subject: str, *, until: datetime | None = None) -> Sequence[sa.Row[Any]]:
    """The decisions of a subject, oldest first: (id, decision_type, status, held_at, hold_cause)."""
    c = decision.c
    query = sa.select(c.id, c.decision_type, c.status, c.held_at, c.hold_cause).where(c.subject == subject)
    if until is not None:
        query = query.where(c.created_at <= until)
    return tx.rows(query.order_by(c.created_at, c.id))


def past(
    tx: ReadTx, decision_type: str, moment: datetime, after: tuple[datetime, str] | None, limit: int
) -> Sequence[sa.Row[Any]]:
    """Decisions of a type that ended before the moment and are neither erased nor held: (id, created_at)."""
    c = decision.c
    query = sa.select(c.id, c.created_at).where(
        c.decision_type == decision_type, c.created_at < moment, c.final_at < moment, c.status != "pending",
        c.erased_at.is_(None), c.held_at.is_(None),
    )  # fmt: skip
    if after:
        last = (sa.bindparam(None, after[0], c.created_at.type), sa.bindparam(None, after[1], c.id.type))
        query = query.where(sa.tuple_(c.created_at, c.id) > sa.tuple_(*last))
    return tx.rows(query.order_by(c.created_at, c.id).limit(limit))


def last_run(tx: WriteTx, decision_type: str) -> datetime | None:
    """When the type was last looked through; held until commit where there is such a time."""
    query = sa.select(retention_run.c.ran_at).where(retention_run.c.decision_type == decision_type).with_for_update()
    moment: datetime | None = tx.value(query)
    return moment


def put_run(tx: WriteTx, decision_type: str) -> None:
    tx.put(retention_run, {"decision_type": decision_type, "ran_at": tx.now()}, key=["decision_type"])


def hold(tx: WriteTx, decision_id: str, cause: str | None) -> None:
    """Put under legal hold, or with None release from it."""
    values = {"held_at": tx.now() if cause else None, "hold_cause": cause}
    tx.run(decision.update().where(decision.c.id == decision_id).values(values))


def insert(tx: WriteTx, row: dict[str, Any]) -> None:
    tx.insert(erasure, [row])


def lock(tx: WriteTx, request_id: str) -> sa.Row[Any] | None:
    """The request, held until commit."""
    return tx.row(sa.select(erasure).where(erasure.c.id == request_id).with_for_update())


def change(tx: WriteTx, request_id: str, values: Mapping[str, Any]) -> None:
    tx.run(erasure.update().where(erasure.c.id == request_id).values(values))


def requests(tx: ReadTx, limit: int) -> Sequence[sa.Row[Any]]:
    """The newest requests; those that wait for somebody come first."""
    waits = sa.case((erasure.c.state == "requested", 0), (erasure.c.state == "approved", 1), else_=2)
    return tx.rows(sa.select(erasure).order_by(waits, erasure.c.requested_at.desc(), erasure.c.id).limit(limit))


def unfinished(tx: ReadTx) -> Sequence[str]:
    """Ids of approved requests that have not come to their end."""
    return [row.id for row in tx.rows(sa.select(erasure.c.id).where(erasure.c.state == "approved"))]

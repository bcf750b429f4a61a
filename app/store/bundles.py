"""Owns what a bundle reads: decisions by id, their events with their places, and what the events commit to."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from app.store._filters import Filters, conditions
from app.store.db import ReadTx
from app.store.tables import decision, event, judgement, policy, review, sealed, shown, type_revision, verdict

Rows = Sequence[sa.Row[Any]]


def page(tx: ReadTx, filters: Filters, after: str, limit: int) -> Rows:
    """Decisions by id; `after` is the id of the last one seen."""
    wanted = (*conditions(filters), decision.c.id > after)
    return tx.rows(sa.select(decision).where(*wanted).order_by(decision.c.id).limit(limit))


def count(tx: ReadTx, filters: Filters) -> int:
    """How many decisions there are."""
    return int(tx.value(sa.select(sa.func.count()).select_from(decision).where(*conditions(filters))))


def events_of(tx: ReadTx, decision_ids: Iterable[str]) -> Rows:
    """(decision_id, type, body, idx) of all events of the decisions, by place; those without a place come last."""
    c = event.c
    found = sa.select(c.decision_id, c.type, c.body, sealed.c.idx).outerjoin_from(
        event, sealed, sealed.c.event_id == c.id
    )
    rows = tx.rows(found.where(tx.among(c.decision_id, decision_ids)))
    return sorted(rows, key=lambda row: (row.idx is None, row.idx))


def events_of_none(tx: ReadTx, filters: Filters, after: int, size: int, limit: int) -> Rows:
    """(body, idx) of events that belong to no decision, by place, from behind `after` to before `size`.

    Of a decision type's own bundle they are those of that type, and those of no type. Who may not read all types
    gets none of the latter.
    """
    c = event.c
    found = sa.select(c.body, sealed.c.idx).join_from(sealed, event, sealed.c.event_id == c.id)
    wanted = [sealed.c.idx > after, sealed.c.idx < size, c.decision_id.is_(None)]
    if filters.type:
        wanted.append(sa.or_(c.decision_type == filters.type, c.decision_type.is_(None)))
    if filters.types is not None:
        wanted.append(c.decision_type.in_(sorted(filters.types)))
    if filters.until:
        wanted.append(c.created_at < filters.until)
    return tx.rows(found.where(*wanted).order_by(sealed.c.idx).limit(limit))


def reviews_of(tx: ReadTx, decision_ids: Iterable[str]) -> tuple[Rows, Rows, Rows, Rows]:
    """Reviews, verdicts, judgements and what was shown, of many decisions, each oldest first."""
    ids = list(decision_ids)
    asked = tx.rows(
        sa.select(review).where(tx.among(review.c.decision_id, ids)).order_by(review.c.created_at, review.c.id)
    )
    said = tx.rows(
        sa.select(verdict).where(tx.among(verdict.c.decision_id, ids)).order_by(verdict.c.created_at, verdict.c.id)
    )
    judged = tx.rows(
        sa.select(judgement)
        .where(tx.among(judgement.c.review_id, [one.id for one in asked]))
        .order_by(judgement.c.created_at, judgement.c.person_id)
    )
    seen = tx.rows(sa.select(shown).where(tx.among(shown.c.decision_id, ids)))
    return asked, said, judged, seen


def open_blind(tx: ReadTx, filters: Filters, types: Iterable[str]) -> bool:
    """Whether a review of these types is open that hides something from who may judge it."""
    hides = sa.or_(review.c.blind, review.c.required > 1)
    wanted = [review.c.state == "open", hides, review.c.decision_type.in_(sorted(types))]
    if filters.type:
        wanted.append(review.c.decision_type == filters.type)
    return tx.row(sa.select(review.c.id).where(*wanted).limit(1)) is not None


def policy_text(tx: ReadTx, slug: str, version: int) -> str | None:
    text: str | None = tx.value(
        sa.select(policy.c.document).where(policy.c.decision_type == slug, policy.c.version == version)
    )
    return text


def type_text(tx: ReadTx, slug: str, digest: str) -> str | None:
    wanted = (type_revision.c.decision_type == slug, type_revision.c.digest == digest)
    text: str | None = tx.value(sa.select(type_revision.c.document).where(*wanted))
    return text

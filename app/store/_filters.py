"""Owns what decisions can be looked for by, and how the indexes are to be met. Runs nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.store.tables import api_key, decision


@dataclass(frozen=True, slots=True)
class Filters:
    """What to look for; None is everything. `types` are the slugs that the asker may read (None: all)."""

    type: str | None = None
    tier: str | None = None
    status: str | None = None
    model: str | None = None
    subject: str | None = None
    external_id: str | None = None
    overturned: bool = False
    since: datetime | None = None
    until: datetime | None = None
    types: frozenset[str] | None = None


def conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    """What a decision must fulfil to be found."""
    c = decision.c
    equal = {
        c.decision_type: filters.type,
        c.tier: filters.tier,
        c.status: filters.status,
        c.model_name: filters.model,
        c.subject: filters.subject,
        c.external_id: filters.external_id,
    }
    found = [column == value for column, value in equal.items() if value]
    found += _said_by_indexes(filters)
    if filters.overturned:
        found.append(c.overturned_at.is_not(None))
    if filters.since:
        found.append(c.created_at >= filters.since)
    if filters.until:
        found.append(c.created_at < filters.until)
    if filters.types is not None:
        found.append(c.decision_type.in_(sorted(filters.types)))
    return found


def _said_by_indexes(filters: Filters) -> Iterator[sa.ColumnElement[bool]]:
    """What follows from the filters, in the words of the partial indexes: planners do not look into parameters."""
    if filters.status and filters.status != "final":
        yield decision.c.status != sa.literal_column("'final'")
    if filters.subject:
        yield decision.c.subject.is_not(None)
    if filters.external_id:  # unique under each service, and a service is the name of a key
        yield decision.c.service.in_(sa.select(api_key.c.name))

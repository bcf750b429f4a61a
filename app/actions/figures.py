"""Owns the figures that pages show: per decision type, per queue, per person. Changes nothing."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.domain.access import Actor, Permission
from app.store import figures, people, reviews, stats
from app.store.db import ReadTx, reads, surveys

P = Permission
SESSION_IDLE = timedelta(minutes=30)
TIERS = ("autonomous", "review_required", "human_decides")


@dataclass(slots=True)
class TypeFigures:
    """Counts of one decision type: `waiting` and `overdue` are of now, the rest of the period asked for."""

    tiers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TIERS, 0))
    waiting: int = 0
    overdue: int = 0
    overridden: int = 0
    overturned: int = 0

    @property
    def total(self) -> int:
        return sum(self.tiers.values())

    @property
    def autonomous_share(self) -> float | None:
        return self.tiers["autonomous"] / self.total if self.total else None


@surveys
def by_type(tx: ReadTx, actor: Actor, hours: int = 24) -> dict[str, TypeFigures]:
    """Figures by type slug, of the last `hours`; types without any are left out. Raises Forbidden."""
    actor.must(P.READ_POLICIES)
    since, found = tx.now() - timedelta(hours=hours), _Found()
    for row in stats.tiers(tx, since):
        found[row.decision_type].tiers[row.tier] += row.n
    for row in figures.open_by_type(tx):
        found[row.decision_type].waiting, found[row.decision_type].overdue = row.waiting, int(row.overdue)
    for row in figures.overrides_by_type(tx, since):
        found[row.decision_type].overridden = row.n
    for row in figures.overturned_by_type(tx, since):
        found[row.decision_type].overturned = row.n
    return found


class _Found(dict[str, TypeFigures]):
    def __missing__(self, slug: str) -> TypeFigures:
        return self.setdefault(slug, TypeFigures())


@reads
def queues(tx: ReadTx, actor: Actor) -> list[dict[str, Any]]:
    """Queues with open reviews of the types that the actor may review: {slug, title, waiting, held, overdue}."""
    actor.must(P.REVIEW)
    taker = reviews.Taker.of(actor)
    counts = reviews.counts_by_queue(tx, taker)
    return [_queue(row, counts[row.slug]) for row in figures.queues(tx, taker.types) if row.slug in counts]


def _queue(row: Any, n: Any) -> dict[str, Any]:
    held = int(n.held) + int(n.mine)
    return {"slug": row.slug, "title": row.title, "waiting": int(n.waiting), "held": held, "overdue": int(row.overdue)}


@reads
def presence(tx: ReadTx, actor: Actor) -> dict[str, dict[str, Any]]:
    """Who is signed in, by person id: {sessions, last_seen_at}. Raises Forbidden."""
    actor.must(P.MANAGE_PEOPLE)
    live = figures.sessions(tx, tx.now() - SESSION_IDLE)
    return {person: {"sessions": n, "last_seen_at": seen} for person, (n, seen) in live.items()}


@reads
def grants(tx: ReadTx, actor: Actor, person_id: str) -> list[dict[str, Any]]:
    """A person's grants: {role, decision_type, granted_at, granted_by (a name)}. Raises Forbidden."""
    actor.must(P.MANAGE_PEOPLE)
    return [
        {
            "role": row.role,
            "decision_type": row.decision_type,
            "granted_at": row.granted_at,
            "granted_by": row.granted_by_name or "Handrail",
        }
        for row in figures.grants(tx, person_id)
    ]


@surveys
def person_named(tx: ReadTx, actor: Actor, text: str) -> str:
    """The id of the one person of that name or e-mail address; `text` itself when there is none, or several."""
    actor.must(P.READ_AUDIT)
    wanted = text.strip().casefold()
    found = [row.id for row in people.all(tx) if wanted in (row.name.casefold(), row.email)]
    return found[0] if len(found) == 1 else text

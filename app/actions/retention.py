"""Owns the duty that erases decisions past the retention of their type. A run that did something is an event."""

from datetime import datetime, timedelta
from typing import Any

from app.actions._erase import erase
from app.domain.access import SYSTEM
from app.domain.decision_type import cached_type
from app.domain.erasure import Under
from app.domain.events import Event, EventType, timestamp
from app.store import decision_types, erasures, events, keys
from app.store.db import Database, ReadTx, WriteTx, reads, writes

BATCH = 100
PERIOD = timedelta(hours=1)
Key = tuple[datetime, str]


def retain(db: Database) -> int:
    """Erase what is past its retention, type by type, each at most once an hour. Returns how many decisions."""
    return sum(_of_type(db, slug, days) for slug, days in _kept(db))


@reads
def _kept(tx: ReadTx) -> list[tuple[str, int]]:
    """Types with a retention and no legal hold, with its days."""
    known = [cached_type(row.document) for row in decision_types.all(tx)]
    return [(one.slug, one.retention_days) for one in known if one.retention_days and not one.legal_hold]


def _of_type(db: Database, slug: str, days: int) -> int:
    if not _begin(db, slug):
        return 0
    erased, after = 0, None
    while True:
        done, after = _some(db, slug, days, after)
        erased += done
        if after is None:
            return erased


@writes
def _begin(tx: WriteTx, slug: str) -> bool:
    """Whether it is time again, and no other worker is at it."""
    last = erasures.last_run(tx, slug)
    if last is not None and tx.now() - last < PERIOD:
        return False
    erasures.put_run(tx, slug)
    return True


@writes
def _some(tx: WriteTx, slug: str, days: int, after: Key | None) -> tuple[int, Key | None]:
    """(how many were erased, where to go on); each transaction that erased is told of."""
    row: Any = decision_types.get(tx, slug)
    if cached_type(row.document).legal_hold:
        return 0, None
    moment = tx.now() - timedelta(days=days)
    found = erasures.past(tx, slug, moment, after, BATCH)
    # An answer is kept with an event: looking through all of them for each old decision would hold the lock for long.
    answered = events.happened_since(tx, [one.id for one in found], tx.now() - 2 * keys.KEEP_ANSWERS)
    gone = len(erase(tx, SYSTEM, [one.id for one in found], Under.RETENTION))
    erasures.drop_answers(tx, answered)
    if gone:
        data = {"erased": gone, "days": days, "ended_before": timestamp(moment)}
        events.record(tx, SYSTEM, Event(EventType.RETENTION_RAN, slug, decision_type=slug, data=data))
    return gone, (found[-1].created_at, found[-1].id) if len(found) == BATCH else None

"""Owns telling of reads: who opened or searched what. A door calls it with what it found, before it gives it away.

An event is written in a transaction of its own. When that fails the read fails: nobody sees what is not told.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.domain import reads
from app.domain.access import Actor
from app.domain.events import Event, EventType
from app.store import events
from app.store.db import Database, WriteTx, writes
from app.store.decisions import Filters

T = EventType


@dataclass(frozen=True, slots=True)
class Reads:
    """Tells of the reads of those whose reads are told; of nobody's when not `on` (HANDRAIL_RECORD_READS)."""

    db: Database
    on: bool = True

    def decision(self, actor: Actor, decision_id: str, decision_type: str | None = None, part: str = "whole") -> None:
        """A decision was opened, or its `part`: whole, timeline, replay."""
        self._tell(actor, Event(T.DECISION_VIEWED, decision_id, decision_id, decision_type, data={"part": part}))

    def decisions(self, actor: Actor, filters: Filters, shown: int) -> None:
        """Decisions were listed, `shown` of them on this page."""
        asked = {name: value for name, value in asdict(filters).items() if name != "types"}
        self._searched(actor, T.DECISION_SEARCHED, asked, shown)

    def review(self, actor: Actor, view: Mapping[str, Any]) -> None:
        """A review was opened; whoever holds it just does their work, which other events tell."""
        if not view["mine"]:
            decision = (view["decision_id"], view["decision_type"])
            self._tell(actor, Event(T.REVIEW_VIEWED, view["id"], *decision))

    def event(
        self, actor: Actor, event_id: str, decision_id: str | None, decision_type: str | None, part: str = "whole"
    ) -> None:
        """An event was opened, or its `part`: whole, proof."""
        self._tell(actor, Event(T.EVENT_VIEWED, event_id, decision_id, decision_type, data={"part": part}))

    def events(self, actor: Actor, filters: Mapping[str, Any], shown: int) -> None:
        """The audit trail was searched."""
        self._searched(actor, T.EVENT_SEARCHED, filters, shown)

    def people(self, actor: Actor, shown: int) -> None:
        """People were listed."""
        self._searched(actor, T.PERSON_SEARCHED, {}, shown)

    def person(self, actor: Actor, person_id: str) -> None:
        """Somebody's page was opened; one's own is no secret."""
        if person_id != actor.person_id:
            self._tell(actor, Event(T.PERSON_VIEWED, person_id))

    def _searched(self, actor: Actor, kind: EventType, filters: Mapping[str, Any], shown: int) -> None:
        self._tell(actor, Event(kind, reads.EVERY, data={"filters": reads.asked(filters), "shown": shown}))

    def _tell(self, actor: Actor, event: Event) -> None:
        if self.on and reads.is_told(actor):
            record(self.db, actor, event)


@writes
def record(tx: WriteTx, actor: Actor, event: Event) -> None:
    """Write down one read."""
    events.record(tx, actor, event)

"""The judge of the tree is judged: what is wrong with a log is found, and with a sound one nothing is."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from app.actions import audit
from app.domain.access import SYSTEM
from app.domain.events import Event, EventType
from app.store import events, tree
from app.store.db import Database
from app.store.tables import unsealed
from tests.factories import signer
from tests.faults import log
from tests.faults.log import Log

SIGNER = signer()
Fault = Callable[[Log], Log]


def happen(db: Database, count: int) -> None:
    with db.write() as tx:
        events.record(tx, SYSTEM, *(Event(EventType.QUEUE_CHANGED, f"queue-{number}") for number in range(count)))


@pytest.fixture
def sound(db: Database) -> Log:
    """Two full tiles and an edge, under three checkpoints."""
    for count in (3, 400, 200):
        happen(db, count)
        assert log.finished(db, SIGNER)
    return log.read(db)


def swapped(sound: Log) -> Log:
    places = list(sound.places)
    places[7], places[8] = (7, places[8][1]), (8, places[7][1])
    return replace(sound, places=places)


def tampered(sound: Log, at: int, **changes: Any) -> Log:
    size, root, note = sound.checkpoints[at]
    one = {"size": size, "root": root, "note": note} | changes
    checkpoints = list(sound.checkpoints)
    checkpoints[at] = (one["size"], one["root"], one["note"])
    return replace(sound, checkpoints=checkpoints)


FAULTS: dict[str, tuple[Fault, str]] = {
    "two leaves swapped": (swapped, "has not the root"),
    "an event without a place": (
        lambda one: replace(one, events={**one.events, "evt_more": b"{}"}), "evt_more has no place"),
    "a place that is gone": (lambda one: replace(one, places=[*one.places[:9], *one.places[10:]]), "has no place"),
    "an event with two places": (
        lambda one: replace(one, places=[*one.places, (603, one.places[4][1])]), "has 2 places"),
    "a place of no event": (lambda one: replace(one, places=[*one.places, (603, "evt_x")]), "is no event"),
    "a gap": (lambda one: replace(one, places=[*one.places[:-1], (700, one.places[-1][1])]), "nothing has place 602"),
    "another body": (
        lambda one: replace(one, events={**one.events, one.places[5][1]: b"{}"}), "has not the root of these bodies"),
    "a head left behind": (lambda one: replace(one, head=(600, *one.head[1:])), "the head counts 600 events"),
    "an edge of another tree": (lambda one: replace(one, head=(*one.head[:2], one.head[2][:-1])), "the edge"),
    "a checkpoint of another root": (lambda one: tampered(one, 1, root=bytes(32)), "of 403 has not the root"),
    "a checkpoint ahead": (lambda one: tampered(one, 2, size=604), "checkpoint of 604 has not the root"),
    "a note of another checkpoint": (lambda one: tampered(one, 1, note=one.checkpoints[0][2]), "says something else"),
    "a note that is none": (lambda one: tampered(one, 1, note="x"), "no note that the log's key signed"),
    "a signature of another key": (
        lambda one: tampered(one, 1, note=signer(2).note(one.checkpoints[1][2].split("\n\n")[0] + "\n")),
        "no note that the log's key signed"),
    "a head that nobody signed": (lambda one: replace(one, checkpoints=one.checkpoints[:2]), "403 are signed for"),
    "a tile that is gone": (
        lambda one: replace(one, tiles={(0, 0): one.tiles[0, 0]}), "tile 1 of level 0 does not fit"),
    "a tile that was changed": (
        lambda one: replace(one, tiles={**one.tiles, (0, 1): bytes(8192)}), "tile 1 of level 0 does not fit"),
}  # fmt: skip


def test_a_sound_log_has_no_fault(sound: Log) -> None:
    assert ([], 3, 2, 603) == (log.faults(sound, SIGNER), len(sound.checkpoints), len(sound.tiles), len(sound.places))


def test_each_fault_is_found(sound: Log) -> None:
    for name, (fault, said) in FAULTS.items():
        found = log.faults(fault(sound), SIGNER)
        assert any(said in one for one in found), (name, found)


def test_a_sealer_that_swaps_two_events_is_found(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    append = tree.append

    def swapping(tx: Any, first: int, event_ids: Sequence[str], *rest: Any) -> None:
        append(tx, first, [*event_ids[:-2], event_ids[-1], event_ids[-2]], *rest)

    monkeypatch.setattr(audit.tree, "append", swapping)
    happen(db, 5)
    assert log.finished(db, SIGNER)
    assert "the checkpoint of 5 has not the root of these bodies" in log.faults(log.read(db), SIGNER)


def test_an_event_that_nobody_will_seal_is_found(db: Database) -> None:
    happen(db, 5)
    with db.write() as tx:
        last = tx.value(sa.select(sa.func.max(unsealed.c.event_id)))
        tx.run(unsealed.delete().where(unsealed.c.event_id == last))
    assert log.finished(db, SIGNER)
    assert [True] == [one.endswith("has no place") for one in log.faults(log.read(db), SIGNER)]

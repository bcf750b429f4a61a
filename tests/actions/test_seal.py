"""Sealing: every event once, in one tree, whoever seals, and wherever a sealer is killed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import signing
from app.actions import audit
from app.actions.health import log_problems, log_warnings
from app.domain import merkle, notes
from app.domain.access import SYSTEM
from app.domain.errors import HandrailError
from app.domain.events import Event, EventType
from app.domain.notes import Signer
from app.store import events, tree
from app.store.db import Database
from app.store.tables import checkpoint, event, sealed, tile, tree_head, unsealed
from tests import factories
from tests.domain import merkle_oracle as oracle

ORIGIN = "handrail.example/audit"
UNSIGNED = Signer(ORIGIN)


class Killed(BaseException):
    """Not an Exception, so that nothing of ours takes it for a failure to recover from."""


@pytest.fixture
def signer() -> Signer:
    return factories.signer()


def happen(db: Database, count: int) -> None:
    with db.write() as tx:
        events.record(tx, SYSTEM, *(Event(EventType.QUEUE_CHANGED, f"queue-{number}") for number in range(count)))


def all_sealed(db: Database, *signers: notes.Key) -> int:
    """Assert that every event is in the tree once, that tiles and head are of these leaves; returns their number."""
    with db.read() as tx:
        bodies = {row.id: row.body for row in tx.rows(sa.select(event.c.id, event.c.body))}
        places = tx.rows(sa.select(sealed).order_by(sealed.c.idx))
        assert list(range(len(bodies))) == [row.idx for row in places]
        assert sorted(bodies) == sorted(row.event_id for row in places)
        assert [] == tx.rows(sa.select(unsealed))
        leaves = [bodies[row.event_id] for row in places]
        head, last = tree.head(tx), tree.last_checkpoint(tx)
        assert (len(leaves), oracle.mth(leaves)) == (head.size, head.root)
        assert [(0, n) for n in range(len(leaves) // 256)] == [
            (row.level, row.n) for row in tx.rows(sa.select(tile).order_by(tile.c.n))
        ]
        node = tree.nodes(tx, head)
        for index in (0, len(leaves) // 2, len(leaves) - 1):
            assert oracle.path(index, leaves) == merkle.inclusion(node, index, len(leaves))
        if signers:
            note = notes.parse_note(last.note)
            assert list(signers) == notes.signers(note, signers, signing.check)
            assert notes.Checkpoint(ORIGIN, head.size, head.root) == notes.parse_checkpoint(note.text)
    return len(leaves)


def test_events_are_sealed_in_order_and_signed(db: Database, signer: Signer) -> None:
    happen(db, 300)
    assert (300, 0) == (audit.seal(db, signer), audit.seal(db, signer))
    happen(db, 300)
    assert 300 == audit.seal(db, signer)
    assert 600 == all_sealed(db, signer.keys[0].key)
    with db.read() as tx:
        assert [300, 600] == [row.size for row in tx.rows(sa.select(checkpoint).order_by(checkpoint.c.size))]
        places = tx.rows(sa.select(sealed).order_by(sealed.c.idx))
    assert sorted(row.event_id for row in places) == [row.event_id for row in places]


def test_many_events_are_sealed_batch_by_batch(db: Database, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH", 100)
    happen(db, 250)
    assert [100, 100, 50, 0] == [audit.seal(db, signer) for _ in range(4)]
    assert 250 == all_sealed(db, signer.keys[0].key)


def test_without_a_key_events_are_sealed_and_signed_when_there_is_one(db: Database, signer: Signer) -> None:
    happen(db, 3)
    assert 3 == audit.seal(db, UNSIGNED)
    all_sealed(db)
    with db.read() as tx:
        assert tree.last_checkpoint(tx) is None
    assert 0 == audit.seal(db, signer)
    assert 3 == all_sealed(db, signer.keys[0].key)


def test_both_keys_sign_while_one_takes_over(db: Database) -> None:
    both = factories.signer(1, 2)
    happen(db, 1)
    audit.seal(db, both)
    assert 1 == all_sealed(db, *(one.key for one in both.keys))


@contextmanager
def killed_at(db: Database, number: int) -> Iterator[None]:
    """Whatever runs inside is killed at its number-th statement, a commit included."""
    left = [number]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    for name in ("before_cursor_execute", "commit"):
        sa.event.listen(db.engine, name, count)
    try:
        yield
    finally:
        for name in ("before_cursor_execute", "commit"):
            sa.event.remove(db.engine, name, count)


def test_wherever_a_sealer_is_killed_nothing_is_lost_and_nothing_numbered_twice(db: Database, signer: Signer) -> None:
    killed = 0
    for number in range(1, 100):
        happen(db, 130)
        try:
            with killed_at(db, number):
                audit.seal(db, signer)
        except Killed:
            killed += 1
            audit.seal(db, signer)
            all_sealed(db, signer.keys[0].key)
        else:
            break
    assert killed > 8
    all_sealed(db, signer.keys[0].key)


def test_a_sealer_killed_before_it_signed_leaves_that_to_the_next(db: Database, signer: Signer) -> None:
    def dies(_: bytes) -> bytes:
        raise Killed

    happen(db, 5)
    with pytest.raises(Killed):
        audit.seal(db, Signer(ORIGIN, (notes.SigningKey(signer.keys[0].key, dies),)))
    all_sealed(db)
    assert 0 == audit.seal(db, signer)
    assert 5 == all_sealed(db, signer.keys[0].key)


def test_sealers_at_once_seal_each_event_once_while_others_happen(
    db: Database, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "BATCH", 40)
    begin, done = threading.Barrier(5), threading.Event()

    def telling() -> None:
        begin.wait()
        for _ in range(20):
            happen(db, 25)

    def sealing() -> None:
        begin.wait()
        while not (audit.seal(db, signer) == 0 and done.is_set()):
            pass

    with ThreadPoolExecutor(5) as threads:
        sealers = [threads.submit(sealing) for _ in range(3)]
        tellers = [threads.submit(telling) for _ in range(2)]
        wait(tellers, 60)
        done.set()
        for one in (*tellers, *sealers):
            one.result(60)
    while audit.seal(db, signer):
        pass
    assert 1000 == all_sealed(db, signer.keys[0].key)


def test_who_records_an_event_does_not_wait_for_the_sealer_on_postgres(fresh_postgres_url: str) -> None:
    db = Database(fresh_postgres_url, pool_size=5)
    happen(db, 10)
    with db.write() as sealing:
        assert tree.take_head(sealing) is not None
        assert 10 == len(tree.take(sealing, 100))
        with db.write() as submitting:
            submitting.run(sa.text("SET LOCAL lock_timeout = '1ms'"))
            events.record(submitting, SYSTEM, Event(EventType.QUEUE_CHANGED, "queue"))
    with db.read() as tx:
        assert 1 == tree.state(tx).waiting
    db.close()


def test_a_tree_that_does_not_go_on_from_its_checkpoint_is_not_signed(db: Database, signer: Signer) -> None:
    happen(db, 300)
    audit.seal(db, signer)
    with db.write() as tx:
        edge = bytearray(tree.head(tx).edge)
        edge[7] ^= 1
        tx.run(tree_head.update().values({"edge": bytes(edge)}))
    happen(db, 1)
    with pytest.raises(HandrailError, match="does not go on"):
        audit.seal(db, signer)
    with db.read() as tx:
        assert 300 == tree.last_checkpoint(tx).size  # type: ignore[union-attr]


def test_the_state_of_the_log_says_what_waits_and_since_when(db: Database, signer: Signer) -> None:
    with db.read() as tx:
        assert tree.State(tx.now(), 0, None, 0, None, 0, 0.0, 0.0) == tree.state(tx)
    happen(db, 2)
    audit.seal(db, signer)
    happen(db, 3)
    db.offset = timedelta(minutes=5)
    with db.read() as tx:
        found = tree.state(tx)
    assert (2, 2, 3) == (found.size, found.signed, found.waiting)
    assert 300 < found.late < 360
    assert None not in (found.sealed_at, found.signed_at)


def test_it_is_said_that_nobody_signs_while_others_go_on_sealing(db: Database, signer: Signer) -> None:
    happen(db, 1)
    audit.seal(db, signer)
    for minutes in (5, 10):
        db.offset = timedelta(minutes=minutes)
        happen(db, 1)
        audit.seal(db, UNSIGNED)
    with db.read() as tx:
        found = tree.state(tx)
    assert 300 < found.unsigned < 360
    assert ["Nobody signs: 3 events are sealed, 1 signed for. Has the worker the key?"] == log_warnings(found, True)
    assert 0 == audit.seal(db, signer)
    with db.read() as tx:
        assert [] == log_warnings(tree.state(tx), True)


def test_an_event_that_nobody_will_seal_is_counted_and_sealed_once_it_is_put_back(db: Database, signer: Signer) -> None:
    happen(db, 2)
    audit.seal(db, signer)
    happen(db, 2)
    assert [] == log_problems(db)
    with db.write() as tx:
        tx.run(unsealed.delete())
    (said,) = log_problems(db)
    assert said.startswith("2 events neither are sealed nor wait for it")
    docs = Path("docs/operations.md").read_text(encoding="utf-8")
    with db.write() as tx:
        tx.run(sa.text(docs[docs.index("INSERT INTO unsealed") :].partition("`")[0]))
    audit.seal(db, signer)
    assert ([], 4) == (log_problems(db), all_sealed(db))

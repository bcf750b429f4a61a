"""A checkpoint parts nothing that one transaction told of a decision, wherever a full batch of the sealer ends."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.actions import audit, verdicts
from app.actions.bundles import bundle
from app.actions.sessions import actor_of_key
from app.domain.access import SYSTEM
from app.domain.events import Event, EventType
from app.domain.review import Action, Said
from app.store import events, tree
from app.store.db import Database
from app.store.decisions import Filters
from app.store.tables import event, sealed
from app.verifier.verify import examined, key_of
from tests.actions.test_promises import claim, submit
from tests.factories import House, signer
from tests.store.test_plans import plans

SIGNER = signer()


def decided(house: House) -> str:
    """A decision that one verdict has settled."""
    reviewer = actor_of_key(house.db, house.keys["reviewer"], None)
    assert reviewer
    decision = submit(house)
    review = claim(house, reviewer)
    verdicts.give_verdict(house.db, reviewer, review["id"], review["lease"]["token"], Said(Action.APPROVE))
    return decision


def waiting(db: Database) -> list[str]:
    """The types of all events, in the order in which they are sealed."""
    with db.read() as tx:
        return [row.type for row in tx.rows(sa.select(event.c.type).order_by(event.c.id))]


@pytest.mark.parametrize("last", ["review.verdict_given", "review.settled"])
def test_a_bundle_of_whatever_checkpoint_is_sound(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    first, second = decided(house), decided(house)
    cut = waiting(house.db).index(last) + 1
    monkeypatch.setattr(audit, "BATCH", cut)
    assert cut < audit.seal(house.db, SIGNER) < len(waiting(house.db))
    file = tmp_path / "bundle.zip"
    file.write_bytes(b"".join(bundle(house.db, SYSTEM, Filters(), SIGNER, int)))
    assert "1 decision" in " ".join(examined(str(file), [key_of(SIGNER.vkeys[0])], None, None))
    with house.db.read() as tx:
        told = sa.select(event.c.decision_id).join(sealed, sealed.c.event_id == event.c.id).distinct()
        assert {None, first} == {row.decision_id for row in tx.rows(told)}, second


def test_of_a_full_batch_only_the_same_decisions_come_along(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        decided(house)
    before = len(waiting(house.db)) - 15
    monkeypatch.setattr(audit, "BATCH", before + 6)
    assert [before + 10, 5, 0] == [audit.seal(house.db, SIGNER) for _ in range(3)]
    with house.db.read() as tx:
        assert list(range(before + 15)) == [row.idx for row in tx.rows(sa.select(sealed.c.idx).order_by(sealed.c.idx))]


def test_to_take_events_reads_no_table_whole(house: House) -> None:
    db = house.db
    with db.write() as tx:
        told = (Event(EventType.REVIEW_CLAIMED, f"rev_{n}", decision_id=f"dec_{n // 4}") for n in range(6_000))
        events.record(tx, SYSTEM, *told)
    if not db.is_sqlite:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    with db.write() as tx, plans(db, tx) as found:
        assert 300 <= len(tree.take(tx, 300))
    assert 2 <= len(found) <= 3
    whole = [plan for plan in found if "Seq Scan" in plan or "SCAN event" in plan]
    assert [] == whole

"""What retention promises: past its days, and only then, the data of a decision goes."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.actions import erasure, reading, retention, types
from app.domain.access import SYSTEM
from app.domain.events import timestamp
from app.store import tables
from app.store.db import Database
from app.worker import run_once
from tests.actions.erasing import Who, events, submit
from tests.factories import REFUND, House


class TestRetention:
    @pytest.fixture
    def kept(self, house: House) -> House:
        types.apply(house.db, SYSTEM, REFUND | {"retention": {"days": 183}})
        return house

    def test_what_is_past_its_days_is_erased_and_nothing_else(self, client: TestClient, kept: House, who: Who) -> None:
        old, held, pending = submit(client, kept), submit(client, kept), submit(client, kept, confidence=0.83)
        erasure.hold(kept.db, who("admin"), held["id"], "litigation")
        kept.db.offset += timedelta(days=182, hours=23)
        assert 0 == retention.retain(kept.db)
        young = submit(client, kept)
        kept.db.offset += timedelta(hours=2)
        assert 1 == retention.retain(kept.db)
        erased = [reading.decision(kept.db, who("auditor"), one["id"])["erased"] for one in (old, held, pending, young)]
        assert ["retention", None, None, None] == [one and one["under"] for one in erased]
        (ran,) = events(kept.db, "retention.ran")
        with kept.db.read() as tx:
            before = timestamp(tx.now() - timedelta(days=183))
        assert ("refund", 1, 183) == (ran["object"]["id"], ran["data"]["erased"], ran["data"]["days"])
        assert ran["data"]["ended_before"] <= before
        (told,) = events(kept.db, "decision.erased")
        assert ("retention", old["id"], "system") == (told["data"]["under"], told["object"]["id"], told["actor"]["id"])

    def test_a_type_is_looked_through_once_an_hour_in_batches(
        self, client: TestClient, kept: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "BATCH", 2)
        for _ in range(5):
            submit(client, kept)
        kept.db.offset += timedelta(days=184)
        assert 5 == run_once(kept.db)["retain"]
        assert [2, 2, 1] == [one["data"]["erased"] for one in events(kept.db, "retention.ran")]
        submit(client, kept)
        with kept.db.write() as tx:
            tx.run(sa.update(tables.decision).values(final_at=tx.now() - timedelta(days=300)))
            tx.run(sa.update(tables.decision).values(created_at=tx.now() - timedelta(days=300)))
        assert 0 == retention.retain(kept.db)
        kept.db.offset += timedelta(hours=1)
        assert 1 == retention.retain(kept.db)

    def test_a_type_under_legal_hold_or_without_retention_keeps_everything(
        self, client: TestClient, kept: House
    ) -> None:
        submit(client, kept)
        kept.db.offset += timedelta(days=400)
        types.apply(kept.db, SYSTEM, REFUND | {"retention": {"days": 183}, "legal_hold": True})
        assert 0 == retention.retain(kept.db)
        types.apply(kept.db, SYSTEM, REFUND)
        assert 0 == retention.retain(kept.db)
        assert [] == events(kept.db, "retention.ran")

    def test_an_open_quality_check_ends_with_the_data(self, client: TestClient, kept: House) -> None:
        told = submit(client, kept)
        sample(kept.db, told["id"])
        kept.db.offset += timedelta(days=184)
        assert 1 == retention.retain(kept.db)
        with kept.db.read() as tx:
            assert "expired" == tx.value(sa.select(tables.review.c.state).where(tables.review.c.id == "rev_sample"))


def sample(db: Database, decision_id: str) -> None:
    """An open quality check of the decision."""
    with db.write() as tx:
        row: dict[str, Any] = {
            "id": "rev_sample", "decision_id": decision_id, "decision_type": "refund", "queue": "refunds",
            "kind": "sample", "tier": "autonomous", "stakes": "low", "priority": 2, "level": 0, "state": "open",
            "blind": True, "required": 1, "created_at": tx.now(), "due_at": tx.now(), "available_at": tx.now(),
            "lease_token": 0, "lease_announced": False, "overdue_announced": False,
        }  # fmt: skip
        tx.insert(tables.review, [row])

"""What the tallies promise: after whatever happened they say what counting every row would say."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from app.actions import decisions as submitting
from app.actions import reviews as desk
from app.actions import upkeep, verdicts
from app.domain.access import Actor, Grant
from app.domain.review import Action, Said
from app.store import figures, reviews, schema, stats, tables
from app.store.db import Database, ReadTx
from app.store.reviews import Taker
from tests.actions.test_promises import actor, claim, submit
from tests.factories import POLICY, House, put_policy

LEAD = (Grant("lead"),)


@pytest.fixture
def lively(house: House) -> House:
    """Reviews that wait, are held, snoozed, escalated, settled, cancelled; decisions overridden and overturned."""
    put_policy(house.db, {**POLICY, "sample": {"rate": 1.0}})
    ids = [submit(house, amount_cents=amount) for amount in (100, 12_900, 200_000) * 5]
    sample = submit(house, confidence=0.99, amount_cents=100)
    lead = actor(house, "lead", *LEAD)
    for action, outcome in ((Action.ESCALATE, None), (Action.OVERRIDE, "deny"), (Action.APPROVE, None)):
        _say(house, lead, action, outcome)
    with house.db.read() as tx:
        (drawn,) = reviews.of_decision(tx, sample)
    _decide(house, lead, desk.claim(house.db, lead, drawn.id))
    held = claim(house, lead)
    desk.snooze(house.db, lead, held["id"], held["lease"]["token"], 60)
    claim(house, actor(house, "reviewer"))
    service = Actor("key", "key_s", "service", key_id="key_s", service="service", scopes=frozenset({"decisions:write"}))
    with house.db.read() as tx:
        pending = tx.rows(sa.select(tables.decision.c.id).where(tables.decision.c.status == "pending"))
    assert len(ids) > len(pending) > 4
    submitting.cancel(house.db, service, pending[-1].id)
    return house


def _say(house: House, who: Actor, action: Action, outcome: str | None) -> None:
    for _ in range(12):
        held = claim(house, who)
        if held["tier"] == "review_required":
            said = Said(action, outcome, "fraud" if outcome else None, "why")
            verdicts.give_verdict(house.db, who, held["id"], held["lease"]["token"], said)
            return
        _decide(house, who, held)


def _decide(house: House, who: Actor, held: dict[str, Any]) -> None:
    for action in (Action.DECIDE, Action.OVERRIDE if held["kind"] == "sample" else Action.DECIDE):
        said = Said(action, "deny", "fraud", "why")
        if isinstance(verdicts.give_verdict(house.db, who, held["id"], held["lease"]["token"], said), verdicts.Ruled):
            return


def _tallied(tx: ReadTx) -> tuple[Any, Any]:
    o, h = tables.open_tally.c, tables.hour_tally.c
    lanes = (o.queue, o.decision_type, o.level, o.priority, o.owner_id)
    opened = sa.select(*lanes, sa.func.sum(o.n), sa.func.sum(o.late)).group_by(*lanes).having(sa.func.sum(o.n) > 0)
    by = (h.decision_type, h.what)
    hourly = sa.select(*by, sa.func.sum(h.n)).group_by(*by)
    return _sorted(tx.rows(opened)), _sorted(tx.rows(hourly))


def _counted(tx: ReadTx) -> tuple[Any, Any]:
    r, d = tables.review.c, tables.decision.c
    lanes = (r.queue, r.decision_type, r.level, r.priority, sa.func.coalesce(r.owner_id, ""))
    late = sa.func.sum(sa.case((r.overdue_announced, 1), else_=0))
    opened = tx.rows(sa.select(*lanes, sa.func.count(), late).where(r.state == "open").group_by(*lanes))
    n = sa.func.count()
    overridden = (d.decided_by == "reviewer") & (d.outcome != d.proposal_outcome)
    told = [
        *tx.rows(sa.select(d.decision_type, d.tier, n).group_by(d.decision_type, d.tier)),
        *tx.rows(sa.select(d.decision_type, sa.literal("overridden"), n).where(overridden).group_by(d.decision_type)),
        *tx.rows(
            sa.select(d.decision_type, sa.literal("overturned"), n)
            .where(d.overturned_at.is_not(None))
            .group_by(d.decision_type)
        ),
    ]
    return _sorted(opened), _sorted(told)


def _sorted(rows: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(int(one) if not isinstance(one, str) else one for one in row) for row in rows)


def test_tallies_are_what_counting_would_say(lively: House) -> None:
    with lively.db.read() as tx:
        expected = _counted(tx)
        assert expected == _tallied(tx)
    assert {"overridden", "overturned"} <= {row[1] for row in expected[1]}
    lively.db.offset = timedelta(hours=5)
    assert upkeep.announce_overdue(lively.db) > 0
    with lively.db.read() as tx:
        assert _counted(tx) == _tallied(tx)


def test_a_migration_counts_what_is_there_already(lively: House) -> None:
    with lively.db.read() as tx:
        expected = _counted(tx)
    with lively.db.write() as tx:
        config = schema._config()
        config.attributes["connection"] = tx.connection
        command.downgrade(config, "0002")
    schema.migrate(lively.db)
    with lively.db.read() as tx:
        assert expected == _tallied(tx)


@pytest.mark.parametrize("who", ["reviewer", "second", "lead"])
def test_counts_from_the_tally_are_those_of_looking_at_each(
    lively: House, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = Taker.of(actor(lively, who, Grant("lead" if who == "lead" else "reviewer")))
    with lively.db.read() as tx:
        exact = asdict(reviews.counts(tx, taker, None))
        monkeypatch.setattr(reviews, "EXACT", 0)
        tallied = asdict(reviews.counts(tx, taker, None))
    spoken = tallied["waiting"] - exact["waiting"]  # those that the taker spoke in: see reviews.counts
    assert (1 if who == "lead" else 0) >= spoken
    assert exact | {"waiting": exact["waiting"] + spoken, "barred": exact["barred"] - spoken} == tallied


def test_late_reviews_are_counted_before_and_after_the_worker_comes_by(db: Database, lively: House) -> None:
    db.offset = timedelta(hours=5)
    with db.read() as tx:
        before = [(one.queue, one.open, one.late) for one in stats.queues(tx)]
        by_type = figures.open_by_type(tx)
    upkeep.announce_overdue(db)
    with db.read() as tx:
        assert before == [(one.queue, one.open, one.late) for one in stats.queues(tx)]
        assert by_type == figures.open_by_type(tx)
    assert before[0][1] == before[0][2] > 0


def test_nobody_is_asked_about_an_autonomous_decision_that_is_no_sample(db: Database) -> None:
    """Exports rely on it (store/exports.py, _if_asked): whoever adds a kind of review must look there."""
    checks = [str(one.sqltext) for one in tables.review.constraints if isinstance(one, sa.CheckConstraint)]
    assert "kind IN ('gate', 'sample')" in checks

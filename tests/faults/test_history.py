"""The judge is judged on the product itself: a fault that is put in is found, and without one nothing is found."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.actions import _settle, verdicts
from app.store import decisions, reviews, tables
from app.store.db import new_id
from tests.faults import history
from tests.faults.clients import Call, Reviewer, submission
from tests.faults.conftest import NewSite
from tests.faults.site import Site

Here = tuple[Site, int]


@pytest.fixture
def here(new_site: NewSite, sqlite_url: str) -> Here:
    """A site whose server runs in this process, so that a fault can be put into it: (site, port)."""
    site = new_site(sqlite_url)
    return site, site.here().port


def client(here: Here, name: str) -> Reviewer:
    site, port = here
    return Reviewer(site.record, [port], site.keys[name], name, keep=False)


def submit(here: Here, mark: str) -> Call:
    site, port = here
    return site.submitter(port).submit(submission(mark))


def claim(one: Reviewer) -> tuple[str, int]:
    call = one.want("claim", {}, again=False, ask=lambda door: door.ask("POST", "/claims", {}))
    assert call.done, call
    return call.answer.json["id"], call.answer.json["lease"]["token"]


def a_day(here: Here) -> tuple[str, int]:
    """One decision, claimed and given back by one, and by another decided; what the first held."""
    submit(here, "a")
    first, second = client(here, "rev0"), client(here, "rev1")
    review, token = claim(first)
    first.release(review, token)
    second.rule(*claim(second), outcome="deny")
    return review, token


def test_a_day_without_faults_has_none(here: Here) -> None:
    review, token = a_day(here)
    late = client(here, "rev0").rule(review, token, "approve")
    assert (409, []) == (late.answer.status, here[0].faults() + here[0].export_faults(here[1]))


def test_a_fence_that_is_gone_is_noticed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(here, "a")
    first, second = client(here, "rev0"), client(here, "rev1")
    review, token = claim(first)
    first.release(review, token)
    claim(second)
    monkeypatch.setattr(verdicts, "_must_hold", lambda *_: None)
    assert 201 == first.rule(review, token, "approve").answer.status
    assert any("no order explains" in fault for fault in here[0].faults())


def test_a_lease_that_does_not_hold_is_noticed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(here, "a")
    monkeypatch.setattr(reviews, "_free", lambda _: ())
    claim(client(here, "rev0"))
    claim(client(here, "rev1"))
    assert any("no order explains" in fault for fault in here[0].faults())


def test_a_unique_constraint_that_is_gone_is_noticed(
    new_site: NewSite, fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch,
    in_postgres: Callable[..., None],
) -> None:  # fmt: skip
    site = new_site(fresh_postgres_url)
    here = site, site.here().port
    in_postgres(fresh_postgres_url, "ALTER TABLE decision DROP CONSTRAINT uq_decision_service_external_id")
    monkeypatch.setattr(decisions, "by_external_id", lambda *_: {})
    monkeypatch.setattr(decisions, "insert_missing", _insert)
    submit(here, "a")
    submit(here, "a")
    assert "a was kept 2 times" in here[0].faults()


def _insert(tx: Any, rows: Any) -> set[str]:
    tx.insert(tables.decision, rows)
    return {row["id"] for row in rows}


def test_a_change_without_its_event_is_noticed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        @staticmethod
        def record(*_: Any) -> list[str]:
            return []

    monkeypatch.setattr(_settle, "events", Silent)
    review, _ = a_day(here)
    assert f"settled: {review} changed without its event" in here[0].faults()


def test_an_event_without_its_change_is_noticed(here: Here) -> None:
    review, _ = a_day(here)
    change(here, tables.review.update().values(state="open", outcome=None, settled_at=None))
    assert f"settled: {review} is told and did not happen" in here[0].faults()


def test_a_decision_that_is_lost_is_noticed(here: Here) -> None:
    acknowledged = submit(here, "a").answer.json["id"]
    change(here, tables.review.delete(), tables.decision.delete())
    assert f"a was acknowledged as {acknowledged} and is missing" in here[0].faults()


def test_a_decision_that_is_changed_is_noticed(here: Here) -> None:
    submit(here, "a")
    change(here, tables.decision.update().values(input='{"amount_cents": 1}'))
    assert any(fault.startswith("a was changed") for fault in here[0].faults())


def test_a_verdict_that_is_changed_is_noticed(here: Here) -> None:
    a_day(here)
    change(here, tables.decision.update().values(outcome="approve"))
    found = here[0].faults()
    assert any("is not what rev1 was told: deny" in fault for fault in found)


def test_a_second_final_verdict_is_noticed(here: Here) -> None:
    site, _ = here
    review, _ = a_day(here)
    with site.db.write() as tx:
        (first,) = tx.rows(sa.select(tables.verdict))
        tx.insert(tables.verdict, [first._asdict() | {"id": new_id("ver"), "person_id": site.people["rev2"]}])
    assert f"{review} has 2 rulings" in site.faults()


def test_a_claim_that_nobody_asked_for_is_noticed(here: Here) -> None:
    site, _ = here
    review, _ = a_day(here)
    site.record.calls = [call for call in site.record.calls if call.verb != "claim"]
    found = site.faults()
    assert f"{site.people['rev1']} claimed {review} and never asked for it" in found


def test_an_export_that_tells_something_else_is_noticed(here: Here) -> None:
    site, port = here
    a_day(here)
    told = site.door(port, "auditor").ask("GET", "/exports/decisions.jsonl").text
    (decision,) = history.read(site.db).decisions
    wrong = history.exported(history.read(site.db), [told.replace('"deny"', '"approve"').strip()])
    assert [] == history.exported(history.read(site.db), told.splitlines())
    assert [True] == [fault.startswith(decision) for fault in wrong]


def change(here: Here, *statements: Any) -> None:
    with here[0].db.write() as tx:
        for statement in statements:
            tx.run(statement)

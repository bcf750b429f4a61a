"""A row that a duty of the worker cannot process is set aside, counted and shown; the duty goes on with the others."""

from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from app.domain.access import SYSTEM
from app.store import tables
from tests.faults.conftest import Report
from tests.faults.servers import App
from tests.faults.site import Site, until

operations = pytest.importorskip("app.actions.operations")
poison = pytest.importorskip("tests.poison")
HEALTHY = 5


def test_a_poison_row_does_not_stop_a_duty(site: Site, report: Report) -> None:
    app = site.app()
    bad, *good = site.submit(app.port, *(f"row-{number}" for number in range(1 + HEALTHY)))
    with poison.poisoned(site.db, bad):
        _make_overdue(site)
        worker = site.worker()
        until(lambda: set(good) == _announced(site), 30, "the others are announced")
        until(lambda: bad in _aside(site), 30, "the poison is set aside")
        metrics = _metrics(app)
    worker.end()
    counted = 'handrail_set_aside{duty="announce_overdue"} 1.0' in metrics
    report("a poison row in a duty", announced=len(good), set_aside=len(_aside(site)), counted=counted)
    assert ([bad], True, []) == (_aside(site), counted, site.faults())


def _make_overdue(site: Site) -> None:
    with site.db.write() as tx:
        tx.run(tables.review.update().values(due_at=tx.now()))


def _announced(site: Site) -> set[str]:
    with site.db.read() as tx:
        told = sa.select(tables.event.c.object_id).where(tables.event.c.type == "review.overdue")
        return {row.object_id for row in tx.rows(told)}


def _aside(site: Site) -> list[str]:
    """What the operations page lists."""
    return [row["object_id"] for row in operations.overview(site.db, SYSTEM)["aside"]]


def _metrics(app: App) -> str:
    with urlopen(f"http://127.0.0.1:{app.port}/metrics", timeout=10) as told:
        return str(told.read().decode())

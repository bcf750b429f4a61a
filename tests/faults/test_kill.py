"""Processes and PostgreSQL are killed under load; what was acknowledged is there, nothing half done, the log whole."""

import random
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.store.db import Database
from app.store.schema import migrate
from tests.faults.conftest import Amount, NewSite, Report
from tests.faults.postgres import Cluster
from tests.faults.servers import App, Process
from tests.faults.site import Site

LEASE = 10  # the shortest that there is, so that what a killed client or app held is taken over


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.close()


def test_what_was_acknowledged_survives_kill_9(
    new_site: NewSite, database_url: str, amount: Amount, report: Report
) -> None:
    site = new_site(database_url, lease=LEASE)
    apps = [site.app() for _ in range(1 if site.db.is_sqlite else amount.apps)]
    worker = site.worker()
    with site.loaded([app.port for app in apps]):
        for _ in range(amount.kills):
            victim = random.choice([*apps, *apps, worker])
            _kill_under_load(site, victim)
    broken = site.faults() + site.export_faults(apps[0].port) + site.log_faults()
    report(
        "kill -9 of app and worker", kills=amount.kills, decisions=site.acknowledged("submit"),
        verdicts=site.acknowledged("verdict"), faults=len(broken),
    )  # fmt: skip
    assert [] == broken


def _kill_under_load(site: Site, victim: Process) -> None:
    site.await_progress(5, 1)
    time.sleep(random.uniform(0, 0.3))
    victim.kill()
    victim.start()
    if isinstance(victim, App):
        victim.await_answer()


def test_what_was_acknowledged_survives_postgres_stopped_immediately(
    cluster: Cluster, new_site: NewSite, amount: Amount, report: Report
) -> None:
    with closing(Database(cluster.url)) as db:
        migrate(db)
    site = new_site(cluster.url, lease=LEASE)
    app = site.app()
    site.worker()
    site.await_signed()
    slowest = 0.0
    with site.loaded([app.port]):
        for _ in range(amount.stops):
            site.await_progress(5, 1)
            time.sleep(random.uniform(0, 0.3))
            cluster.stop("immediate")
            assert 503 == app.ask("/readyz", within=30)
            cluster.start()
            slowest = max(slowest, site.await_progress(1, within=amount.soon))
    broken = site.faults() + site.export_faults(app.port) + site.log_faults()
    report(
        "PostgreSQL stop -m immediate", "postgres", stops=amount.stops, decisions=site.acknowledged("submit"),
        verdicts=site.acknowledged("verdict"), slowest_recovery_s=slowest, faults=len(broken),
    )  # fmt: skip
    assert [] == broken

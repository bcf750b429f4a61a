"""The network between app and database fails: nobody hangs, nothing acknowledged is lost, and it heals by itself."""

import time
from collections.abc import Iterator

import pytest

from app.store.db import driver_url
from tests.faults.conftest import Amount, NewSite, Report
from tests.faults.proxy import Proxy, upstream
from tests.faults.site import Site

LONGEST = 30  # seconds that a request may take


@pytest.fixture
def broken(new_site: NewSite, fresh_postgres_url: str) -> Iterator[tuple[Site, Proxy]]:
    """A site on PostgreSQL, and the proxy that its app is to reach it by."""
    with Proxy(upstream(driver_url(fresh_postgres_url))) as proxy:
        yield new_site(fresh_postgres_url), proxy


def cut(proxy: Proxy, amount: Amount) -> None:
    for _ in range(5):
        proxy.cut()
        time.sleep(0.1)


def freeze(proxy: Proxy, amount: Amount) -> None:
    proxy.freeze()
    time.sleep(amount.frozen_seconds)
    proxy.thaw()


def delay(proxy: Proxy, amount: Amount) -> None:
    proxy.delay = amount.delay_seconds
    time.sleep(amount.delayed_seconds)
    proxy.delay = 0.0


FAULTS = {"connections reset": cut, "half-open connections": freeze, "2 s latency": delay}


def test_no_request_hangs_and_nothing_is_lost(broken: tuple[Site, Proxy], amount: Amount, report: Report) -> None:
    site, proxy = broken
    port = site.app(url=proxy.url(site.db.url)).port
    healed = dict.fromkeys(FAULTS, 0.0)
    with site.loaded([port]):
        for name, fault in list(FAULTS.items()) * amount.network_rounds:
            site.await_progress(5, 1)
            fault(proxy, amount)
            healed[name] = max(healed[name], site.await_progress(1, 1, within=amount.soon))
    wrong = site.faults()
    for name, seconds in healed.items():
        report(name, "postgres", rounds=amount.network_rounds, healed_s=seconds, slowest_request_s=site.record.slowest,
               faults=len(wrong))  # fmt: skip
    assert [] == wrong
    assert site.record.slowest < LONGEST

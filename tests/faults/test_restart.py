"""A server that is asked to end answers what it has begun, and ends soon."""

import threading
import time

from tests.faults.clients import Answer, Door, submission
from tests.faults.conftest import Amount, Report
from tests.faults.servers import App
from tests.faults.site import Site

POLLERS = 4


class Poller(threading.Thread):
    """Waits for a verdict that does not come."""

    def __init__(self, door: Door, decision: str) -> None:
        super().__init__()
        self._door, self._decision = door, decision
        self.answer = Answer(0, "")

    def run(self) -> None:
        self.answer = self._door.ask("GET", f"/decisions/{self._decision}?wait=30")


def test_sigterm_under_load_fails_no_request_that_was_begun(site: Site, amount: Amount, report: Report) -> None:
    app = site.app()
    slowest, waited = 0.0, []
    for number in range(amount.restarts):
        with site.loaded([app.port], reviewers=5, keep=number % 2 == 0):
            site.await_progress(5, 1)
            pollers = _poll(site, app, f"wait-{number}")
            slowest = max(slowest, app.end(within=60))
            waited += [poller.answer.status for poller in _joined(pollers)]
            app.start()
            site.await_progress(1)
    unanswered = site.unanswered()
    broken = site.faults()
    report(
        "SIGTERM under load", restarts=amount.restarts, requests=len(site.record.calls), slowest_end_s=slowest,
        unanswered=len(unanswered), waiters=len(waited), faults=len(broken),
    )  # fmt: skip
    assert ([], [], [200] * POLLERS * amount.restarts) == (unanswered, broken, waited)
    assert slowest < amount.soon


def _poll(site: Site, app: App, mark: str) -> list[Poller]:
    decision = _held(site, app, mark)
    pollers = [Poller(site.door(app.port, "service", keep=False), decision) for _ in range(POLLERS)]
    for poller in pollers:
        poller.start()
    time.sleep(0.2)
    for _ in range(3):  # the server has one loop: when these are answered, those were read
        assert 200 == app.ask("/livez", within=30)
    return pollers


def _held(site: Site, app: App, mark: str) -> str:
    """A decision whose review is held by somebody who does not rule, so that it stays open."""
    for number in range(100):
        told = site.submitter(app.port).submit(submission(f"{mark}-{number}")).answer.json
        if site.claim(app.port, site.reviewers[-1], told["review"]["id"])[1].done:
            return str(told["id"])
    raise AssertionError("the others are always faster")


def _joined(pollers: list[Poller]) -> list[Poller]:
    for poller in pollers:
        poller.join()
    return pollers

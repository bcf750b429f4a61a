"""Who was away past their lease is refused when they come back; a wrong clock on one process grants nothing twice."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.store import tables
from tests.faults import servers
from tests.faults.conftest import Amount, NewSite, Report
from tests.faults.site import FULL, Site

LEASE = 10  # seconds; the shortest that there is
SKEWED = Path(__file__).parent / "skewed"


class Sleeper:
    """A reviewer's process that holds a review and is stopped, with its verdict on the tongue."""

    def __init__(self, port: int, key: str, review: str) -> None:
        command = (sys.executable, "-m", "tests.faults.late", str(port), key, review)
        self._process = subprocess.Popen(
            command, cwd=servers.ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert 201 == self._heard()[0]
        servers.pause(self._process.pid)
        assert self._process.stdin
        self._process.stdin.write("now\n")
        self._process.stdin.flush()

    def wake(self) -> tuple[int, str]:
        """The status and the code that its verdict got."""
        servers.resume(self._process.pid)
        status, body = self._heard()
        return status, body.get("code", "")

    def _heard(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> "Sleeper":
        return self

    def __exit__(self, *_: object) -> None:
        servers.resume(self._process.pid)
        self._process.communicate(timeout=30)


def test_a_verdict_that_comes_past_its_lease_is_refused(
    new_site: NewSite, database_url: str, amount: Amount, report: Report
) -> None:
    site = new_site(database_url, lease=LEASE)
    (port,) = site.serve()
    reviews = site.submit(port, *(f"late-{number}" for number in range(amount.fences * 2)))
    with ExitStack() as stack:
        asleep = [stack.enter_context(Sleeper(port, site.keys["rev0"], review)) for review in reviews]
        _let_leases_end(site)
        for number, review in enumerate(reviews):
            _take_over(site, port, review, decide=number % 2 == 0)
        answers = [one.wake() for one in asleep]
    held = sum(answer == (409, "lease_lost") for answer in answers)
    settled = len([call for call in site.record.of("verdict") if call.done])
    report("verdicts past their lease", late=len(answers), refused_409=held, verdicts_of_others=settled)
    assert ([(409, "lease_lost")] * amount.fences * 2, amount.fences) == (answers, settled)


def _let_leases_end(site: Site) -> None:
    if FULL:
        time.sleep(LEASE + 0.5)
        return
    with site.db.write() as tx:
        tx.run(tables.review.update().values(lease_expires_at=tx.now()))


def _take_over(site: Site, port: int, review: str, *, decide: bool) -> None:
    other, claim = site.claim(port, "rev1", review)
    assert 201 == claim.answer.status
    if decide:
        assert other.rule(review, claim.answer.json["lease"]["token"], "deny").done


@pytest.mark.parametrize("shift", [3600, -3600] if FULL else [3600])
def test_a_clock_that_is_an_hour_off_grants_nothing_twice(
    site: Site, shift: int, amount: Amount, report: Report
) -> None:
    right = site.app()
    wrong = site.app(PYTHONPATH=str(SKEWED), FAULTS_CLOCK_SHIFT=str(shift))
    reviews = site.submit(right.port, *(f"clock-{number}" for number in range(4)))
    for review, (mine, theirs) in zip(reviews, [(right, wrong), (wrong, right)] * 2, strict=True):
        assert 201 == site.claim(mine.port, "rev0", review)[1].answer.status
        assert 409 == site.claim(theirs.port, "rev1", review)[1].answer.status
    with site.loaded([right.port, wrong.port]):
        site.await_progress(amount.clock_decisions, amount.clock_decisions // 2)
    broken = site.faults()
    report(
        f"a clock {shift:+} s off", decisions=site.acknowledged("submit"), claims=site.acknowledged("claim"),
        double_grants=len(broken),
    )  # fmt: skip
    assert [] == broken

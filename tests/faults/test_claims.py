"""Five hundred want one review, and one has it; nobody's clock and nobody's sleep makes it two."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.factories import key, person
from tests.faults.clients import Call, Door, verdict
from tests.faults.conftest import Amount, Report
from tests.faults.site import FULL, Site

PLANS = {"as they come": (), "no hash or merge joins": ("hashjoin", "mergejoin")}
TRIED = PLANS if FULL else ["as they come"]


@pytest.mark.parametrize("plans", TRIED)
def test_of_all_who_want_one_review_one_has_it(
    site: Site, plans: str, amount: Amount, report: Report, in_postgres: Callable[..., None]
) -> None:
    if site.db.is_sqlite and PLANS[plans]:
        pytest.skip("SQLite has nested loops only")
    for join in PLANS[plans]:
        in_postgres(site.url, f"ALTER DATABASE {site.db.url.database} SET enable_{join} = off")
    crowd = Crowd(site, site.serve(1 if site.db.is_sqlite else 2), amount.claimers)
    winners = [crowd.race(f"race-{number}") for number in range(amount.rounds)]
    broken = site.faults()
    report(
        f"{amount.claimers} want one, {plans}", rounds=amount.rounds, claims=amount.rounds * amount.claimers,
        rounds_with_one_winner=winners.count(1), faults=len(broken),
    )  # fmt: skip
    assert ([1] * amount.rounds, []) == (winners, broken)


class Crowd:
    """People with open connections who all claim at the same moment: half of them what is next, half this very one."""

    def __init__(self, site: Site, ports: list[int], size: int) -> None:
        self._site = site
        self._ports = ports
        self._gate = threading.Barrier(size)
        self._doors: dict[str, Door] = {}
        for name in (f"crowd{n}" for n in range(size)):
            site.people[name] = person(site.db, name, "reviewer")
            site.keys[name] = key(site.db, name, "reviews:write", person_id=site.people[name])
            self._doors[name] = site.door(ports[len(self._doors) % len(ports)], name)

    def race(self, mark: str) -> int:
        """How many won the one review that there is; it is settled then."""
        (review,) = self._site.submit(self._ports[0], mark)
        calls: list[Call] = []
        threads = [
            threading.Thread(target=self._claim, args=(calls, who, review if n % 2 else None))
            for n, who in enumerate(self._doors)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = Counter(call.answer.status for call in calls)
        assert statuses.keys() <= {201, 204, 409}, statuses
        for call in calls:
            if call.done:
                self._rule(call)
        return statuses[201]

    def _claim(self, calls: list[Call], who: str, review: str | None) -> None:
        path, asked = (f"/reviews/{review}/claim", {"review": review}) if review else ("/claims", {})
        self._doors[who].connect()
        self._gate.wait()
        start = time.monotonic()
        answer = self._doors[who].ask("POST", path, {})
        calls.append(self._site.record.keep(Call("claim", who, asked, start, time.monotonic(), answer)))

    def _rule(self, claim: Call) -> None:
        review, token, start = claim.answer.json["id"], claim.answer.json["lease"]["token"], time.monotonic()
        answer = self._doors[claim.who].ask("POST", f"/reviews/{review}/verdict", verdict(token, "approve"))
        asked = {"review": review, "token": token, "outcome": "approve"}
        self._site.record.keep(Call("verdict", claim.who, asked, start, time.monotonic(), answer))

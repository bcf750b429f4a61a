"""Many want the same rows at once: deadlocks and serialization failures are ours to retry, never a client's to see."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from tests.faults.clients import Answer, Call, Client, Reviewer, finish, submission
from tests.faults.conftest import Amount, Report
from tests.faults.site import Site

TROUBLE = """
CREATE SEQUENCE troubles;
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF random() < 0.02 THEN
        PERFORM nextval('troubles');
        RAISE EXCEPTION 'as if' USING ERRCODE = CASE WHEN random() < 0.5 THEN '40P01' ELSE '40001' END;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON review FOR EACH ROW EXECUTE FUNCTION trouble()
"""
WINDOW = 20  # marks that are wanted at the same time


class Marks:
    """Which decisions the contenders fight for at the moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self.known: dict[str, tuple[str, str]] = {}  # decision and review, by mark

    def some(self, random: Any, count: int) -> list[str]:
        with self._lock:
            self._asked += count
            start = self._asked // 4
        return random.sample([f"m-{start + n}" for n in range(WINDOW)], count)


class Contender(Client):
    """Submits what others submit too, alone and in batches in any order, and withdraws what others decide."""

    def __init__(self, marks: Marks, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._marks = marks

    def round(self) -> None:
        (self._random.choice((self._one, self._batch, self._cancel)))()

    def _one(self) -> None:
        (mark,) = self._marks.some(self._random, 1)
        body, keyed = submission(mark), {"Idempotency_Key": f"k-{mark}"} if self._random.random() < 0.5 else {}
        call = self.want("submit", body, again=False, ask=lambda d: d.ask("POST", "/decisions", body, **keyed))
        if call.done:
            self._marks.known[mark] = call.answer.json["id"], call.answer.json["review"]["id"]

    def _batch(self) -> None:
        bodies = [submission(mark) for mark in self._marks.some(self._random, 8)]
        start = time.monotonic()
        answer = self.door.ask("POST", "/decisions/batch", {"items": bodies})
        end = time.monotonic()
        for body, result in zip(bodies, answer.json["results"] if answer.status == 200 else [], strict=False):
            told = Answer(result["status"], json.dumps(result.get("decision") or result.get("problem")))
            self._record.keep(Call("submit", self.name, body, start, end, told))

    def _cancel(self) -> None:
        known = list(self._marks.known.values())[-WINDOW:]
        if not known:
            return
        decision, review = self._random.choice(known)
        path = f"/decisions/{decision}/cancellation"
        self.want("cancel", {"review": review}, again=False, ask=lambda door: door.ask("POST", path, {}))


def test_what_the_database_gives_up_is_retried_and_no_client_sees_it(
    site: Site, amount: Amount, report: Report, in_postgres: Callable[..., None]
) -> None:
    if not site.db.is_sqlite:
        in_postgres(site.url, TROUBLE)
    ports = site.serve(1 if site.db.is_sqlite else 2)
    marks, key = Marks(), site.keys["service"]
    crowd = [Contender(marks, site.record, ports, key, f"con{n}") for n in range(amount.contenders - 8)]
    people = [Reviewer(site.record, ports, site.keys[name], name) for name in (*site.reviewers, "rev0", "rev1")]
    for one in (*crowd, *people):
        one.start()
    time.sleep(amount.contention_seconds)
    finish(*crowd, *people)
    broken, server_errors = site.faults(), sum(n for status, n in site.record.statuses.items() if status >= 500)
    retried = 0 if site.db.is_sqlite else _troubles(site)
    report(
        "contention", threads=amount.contenders, seconds=amount.contention_seconds,
        requests=site.record.statuses.total(), retried=retried, answers_5xx=server_errors, faults=len(broken),
    )  # fmt: skip
    assert (0, []) == (server_errors, broken)


def _troubles(site: Site) -> int:
    """How often the database gave up: a sequence is not rolled back."""
    with site.db.read() as tx:
        return int(tx.value(sa.text("SELECT last_value FROM troubles")))

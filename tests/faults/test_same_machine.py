"""The queue's machine, with the same seeds on both databases, gives the same answers step by step."""

import json
import re
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from app.actions import decisions, people, policies, reviews, types, upkeep, verdicts
from app.domain.access import SYSTEM, Actor, Grant
from app.domain.errors import HandrailError
from app.store.db import Database
from tests.actions.test_queue_machine import POLICY, TYPE, QueueMachine
from tests.faults.conftest import Amount, Report
from tests.faults.site import FULL

ID = re.compile(r"\b(?:dec|rev|evt|ver|usr|key)_[0-9a-f-]{36}")
LEAF = re.compile(r"(?<=leaf_hash)\W+[0-9a-f]{64}")  # of bytes with a nonce
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?")
WATCHED = (
    (reviews, ("claim_next", "release", "renew")),
    (verdicts, ("give_verdict",)),
    (decisions, ("submit_many", "cancel")),
    (upkeep, ("announce_lapsed",)),
)


class Trace:
    """What each action answered, in order: ids by their place of first mention, times left out."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self._ids: dict[str, str] = {}

    def watch(self, name: str, action: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any) -> Any:
            try:
                answer = action(*args)
            except HandrailError as error:
                self._say(name, type(error).__name__, error.code, error.detail)
                raise
            self._say(name, json.dumps(answer, default=str))
            return answer

        return watched

    def _say(self, *words: str) -> None:
        self.steps.append(MOMENT.sub("(time)", LEAF.sub("", ID.sub(self._plain, " ".join(words)))))

    def _plain(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found[0], f"{found[0][:3]}{len(self._ids)}")


def test_the_same_seeds_give_the_same_answers_on_both_databases(
    sqlite_url: str, fresh_postgres_url: str, amount: Amount, report: Report
) -> None:
    traces = [_trace(url, amount.seeds) for url in (sqlite_url, fresh_postgres_url)]
    steps = [len(trace) for trace in traces]
    differ = [pair for pair in zip(*traces, strict=False) if pair[0] != pair[1]]
    report("the same seeds on both", "both", seeds=amount.seeds, steps=steps[0], differences=len(differ))
    assert ([], steps[0]) == (differ[:1], steps[1])
    assert steps[0] > amount.seeds * 20


def _trace(url: str, seeds: int) -> list[str]:
    db, trace = Database(url), Trace()
    machine = _machine(db)
    quick = settings(
        max_examples=12 if FULL else 3, stateful_step_count=25, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for module, names in WATCHED:
            for name in names:
                patch.setattr(module, name, trace.watch(name, getattr(module, name)))
        for seed in range(seeds):
            run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=quick)
    db.close()
    return trace.steps


def _machine(db: Database) -> type[QueueMachine]:
    types.apply(db, SYSTEM, TYPE)
    policies.draft(db, SYSTEM, "refund", POLICY)
    policies.activate(db, SYSTEM, "refund", 1)

    class Machine(QueueMachine):
        pass

    Machine.db = db
    Machine.key = people.create_key(db, SYSTEM, "agent", ["decisions:write"])["key"]
    Machine.actors = {"ada": _actor(db, "ada", "reviewer"), "ben": _actor(db, "ben", "reviewer"),
                      "lea": _actor(db, "lea", "lead")}  # fmt: skip
    return Machine


def _actor(db: Database, name: str, role: str) -> Actor:
    person = people.add(db, SYSTEM, f"{name}@example.org", name, None, [Grant(role)])
    return Actor("person", person["id"], name, person_id=person["id"], grants=(Grant(role),))

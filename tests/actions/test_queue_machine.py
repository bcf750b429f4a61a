"""The queue against a plain model: whatever the order of moves, both databases answer as the model does."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from app.actions import decisions, people, policies, reviews, types, upkeep, verdicts
from app.domain.access import SYSTEM, Actor, Grant
from app.domain.errors import Conflict, Forbidden
from app.domain.review import Action, Said
from app.store import tables
from app.store.db import Database

LEASE = timedelta(minutes=15)
TYPE = {
    "slug": "refund",
    "title": "Refund",
    "outcomes": [{"key": "approve", "title": "Approve", "approving": True}, {"key": "deny", "title": "Deny"}],
    "reason_codes": [{"key": "other", "title": "Other"}],
}
POLICY = {
    "decision_type": "refund",
    "stakes": {"levels": ["high"]},
    "thresholds": {"high": {"autonomous": "never", "review": 0.0}},
    "review": {"sla": "1h"},
}


@dataclass
class Expected:
    """What the model knows of one review."""

    number: int
    state: str = "open"
    level: int = 0
    holder: str | None = None
    token: int = 0
    until: timedelta = timedelta()
    said: set[str] = field(default_factory=set)


class QueueMachine(RuleBasedStateMachine):
    """Two reviewers and a lead, one service; time only moves when we say so."""

    db: Database
    key: str
    actors: dict[str, Actor]

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, Expected] = {}
        self.service = Actor(
            "key", "key_x", "agent", key_id="key_x", service="agent", scopes=frozenset({"decisions:write"})
        )
        self.db.offset = timedelta()

    def teardown(self) -> None:
        for known in self.model:
            with suppress(Conflict):
                decisions.cancel(self.db, self.service, self._decision_of(known))

    def _decision_of(self, review_id: str) -> str:
        with self.db.read() as tx:
            return str(tx.value(sa.select(tables.review.c.decision_id).where(tables.review.c.id == review_id)))

    def _free(self, one: Expected) -> bool:
        return one.state == "open" and (one.holder is None or one.until <= self.db.offset)

    def _permitted(self, one: Expected, who: str) -> bool:
        return who not in one.said and (one.level == 0 or who == "lea")

    def _may(self, one: Expected, who: str) -> bool:
        return self._free(one) and self._permitted(one, who)

    @rule()
    def submit(self) -> None:
        body = {
            "decision_type": "refund", "model": {"name": "m", "version": "1"}, "input": {}, "metadata": {},
            "proposal": {"outcome": "approve", "confidence": 0.5},
        }  # fmt: skip
        (done,) = decisions.submit_many(self.db, [decisions.Submission(self.key, body, "f")])
        assert isinstance(done, decisions.Submitted), done
        self.model[json.loads(done.text)["review"]["id"]] = Expected(len(self.model))

    @rule(who=st.sampled_from(["ada", "ben", "lea"]))
    def claim_next(self, who: str) -> None:
        got = reviews.claim_next(self.db, self.actors[who])
        free = [known for known, one in self.model.items() if self._may(one, who)]
        if isinstance(got, reviews.Nothing):
            assert [] == free
            return
        assert got["id"] in free
        one = self.model[got["id"]]
        assert one.token + 1 == got["lease"]["token"]
        one.holder, one.token, one.until = who, one.token + 1, self.db.offset + LEASE

    @precondition(lambda self: self.model)
    @rule(data=st.data(), who=st.sampled_from(["ada", "ben", "lea"]), stale=st.booleans())
    def release(self, data: st.DataObject, who: str, stale: bool) -> None:
        known, one = data.draw(st.sampled_from(sorted(self.model.items(), key=lambda pair: pair[1].number)))
        token = one.token - 1 if stale else one.token
        if one.state == "open" and one.holder == who and not stale:
            reviews.release(self.db, self.actors[who], known, token)
            one.holder, one.token = None, one.token + 1
        else:
            with pytest.raises(Conflict):
                reviews.release(self.db, self.actors[who], known, token)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), who=st.sampled_from(["ada", "ben", "lea"]))
    def renew(self, data: st.DataObject, who: str) -> None:
        known, one = data.draw(st.sampled_from(sorted(self.model.items(), key=lambda pair: pair[1].number)))
        if one.state == "open" and one.holder == who:
            reviews.renew(self.db, self.actors[who], known, one.token)
            one.until = self.db.offset + LEASE
        else:
            with pytest.raises(Conflict):
                reviews.renew(self.db, self.actors[who], known, one.token)

    @precondition(lambda self: self.model)
    @rule(
        data=st.data(),
        who=st.sampled_from(["ada", "ben", "lea"]),
        action=st.sampled_from([Action.APPROVE, Action.OVERRIDE, Action.ESCALATE, Action.ABSTAIN]),
        stale=st.booleans(),
    )
    def say(self, data: st.DataObject, who: str, action: Action, stale: bool) -> None:
        known, one = data.draw(st.sampled_from(sorted(self.model.items(), key=lambda pair: pair[1].number)))
        said = Said(
            action, "deny" if action is Action.OVERRIDE else None, "other" if action is Action.OVERRIDE else None, "why"
        )
        if action is Action.ESCALATE and one.level:
            return
        token = one.token - 1 if stale else one.token
        if one.state != "open" or one.holder != who or stale or not self._permitted(one, who):
            with pytest.raises((Conflict, Forbidden)):
                verdicts.give_verdict(self.db, self.actors[who], known, token, said)
            return
        verdicts.give_verdict(self.db, self.actors[who], known, token, said)
        one.holder = None
        one.said.add(who)
        if action is Action.ESCALATE:
            one.level = 1
        elif action is not Action.ABSTAIN:
            one.state = "settled"

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        known, one = data.draw(st.sampled_from(sorted(self.model.items(), key=lambda pair: pair[1].number)))
        decision_id = self._decision_of(known)
        if one.state == "settled":
            with pytest.raises(Conflict):
                decisions.cancel(self.db, self.service, decision_id)
        else:
            assert "cancelled" == decisions.cancel(self.db, self.service, decision_id)["status"]
            if one.state == "open":
                one.state, one.holder = "cancelled", None

    @rule(minutes=st.sampled_from([5, 16, 40]))
    def time_passes(self, minutes: int) -> None:
        self.db.offset += timedelta(minutes=minutes)
        upkeep.announce_lapsed(self.db)

    @invariant()
    def the_rows_are_what_the_model_says(self) -> None:
        with self.db.read() as tx:
            rows = {row.id: row for row in tx.rows(sa.select(tables.review))}
        for known, one in self.model.items():
            row = rows[known]
            names = {name: actor.person_id for name, actor in self.actors.items()}
            holder = names[one.holder] if one.holder else None
            assert (one.state, one.level, one.token, holder) == (
                row.state,
                row.level,
                row.lease_token,
                row.lease_holder,
            )


def test_the_queue_moves_as_the_model_says(db: Database) -> None:
    types.apply(db, SYSTEM, TYPE)
    policies.draft(db, SYSTEM, "refund", POLICY)
    policies.activate(db, SYSTEM, "refund", 1)

    def actor(name: str, role: str) -> Actor:
        person = people.add(db, SYSTEM, f"{name}@example.org", name, None, [Grant(role)])
        return Actor("person", person["id"], name, person_id=person["id"], grants=(Grant(role),))

    class Machine(QueueMachine):
        pass

    Machine.db = db
    Machine.key = people.create_key(db, SYSTEM, "agent", ["decisions:write"])["key"]
    Machine.actors = {"ada": actor("ada", "reviewer"), "ben": actor("ben", "reviewer"), "lea": actor("lea", "lead")}
    quick = settings(max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Machine, settings=quick)

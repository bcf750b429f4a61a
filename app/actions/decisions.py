"""Owns the only way in, `submit_many`, and `cancel`. Must not wait on a network or hash passwords: it holds a lock."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.actions import _views
from app.actions._fresh import RANDOM, Fresh, Known, answer_again, fresh
from app.actions._receipts import Promise, no_promise
from app.actions._settle import about, close
from app.domain.access import Actor, Permission
from app.domain.errors import Conflict, Forbidden, HandrailError, Invalid, NotFound, Unauthenticated
from app.domain.events import Event, EventType
from app.store import decision_types, decisions, events, keys, reviews
from app.store.db import WriteTx, writes

Row = Any
Ticket = tuple[str, str, str]  # (key id, route, Idempotency-Key)


@dataclass(frozen=True, slots=True)
class Submission:
    """One decision as it came in: a body that has the wire's shape, and a digest that tells it from other bodies.

    `size` is about how many bytes it was.
    """

    credential: str
    body: Mapping[str, Any]
    fingerprint: str
    idempotency_key: str | None = None
    route: str = "submit"
    request_id: str | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer as JSON text, and what doors need of it. `replayed`: an earlier one, by "key" or by "external_id"."""

    text: str
    decision_id: str
    tier: str
    replayed: str | None = None


Outcome = Submitted | HandrailError


@writes
def submit_many(tx: WriteTx, submissions: Sequence[Submission], promise: Promise = no_promise) -> list[Outcome]:
    """Route and keep decisions, one or many; one outcome for each, in order. A refusal of one leaves the others be.

    `promise` signs what a receipt promises.
    """
    return _Batch(tx, submissions, promise).run()


class _Batch:
    """Submissions that share a transaction. Of twins the first goes in, and the others get its answer.

    Everything is made in memory first, answers included, and then goes in: one statement for each table.
    """

    def __init__(self, tx: WriteTx, submissions: Sequence[Submission], promise: Promise) -> None:
        self.tx = tx
        self.promise = promise
        self.items = submissions
        self.outcomes: list[Outcome | None] = [None] * len(submissions)
        self.actors: dict[int, Actor] = {}
        self.tickets: dict[int, Ticket] = {}
        self.twins: dict[int, int] = {}
        self.fresh: dict[int, Fresh] = {}
        self.refused: dict[int, HandrailError] = {}

    def run(self) -> list[Outcome]:
        self._know_actors()
        self._pair_tickets()
        self._route()
        self._reserve_tickets()
        self._refuse()
        self._insert()
        for twin, first in self.twins.items():
            outcome = self.outcomes[first]
            self.outcomes[twin] = replace(outcome, replayed="key") if isinstance(outcome, Submitted) else outcome
        self._keep_answers()
        settled = [outcome for outcome in self.outcomes if outcome is not None]
        if len(settled) < len(self.items):
            raise AssertionError("a submission has no outcome")  # else each after it would get another's answer
        return settled

    def _open(self) -> list[int]:
        return [i for i, outcome in enumerate(self.outcomes) if outcome is None and i not in self.twins]

    def _know_actors(self) -> None:
        known = keys.actors(self.tx, {item.credential for item in self.items})
        for i, item in enumerate(self.items):
            actor = known.get(item.credential)
            if actor is None:
                self.outcomes[i] = Unauthenticated("The API key is missing, wrong, expired or revoked.")
            elif not actor.may(Permission.SUBMIT):
                self.outcomes[i] = Forbidden(f"This key may not {Permission.SUBMIT.value}; it needs decisions:write.")
            else:
                self.actors[i] = actor

    def _pair_tickets(self) -> None:
        firsts: dict[Ticket, int] = {}
        for i in self._open():
            key = self.items[i].idempotency_key
            if key is None:
                continue
            ticket = (str(self.actors[i].key_id), self.items[i].route, key)
            first = firsts.setdefault(ticket, i)
            if first == i:
                self.tickets[i] = ticket
            elif self.items[i].fingerprint == self.items[first].fingerprint:
                self.twins[i] = first
            else:
                self.outcomes[i] = reused_key()

    def _route(self) -> None:
        open_ones = self._open()
        types = self.tx.kept("type", (self.items[i].body["decision_type"] for i in open_ones), self._types)
        at = self.tx.now()
        random = os.urandom(RANDOM * len(open_ones))  # at once: a system call costs as much as the rest of an event
        for place, i in enumerate(open_ones):
            item, own = self.items[i], random[place * RANDOM : (place + 1) * RANDOM]
            try:
                self.fresh[i] = fresh(
                    at, self.actors[i], item.body, item.fingerprint, types, item.request_id, self.promise, own
                )
            except HandrailError as refusal:
                self.refused[i] = refusal

    def _types(self, slugs: set[str]) -> dict[str, Known]:
        return {slug: Known.of(row) for slug, row in decision_types.catalogue(self.tx, slugs).items()}

    def _reserve_tickets(self) -> None:
        """Take each Idempotency-Key with the answer to be; where it was used before, that answer counts."""
        mine = {i: ticket for i, ticket in self.tickets.items() if i in self.fresh}
        free = keys.reserve_answers(
            self.tx, [(*ticket, self.items[i].fingerprint, self.fresh[i].text) for i, ticket in mine.items()]
        )
        used = {ticket: i for i, ticket in self.tickets.items() if ticket not in free}
        for ticket, row in keys.answers(self.tx, used).items():
            self.outcomes[used[ticket]] = _answered(row, self.items[used[ticket]].fingerprint)
        self.tickets = {i: ticket for i, ticket in mine.items() if ticket in free}

    def _refuse(self) -> None:
        """What is refused now may have been taken in before: then the first answer counts."""
        late = [i for i in self.refused if self.outcomes[i] is None]
        self._replay([i for i in late if self.items[i].body.get("external_id") is not None])
        for i in late:
            if self.outcomes[i] is None:
                self.outcomes[i] = self.refused[i]

    def _insert(self) -> None:
        routed = {i: one for i, one in self.fresh.items() if self.outcomes[i] is None}
        went_in = decisions.insert_missing(self.tx, [one.decision for one in routed.values()])
        new = {i: one for i, one in routed.items() if one.decision["id"] in went_in}
        reviews.insert(self.tx, [one.review for one in new.values() if one.review])
        events.insert(self.tx, [one.event for one in new.values()])
        for i, one in new.items():
            self.outcomes[i] = Submitted(one.text, one.decision["id"], one.decision["tier"])
        self._replay([i for i in routed if i not in new])

    def _replay(self, late: Sequence[int]) -> None:
        if not late:
            return
        wanted = [(i, (str(self.actors[i].service), self.items[i].body["external_id"])) for i in late]
        known = decisions.by_external_id(self.tx, [pair for _, pair in wanted])
        same = {row.id for row in known.values()}
        asked = {one.decision_id: one for one in reversed(reviews.of_decisions(self.tx, same))}
        told = events.submissions(self.tx, same)
        for i, pair in wanted:
            row = known.get(pair)
            if row is None:
                continue
            if row.fingerprint == self.items[i].fingerprint:
                text = answer_again(row, asked.get(row.id), told[row.id], self.promise)
                self.outcomes[i] = Submitted(text, row.id, row.tier, "external_id")
            else:
                self.outcomes[i] = taken(row.id)

    def _keep_answers(self) -> None:
        """Where the answer became another than the one that was kept with its key, keep that one, or none."""
        changed, refused = [], []
        for i, ticket in self.tickets.items():
            outcome = self.outcomes[i]
            if not isinstance(outcome, Submitted):
                refused.append(ticket)
            elif outcome.text != self.fresh[i].text:
                changed.append((ticket, outcome.text))
        keys.keep_answers(self.tx, changed)
        keys.forget_answers(self.tx, refused)


@writes
def cancel(tx: WriteTx, actor: Actor, decision_id: str) -> dict[str, Any]:
    """Withdraw a pending decision. Only the service that submitted it may; doing it twice changes nothing more.

    Raises NotFound, Forbidden, Conflict (`already_final`).
    """
    actor.must(Permission.CANCEL)
    row = decisions.lock(tx, decision_id)
    if row is None or row.service != actor.service:
        raise NotFound("There is no such decision of yours.")
    if row.status == "final":
        raise Conflict("This decision is final; it can no longer be withdrawn.", "already_final")
    if row.status == "pending":
        _cancel(tx, actor, row)
    return _views.decision(decisions.get(tx, decision_id))


def _cancel(tx: WriteTx, actor: Actor, row: Row) -> None:
    decisions.cancel(tx, row.id)
    happened = [
        Event(
            EventType.DECISION_CANCELLED,
            row.id,
            decision_id=row.id,
            decision_type=row.decision_type,
            before={"status": row.status},
            after={"status": "cancelled"},
        )
    ]
    for one in reviews.of_decision(tx, row.id):
        review: Row = reviews.lock(tx, one.id)
        if review.state == "open":
            close(tx, review, "cancelled")
            happened.append(about(review, EventType.REVIEW_CANCELLED, after={"state": "cancelled"}))
    events.record(tx, actor, *happened)


def _answered(kept: Row, fingerprint: str) -> Outcome:
    """What a key that was used before answers to this body."""
    if kept.fingerprint == keys.FORGOTTEN:
        told = "What was submitted with this Idempotency-Key was erased; use a new one if it is to be submitted anew."
        return Invalid(told, "idempotency_key_reused")
    if kept.fingerprint != fingerprint:
        return reused_key()
    answer = json.loads(kept.answer)
    return Submitted(kept.answer, answer["id"], answer["tier"], "key")


def reused_key() -> Invalid:
    return Invalid("This Idempotency-Key was used with another body; use a new one.", "idempotency_key_reused")


def taken(decision_id: str) -> Conflict:
    told = "This external_id was submitted before with another body."
    return Conflict(told, "external_id_taken", extra={"decision_id": decision_id})

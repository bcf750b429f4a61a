"""Owns the only way in, `submit_many`, and `cancel`. Must not wait on a network or hash passwords: it holds a lock."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from app.actions import _views
from app.actions._settle import about, close
from app.domain.access import Actor, Permission
from app.domain.canonical import digest, dumps
from app.domain.decision_type import DecisionType, cached_type, input_faults
from app.domain.errors import Conflict, Fault, Forbidden, HandrailError, Invalid, NotFound, Unauthenticated
from app.domain.events import Event, EventType, timestamp
from app.domain.policy import Facts, Route, cached_policy, evaluate
from app.store import decision_types, decisions, events, keys, reviews
from app.store.db import WriteTx, new_id, writes

Row = Any
Ticket = tuple[str, str, str]  # (key id, route, Idempotency-Key)


@dataclass(frozen=True, slots=True)
class Submission:
    """One decision as it came in: a body that has the wire's shape, and a digest that tells it from other bodies."""

    credential: str
    body: Mapping[str, Any]
    fingerprint: str
    idempotency_key: str | None = None
    route: str = "submit"
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer as JSON text. `replayed` says that it is an earlier one: by "key" or by "external_id"."""

    text: str
    replayed: str | None = None


Outcome = Submitted | HandrailError


@writes
def submit_many(tx: WriteTx, submissions: Sequence[Submission]) -> list[Outcome]:
    """Route and keep decisions, one or many; one outcome for each, in order. A refusal of one leaves the others be."""
    return _Batch(tx, submissions).run()


class _Batch:
    """Submissions that share a transaction. Twins inside the batch get the answer of the first of them."""

    def __init__(self, tx: WriteTx, submissions: Sequence[Submission]) -> None:
        self.tx = tx
        self.items = submissions
        self.outcomes: list[Outcome | None] = [None] * len(submissions)
        self.actors: dict[int, Actor] = {}
        self.tickets: dict[int, Ticket] = {}
        self.twins: dict[int, tuple[int, str]] = {}

    def run(self) -> list[Outcome]:
        self._know_actors()
        self._replay_tickets()
        self._replay_external_ids()
        self._insert(self._routed())
        for twin, (first, by) in self.twins.items():
            outcome = self.outcomes[first]
            self.outcomes[twin] = Submitted(outcome.text, by) if isinstance(outcome, Submitted) else outcome
        self._keep_answers()
        return [outcome for outcome in self.outcomes if outcome is not None]

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
                self.actors[i] = replace(actor, request_id=item.request_id)

    def _replay_tickets(self) -> None:
        asked = {i: self.items[i].idempotency_key for i in self._open()}
        firsts: dict[Ticket, int] = {}
        for i, key in asked.items():
            if key is None:
                continue
            ticket = (str(self.actors[i].key_id), self.items[i].route, key)
            if ticket in firsts:
                self._pair(i, firsts[ticket], "key", reused_key())
            else:
                firsts[ticket] = i
        free = keys.reserve_answers(self.tx, [(*t, self.items[i].fingerprint) for t, i in firsts.items()])
        kept = keys.answers(self.tx, [ticket for ticket in firsts if ticket not in free])
        for ticket, i in firsts.items():
            if ticket in free:
                self.tickets[i] = ticket
            else:
                same = kept[ticket].fingerprint == self.items[i].fingerprint
                self.outcomes[i] = Submitted(kept[ticket].answer, "key") if same else reused_key()

    def _replay_external_ids(self) -> None:
        firsts: dict[tuple[str, str], int] = {}
        for i in self._open():
            external_id = self.items[i].body.get("external_id")
            if external_id is None:
                continue
            pair = (str(self.actors[i].service), external_id)
            if pair in firsts:
                self._pair(i, firsts[pair], "external_id", taken())
            else:
                firsts[pair] = i
        self._replay_known(firsts)

    def _replay_known(self, wanted: Mapping[tuple[str, str], int]) -> None:
        known = decisions.by_external_id(self.tx, wanted)
        same = {row.id for pair, row in known.items() if row.fingerprint == self.items[wanted[pair]].fingerprint}
        asked = {one.decision_id: one for one in reversed(reviews.of_decisions(self.tx, same))}
        told = events.submissions(self.tx, same)
        for pair, row in known.items():
            if row.id in same:
                text = _told(row, asked.get(row.id), told[row.id])
                self.outcomes[wanted[pair]] = Submitted(text, "external_id")
            else:
                self.outcomes[wanted[pair]] = taken(row.id)

    def _pair(self, twin: int, first: int, by: str, otherwise: HandrailError) -> None:
        if self.items[twin].fingerprint == self.items[first].fingerprint:
            self.twins[twin] = (first, by)
        else:
            self.outcomes[twin] = otherwise

    def _routed(self) -> dict[int, dict[str, Any]]:
        open_ones = self._open()
        types = decision_types.catalogue(self.tx, {self.items[i].body["decision_type"] for i in open_ones})
        routed = {}
        for i in open_ones:
            body = self.items[i].body
            try:
                routed[i] = self._decision(i, _known_type(types, body), body)
            except HandrailError as refusal:
                self.outcomes[i] = refusal
        return routed

    def _decision(self, i: int, type_row: Row, body: Mapping[str, Any]) -> dict[str, Any]:
        known = cached_type(type_row.document)
        decision_id = new_id("dec")
        facts = _facts(decision_id, known, body)
        policy = cached_policy(type_row.policy_document) if type_row.policy_document else None
        route = evaluate(policy, facts, bytes.fromhex(type_row.sampling_key))
        return _decision_row(self.tx, self.actors[i], self.items[i], type_row, route, facts) | {
            "_route": route,
            "_queue": (route.review.queue if route.review else None) or known.queue,
        }

    def _insert(self, routed: Mapping[int, dict[str, Any]]) -> None:
        extras = {i: (row.pop("_route"), row.pop("_queue")) for i, row in routed.items()}
        went_in = decisions.insert_missing(self.tx, list(routed.values()))
        new = {i: row for i, row in routed.items() if row["id"] in went_in}
        asked = {i: _review_row(row, *extras[i]) for i, row in new.items()}
        reviews.insert(self.tx, [review for review in asked.values() if review])
        told = [(self.actors[i], _submitted_event(row, asked[i])) for i, row in new.items()]
        for (i, row), event_id in zip(new.items(), events.record_many(self.tx, told), strict=True):
            review = asked[i]
            self.outcomes[i] = Submitted(_told(_Fields(row), _Fields(review) if review else None, event_id))
        # A twin in another process was faster: its row is there now.
        late = {(row["service"], row["external_id"]): i for i, row in routed.items() if i not in new}
        self._replay_known(late)

    def _keep_answers(self) -> None:
        kept, refused = [], []
        for i, ticket in self.tickets.items():
            outcome = self.outcomes[i]
            if isinstance(outcome, Submitted):
                kept.append((ticket, outcome.text))
            else:
                refused.append(ticket)
        keys.keep_answers(self.tx, kept)
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


def _told(row: Any, review: Any, event_id: str) -> str:
    """What the submitter is told, as JSON text: may I act, or must I wait."""
    answer = {
        "id": row.id,
        "status": row.status,
        "tier": row.tier,
        "stakes": row.stakes,
        "outcome": row.outcome,
        "reasons": _views.reasons(json.loads(row.reasons), hide=False),
        "policy": _views.policy(row),
        "sampled": row.sampled,
        "review": review and {"id": review.id, "queue": review.queue, "due_at": timestamp(review.due_at)},
        "event": {"id": event_id},
    }
    return dumps(answer)


def reused_key() -> Invalid:
    return Invalid("This Idempotency-Key was used with another body; use a new one.", "idempotency_key_reused")


def taken(decision_id: str | None = None) -> Conflict:
    extra = {"decision_id": decision_id} if decision_id else {}
    return Conflict("This external_id was submitted before with another body.", "external_id_taken", extra=extra)


class _Fields:
    """A row to be, read by attribute as a stored one is."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.__dict__.update(row)


def _known_type(types: Mapping[str, Row], body: Mapping[str, Any]) -> Row:
    row = types.get(body["decision_type"])
    if row is None:
        raise _refusal("unknown_type", "/decision_type", "There is no such decision type.")
    if row.archived_at is not None:
        raise _refusal("archived_type", "/decision_type", "This decision type is archived; it takes no new decisions.")
    known = cached_type(row.document)
    if body["proposal"]["outcome"] not in known.outcome_keys:
        expected = ", ".join(known.outcome_keys)
        raise _refusal("unknown_outcome", "/proposal/outcome", f"The outcome must be one of {expected}.")
    return row


def _refusal(code: str, pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code, (Fault(pointer, detail),))


def _facts(decision_id: str, known: DecisionType, body: Mapping[str, Any]) -> Facts:
    faults = input_faults(known, body["input"])
    if faults and known.on_invalid_input == "reject":
        raise Invalid("The input does not fit the schema of its decision type.", "invalid_input", faults)
    return Facts(
        decision_id=decision_id,
        input=body["input"],
        proposal=body["proposal"],
        model=body["model"],
        metadata=body["metadata"],
        declared_stakes=body.get("stakes"),
        input_faults=faults,
    )


def _decision_row(
    tx: WriteTx, actor: Actor, item: Submission, type_row: Row, route: Route, facts: Facts
) -> dict[str, Any]:
    body, now = item.body, tx.now()
    alone = route.tier == "autonomous"
    reasons = [{"code": r.code, "text": r.text, "quotes_proposal": r.quotes_proposal} for r in route.reasons]
    return {
        "id": facts.decision_id,
        "decision_type": type_row.slug,
        "service": actor.service,
        "key_id": actor.key_id,
        "owner_id": actor.owner_id,
        "external_id": body.get("external_id"),
        "fingerprint": item.fingerprint,
        "subject": body.get("subject"),
        "model_name": body["model"]["name"],
        "model_version": body["model"].get("version"),
        "proposal_outcome": body["proposal"]["outcome"],
        "confidence": body["proposal"].get("confidence"),
        "proposal": dumps(body["proposal"]),
        "input": dumps(body["input"]),
        "metadata": dumps(body["metadata"]),
        "declared_stakes": body.get("stakes"),
        "stakes": route.stakes,
        "tier": route.tier.value,
        "reasons": dumps(reasons),
        "policy_version": type_row.policy_version,
        "policy_digest": type_row.policy_digest,
        "type_digest": type_row.digest,
        "sampled": route.sampled,
        "inclusion_probability": route.inclusion_probability,
        "status": "final" if alone else "pending",
        "outcome": body["proposal"]["outcome"] if alone else None,
        "decided_by": "policy" if alone else None,
        "created_at": now,
        "final_at": now if alone else None,
    }


def _review_row(row: Mapping[str, Any], route: Route, queue: str) -> dict[str, Any] | None:
    plan = route.review
    if plan is None:
        return None
    now, expires = row["created_at"], plan.expires_after_seconds
    return {
        "id": new_id("rev"),
        "decision_id": row["id"],
        "decision_type": row["decision_type"],
        "queue": queue,
        "kind": plan.kind,
        "tier": row["tier"],
        "stakes": row["stakes"],
        "priority": plan.priority,
        "level": 0,
        "state": "open",
        "blind": plan.blind,
        "required": plan.reviewers,
        "owner_id": row["owner_id"],
        "created_at": now,
        "due_at": now + timedelta(seconds=plan.sla_seconds),
        "expires_at": now + timedelta(seconds=expires) if expires else None,
        "on_expiry": plan.on_expiry,
        "available_at": now,
        "lease_token": 0,
        "lease_announced": False,
        "overdue_announced": False,
    }


def _submitted_event(row: Mapping[str, Any], review: Mapping[str, Any] | None) -> Event:
    codes = [one["code"] for one in json.loads(row["reasons"])]
    digests = {name: digest(row[name].encode()) for name in ("input", "proposal", "metadata")}
    return Event(
        EventType.DECISION_SUBMITTED,
        row["id"],
        decision_id=row["id"],
        decision_type=row["decision_type"],
        after={name: row[name] for name in ("status", "tier", "stakes", "outcome", "sampled")},
        data={
            "reasons": codes,
            "digests": digests,
            "type_digest": row["type_digest"],
            "inclusion_probability": str(row["inclusion_probability"]),
            "review": review and {"id": review["id"], "kind": review["kind"], "queue": review["queue"]},
        },
        policy_version=row["policy_version"],
        policy_digest=row["policy_digest"],
    )

"""Owns the judgement after a run: what clients were told, what the database, the events and the export hold."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.store import tables
from app.store.db import Database
from tests.faults.clients import FOREVER, Call
from tests.faults.order import Move, State, explained

Row = Any
SPOKEN = ("review.verdict_given", "review.abstained")
MOVED = ("review.claimed", "review.released", "review.snoozed")


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that the database holds, read in one snapshot."""

    decisions: Mapping[str, Row]
    reviews: Mapping[str, Row]
    verdicts: Sequence[Row]
    events: Sequence[Mapping[str, Any]]

    def told(self, *types: str) -> list[Mapping[str, Any]]:
        return [event for event in self.events if event["type"] in types]


def read(db: Database) -> Held:
    with db.read() as tx:
        ordered = sa.select(tables.event.c.body).order_by(tables.event.c.created_at, tables.event.c.id)
        return Held(
            {row.id: row for row in tx.rows(sa.select(tables.decision))},
            {row.id: row for row in tx.rows(sa.select(tables.review))},
            tx.rows(sa.select(tables.verdict)),
            [json.loads(row.body) for row in tx.rows(ordered)],
        )


def faults(held: Held, calls: Sequence[Call], people: Mapping[str, str], lease: float) -> list[str]:
    """Every broken promise as a sentence; an empty list is what we want. `people` are person ids by client."""
    return [
        *submissions(held, [call for call in calls if call.verb == "submit"]),
        *verdicts(held, [call for call in calls if call.verb == "verdict"], people),
        *whole(held),
        *orders(held, calls, people, lease),
    ]


def submissions(held: Held, calls: Iterable[Call]) -> list[str]:
    """Acknowledged decisions exist, once, as they were told; nothing is there that nobody asked for."""
    by_mark = defaultdict(list)
    for row in held.decisions.values():
        by_mark[row.subject].append(row)
    found, asked = [], set()
    for call in calls:
        asked.add(call.asked["subject"])
        rows = by_mark.get(call.asked["subject"], [])
        if len(rows) > 1:
            found.append(f"{call.asked['subject']} was kept {len(rows)} times")
        if call.done:
            found += _kept(call, rows)
        elif call.answer.known:
            found.append(f"{call.asked['subject']} was refused with {call.answer.status}")
    return found + [f"{mark} is kept and nobody asked for it" for mark in by_mark.keys() - asked]


def _kept(call: Call, rows: Sequence[Row]) -> list[str]:
    told, mark = call.answer.json, call.asked["subject"]
    row = next((row for row in rows if row.id == told["id"]), None)
    if row is None:
        return [f"{mark} was acknowledged as {told['id']} and is missing"]
    kept = {
        "decision_type": row.decision_type,
        "model": {"name": row.model_name, "version": row.model_version},
        "proposal": json.loads(row.proposal),
        "input": json.loads(row.input),
        "subject": row.subject,
        "external_id": row.external_id,
    }
    asked = {name: call.asked.get(name) for name in kept}
    same = asked == kept and (told["tier"], told["stakes"]) == (row.tier, row.stakes)
    return [] if same else [f"{mark} was changed: {asked} became {kept}"]


def verdicts(held: Held, calls: Iterable[Call], people: Mapping[str, str]) -> list[str]:
    """Acknowledged verdicts exist unchanged, and are what their decision became."""
    kept = {(row.review_id, row.person_id): row for row in held.verdicts}
    found = []
    for call in (call for call in calls if call.done):
        review, outcome = call.asked["review"], call.asked["outcome"]
        row = kept.get((review, people[call.who]))
        if row is None or (row.outcome, row.lease_token) != (outcome, call.asked["token"]):
            found.append(f"the verdict of {call.who} on {review} was acknowledged and is missing or changed")
            continue
        decision = held.decisions[row.decision_id]
        if (decision.status, decision.outcome, decision.decided_by) != ("final", outcome, "reviewer"):
            found.append(f"{decision.id} is not what {call.who} was told: {outcome}")
    return found


def whole(held: Held) -> list[str]:
    """No event without its change, no change without its event, one final verdict for each decision."""
    rulings = Counter(row.review_id for row in held.verdicts if row.outcome)
    ends = Counter(event["object"]["id"] for event in held.told("decision.finalised"))
    steps = Counter(event["object"]["id"] for event in held.told(*MOVED))
    reviews, decisions = held.reviews.values(), held.decisions.values()
    return [
        *_pairs("submitted", [row.id for row in decisions], _objects(held, "decision.submitted")),
        *_pairs("finalised", [r.id for r in decisions if r.decided_by in ("reviewer", "timeout")], ends.elements()),
        *_pairs("settled", [row.id for row in reviews if row.state == "settled"], _objects(held, "review.settled")),
        *_pairs("verdict", [row.id for row in held.verdicts], [e["data"]["verdict"] for e in held.told(*SPOKEN)]),
        *_pairs("review", _asked(held), [row.id for row in reviews]),
        *[f"{r.id} has {rulings[r.id]} rulings" for r in reviews if rulings[r.id] != (r.state == "settled")],
        *[f"{r.id}: token {r.lease_token} after {steps[r.id]} moves" for r in reviews if r.lease_token != steps[r.id]],
        *[f"{row.id} is open and its decision {held.decisions[row.decision_id].status}" for row in reviews
          if row.kind == "gate" and (row.state == "open") != (held.decisions[row.decision_id].status == "pending")],
    ]  # fmt: skip


def _objects(held: Held, *types: str) -> list[str]:
    return [event["object"]["id"] for event in held.told(*types)]


def _asked(held: Held) -> list[str]:
    asked = (event["data"]["review"] for event in held.told("decision.submitted"))
    return [review["id"] for review in asked if review]


def _pairs(what: str, changes: Iterable[str], events: Iterable[str]) -> list[str]:
    changed, told = Counter(changes), Counter(events)
    return [f"{what}: {one} changed without its event" for one in changed - told] + [
        f"{what}: {one} is told {'twice' if one in changed else 'and did not happen'}" for one in told - changed
    ]


def orders(held: Held, calls: Sequence[Call], people: Mapping[str, str], lease: float) -> list[str]:
    """Reviews whose answers no order explains, and claims that are in the events and nobody asked for."""
    moves = defaultdict(list)
    for call in calls:
        if call.verb in ("claim", "release", "renew", "verdict", "cancel") and (move := _move(call, people)):
            moves[_review_of(call)].append(move)
    silent = [call for call in calls if call.verb == "claim" and not call.answer.known and "review" not in call.asked]
    found = _add_silent_claims(held, moves, silent, people)
    for row in held.reviews.values():
        final = State(row.lease_token, row.lease_holder, open=row.state == "open")
        if not explained(moves[row.id], lease, final):
            found.append(f"no order explains {row.id}: {moves[row.id]} to {final}")
    return found


def unanswered(held: Held, calls: Sequence[Call], people: Mapping[str, str]) -> list[str]:
    """What took effect though its caller never heard of it: a first answer that a second try had to bring."""
    found = [f"{call.verb} {call.asked} was answered to the second try only"
             for call in calls if call.tries > 1 and "idempotent-replayed" in call.answer.headers]  # fmt: skip
    kept = {(row.review_id, row.person_id) for row in held.verdicts}
    for call in (call for call in calls if not call.answer.known):
        if call.verb == "verdict" and (call.asked["review"], people[call.who]) in kept:
            found.append(f"the verdict of {call.who} on {call.asked['review']} was kept and not answered")
    told = {(call.answer.json["id"], call.answer.json["lease"]["token"]) for call in calls
            if call.verb == "claim" and call.done}  # fmt: skip
    claimed = {(event["object"]["id"], event["after"]["token"]) for event in held.told("review.claimed")}
    return found + [f"the claim of {review} under {token} was not answered" for review, token in claimed - told]


def _review_of(call: Call) -> str:
    return str(call.asked.get("review") or call.answer.json["id"])


def _move(call: Call, people: Mapping[str, str]) -> Move | None:
    told = "done" if call.done else call.answer.code if call.answer.known else "unknown"
    if call.verb == "claim" and "review" not in call.asked and call.answer.status != 201:
        return None  # which review it was about is told by the events
    token = call.asked.get("token")
    if call.verb == "claim" and told == "done":
        token = call.answer.json["lease"]["token"]
    return Move(call.verb, people.get(call.who, call.who), token, told, call.start, call.end)  # type: ignore[arg-type]


def _add_silent_claims(
    held: Held, moves: Mapping[str, list[Move]], silent: Sequence[Call], people: Mapping[str, str]
) -> list[str]:
    told = {(review, move.who, move.token) for review, some in moves.items() for move in some if move.kind == "claim"}
    left, found = list(silent), []
    for event in held.told("review.claimed"):
        claim = (event["object"]["id"], event["after"]["holder"], event["after"]["token"])
        if claim in told or (*claim[:2], None) in told:
            continue
        mine = next((call for call in left if people[call.who] == claim[1]), None)
        if mine is None:
            found.append(f"{claim[1]} claimed {claim[0]} and never asked for it")
            continue
        left.remove(mine)
        moves[claim[0]].append(Move("claim", claim[1], claim[2], "unknown", mine.start, FOREVER))
    return found


def exported(held: Held, lines: Iterable[str]) -> list[str]:
    """Decisions that the JSONL export tells otherwise than the database does."""
    told = {view["id"]: view for view in map(json.loads, lines)}
    said = Counter(row.decision_id for row in held.verdicts)
    kept = {row.id: (row.status, row.outcome, row.external_id, said[row.id]) for row in held.decisions.values()}
    shown = {
        one: (view["status"], view["outcome"], view["external_id"], sum(len(r["verdicts"]) for r in view["reviews"]))
        for one, view in told.items()
    }
    return [f"{one} is exported as {shown.get(one)}, kept as {kept.get(one)}"
            for one in sorted(kept.keys() | shown.keys()) if kept.get(one) != shown.get(one)]  # fmt: skip

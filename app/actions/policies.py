"""Owns policies: validate, draft, propose, activate (and so roll back), look, replay."""

import json
from dataclasses import asdict
from typing import Any

from app.actions import _views
from app.domain.access import Actor, Permission
from app.domain.canonical import dumps
from app.domain.decision_type import cached_type, input_faults
from app.domain.errors import Conflict, Fault, Invalid, NotFound
from app.domain.events import Event, EventType
from app.domain.policy import Facts, Policy, cached_policy, check_against_type, evaluate, parse_policy
from app.domain.policy_doubts import doubts
from app.store import decision_types, decisions, events, people, policies
from app.store.db import ReadTx, WriteTx, reads, writes

P = Permission
Row = Any


@reads
def validate(tx: ReadTx, actor: Actor, slug: str, source: Any) -> tuple[Fault, ...]:
    """Hold a policy against its type and say what is doubtful in it; nothing is stored.

    Raises Invalid with every fault, NotFound.
    """
    actor.must(P.EDIT_POLICIES, slug)
    row = _type(tx, slug)
    return doubts(_checked(row, source), cached_type(row.document))


@writes
def draft(tx: WriteTx, actor: Actor, slug: str, source: Any, note: str | None = None) -> dict[str, Any]:
    """Keep a new version as a draft; `warnings` say what is doubtful. Raises Invalid with every fault, NotFound."""
    actor.must(P.EDIT_POLICIES, slug)
    type_row: Row = policies.lock_type(tx, slug)
    wanted = _checked(type_row, source)
    version = policies.next_version(tx, slug)
    queue = wanted.review.queue
    if queue and decision_types.add_queue_if_missing(tx, queue, queue):
        events.record(tx, actor, Event(EventType.QUEUE_CHANGED, queue, after={"lease_seconds": 900}))
    document = dumps(dict(wanted.document))
    row = {
        "decision_type": slug,
        "version": version,
        "state": "draft",
        "document": document,
        "source": source if isinstance(source, str) else json.dumps(source, indent=2, ensure_ascii=False),
        "digest": wanted.digest,
        "note": note,
        "created_by": actor.person_id or actor.id,
        "created_at": tx.now(),
    }
    policies.insert(tx, row)
    _tell(tx, actor, EventType.POLICY_DRAFTED, policies.get(tx, slug, version), None, "draft")
    found = doubts(wanted, cached_type(type_row.document))
    return _one(tx, slug, version) | {"warnings": [asdict(one) for one in found]}


@writes
def propose(tx: WriteTx, actor: Actor, slug: str, version: int) -> dict[str, Any]:
    """Offer a draft for activation. Raises NotFound, Forbidden, Conflict (`not_a_draft`)."""
    actor.must(P.EDIT_POLICIES, slug)
    policies.lock_type(tx, slug)
    row = _version(tx, slug, version)
    if row.state != "draft":
        raise Conflict(f"Only a draft can be proposed; version {version} is {row.state}.", "not_a_draft")
    policies.change(tx, slug, version, {"state": "proposed"})
    _tell(tx, actor, EventType.POLICY_PROPOSED, row, row.state, "proposed")
    return _one(tx, slug, version)


@writes
def activate(tx: WriteTx, actor: Actor, slug: str, version: int) -> dict[str, Any]:
    """Let a version route from the next decision on; an older one rolls back. Activating the active changes nothing.

    Raises NotFound, Forbidden, Invalid (the type has changed so that the policy no longer fits it).
    """
    actor.must(P.EDIT_POLICIES, slug)
    type_row = policies.lock_type(tx, slug)
    row = _version(tx, slug, version)
    if row.state == "active":
        return _one(tx, slug, version)
    _checked(type_row, json.loads(row.document))
    _retire(tx, actor, slug)
    values = {"state": "active", "activated_at": tx.now(), "activated_by": actor.person_id or actor.id}
    policies.change(tx, slug, version, values | {"retired_at": None})
    _tell(tx, actor, EventType.POLICY_ACTIVATED, row, row.state, "active")
    return _one(tx, slug, version)


def _retire(tx: WriteTx, actor: Actor, slug: str) -> None:
    before = policies.active(tx, slug)
    if before is not None:
        policies.change(tx, slug, before.version, {"state": "retired", "retired_at": tx.now()})
        _tell(tx, actor, EventType.POLICY_RETIRED, before, "active", "retired")


@reads
def versions(tx: ReadTx, actor: Actor, slug: str) -> list[dict[str, Any]]:
    """Every version, newest first. Raises NotFound."""
    _readable(tx, actor, slug)
    return _named(tx, policies.versions(tx, slug))


@reads
def get_version(tx: ReadTx, actor: Actor, slug: str, version: int) -> dict[str, Any]:
    """One version. Raises NotFound."""
    _readable(tx, actor, slug)
    return _named(tx, [_version(tx, slug, version)])[0]


@reads
def overview(tx: ReadTx, actor: Actor) -> list[dict[str, Any]]:
    """Each type with its active version, its newest number, and how many `drafts` and `proposed` there are."""
    actor.must(P.READ_POLICIES)
    types = [row for row in decision_types.all(tx) if actor.may(P.READ_POLICIES, row.slug)]
    slugs = [row.slug for row in types]
    tallies = policies.tallies(tx, slugs)
    active = {one["decision_type"]: one for one in _named(tx, policies.all_active(tx, slugs))}
    return [_summary(row, tallies.get(row.slug), active.get(row.slug)) for row in types]


@reads
def replay(tx: ReadTx, actor: Actor, decision_id: str) -> dict[str, Any]:
    """Route a decision again under the version that routed it, and say what differs. Raises NotFound.

    Gives `{decision_id, policy, same, differs, stored, again}`; `differs` names keys of `stored` and `again`.
    """
    row = decisions.get(tx, decision_id)
    if row is None or not actor.may(P.READ_AUDIT, row.decision_type):
        raise NotFound("There is no such decision.")
    if row.erased_at is not None:
        raise Conflict("Its input was erased, so it cannot be routed again.", "erased")
    policy_row = policies.get(tx, row.decision_type, row.policy_version) if row.policy_version else None
    type_row: Row = decision_types.get(tx, row.decision_type)
    policy = cached_policy(policy_row.document) if policy_row else None
    document = decision_types.document_of(tx, row.decision_type, row.type_digest) or type_row.document
    route = evaluate(policy, _facts(row, document), bytes.fromhex(type_row.sampling_key))
    again = _route(route.tier.value, route.stakes, route.sampled, [asdict(reason) for reason in route.reasons])
    stored = _route(row.tier, row.stakes, row.sampled, json.loads(row.reasons))
    differs = [name for name in stored if stored[name] != again[name]]
    hide = row.id in _views.hidden(tx, actor, [row])
    for one in (stored, again):
        one["reasons"] = _views.reasons(one["reasons"], hide=hide)
    return {
        "decision_id": row.id,
        "policy": _views.policy(row),
        "same": not differs,
        "differs": differs,
        "stored": stored,
        "again": again,
    }


def _route(tier: str, stakes: str, sampled: bool, reasons: list[dict[str, Any]]) -> dict[str, Any]:
    return {"tier": tier, "stakes": stakes, "sampled": sampled, "reasons": reasons}


def _facts(row: Row, type_document: str) -> Facts:
    value = json.loads(row.input)
    return Facts(
        decision_id=row.id,
        input=value,
        proposal=json.loads(row.proposal),
        model={"name": row.model_name, "version": row.model_version},
        metadata=json.loads(row.metadata),
        declared_stakes=row.declared_stakes,
        input_faults=input_faults(cached_type(type_document), value),
    )


def _checked(type_row: Row, source: Any) -> Policy:
    if type_row is None:
        raise NotFound("There is no such decision type.")
    wanted = parse_policy(source)
    faults = check_against_type(wanted, cached_type(type_row.document))
    if wanted.decision_type != type_row.slug:
        faults = (Fault("/decision_type", f"This policy must say decision_type: {type_row.slug}."), *faults)
    if faults:
        raise Invalid("The policy does not fit its decision type.", "policy_invalid", tuple(dict.fromkeys(faults)))
    return wanted


def _type(tx: ReadTx, slug: str) -> Row:
    return decision_types.get(tx, slug)


def _readable(tx: ReadTx, actor: Actor, slug: str) -> None:
    if not actor.may(P.READ_POLICIES, slug) or decision_types.get(tx, slug) is None:
        raise NotFound("There is no such decision type.")


def _version(tx: ReadTx, slug: str, version: int) -> Row:
    row = policies.get(tx, slug, version)
    if row is None:
        raise NotFound("There is no such version of this policy.")
    return row


def _tell(tx: WriteTx, actor: Actor, kind: EventType, row: Row, before: str | None, after: str) -> None:
    happened = Event(
        kind,
        f"{row.decision_type}@{row.version}",
        decision_type=row.decision_type,
        before={"state": before} if before else None,
        after={"state": after},
        policy_version=row.version,
        policy_digest=row.digest,
    )
    events.record(tx, actor, happened)


def _one(tx: ReadTx, slug: str, version: int) -> dict[str, Any]:
    return _named(tx, [_version(tx, slug, version)])[0]


def _named(tx: ReadTx, rows: Any) -> list[dict[str, Any]]:
    names = people.names(tx, {one for row in rows for one in (row.created_by, row.activated_by) if one})
    return [_view(row, names) for row in rows]


def _view(row: Row, names: dict[str, str]) -> dict[str, Any]:
    view = dict(row._mapping)
    view["document"] = json.loads(row.document)
    for who in ("created_by", "activated_by"):
        view[f"{who}_name"] = names.get(view[who], view[who])
    return view


def _summary(type_row: Row, tally: Row | None, active: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "slug": type_row.slug,
        "title": type_row.title,
        "owner": json.loads(type_row.document).get("owner"),
        "active": active,
        "newest_version": tally.newest if tally else None,
        "drafts": int(tally.drafts) if tally else 0,
        "proposed": int(tally.proposed) if tally else 0,
    }

"""Owns decision types: apply, archive, restore, look."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from app.domain.access import Actor, Permission
from app.domain.canonical import dumps
from app.domain.decision_type import DecisionType, parse_decision_type
from app.domain.errors import Fault, Forbidden, Invalid, NotFound
from app.domain.events import Event, EventType
from app.domain.policy import cached_policy, check_against_type
from app.store import decision_types, events, policies
from app.store.db import ReadTx, WriteTx, reads, writes

P = Permission


@writes
def apply(tx: WriteTx, actor: Actor, source: str | Mapping[str, Any]) -> dict[str, Any]:
    """Create or change a decision type; takes effect on the next decision. Raises Invalid (every fault), Forbidden."""
    wanted = parse_decision_type(source)
    actor.must(P.EDIT_TYPES, wanted.slug)
    row = policies.lock_type(tx, wanted.slug)
    _see_to_queue(tx, actor, wanted)
    if row is None:
        _create(tx, actor, wanted)
    elif row.digest != wanted.digest:
        _change(tx, actor, wanted, row)
    now: Any = decision_types.get(tx, wanted.slug)
    decision_types.keep_revision(tx, now.slug, now.digest, now.document)
    changed = row is None or row.digest != wanted.digest
    return {
        "slug": wanted.slug,
        "created": row is None,
        "changed": changed,
        "digest": now.digest,
        "revision": now.revision,
    }


def _see_to_queue(tx: WriteTx, actor: Actor, wanted: DecisionType) -> None:
    known = decision_types.get_queue(tx, wanted.queue)
    if known is not None and known.lease_seconds == wanted.lease_seconds:
        return
    shared = known is not None and _serves_others(tx, wanted)
    if shared and actor.types(P.EDIT_TYPES) is not None:
        raise Forbidden("This queue serves other types too; its lease is for somebody who may change all of them.")
    title = known.title if known is not None else wanted.title
    decision_types.put_queue(tx, wanted.queue, title, wanted.lease_seconds)
    before = {"lease_seconds": known.lease_seconds} if known is not None else None
    after = {"lease_seconds": wanted.lease_seconds}
    events.record(tx, actor, Event(EventType.QUEUE_CHANGED, wanted.queue, before=before, after=after))


def _serves_others(tx: ReadTx, wanted: DecisionType) -> bool:
    others = decision_types.catalogue(tx, [row.slug for row in decision_types.all(tx) if row.slug != wanted.slug])
    routed = (cached_policy(row.policy_document) for row in others.values() if row.policy_document)
    return any(row.queue == wanted.queue for row in others.values()) or any(
        policy.review.queue == wanted.queue for policy in routed
    )


def _check_active_policy(tx: ReadTx, wanted: DecisionType) -> None:
    active = policies.active(tx, wanted.slug)
    if active is None:
        return
    faults = check_against_type(cached_policy(active.document), wanted)
    if faults:
        detail = (
            f"The active policy, version {active.version}, would no longer fit: {faults[0].pointer} {faults[0].detail}"
        )
        raise Invalid(detail, "type_invalid", (Fault("/outcomes", detail),))


def _create(tx: WriteTx, actor: Actor, wanted: DecisionType) -> None:
    row = _columns(wanted) | {
        "slug": wanted.slug,
        "revision": 1,
        "sampling_key": secrets.token_hex(32),
        "created_at": tx.now(),
        "changed_at": tx.now(),
    }
    decision_types.insert(tx, row)
    events.record(tx, actor, _about(EventType.TYPE_CREATED, wanted.slug, None, wanted.digest))


def _change(tx: WriteTx, actor: Actor, wanted: DecisionType, row: Any) -> None:
    _check_active_policy(tx, wanted)
    values = _columns(wanted) | {"revision": row.revision + 1, "changed_at": tx.now()}
    decision_types.change(tx, wanted.slug, values)
    events.record(tx, actor, _about(EventType.TYPE_CHANGED, wanted.slug, row.digest, wanted.digest))


def _columns(wanted: DecisionType) -> dict[str, Any]:
    document = dumps(dict(wanted.document))
    return {"title": wanted.title, "queue": wanted.queue, "document": document, "digest": wanted.digest}


def _about(kind: EventType, slug: str, before: str | None, after: str) -> Event:
    old = {"digest": before} if before else None
    return Event(kind, slug, decision_type=slug, before=old, after={"digest": after})


@writes
def archive(tx: WriteTx, actor: Actor, slug: str) -> dict[str, Any]:
    """Take no new decisions of this type; open reviews stay. Raises NotFound, Forbidden."""
    return _archive(tx, actor, slug, archived=True)


@writes
def restore(tx: WriteTx, actor: Actor, slug: str) -> dict[str, Any]:
    """Take decisions of this type again. Raises NotFound, Forbidden."""
    return _archive(tx, actor, slug, archived=False)


def _archive(tx: WriteTx, actor: Actor, slug: str, *, archived: bool) -> dict[str, Any]:
    actor.must(P.EDIT_TYPES, slug)
    row = policies.lock_type(tx, slug)
    if row is None:
        raise NotFound("There is no such decision type.")
    if (row.archived_at is not None) != archived:
        decision_types.change(tx, slug, {"archived_at": tx.now() if archived else None})
        kind = EventType.TYPE_ARCHIVED if archived else EventType.TYPE_RESTORED
        events.record(tx, actor, Event(kind, slug, decision_type=slug, after={"archived": archived}))
    return _view(decision_types.catalogue(tx, [slug])[slug])


@reads
def list_types(tx: ReadTx, actor: Actor) -> list[dict[str, Any]]:
    """Every decision type whose policies the actor may read."""
    actor.must(P.READ_POLICIES)
    slugs = [row.slug for row in decision_types.all(tx) if actor.may(P.READ_POLICIES, row.slug)]
    found = decision_types.catalogue(tx, slugs)
    return [_view(found[slug]) for slug in slugs]


@reads
def get_type(tx: ReadTx, actor: Actor, slug: str) -> dict[str, Any]:
    """One decision type. Raises NotFound."""
    row = decision_types.catalogue(tx, [slug]).get(slug)
    if row is None or not actor.may(P.READ_POLICIES, slug):
        raise NotFound("There is no such decision type.")
    return _view(row)


def _view(row: Any) -> dict[str, Any]:
    document = json.loads(row.document)
    return {
        "slug": row.slug,
        "title": row.title,
        "owner": document.get("owner"),
        "queue": row.queue,
        "document": document,
        "digest": row.digest,
        "revision": row.revision,
        "archived": row.archived_at is not None,
        "created_at": row.created_at,
        "changed_at": row.changed_at,
        "active_version": row.policy_version,
    }

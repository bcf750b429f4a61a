"""Owns erasing what is kept of a subject: one administrator asks, another approves; and legal holds, which forbid it.

The command line does both at once: whoever runs it holds the database anyway. The subject stands in no event.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from app.actions._erase import erase
from app.domain.access import SYSTEM, Actor, Permission
from app.domain.decision_type import cached_type
from app.domain.erasure import Cause, HoldCause, Under
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from app.domain.events import Event, EventType, timestamp
from app.store import decision_types, decisions, erasures, events, keys, people
from app.store.db import Database, ReadTx, WriteTx, new_id, reads, writes

P = Permission
Row = Any
BATCH = 100
OF_TYPE = "decision_type"
NAMED = 5  # ids in a sentence
LISTED = 100


@writes
def request(tx: WriteTx, actor: Actor, subject: str, cause: str) -> dict[str, Any]:
    """Ask for the erasure of a subject. Raises Forbidden, Invalid, NotFound, Conflict (`legal_hold`, `pending`)."""
    _must_be_person(actor)
    return _view(tx, _request(tx, actor, subject, cause))


def _request(tx: WriteTx, actor: Actor, subject: str, cause: str) -> Row:
    actor.must(P.ERASE)
    if cause not in set(Cause):
        raise _unknown("cause_unknown", "/cause", f"The cause must be one of {', '.join(Cause)}.")
    found = _concerned(tx, subject)
    row: dict[str, Any] = {
        "id": new_id("ers"),
        "subject": subject,
        "cause": cause,
        "state": "requested",
        "requested_by": actor.person_id or actor.id,
        "requested_at": tx.now(),
        "erased": 0,
    }
    erasures.insert(tx, row)
    data = {"cause": cause, "decisions": len(found)}
    events.record(tx, actor, Event(EventType.ERASURE_REQUESTED, row["id"], data=data))
    return erasures.lock(tx, row["id"])


def _must_be_person(actor: Actor) -> None:
    if actor.person_id is None:
        raise Forbidden("Only people ask for an erasure and approve it; use a key that acts as a person.")


def _concerned(tx: ReadTx, subject: str) -> Sequence[Row]:
    """The subject's decisions, when all of them may be erased. Raises NotFound, Conflict."""
    rows = erasures.of_subject(tx, subject)
    if not rows:
        raise NotFound("No decision is kept of this subject: it must be spelt just as the service sent it.")
    held_types = _held_types(tx, {row.decision_type for row in rows})
    held = [row.id for row in rows if row.held_at is not None or row.decision_type in held_types]
    if held:
        raise Conflict(f"Nothing was erased: {_named(held)} under legal hold. Release the hold first.", "legal_hold")
    pending = [row.id for row in rows if row.status == "pending"]
    if pending:
        raise Conflict(
            f"Nothing was erased: {_named(pending)} still pending, and nobody can judge without the input. "
            "Decide or withdraw first.",
            "pending",
        )
    return rows


def _held_types(tx: ReadTx, slugs: Iterable[str]) -> set[str]:
    found = decision_types.catalogue(tx, slugs)
    return {slug for slug, row in found.items() if cached_type(row.document).legal_hold}


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f"{', '.join(ids[:NAMED])}{more} {'is' if len(ids) == 1 else 'are'}"


def _unknown(code: str, pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code, (Fault(pointer, detail),))


def approve(db: Database, actor: Actor, request_id: str) -> dict[str, Any]:
    """Approve somebody else's request, and erase. Raises Forbidden, NotFound, Conflict (`same_person`, ...)."""
    _must_be_person(actor)
    _approve(db, actor, request_id)
    return finish(db, request_id, actor)


@writes
def _approve(tx: WriteTx, actor: Actor, request_id: str) -> None:
    row = _waiting(tx, actor, request_id)
    if row.requested_by == actor.person_id:
        raise Conflict("You asked for this yourself: somebody else must approve it.", "same_person")
    key: Row = keys.get(tx, actor.key_id) if actor.key_id else None
    if key is not None and key.created_by not in (actor.person_id, SYSTEM.id):
        # Whoever manages keys can make one that acts as anybody, and approve their own request with it.
        raise Forbidden("Approve it signed in: somebody else made the key that acts as you.")
    _approved(tx, actor, row)


def _approved(tx: WriteTx, actor: Actor, row: Row) -> None:
    found = _concerned(tx, row.subject)
    who = {"state": "approved", "decided_by": actor.person_id or actor.id, "decided_at": tx.now()}
    erasures.change(tx, row.id, who)
    data = {"cause": row.cause, "decisions": len(found)}
    events.record(tx, actor, Event(EventType.ERASURE_APPROVED, row.id, data=data))


@writes
def decline(tx: WriteTx, actor: Actor, request_id: str) -> dict[str, Any]:
    """Decline a request, or take one's own back; the subject is forgotten with it. Raises NotFound, Conflict."""
    _must_be_person(actor)
    row = _waiting(tx, actor, request_id)
    who = {"state": "declined", "decided_by": actor.person_id, "decided_at": tx.now(), "subject": None}
    erasures.change(tx, row.id, who)
    events.record(tx, actor, Event(EventType.ERASURE_DECLINED, row.id, data={"cause": row.cause}))
    return _view(tx, erasures.lock(tx, row.id))


def _waiting(tx: WriteTx, actor: Actor, request_id: str) -> Row:
    actor.must(P.ERASE)
    row = erasures.lock(tx, request_id)
    if row is None:
        raise NotFound("There is no such request.")
    if row.state != "requested":
        raise Conflict(f"This request is {row.state} already.", "already_decided")
    return row


def erase_subject(db: Database, subject: str, cause: str) -> dict[str, Any]:
    """Ask, approve and erase at once, as the system: for the command line. Raises as `request` does."""
    return finish(db, _ask_and_approve(db, subject, cause), SYSTEM)


@writes
def _ask_and_approve(tx: WriteTx, subject: str, cause: str) -> str:
    row = _request(tx, SYSTEM, subject, cause)
    _approved(tx, SYSTEM, row)
    return str(row.id)


def finish(db: Database, request_id: str, actor: Actor) -> dict[str, Any]:
    """Erase what an approved request asks for, some decisions at a time; the worker goes on where a process died.

    It also goes on when a legal hold ends that began after the approval; until then the request stays approved.
    """
    while (done := _some(db, request_id, actor)) is None:
        pass
    return done


def finish_all(db: Database) -> int:
    """Bring approved requests to their end. Returns how many came to it."""
    return sum(finish(db, request_id, SYSTEM)["state"] == "done" for request_id in _unfinished(db))


@reads
def _unfinished(tx: ReadTx) -> Sequence[str]:
    return erasures.unfinished(tx)


@writes
def _some(tx: WriteTx, request_id: str, actor: Actor) -> dict[str, Any] | None:
    row: Row = erasures.lock(tx, request_id)
    if row.state != "approved":
        return _view(tx, row)
    # What was submitted after the approval is not part of it, and what came under hold since waits for its end.
    rows = erasures.of_subject(tx, row.subject, until=row.decided_at)
    held = _held_types(tx, {one.decision_type for one in rows})
    found = [one for one in rows if _may_go(one) and one.decision_type not in held][:BATCH]
    said = {"request": row.id, "cause": row.cause}
    gone = erase(tx, actor, [one.id for one in found], Under.REQUEST, **said)
    erasures.drop_answers(tx, gone)
    if gone:
        erasures.change(tx, row.id, {"erased": row.erased + len(gone)})
        return None
    if all(one.status == "pending" for one in rows):  # it was submitted while the approval was
        erasures.change(tx, row.id, {"state": "done", "subject": None})
        erasures.drop_answers(tx, [row.id])  # whose fingerprint is of the subject
    return _view(tx, erasures.lock(tx, row.id))


def _may_go(row: Row) -> bool:
    return row.held_at is None and row.status != "pending"


@reads
def requests(tx: ReadTx, actor: Actor) -> list[dict[str, Any]]:
    """The newest 100 requests, those that wait for approval first. Raises Forbidden."""
    actor.must(P.ERASE)
    rows = erasures.requests(tx, LISTED)
    ids = {one for row in rows for one in (row.requested_by, row.decided_by) if one}
    names = people.names(tx, ids)
    return [_shown(tx, row, names) | {"subject": row.subject} for row in rows]


def _view(tx: ReadTx, row: Row) -> dict[str, Any]:
    return _shown(tx, row, people.names(tx, {one for one in (row.requested_by, row.decided_by) if one}))


def _shown(tx: ReadTx, row: Row, names: dict[str, str]) -> dict[str, Any]:
    """Without the subject: this may be kept as an answer."""
    held = _holds(tx, row) if row.state == "approved" else []
    return {
        "id": row.id,
        "state": row.state,
        "cause": row.cause,
        "requested_by": row.requested_by,
        "requested_by_name": names.get(row.requested_by, "Handrail"),
        "requested_at": timestamp(row.requested_at),
        "decided_by": row.decided_by,
        "decided_by_name": row.decided_by and names.get(row.decided_by, "Handrail"),
        "decided_at": _moment(row.decided_at),
        "erased": row.erased,
        "held": len(held),
        "held_for": sorted(set(held)),
    }


def _holds(tx: ReadTx, request: Row) -> list[str]:
    """Why each decision that the request still waits for is held; a type's hold has no cause of its own."""
    rows = erasures.of_subject(tx, request.subject, until=request.decided_at)
    types = _held_types(tx, {one.decision_type for one in rows})
    return [one.hold_cause or OF_TYPE for one in rows if one.held_at is not None or one.decision_type in types]


def _moment(value: datetime | None) -> str | None:
    return timestamp(value) if value else None


@writes
def hold(tx: WriteTx, actor: Actor, decision_id: str, cause: str) -> dict[str, Any]:
    """Put a decision under legal hold. Twice changes nothing. Raises NotFound, Forbidden, Invalid, Conflict."""
    if cause not in set(HoldCause):
        raise _unknown("cause_unknown", "/cause", f"The cause must be one of {', '.join(HoldCause)}.")
    row = _holdable(tx, actor, decision_id)
    if row.erased_at is not None:
        raise Conflict("Its data was erased already: there is nothing left to hold.", "erased")
    if row.hold_cause != cause:
        _change_hold(tx, actor, row, EventType.DECISION_HELD, cause)
    return _held(tx, decision_id)


@writes
def release_hold(tx: WriteTx, actor: Actor, decision_id: str) -> dict[str, Any]:
    """Release a decision from its legal hold. Twice changes nothing. Raises NotFound, Forbidden."""
    row = _holdable(tx, actor, decision_id)
    if row.held_at is not None:
        _change_hold(tx, actor, row, EventType.DECISION_HOLD_RELEASED, None)
    return _held(tx, decision_id)


def _holdable(tx: WriteTx, actor: Actor, decision_id: str) -> Row:
    row = decisions.lock(tx, decision_id)
    if row is None or not actor.may(P.READ_DECISIONS, row.decision_type):
        raise NotFound("There is no such decision.")
    actor.must(P.HOLD, row.decision_type)
    return row


def _change_hold(tx: WriteTx, actor: Actor, row: Row, kind: EventType, cause: str | None) -> None:
    erasures.hold(tx, row.id, cause)
    after = {"hold": cause}
    told = Event(kind, row.id, row.id, row.decision_type, before={"hold": row.hold_cause}, after=after)
    events.record(tx, actor, told)


def _held(tx: ReadTx, decision_id: str) -> dict[str, Any]:
    row: Row = decisions.get(tx, decision_id)
    cause = row.hold_cause
    return {"decision_id": row.id, "legal_hold": cause and {"cause": cause, "at": timestamp(row.held_at)}}

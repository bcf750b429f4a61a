"""Owns people, their roles, and keys. Password hashes come in ready made: hashing is slow and holds no lock here."""

import secrets
import string
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.access import ROLES, SCOPES, Actor, Grant, Permission
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from app.domain.events import Event, EventType, timestamp
from app.domain.keys import make_key, secret_digest
from app.store import decision_types, events
from app.store import keys as key_store
from app.store import people as store
from app.store.db import ReadTx, WriteTx, new_id, reads, writes

P = Permission
Row = Any
ERASED = "Erased person"
THEIRS = "Key of an erased person"


@writes
def add(
    tx: WriteTx, actor: Actor, email: str, name: str, password_hash: str | None, grants: Sequence[Grant] = ()
) -> dict[str, Any]:
    """Add a person. Raises Forbidden, Invalid (e-mail, name, roles), Conflict (`email_taken`)."""
    actor.must(P.MANAGE_PEOPLE)
    email, name = email.strip().lower(), name.strip()
    _check_person(email, name)
    if store.by_email(tx, email) is not None:
        raise Conflict("Somebody has this e-mail address already.", "email_taken")
    person_id = new_id("usr")
    row = {"id": person_id, "email": email, "name": name, "password_hash": password_hash, "zone": "UTC"}
    store.insert(tx, row | {"shortcuts": True, "created_at": tx.now()})
    events.record(tx, actor, Event(EventType.PERSON_CREATED, person_id))
    for one in grants:
        _grant(tx, actor, person_id, one)
    return _person(tx, person_id)


def _check_person(email: str, name: str) -> None:
    faults = []
    local, _, host = email.partition("@")
    if not local or not host or " " in email or len(email) > 254:
        faults.append(Fault("/email", "Say an e-mail address, such as ada@example.org."))
    if not name or len(name) > 200:
        faults.append(Fault("/name", "Say a name of 1 to 200 characters."))
    if faults:
        raise Invalid("This person cannot be added.", "person_invalid", tuple(faults))


@reads
def people(tx: ReadTx, actor: Actor) -> list[dict[str, Any]]:
    """Everybody, by e-mail address."""
    actor.must(P.MANAGE_PEOPLE)
    rows = store.all(tx)
    grants = store.grants(tx, {row.id for row in rows})
    return [_view(row, grants[row.id]) for row in rows]


@reads
def get_person(tx: ReadTx, actor: Actor, person_id: str) -> dict[str, Any]:
    """One person; oneself, or anybody for those who manage people. Raises NotFound, Forbidden."""
    if actor.person_id != person_id:
        actor.must(P.MANAGE_PEOPLE)
    return _person(tx, person_id)


@writes
def grant(tx: WriteTx, actor: Actor, person_id: str, role: str, decision_type: str = "*") -> None:
    """Give a role, for one decision type or `*`. Twice changes nothing. Raises Invalid, NotFound, Forbidden."""
    actor.must(P.MANAGE_PEOPLE)
    _known(tx, person_id)
    _grant(tx, actor, person_id, Grant(role, decision_type))


def _grant(tx: WriteTx, actor: Actor, person_id: str, one: Grant) -> None:
    if one.role not in ROLES:
        detail = f"The role must be one of {', '.join(ROLES)}."
        raise Invalid(detail, "role_unknown", (Fault("/role", detail),))
    if one.decision_type != "*" and decision_types.get(tx, one.decision_type) is None:
        detail = "There is no such decision type; say * for all."
        raise Invalid(detail, "type_unknown", (Fault("/decision_type", detail),))
    if store.add_grant(tx, person_id, one, actor.person_id or actor.id):
        after = {"role": one.role, "decision_type": one.decision_type}
        events.record(tx, actor, Event(EventType.PERSON_GRANTED, person_id, after=after))


@writes
def revoke_grant(tx: WriteTx, actor: Actor, person_id: str, role: str, decision_type: str = "*") -> None:
    """Take a role back. Raises NotFound, Forbidden, Conflict (`last_admin`)."""
    actor.must(P.MANAGE_PEOPLE)
    _row(tx, person_id)
    store.hold_admins(tx)
    if not store.remove_grant(tx, person_id, Grant(role, decision_type)):
        raise NotFound("This person does not hold that role.")
    _keep_an_admin(tx)
    before = {"role": role, "decision_type": decision_type}
    events.record(tx, actor, Event(EventType.PERSON_GRANT_REVOKED, person_id, before=before))


@writes
def disable(tx: WriteTx, actor: Actor, person_id: str) -> None:
    """Shut somebody out: sessions end, keys that act as them stop. Raises NotFound, Forbidden, Conflict."""
    actor.must(P.MANAGE_PEOPLE)
    store.hold_admins(tx)
    if _row(tx, person_id).disabled_at is None:
        store.change(tx, person_id, {"disabled_at": tx.now()})
        store.end_sessions(tx, person_id)
        _keep_an_admin(tx)
        events.record(tx, actor, Event(EventType.PERSON_DISABLED, person_id))


@writes
def enable(tx: WriteTx, actor: Actor, person_id: str) -> None:
    """Let somebody in again. Raises NotFound, Forbidden."""
    actor.must(P.MANAGE_PEOPLE)
    if _known(tx, person_id).disabled_at is not None:
        store.change(tx, person_id, {"disabled_at": None})
        events.record(tx, actor, Event(EventType.PERSON_ENABLED, person_id))


@writes
def erase(tx: WriteTx, actor: Actor, person_id: str) -> dict[str, Any]:
    """Forget name, address and names of keys of somebody who left: the id stays, roles, keys and sign-in end.

    Twice changes nothing. Raises NotFound, Forbidden, Conflict (`last_admin`, `own_person`).
    """
    actor.must(P.ERASE)
    if actor.person_id == person_id:
        raise Conflict("Nobody erases themselves: another administrator does.", "own_person")
    store.hold_admins(tx)
    row = _row(tx, person_id)
    if row.erased_at is None:
        _end_access(tx, actor, row)
        gone = {"name": ERASED, "email": person_id, "password_hash": None, "zone": "UTC", "shortcuts": True}
        store.change(tx, person_id, gone | {"erased_at": tx.now()})
        key_store.forget_names(tx, person_id, THEIRS)
        events.record(tx, actor, Event(EventType.PERSON_ERASED, person_id))
    return _person(tx, person_id)


def _end_access(tx: WriteTx, actor: Actor, row: Row) -> None:
    happened = []
    if row.disabled_at is None:
        store.change(tx, row.id, {"disabled_at": tx.now()})
        happened.append(Event(EventType.PERSON_DISABLED, row.id))
    for one in store.grants(tx, {row.id})[row.id]:
        store.remove_grant(tx, row.id, one)
        before = {"role": one.role, "decision_type": one.decision_type}
        happened.append(Event(EventType.PERSON_GRANT_REVOKED, row.id, before=before))
    for key_id in key_store.acting_as(tx, row.id):
        key_store.revoke(tx, key_id)
        happened.append(Event(EventType.KEY_REVOKED, key_id))
    store.end_sessions(tx, row.id)
    _keep_an_admin(tx)
    events.record(tx, actor, *happened)


def _keep_an_admin(tx: ReadTx) -> None:
    if store.enabled_admins(tx) == 0:
        raise Conflict("This would leave nobody to manage people; give somebody else the role first.", "last_admin")


@writes
def set_password(tx: WriteTx, actor: Actor, person_id: str, password_hash: str) -> None:
    """Set a password, one's own or (for those who manage people) another's; other sessions end."""
    if actor.person_id != person_id:
        actor.must(P.MANAGE_PEOPLE)
    _known(tx, person_id)
    store.change(tx, person_id, {"password_hash": password_hash})
    store.end_sessions(tx, person_id, but=actor.session_id if actor.person_id == person_id else None)
    events.record(tx, actor, Event(EventType.PERSON_PASSWORD_CHANGED, person_id))


@reads
def password_hash_of(tx: ReadTx, actor: Actor) -> str | None:
    """The actor's own password hash, to check the old password before a new one is set."""
    row = store.get(tx, str(actor.person_id))
    return row.password_hash if row else None


@writes
def set_preferences(tx: WriteTx, actor: Actor, zone: str, shortcuts: bool) -> None:
    """Set one's own time zone (IANA name) and keyboard shortcuts. Raises Invalid, Forbidden."""
    if actor.person_id is None:
        raise Forbidden("Only a person has preferences.")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        detail = "Say a time zone such as Europe/Vienna."
        raise Invalid(detail, "zone_unknown", (Fault("/zone", detail),)) from None
    store.change(tx, actor.person_id, {"zone": zone, "shortcuts": shortcuts})
    after = {"zone": zone, "shortcuts": shortcuts}
    events.record(tx, actor, Event(EventType.PERSON_PREFERENCES_CHANGED, actor.person_id, after=after))


@reads
def keys(tx: ReadTx, actor: Actor) -> list[dict[str, Any]]:
    """Every key, newest first; never a secret."""
    actor.must(P.MANAGE_KEYS)
    rows = key_store.all(tx)
    names = store.names(tx, {one for row in rows for one in (row.person_id, row.owner_id) if one})
    return [_key(row, names) for row in rows]


@writes
def create_key(
    tx: WriteTx,
    actor: Actor,
    name: str,
    scopes: Sequence[str],
    *,
    person_id: str | None = None,
    expires_at: datetime | None = None,
) -> dict[str, Any]:
    """Make a key; `key` in the answer is the only time that it is seen. With `person_id` it acts as that person.

    The owner, who may never rule on what the key submitted, is that person, else whoever makes it.
    Raises Invalid (name, scopes, expiry), NotFound, Forbidden.
    """
    actor.must(P.MANAGE_KEYS)
    name = name.strip()
    _check_key(name, scopes, person_id, expires_at, tx.now())
    if person_id is not None:
        _known(tx, person_id)
    public = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
    secret = secrets.token_urlsafe(32)
    row: dict[str, Any] = {
        "id": new_id("key"),
        "public": public,
        "secret_hash": secret_digest(secret),
        "name": name,
        "scopes": " ".join(sorted(set(scopes))),
        "person_id": person_id,
        "owner_id": person_id or actor.person_id,
        "created_by": actor.id,
        "created_at": tx.now(),
        "expires_at": expires_at,
    }
    key_store.insert(tx, row)
    until = timestamp(expires_at) if expires_at else None
    after = {"scopes": sorted(set(scopes)), "person": person_id, "owner": row["owner_id"], "expires_at": until}
    events.record(tx, actor, Event(EventType.KEY_CREATED, row["id"], after=after))
    return {"id": row["id"], "name": name, "scopes": sorted(set(scopes)), "key": make_key(public, secret)}


def _check_key(
    name: str, scopes: Sequence[str], person_id: str | None, expires_at: datetime | None, now: datetime
) -> None:
    faults = []
    if not name or len(name) > 100:
        faults.append(Fault("/name", "Say a name of 1 to 100 characters; it is the service's name."))
    if not scopes or not set(scopes) <= set(SCOPES):
        faults.append(Fault("/scopes", f"Say at least one scope of {', '.join(SCOPES)}."))
    if "reviews:write" in scopes and person_id is None:
        faults.append(Fault("/person_id", "A verdict is always a person's: reviews:write needs a person to act as."))
    if expires_at is not None and expires_at <= now:
        faults.append(Fault("/expires_at", "The expiry must lie in the future."))
    if faults:
        raise Invalid(faults[0].detail, "key_invalid", tuple(faults))


@writes
def revoke_key(tx: WriteTx, actor: Actor, key_id: str) -> None:
    """Stop a key at once, in every process. Doing it twice changes nothing. Raises NotFound, Forbidden."""
    actor.must(P.MANAGE_KEYS)
    if key_store.get(tx, key_id) is None:
        raise NotFound("There is no such key.")
    if key_store.revoke(tx, key_id):
        events.record(tx, actor, Event(EventType.KEY_REVOKED, key_id))


def _row(tx: ReadTx, person_id: str) -> Row:
    row = store.get(tx, person_id)
    if row is None:
        raise NotFound("There is no such person.")
    return row


def _known(tx: ReadTx, person_id: str) -> Row:
    """Somebody who is not erased: nothing is given to those who are."""
    row = _row(tx, person_id)
    if row.erased_at is not None:
        raise Conflict("This person was erased; add them anew if they are back.", "erased")
    return row


def _person(tx: ReadTx, person_id: str) -> dict[str, Any]:
    return _view(_row(tx, person_id), store.grants(tx, {person_id})[person_id])


def _view(row: Row, grants: Sequence[Grant]) -> dict[str, Any]:
    return {
        "id": row.id,
        "email": row.email,
        "name": row.name,
        "zone": row.zone,
        "disabled": row.disabled_at is not None,
        "erased_at": row.erased_at,
        "created_at": row.created_at,
        "grants": [{"role": one.role, "decision_type": one.decision_type} for one in grants],
    }


def _key(row: Row, names: dict[str, str]) -> dict[str, Any]:
    view = dict(row._mapping)
    del view["secret_hash"], view["created_by"]
    view["scopes"] = row.scopes.split()
    view |= {"person_name": names.get(row.person_id), "owner_name": names.get(row.owner_id)}
    return view

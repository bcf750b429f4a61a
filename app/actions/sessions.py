"""Owns signing in and out, and who stands behind a session or a key. Passwords are hashed outside transactions."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.domain.access import SYSTEM, Actor
from app.domain.errors import Fault, Invalid, Throttled, Unauthenticated
from app.domain.events import Event, EventType
from app.domain.keys import secret_digest
from app.store import events, keys, people
from app.store.db import Database, ReadTx, WriteTx, reads, writes

IDLE, ABSOLUTE, TOUCH = timedelta(minutes=30), timedelta(hours=12), timedelta(minutes=1)
FREE_TRIES = (100, 5)  # of an address, which many may share, and of an account, in one window
WINDOW, BLOCK = timedelta(minutes=15), timedelta(minutes=1)
MIN_PASSWORD, MAX_PASSWORD = 12, 256
_HASHER = PasswordHasher()
_DECOY = _HASHER.hash(secrets.token_urlsafe(16))


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session: `token` goes into the cookie and is seen only now."""

    token: str
    actor: Actor


def hash_password(password: str) -> str:
    """Argon2id (RFC 9106). Raises Invalid (`password_weak`) outside 12 to 256 characters."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        detail = f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters."
        raise Invalid(detail, "password_weak", (Fault("/password", detail),))
    return _HASHER.hash(password)


def csrf_token(secret_key: str, session_token: str) -> str:
    """The token that every form of this session carries (OWASP: HMAC of the session)."""
    return hmac.new(secret_key.encode(), f"csrf:{session_token}".encode(), hashlib.sha256).hexdigest()


def sign_in(db: Database, email: str, password: str, *, address: str, request_id: str | None) -> SignedIn:
    """Open a session. Raises Unauthenticated (one sentence for every cause), Throttled (`extra["retry_after"]`)."""
    buckets = (_bucket("address", address), _bucket("account", email.strip().lower()))
    found = _try(db, email, buckets)
    # Always one hash, so that time does not tell whether the account exists.
    good = password_matches(found.password_hash if found and found.password_hash else _DECOY, password)
    if found is None or not good or found.disabled_at is not None or not found.password_hash:
        _failed(db, found.id if found else None, buckets, request_id)
        raise Unauthenticated("The e-mail address or the password is wrong.", "sign_in_failed")
    token = secrets.token_urlsafe(32)
    _open(db, found.id, token, buckets, request_id)
    actor = actor_of_session(db, token, request_id)
    if actor is None:
        raise Unauthenticated("The e-mail address or the password is wrong.", "sign_in_failed")
    return SignedIn(token, actor)


@writes
def _try(tx: WriteTx, email: str, buckets: tuple[str, ...]) -> Any:
    """Count the try before the password is looked at, so that parallel guesses meet the limit too."""
    for bucket, free in zip(buckets, FREE_TRIES, strict=True):
        _count_try(tx, bucket, free)
    return people.by_email(tx, email)


def _count_try(tx: WriteTx, bucket: str, free: int) -> None:
    row, now = people.hold_throttle(tx, bucket), tx.now()
    if row.blocked_until and row.blocked_until > now:
        seconds = int((row.blocked_until - now).total_seconds()) + 1
        detail = f"Too many failed sign-ins; try again in {seconds} seconds."
        raise Throttled(detail, extra={"retry_after": str(seconds)})
    tries, since = (1, now) if now - row.since > WINDOW else (row.failures + 1, row.since)
    over = tries - free
    blocked = now + min(BLOCK * 2 ** min(over, 10), WINDOW) if over >= 0 else None
    people.put_throttle(tx, bucket, tries, since, blocked)


def password_matches(password_hash: str, password: str) -> bool:
    """Whether the password is the one that was hashed; slow on purpose."""
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@writes
def _failed(tx: WriteTx, person_id: str | None, buckets: tuple[str, ...], request_id: str | None) -> None:
    who = replace(SYSTEM, request_id=request_id)
    events.record(tx, who, Event(EventType.PERSON_SIGN_IN_FAILED, person_id or "unknown", data={"account": buckets[1]}))


@writes
def _open(tx: WriteTx, person_id: str, token: str, buckets: tuple[str, ...], request_id: str | None) -> None:
    people.open_session(tx, secret_digest(token), person_id)
    people.clear_throttle(tx, buckets[1])
    address = people.hold_throttle(tx, buckets[0])
    people.put_throttle(tx, buckets[0], max(address.failures - 1, 0), address.since, None)
    who = Actor("person", person_id, "", person_id=person_id, request_id=request_id)
    events.record(tx, who, Event(EventType.PERSON_SIGNED_IN, person_id))


def actor_of_session(db: Database, token: str, request_id: str | None, *, touch: bool = True) -> Actor | None:
    """Who is signed in under this token; None when it is unknown or over (idle 30 minutes, absolute 12 hours).

    `touch` False is for pages that ask again by themselves: they must not keep a session alive.
    """
    actor, stale = _session(db, secret_digest(token))
    if actor is None:
        return None
    if stale and touch:
        _touch(db, secret_digest(token))
    return replace(actor, request_id=request_id)


@reads
def _session(tx: ReadTx, id_hash: str) -> tuple[Actor | None, bool]:
    row, now = people.get_session(tx, id_hash), tx.now()
    if row is None or row.disabled_at is not None or now - row.created_at > ABSOLUTE or now - row.seen_at > IDLE:
        return None, False
    actor = Actor(
        kind="person",
        id=row.person_id,
        name=row.name,
        person_id=row.person_id,
        grants=people.grants(tx, {row.person_id})[row.person_id],
        zone=row.zone,
        shortcuts=row.shortcuts,
        session_id=id_hash,
    )
    return actor, now - row.seen_at > TOUCH


@writes
def _touch(tx: WriteTx, id_hash: str) -> None:
    people.touch_session(tx, id_hash)


@writes
def sign_out(tx: WriteTx, actor: Actor) -> None:
    """End the actor's session."""
    if actor.session_id and people.end_session(tx, actor.session_id):
        events.record(tx, actor, Event(EventType.PERSON_SIGNED_OUT, actor.id))


@reads
def actor_of_key(tx: ReadTx, presented: str, request_id: str | None) -> Actor | None:
    """Who presents this key; None when it is unknown, expired or revoked."""
    actor = keys.actors(tx, [presented]).get(presented)
    return replace(actor, request_id=request_id) if actor else None


def _bucket(kind: str, value: str) -> str:
    return f"{kind}:{hashlib.sha256(value.encode()).hexdigest()}"

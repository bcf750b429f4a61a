"""Owns API keys and the answers kept for their Idempotency-Keys."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.access import Actor, Grant
from app.domain.keys import same_digest, split_key
from app.store.db import ReadTx, WriteTx
from app.store.tables import api_key, decision, idempotency, person, role_grant

KEEP_ANSWERS = timedelta(hours=24)
FORGOTTEN = ""  # instead of a fingerprint, once what was submitted is erased: no body has it


def actors(tx: ReadTx, presented: Iterable[str]) -> dict[str, Actor]:
    """Whoever stands behind each presented key (`hr_<public>_<secret>`); wrong, expired, revoked ones are left out."""
    split = {text: parts for text in set(presented) if (parts := split_key(text))}
    found = tx.kept("key", (public for public, _ in split.values()), lambda publics: _known(tx, publics))
    alive = {}
    for text, (public, secret_hash) in split.items():
        known = found.get(public)
        if known and same_digest(known.row.secret_hash, secret_hash) and _alive(known.row, tx.now()):
            alive[text] = known.actor
    return alive


@dataclass(frozen=True, slots=True)
class _Known:
    row: sa.Row[Any]
    actor: Actor


def _known(tx: ReadTx, publics: set[str]) -> dict[str, _Known]:
    rows = tx.rows(_with_person(publics))
    grants = _grants(tx, {row.person_id for row in rows if row.person_id})
    return {row.public: _Known(row, _actor(row, grants.get(row.person_id, ()))) for row in rows}


def _with_person(publics: set[str]) -> sa.Select[Any]:
    acting = [person.c[name].label(f"person_{name}") for name in ("name", "zone", "disabled_at")]
    joined = api_key.outerjoin(person, person.c.id == api_key.c.person_id)
    return sa.select(api_key, *acting).select_from(joined).where(api_key.c.public.in_(sorted(publics)))


def _alive(row: sa.Row[Any], now: datetime) -> bool:
    in_time = row.expires_at is None or row.expires_at > now
    return in_time and row.revoked_at is None and row.person_disabled_at is None


def _grants(tx: ReadTx, person_ids: set[str]) -> dict[str, tuple[Grant, ...]]:
    found: dict[str, tuple[Grant, ...]] = {}
    if person_ids:
        for row in tx.rows(sa.select(role_grant).where(role_grant.c.person_id.in_(sorted(person_ids)))):
            found[row.person_id] = (*found.get(row.person_id, ()), Grant(row.role, row.decision_type))
    return found


def _actor(row: sa.Row[Any], grants: tuple[Grant, ...]) -> Actor:
    return Actor(
        kind="key",
        id=row.id,
        name=row.person_name or row.name,
        person_id=row.person_id,
        key_id=row.id,
        owner_id=row.owner_id,
        service=row.name,
        grants=grants,
        scopes=frozenset(row.scopes.split()),
        zone=row.person_zone or "UTC",
    )


def get(tx: ReadTx, key_id: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(api_key).where(api_key.c.id == key_id))


def all(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    return tx.rows(sa.select(api_key).order_by(api_key.c.created_at.desc(), api_key.c.id.desc()))


def names(tx: ReadTx, ids: set[str]) -> dict[str, str]:
    if not ids:
        return {}
    return {
        row.id: row.name
        for row in tx.rows(sa.select(api_key.c.id, api_key.c.name).where(api_key.c.id.in_(sorted(ids))))
    }


def insert(tx: WriteTx, row: dict[str, Any]) -> None:
    tx.insert(api_key, [row])


def acting_as(tx: ReadTx, person_id: str) -> Sequence[str]:
    """Ids of the live keys that act as a person."""
    theirs = (api_key.c.person_id == person_id) & api_key.c.revoked_at.is_(None)
    return [row.id for row in tx.rows(sa.select(api_key.c.id).where(theirs).order_by(api_key.c.id))]


def forget_names(tx: WriteTx, person_id: str, name: str) -> None:
    """Give `name` to all keys that act as a person, save those that are the service of a decision: see its events."""
    serves = sa.exists().where(decision.c.service == api_key.c.name)
    tx.run(api_key.update().where(api_key.c.person_id == person_id, ~serves).values(name=name))


def revoke(tx: WriteTx, key_id: str) -> bool:
    """Whether the key was alive."""
    alive = (api_key.c.id == key_id) & api_key.c.revoked_at.is_(None)
    return tx.run(api_key.update().where(alive).values(revoked_at=tx.now())) == 1


def reserve_answers(tx: WriteTx, wanted: Sequence[tuple[str, str, str, str, str | None]]) -> set[tuple[Any, ...]]:
    """Take (key_id, route, key, fingerprint, answer) rows in a fixed order; returns the (key_id, route, key) that were
    free. The answer may be kept later (`keep_answers`).

    Waits for a concurrent twin's commit, so that what is not free can be read afterwards.
    """
    rows = [
        {"key_id": k, "route": r, "key": i, "fingerprint": f, "created_at": tx.now(), "answer": a}
        for k, r, i, f, a in sorted(wanted, key=lambda one: one[:3])
    ]
    names = ["key_id", "route", "key"]
    return tx.insert_missing(idempotency, rows, conflict=names, returning=names)


def answers(tx: ReadTx, wanted: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str, str], sa.Row[Any]]:
    wanted = sorted(set(wanted))
    if not wanted:
        return {}
    columns = sa.tuple_(idempotency.c.key_id, idempotency.c.route, idempotency.c.key)
    rows = tx.rows(sa.select(idempotency).where(columns.in_(wanted)))
    return {(row.key_id, row.route, row.key): row for row in rows}


def keep_answers(tx: WriteTx, kept: Sequence[tuple[tuple[str, str, str], str]]) -> None:
    if not kept:
        return
    statement = idempotency.update().where(
        idempotency.c.key_id == sa.bindparam("k"),
        idempotency.c.route == sa.bindparam("r"),
        idempotency.c.key == sa.bindparam("i"),
    )
    tx.run(
        statement.values(answer=sa.bindparam("a")),
        [{"k": key[0], "r": key[1], "i": key[2], "a": answer} for key, answer in kept],
    )


def forget_answers(tx: WriteTx, wanted: Iterable[tuple[str, str, str]]) -> None:
    """Give back reservations whose effect was refused: the caller may mend the body and use the same key again."""
    for key_id, route, key in wanted:
        same = (idempotency.c.key_id == key_id) & (idempotency.c.route == route) & (idempotency.c.key == key)
        tx.run(idempotency.delete().where(same))


def forget_bodies(tx: WriteTx, bodies: Mapping[str, str]) -> None:
    """Of submissions of decisions (fingerprints by id) keep only that their keys were used: a digest proves guesses.

    The rows stay, as with them gone a service that tries again would submit a second decision. What was answered to a
    twin with the same body is another decision's.
    """
    c = idempotency.c
    for row in tx.rows(sa.select(idempotency).where(tx.among(c.fingerprint, bodies.values()))) if bodies else ():
        if row.answer and json.loads(row.answer).get("id") in bodies:
            mine = (c.key_id == row.key_id) & (c.route == row.route) & (c.key == row.key)
            tx.run(idempotency.update().where(mine).values(fingerprint=FORGOTTEN, answer=None))


def drop_answers_before(tx: WriteTx, moment: datetime) -> int:
    return tx.run(idempotency.delete().where(idempotency.c.created_at < moment))

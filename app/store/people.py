"""Owns people, what they were granted, their sessions, and the throttle of sign-ins."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.access import Grant
from app.store.db import ReadTx, WriteTx
from app.store.tables import person, role_grant, session, throttle


def get(tx: ReadTx, person_id: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(person).where(person.c.id == person_id))


def by_email(tx: ReadTx, email: str) -> sa.Row[Any] | None:
    return tx.row(sa.select(person).where(person.c.email == email.strip().lower()))


def all(tx: ReadTx) -> Sequence[sa.Row[Any]]:
    return tx.rows(sa.select(person).order_by(person.c.email))


def names(tx: ReadTx, ids: set[str]) -> dict[str, str]:
    """Names by id, for showing; ids that are nobody's are left out."""
    if not ids:
        return {}
    query = sa.select(person.c.id, person.c.name).where(person.c.id.in_(sorted(ids)))
    return {row.id: row.name for row in tx.rows(query)}


def grants(tx: ReadTx, person_ids: set[str]) -> dict[str, tuple[Grant, ...]]:
    query = sa.select(role_grant).where(role_grant.c.person_id.in_(sorted(person_ids)))
    found: dict[str, list[Grant]] = {}
    for row in tx.rows(query.order_by(role_grant.c.role, role_grant.c.decision_type)):
        found.setdefault(row.person_id, []).append(Grant(row.role, row.decision_type))
    return {person_id: tuple(found.get(person_id, ())) for person_id in person_ids}


def insert(tx: WriteTx, row: dict[str, Any]) -> None:
    tx.insert(person, [row])


def change(tx: WriteTx, person_id: str, values: dict[str, Any]) -> None:
    tx.run(person.update().where(person.c.id == person_id).values(values))


def add_grant(tx: WriteTx, person_id: str, grant: Grant, granted_by: str) -> bool:
    """Whether the grant is new."""
    row = {
        "person_id": person_id,
        "role": grant.role,
        "decision_type": grant.decision_type,
        "granted_at": tx.now(),
        "granted_by": granted_by,
    }
    keys = ["person_id", "role", "decision_type"]
    return bool(tx.insert_missing(role_grant, [row], conflict=keys, returning=keys))


def remove_grant(tx: WriteTx, person_id: str, grant: Grant) -> bool:
    """Whether there was such a grant."""
    same = (role_grant.c.role == grant.role) & (role_grant.c.decision_type == grant.decision_type)
    return tx.run(role_grant.delete().where(role_grant.c.person_id == person_id, same)) == 1


def enabled_admins(tx: ReadTx) -> int:
    """How many people could still give roles."""
    query = (
        sa.select(sa.func.count(sa.distinct(person.c.id)))
        .select_from(person.join(role_grant, role_grant.c.person_id == person.c.id))
        .where(person.c.disabled_at.is_(None), role_grant.c.role == "admin", role_grant.c.decision_type == "*")
    )
    return int(tx.value(query))


def hold_admins(tx: WriteTx) -> None:
    """Hold everybody who manages people until commit, so that two of them cannot take each other out at once."""
    admins = sa.select(role_grant.c.person_id).where(role_grant.c.role == "admin", role_grant.c.decision_type == "*")
    tx.rows(sa.select(person.c.id).where(person.c.id.in_(admins)).order_by(person.c.id).with_for_update())


def open_session(tx: WriteTx, id_hash: str, person_id: str) -> None:
    now = tx.now()
    tx.insert(session, [{"id_hash": id_hash, "person_id": person_id, "created_at": now, "seen_at": now}])


def get_session(tx: ReadTx, id_hash: str) -> sa.Row[Any] | None:
    """The session with its person (`name`, `email`, `zone`, `shortcuts`, `disabled_at`)."""
    query = (
        sa.select(session, person.c.name, person.c.email, person.c.zone, person.c.shortcuts, person.c.disabled_at)
        .select_from(session.join(person, person.c.id == session.c.person_id))
        .where(session.c.id_hash == id_hash)
    )
    return tx.row(query)


def touch_session(tx: WriteTx, id_hash: str) -> None:
    tx.run(session.update().where(session.c.id_hash == id_hash).values(seen_at=tx.now()))


def end_session(tx: WriteTx, id_hash: str) -> bool:
    return tx.run(session.delete().where(session.c.id_hash == id_hash)) == 1


def end_sessions(tx: WriteTx, person_id: str, *, but: str | None = None) -> int:
    """End every session of a person, save the one whose hash is `but`."""
    query = session.delete().where(session.c.person_id == person_id)
    return tx.run(query.where(session.c.id_hash != but) if but else query)


def drop_sessions_before(tx: WriteTx, *, created: datetime, seen: datetime) -> int:
    return tx.run(session.delete().where(sa.or_(session.c.created_at < created, session.c.seen_at < seen)))


def hold_throttle(tx: WriteTx, bucket: str) -> sa.Row[Any]:
    """The bucket, made if need be and held until commit: parallel tries are counted one after the other."""
    fresh = {"bucket": bucket, "failures": 0, "since": tx.now(), "blocked_until": None}
    tx.insert_missing(throttle, [fresh], conflict=["bucket"], returning=["bucket"])
    query = sa.select(throttle).where(throttle.c.bucket == bucket).with_for_update()
    return tx.connection.execute(query).one()


def put_throttle(tx: WriteTx, bucket: str, failures: int, since: datetime, blocked_until: datetime | None) -> None:
    row = {"bucket": bucket, "failures": failures, "since": since, "blocked_until": blocked_until}
    tx.put(throttle, row, key=["bucket"])


def clear_throttle(tx: WriteTx, bucket: str) -> None:
    tx.run(throttle.delete().where(throttle.c.bucket == bucket))


def drop_throttles_before(tx: WriteTx, moment: datetime) -> int:
    return tx.run(throttle.delete().where(throttle.c.since < moment))

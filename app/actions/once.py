"""Owns Idempotency-Keys for actions: the first answer is kept in the effect's own transaction and replayed."""

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.access import Actor
from app.domain.errors import Invalid
from app.store import keys
from app.store.db import WriteTx, writes


@dataclass(frozen=True, slots=True)
class Ticket:
    """What names a try: the route, the caller's Idempotency-Key, and the digest of the body."""

    route: str
    key: str
    fingerprint: str


@writes
def once(tx: WriteTx, actor: Actor, ticket: Ticket, effect: Callable[[WriteTx], str]) -> tuple[str, bool]:
    """(answer text, whether it is a replay). A refusal rolls everything back, so the key stays free.

    A concurrent twin waits for the first and replays it. Raises Invalid (`idempotency_key_reused`).
    """
    name = (actor.id, ticket.route, ticket.key)
    if keys.reserve_answers(tx, [(*name, ticket.fingerprint, None)]):
        text = effect(tx)
        keys.keep_answers(tx, [(name, text)])
        return text, False
    kept = keys.answers(tx, [name])[name]
    if kept.fingerprint != ticket.fingerprint:
        raise Invalid("This Idempotency-Key was used with another body; use a new one.", "idempotency_key_reused")
    return kept.answer, True

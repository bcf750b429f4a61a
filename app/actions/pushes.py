"""Owns the duty that hands checkpoints on, out of the operator's hands. Sends nothing in a transaction."""

import logging
import smtplib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx

from app.store import tree
from app.store.db import Database, ReadTx, WriteTx, reads, writes

log = logging.getLogger(__name__)
RETRY = timedelta(minutes=1)
UNENDED = "it was begun, and nothing more is known"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A checkpoint on its way: `note` is the whole of it, with cosignatures."""

    size: int
    note: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where checkpoints go: a name that may be shown, and what sends one or raises."""

    name: str
    send: Callable[[Pushed], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where checkpoints go, and how often; only those that are new are sent."""

    targets: Sequence[Target] = ()
    every: timedelta = timedelta(hours=1)


def push(db: Database, plan: Plan) -> int:
    """Send the newest checkpoint wherever it is due; how many arrived. What fails is tried again in a minute."""
    return sum(_push(db, target, plan.every) for target in plan.targets)


def _push(db: Database, target: Target, every: timedelta) -> bool:
    found = _due(db, target.name, every) and _begun(db, target.name, every)
    if not found:
        return False
    try:
        target.send(found)
    except Exception as error:  # whatever is wrong with one target, the others must not wait for it
        log.warning("a checkpoint did not reach %s: %s", target.name, said(error))
        _ended(db, target.name, None, said(error))
        return False
    _ended(db, target.name, found.size, None)
    return True


@reads
def _due(tx: ReadTx, name: str, every: timedelta) -> Pushed | None:
    """The newest checkpoint, when it is time for it to go there."""
    last, before = tree.last_checkpoint(tx), tree.push_to(tx, name)
    if last is None or (before and (before.size or 0) >= last.size):
        return None
    pause = RETRY if before and before.error else every
    if before and tx.now() - before.tried_at < min(pause, every):
        return None
    return Pushed(last.size, tree.note_of(tx, last))


@writes
def _begun(tx: WriteTx, name: str, every: timedelta) -> Pushed | None:
    """The same, for whoever of several workers comes first: the others find that it was tried just now."""
    found = _due.within(tx, name, every)
    if found:
        tree.keep_push(tx, name, None, UNENDED)
    return found


@writes
def _ended(tx: WriteTx, name: str, size: int | None, error: str | None) -> None:
    tree.keep_push(tx, name, size, error)


def said(error: Exception) -> str:
    """What failed; never an address, which may hold a secret."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server answered {error.smtp_code}"
    return getattr(error, "strerror", None) or type(error).__name__

"""Owns what the audit tree proves to whoever asks: checkpoints, inclusion, consistency, tiles. Gives no event a place.

Each proof is verified before it is given, so that a tree that somebody has changed says so instead of proving nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from app.actions import _views
from app.domain import notes
from app.domain.access import Actor, Permission
from app.domain.errors import Conflict, Fault, Forbidden, Invalid, Malformed, NotFound
from app.domain.merkle import HASH, consistency, inclusion, leaf_hash, root_of, verify_consistency, verify_inclusion
from app.domain.notes import Note, Signature, Witnesses
from app.domain.tiles import ENTRIES, WIDTH, Edge, Place, bundle
from app.store import decision_types, decisions, tree
from app.store.db import ReadTx, WriteTx, reads, writes

log = logging.getLogger(__name__)
P = Permission
Row = Any


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint: `note` has the log's signatures and, below them, those of witnesses; `root` is 32 bytes."""

    origin: str
    size: int
    root: bytes
    signed_at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class Proof:
    """That an event is the leaf at `index` under a checkpoint; hashes are 32 bytes, `path` begins at the leaf."""

    event_id: str
    index: int
    leaf: bytes
    path: Sequence[bytes]
    checkpoint: Signed
    decision: tuple[str | None, str | None]  # its id and its type

    @property
    def text(self) -> str:
        """As C2SP tlog-proof has it."""
        return notes.proof(self.index, self.path, self.checkpoint.note)


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the first `old` leaves of the tree of `new` leaves are those of the older tree."""

    old: int
    old_root: bytes
    new: int
    new_root: bytes
    path: Sequence[bytes]


@reads
def checkpoint(tx: ReadTx, size: int | None = None) -> Signed:
    """The newest checkpoint, or the one of a size. Raises NotFound."""
    return _signed(tx, tree.last_checkpoint(tx) if size is None else tree.checkpoint_at(tx, size))


def _signed(tx: ReadTx, row: Row | None) -> Signed:
    if row is None:
        raise NotFound("There is no such checkpoint: nothing was signed yet, or not at that size.")
    origin = notes.parse_checkpoint(notes.parse_note(row.note).text).origin
    return Signed(origin, row.size, row.root, row.signed_at, tree.note_of(tx, row))


@reads
def prove(tx: ReadTx, actor: Actor, event_id: str) -> Proof:
    """The proof that an event is in the tree, under the newest checkpoint.

    Raises NotFound, also when the actor may not know of it, and Conflict when it is not sealed or not signed yet.
    """
    place = tree.place_of(tx, event_id)
    if place is None or not _may_know(tx, actor, place):
        raise NotFound("There is no such event.")
    if place.idx is None:
        raise Conflict("The event is not sealed yet: that takes a second; ask again.", "not_sealed")
    last = tree.last_checkpoint(tx)
    if last is None or last.size <= place.idx:
        raise Conflict("No checkpoint covers the event yet: nothing is signed without a signing key.", "not_signed")
    leaf = leaf_hash(place.body)
    path = _within(lambda: inclusion(tree.nodes(tx, tree.head(tx)), place.idx, last.size))
    if not verify_inclusion(leaf, place.idx, last.size, path, last.root):
        raise _changed(f"the event {event_id}")
    return Proof(event_id, place.idx, leaf, path, _signed(tx, last), (place.decision_id, place.decision_type))


def _may_know(tx: ReadTx, actor: Actor, place: Row) -> bool:
    """A proof says hashes alone, so whoever may read the decision may have it, as its service may."""
    types = actor.types(P.READ_AUDIT)
    if types is None or place.decision_type in types:
        return True
    decision: Row = decisions.get(tx, place.decision_id) if place.decision_id else None
    own = decision and actor.kind == "key" and decision.service == actor.service and actor.may(P.SUBMIT)
    return bool(decision and (own or actor.may(P.READ_DECISIONS, decision.decision_type)))


@reads
def consistent(tx: ReadTx, old: int, new: int | None = None) -> Consistency:
    """The proof that the tree of `new` leaves, by default of the newest checkpoint, begins with that of `old` ones.

    Where a checkpoint of one of the sizes is kept, its root must be that. Raises Invalid for sizes the tree never had.
    """
    last = tree.last_checkpoint(tx) if new is None else None
    head = tree.head(tx)  # after the checkpoint, which it then covers
    if last and last.size > head.size:
        raise _changed(f"the tree of {head.size} leaves, which had {last.size}")
    new = last.size if last else head.size if new is None else new
    for pointer, size, most in (("/query/to", new, head.size), ("/query/from", old, new)):
        if not 0 < size <= most:
            fault = Fault(pointer, f"must be a size from 1 to {most}.")
            raise Invalid("The tree never had that size.", faults=(fault,))
    node = _within(lambda: tree.nodes(tx, head))
    path = _within(lambda: consistency(node, old, new))
    found = Consistency(old, _within(lambda: root_of(node, old)), new, _within(lambda: root_of(node, new)), path)
    signed = {one.size: one.root for one in map(partial(tree.checkpoint_at, tx), (old, new)) if one}
    as_signed = {old: found.old_root, new: found.new_root}.items() >= signed.items()
    if not (as_signed and verify_consistency(old, new, path, found.old_root, found.new_root)):
        raise _changed(f"the tree between {old} and {new} leaves")
    return found


def _within(read: Any) -> Any:
    try:
        return read()
    except (LookupError, ValueError) as error:  # a tile that is not there, an edge that does not fit the size
        raise _changed(str(error)) from None


def _changed(what: str) -> Conflict:
    log.error("the audit tree does not prove what it should: %s", what)
    return Conflict("The audit tree does not prove this: what is stored was changed.", "tree_broken")


@reads
def covered(tx: ReadTx, event_ids: Sequence[str]) -> tuple[int, int]:
    """How many of the events the newest checkpoint covers, and its size; 0 when nothing is signed."""
    last = tree.last_checkpoint(tx)
    return (tree.count_below(tx, event_ids, last.size), last.size) if last else (0, 0)


@dataclass(frozen=True, slots=True)
class Log:
    """The log at a glance: how it stands, its newest checkpoint, where checkpoints went."""

    state: tree.State
    checkpoint: Signed | None
    pushes: Sequence[Row]


@reads
def log_of(tx: ReadTx, actor: Actor) -> Log:
    """Raises Forbidden."""
    actor.must(P.READ_AUDIT)
    last = tree.last_checkpoint(tx)
    return Log(tree.state(tx), _signed(tx, last) if last else None, tree.pushes(tx))


@writes
def cosign(tx: WriteTx, actor: Actor, witnesses: Witnesses, size: int, lines: Sequence[str]) -> Signed:
    """Keep the signature lines of known witnesses under the checkpoint of a size; returns it with all of them.

    Raises NotFound, and Invalid with a fault for a line that does not verify. It is no event: each would need a seal.
    """
    actor.must(P.READ_AUDIT)
    row = tree.checkpoint_at(tx, size)
    if row is None:
        raise NotFound("There is no checkpoint of that size.")
    text = notes.parse_note(row.note).text
    for signature in [_verified(text, number, line, witnesses) for number, line in enumerate(lines)]:
        tree.keep_cosignature(tx, size, signature.name, signature.line)
    return _signed(tx, row)


def _verified(text: str, number: int, line: str, witnesses: Witnesses) -> Signature:
    try:
        signature = notes.parse_signature(line.removesuffix("\n"))
        notes.signers(Note(text, (signature,)), witnesses.keys, witnesses.check)
    except Malformed as error:
        fault = Fault(f"/lines/{number}", error.detail)
        raise Invalid("A cosignature is not of a witness that we know.", "cosignature_invalid", (fault,)) from None
    return signature


@reads
def tile(tx: ReadTx, place: Place) -> bytes:
    """The hashes of a tile, as wide as asked for. Raises NotFound when it has not grown so far, and Conflict."""
    head = tree.head(tx)
    whole: bytes = _within(lambda: tree.hashes(tx, Edge(head.size, head.edge), place.level, place.n))
    found = whole[: place.width * HASH]
    if len(found) != place.width * HASH:
        raise NotFound("There is no such tile yet.")
    return found


@reads
def entries(tx: ReadTx, actor: Actor, place: Place) -> bytes:
    """The bytes of the events of a bundle. Raises NotFound, Conflict, and Forbidden unless nothing may be hidden."""
    assert place.level == ENTRIES
    actor.must(P.READ_AUDIT)
    if actor.types(P.READ_AUDIT) is not None or not _views.sees_all(tx, actor, _slugs(tx)):
        raise Forbidden("The events as they are stored are for auditors of every type, who review nothing themselves.")
    if place.n * WIDTH + place.width > tree.head(tx).size:
        raise NotFound("There is no such bundle yet.")
    try:
        return bundle(tree.bodies(tx, place.n * WIDTH, place.width))
    except ValueError as error:
        raise Conflict(str(error), "entry_too_long") from None


def _slugs(tx: ReadTx) -> list[str]:
    return [row.slug for row in decision_types.all(tx)]

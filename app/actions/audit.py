"""Owns the audit tree: seal, sign, prove. Only `seal` gives events their places, and no submission waits for it."""

import logging
from typing import Any

from app.domain.errors import HandrailError
from app.domain.merkle import consistency, leaf_hash, verify_consistency
from app.domain.notes import Checkpoint, Signer
from app.domain.tiles import Edge
from app.store import tree
from app.store.db import Database, ReadTx, WriteTx, reads, writes

log = logging.getLogger(__name__)
BATCH = 1000  # events in one transaction; on SQLite nobody else writes meanwhile
Row = Any


def seal(db: Database, signer: Signer) -> int:
    """Give at most BATCH waiting events their places, then sign the head. Returns how many; two at once are safe.

    Raises HandrailError when the tree does not go on from what was signed before.
    """
    count = _extend(db) if _anything_waits(db) else 0
    sign(db, signer)
    return count


@reads
def _anything_waits(tx: ReadTx) -> bool:
    return tree.anything_waits(tx)


@writes
def _extend(tx: WriteTx) -> int:
    head = tree.take_head(tx)
    events = tree.take(tx, BATCH) if head else []
    if head is None or not events:
        return 0
    edge = Edge(head.size, head.edge)
    full = edge.grow([leaf_hash(one.body) for one in events])
    tree.append(tx, head.size, [one.id for one in events], full, edge)
    return len(events)


def sign(db: Database, signer: Signer) -> None:
    """Sign the head and keep the checkpoint, unless that is done; a sealer that was killed in between has left it."""
    head = _unsigned(db) if signer.keys else None
    if head is not None:
        _keep(db, head, signer.note(Checkpoint(signer.origin, head.size, head.root).text))


@reads
def _unsigned(tx: ReadTx) -> Row | None:
    """The head, when there is no checkpoint of it."""
    last = tree.last_checkpoint(tx)
    head = tree.head(tx)  # after the checkpoint, as another may be sealing and signing just now
    if head.size == 0 or (last and last.size == head.size and last.root == head.root):
        return None
    if last and not _goes_on(tx, last, head):
        log.error("the tree of size %d does not go on from the checkpoint of size %d", head.size, last.size)
        raise HandrailError("The audit tree does not go on from its last checkpoint: nothing is signed any more.")
    return head


def _goes_on(tx: ReadTx, last: Row, head: Row) -> bool:
    if last.size >= head.size:
        return False
    try:
        path = consistency(tree.nodes(tx, head), last.size, head.size)
    except LookupError:
        return False
    return verify_consistency(last.size, head.size, path, last.root, head.root)


@writes
def _keep(tx: WriteTx, head: Row, note: str) -> None:
    tree.keep_checkpoint(tx, head.size, head.root, note)

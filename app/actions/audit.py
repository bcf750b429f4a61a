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
BATCH = 1000  # events in one transaction, and the rest of their decisions; on SQLite nobody else writes meanwhile
Row = Any


def seal(db: Database, signer: Signer) -> int:
    """Give BATCH waiting events their places, then sign the head. Returns how many; two at once are safe.

    It is fewer than BATCH when none is left waiting, and more when their decisions have others that wait.

    Raises HandrailError when the tree does not go on from what was signed before.
    """
    waits, unsigned = _look(db)
    count = _extend(db) if waits else 0
    if signer.keys and (count or unsigned):
        _sign(db, signer)
    return count


@reads
def _look(tx: ReadTx) -> tuple[bool, bool]:
    """Whether an event waits, and whether the head lacks its checkpoint, as a sealer leaves it that was killed."""
    last = tree.last_checkpoint(tx)
    return tree.anything_waits(tx), (last.size if last else 0) != tree.head(tx).size


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


@writes
def _sign(tx: WriteTx, signer: Signer) -> None:
    """Sign the head, which was committed before, and keep the checkpoint, unless that is done already."""
    last = tree.last_checkpoint(tx)
    head = tree.head(tx)  # after the checkpoint, as another may be sealing and signing just now
    if last and last.size == head.size and last.root == head.root:
        return
    if last and not _goes_on(tx, last, head):
        log.error("the tree of size %d does not go on from the checkpoint of size %d", head.size, last.size)
        raise HandrailError("The audit tree does not go on from its last checkpoint: nothing is signed any more.")
    note = signer.note(Checkpoint(signer.origin, head.size, head.root).text)
    tree.keep_checkpoint(tx, head.size, head.root, note)


def _goes_on(tx: ReadTx, last: Row, head: Row) -> bool:
    if last.size >= head.size:
        return False
    try:
        path = consistency(tree.nodes(tx, head), last.size, head.size)
    except LookupError:
        return False
    return verify_consistency(last.size, head.size, path, last.root, head.root)

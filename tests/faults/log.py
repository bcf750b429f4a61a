"""Owns the judgement of the audit tree after a run, made anew from the stored bodies. Trusts nothing but these."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app import signing
from app.actions import audit
from app.domain.errors import Malformed
from app.domain.merkle import EMPTY, folded, leaf_hash, node_hash, root
from app.domain.notes import Checkpoint, Signer, parse_note, signers
from app.domain.tiles import WIDTH
from app.store import tables, tree
from app.store.db import Database

Place = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Log:
    """All that is stored of the tree: bodies by event, (index, event) by index, and what was made of them."""

    events: Mapping[str, bytes]
    places: Sequence[Place]
    head: tuple[int, bytes, bytes]  # size, root, edge
    checkpoints: Sequence[tuple[int, bytes, str]]  # size, root, note
    tiles: Mapping[tuple[int, int], bytes]


def finished(db: Database, signer: Signer) -> bool:
    """Seal and sign what waits; whether nothing is left. A sealer that was killed may hold the head for a moment."""
    audit.seal(db, signer)
    with db.read() as tx:
        last = tree.last_checkpoint(tx)
        return not tree.anything_waits(tx) and (last.size if last else 0) == tree.head(tx).size


def read(db: Database) -> Log:
    with db.read() as tx:
        head = tree.head(tx)
        return Log(
            {row.id: bytes(row.body) for row in tx.rows(sa.select(tables.event.c.id, tables.event.c.body))},
            [(row.idx, row.event_id) for row in tx.rows(sa.select(tables.sealed).order_by(tables.sealed.c.idx))],
            (head.size, bytes(head.root), bytes(head.edge)),
            [(row.size, bytes(row.root), row.note) for row in tx.rows(sa.select(tables.checkpoint))],
            {(row.level, row.n): bytes(row.hashes) for row in tx.rows(sa.select(tables.tile))},
        )


def faults(log: Log, signer: Signer) -> list[str]:
    """Every broken promise as a sentence; an empty list is what we want."""
    leaves = [leaf_hash(log.events.get(event, b"")) for _, event in log.places]
    sizes = {log.head[0], *(size for size, _, _ in log.checkpoints)}
    roots = _roots(leaves, sizes)
    return [*_places(log), *_head(log, roots), *_checkpoints(log, roots, signer), *_tiles(log, leaves)]


def _places(log: Log) -> Iterator[str]:
    had = Counter(event for _, event in log.places)
    yield from (f"{event} has no place" for event in log.events if event not in had)
    yield from (f"{event} has {count} places" for event, count in had.items() if count > 1)
    yield from (f"{event} has a place and is no event" for event in had if event not in log.events)
    gap = next((at for at, (index, _) in enumerate(log.places) if at != index), None)
    if gap is not None:
        yield f"nothing has place {gap}, and {len(log.places)} events have one"


def _roots(leaves: Iterable[bytes], sizes: set[int]) -> dict[int, bytes]:
    """The root over the first leaves, for each of the sizes that there are leaves for."""
    found, peaks = {0: EMPTY}, list[bytes]()
    for index, leaf in enumerate(leaves):
        left = index
        while left & 1:
            leaf, left = node_hash(peaks.pop(), leaf), left >> 1
        peaks.append(leaf)
        if index + 1 in sizes:
            found[index + 1] = folded(peaks)
    return found


def _head(log: Log, roots: Mapping[int, bytes]) -> Iterator[str]:
    size, stored, _ = log.head
    if size != len(log.places):
        yield f"the head counts {size} events, and {len(log.places)} have a place"
    if roots.get(size) != stored:
        yield f"the head has not the root of {size} bodies"
    signed = max((one for one, _, _ in log.checkpoints), default=0)
    if signed != size:
        yield f"the head is of {size} events, and {signed} are signed for"


def _checkpoints(log: Log, roots: Mapping[int, bytes], signer: Signer) -> Iterator[str]:
    keys = [one.key for one in signer.keys]
    for size, stored, text in log.checkpoints:
        if roots.get(size) != stored:
            yield f"the checkpoint of {size} has not the root of these bodies"
        try:
            note = parse_note(text)
            signers(note, keys, signing.check)
        except Malformed:
            yield f"the checkpoint of {size} has no note that the log's key signed"
            continue
        if note.text != Checkpoint(signer.origin, size, stored).text:
            yield f"the note of the checkpoint of {size} says something else"


def _tiles(log: Log, leaves: Sequence[bytes]) -> Iterator[str]:
    wanted, edge, row, level = dict[tuple[int, int], bytes](), b"", list(leaves), 0
    while row:
        full = len(row) // WIDTH
        parts = [row[n * WIDTH : (n + 1) * WIDTH] for n in range(full)]
        wanted |= {(level, n): b"".join(part) for n, part in enumerate(parts)}
        edge += b"".join(row[full * WIDTH :])
        row, level = [root(part) for part in parts], level + 1
    for level, n in sorted(wanted.keys() | log.tiles.keys()):
        if wanted.get((level, n)) != log.tiles.get((level, n)):
            yield f"tile {n} of level {level} does not fit"
    if edge != log.head[2]:
        yield "the edge of the tree does not fit"

"""Owns the audit tree as it is stored: what waits, leaves, tiles, the head, checkpoints. Numbers nothing by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.merkle import Node
from app.domain.notes import parse_signature
from app.domain.tiles import WIDTH, Edge, Tile, node_of
from app.store.db import ReadTx, WriteTx
from app.store.tables import checkpoint, cosignature, event, push, sealed, tile, tree_head, unsealed

Row = Any


def anything_waits(tx: ReadTx) -> bool:
    return tx.row(sa.select(unsealed.c.event_id).limit(1)) is not None


@dataclass(frozen=True, slots=True)
class State:
    """How the log stands: how many events are sealed, how many of those are signed for, and how many wait, since when.

    `late` is for how long the oldest of these waits, `unsigned` for how long the oldest that is sealed and not signed
    for does, in seconds; `at` is when all this was so.
    """

    at: datetime
    size: int
    sealed_at: datetime | None
    signed: int
    signed_at: datetime | None
    waiting: int
    late: float
    unsigned: float


def state(tx: ReadTx) -> State:
    signed, stands = last_checkpoint(tx), head(tx)
    first = sa.select(sa.func.min(unsealed.c.event_id)).scalar_subquery()
    beyond = sa.select(sealed.c.event_id).where(sealed.c.idx == (signed.size if signed else 0)).scalar_subquery()
    return State(
        at=tx.now(),
        size=stands.size,
        sealed_at=stands.sealed_at,
        signed=signed.size if signed else 0,
        signed_at=signed.signed_at if signed else None,
        waiting=int(tx.value(sa.select(sa.func.count()).select_from(unsealed))),
        late=_age(tx, first),
        unsigned=_age(tx, beyond),
    )


def _age(tx: ReadTx, event_id: sa.ScalarSelect[str]) -> float:
    happened: datetime | None = tx.value(sa.select(event.c.created_at).where(event.c.id == event_id))
    return max(0.0, (tx.now() - happened).total_seconds()) if happened else 0.0


def astray(tx: ReadTx) -> int:
    """How many events neither have a place nor wait for one; less than none when there are more places than events."""
    events, waiting = (sa.select(sa.func.count()).select_from(one).scalar_subquery() for one in (event, unsealed))
    return int(tx.value(sa.select(events - waiting - sa.select(tree_head.c.size).scalar_subquery())))  # one snapshot


def head(tx: ReadTx) -> Row:
    """The tree as it stands: (size, root, edge, sealed_at)."""
    return tx.row(sa.select(tree_head))


def take_head(tx: WriteTx) -> Row | None:
    """The head, for this transaction alone until it ends; None while another holds it."""
    return tx.row(sa.select(tree_head).with_for_update(skip_locked=True))


def take(tx: WriteTx, limit: int) -> list[Row]:
    """(id, body, decision_id) of the events that wait longest; they wait no more. Only for who holds the head.

    Where `limit` cuts, all that waits of the same decisions comes along, so that no checkpoint parts what one
    transaction told of a decision. Events of no decision stand alone: no verifier asks for two of them together.
    """
    oldest = sa.select(unsealed.c.event_id).order_by(unsealed.c.event_id).limit(limit)
    taken = _without_place(tx, unsealed.c.event_id.in_(oldest))
    if len(taken) == limit:
        same = tx.among(event.c.decision_id, {row.decision_id for row in taken if row.decision_id})
        ids = {row.id for row in tx.rows(sa.select(event.c.id).where(same))} - {row.id for row in taken}
        taken += _without_place(tx, tx.among(unsealed.c.event_id, ids)) if ids else []
    return sorted(taken)


def _without_place(tx: WriteTx, which: sa.ColumnElement[bool]) -> list[Row]:
    """Those of them that wait, and now no more."""
    gone = unsealed.delete().where(which).returning(unsealed.c.event_id)
    ids = [row.event_id for row in tx.rows(gone)]
    query = sa.select(event.c.id, event.c.body, event.c.decision_id).where(tx.among(event.c.id, ids))
    return list(tx.rows(query)) if ids else []


def append(tx: WriteTx, first: int, event_ids: Sequence[str], full: Sequence[Tile], edge: Edge) -> None:
    """Store the places of events from `first` on, the tiles that are full now, and the head."""
    tx.insert(sealed, [{"idx": idx, "event_id": one} for idx, one in enumerate(event_ids, first)])
    tx.insert(tile, [{"level": one.level, "n": one.n, "hashes": one.hashes} for one in full])
    moved = {"size": edge.size, "root": edge.root(), "edge": edge.stored(), "sealed_at": tx.now()}
    tx.run(tree_head.update().values(moved))


def nodes(tx: ReadTx, head: Row) -> Node:
    """The nodes of the tree with that head, read tile by tile, each once."""
    edge, known = Edge(head.size, head.edge), dict[tuple[int, int], bytes]()

    def fetch(level: int, n: int) -> bytes:
        if (level, n) not in known:
            known[level, n] = hashes(tx, edge, level, n)
        return known[level, n]

    return node_of(fetch)


def hashes(tx: ReadTx, edge: Edge, level: int, n: int) -> bytes:
    """The tile, full or as far as it has grown; empty when there is none."""
    if n >= edge.size // WIDTH ** (level + 1):
        return edge.tile(level) if n == edge.size // WIDTH ** (level + 1) else b""
    found: bytes | None = tx.value(sa.select(tile.c.hashes).where(tile.c.level == level, tile.c.n == n))
    return found or b""


def place_of(tx: ReadTx, event_id: str) -> Row | None:
    """(id, body, decision_id, decision_type, idx) of an event; `idx` is None while it has no place."""
    c = event.c
    query = sa.select(c.id, c.body, c.decision_id, c.decision_type, sealed.c.idx)
    return tx.row(query.outerjoin_from(event, sealed, sealed.c.event_id == c.id).where(c.id == event_id))


def count_below(tx: ReadTx, event_ids: Sequence[str], size: int) -> int:
    """How many of the events are among the first `size` leaves."""
    among = tx.among(sealed.c.event_id, event_ids)
    return int(tx.value(sa.select(sa.func.count()).select_from(sealed).where(among, sealed.c.idx < size)))


def bodies(tx: ReadTx, first: int, count: int) -> list[bytes]:
    """The bytes of the events at places from `first` on."""
    placed = sa.select(event.c.body).join(sealed, sealed.c.event_id == event.c.id)
    return [
        row.body for row in tx.rows(placed.where(sealed.c.idx.between(first, first + count - 1)).order_by(sealed.c.idx))
    ]


def last_checkpoint(tx: ReadTx) -> Row | None:
    """The newest: (size, root, note, signed_at)."""
    return tx.row(sa.select(checkpoint).order_by(checkpoint.c.size.desc()).limit(1))


def checkpoint_at(tx: ReadTx, size: int) -> Row | None:
    return tx.row(sa.select(checkpoint).where(checkpoint.c.size == size))


def keep_checkpoint(tx: WriteTx, size: int, root: bytes, note: str) -> bool:
    """Keep a signed checkpoint; False when one of that size is kept already."""
    row = {"size": size, "root": root, "note": note, "signed_at": tx.now()}
    return bool(tx.insert_missing(checkpoint, [row], conflict=["size"], returning=["note"]))


def note_of(tx: ReadTx, checkpoint: Row) -> str:
    """The whole note of a checkpoint: with the newest line of each witness's key, in the order in which they came.

    A witness may cosign a checkpoint again and again while nothing happens, and readers take only so many lines.
    """
    query = sa.select(cosignature.c.line).where(cosignature.c.size == checkpoint.size)
    newest: dict[tuple[str, bytes], str] = {}
    for line in tx.connection.scalars(query.order_by(cosignature.c.at, cosignature.c.line)):
        signature = parse_signature(line.removesuffix("\n"))
        newest.pop(whose := (signature.name, signature.blob[:4]), None)
        newest[whose] = line
    return "".join([checkpoint.note, *newest.values()])


def keep_cosignature(tx: WriteTx, size: int, name: str, line: str) -> bool:
    """Keep a witness's line; False when it is kept already."""
    row = {"size": size, "line": line, "name": name, "at": tx.now()}
    return bool(tx.insert_missing(cosignature, [row], conflict=["size", "line"], returning=["line"]))


def pushes(tx: ReadTx) -> Sequence[Row]:
    """Where checkpoints went: (target, size, pushed_at, tried_at, error)."""
    return tx.rows(sa.select(push).order_by(push.c.target))


def push_to(tx: ReadTx, target: str) -> Row | None:
    return tx.row(sa.select(push).where(push.c.target == target))


def keep_push(tx: WriteTx, target: str, size: int | None, error: str | None) -> None:
    """Keep that a push was tried now; with a size, that it arrived."""
    arrived = {"size": size, "pushed_at": tx.now()} if size is not None else {}
    tx.put(push, {"target": target, "tried_at": tx.now(), "error": error, **arrived}, key=["target"])

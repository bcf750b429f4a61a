"""Owns the bundle: everything an auditor needs in one zip that proves itself, streamed in constant memory.

It is read in pages, each a short transaction of its own, and tells everything as of one checkpoint.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

from app.actions import _record, _views
from app.actions._parquet import Parquet, must_be_there
from app.domain.access import Actor, Permission
from app.domain.bundle import FORMAT, Nodes, Proofs, Zip, event_line, json_bytes
from app.domain.canonical import canonical
from app.domain.documents import fractions_as_text
from app.domain.errors import Conflict
from app.domain.events import Event, EventType, timestamp
from app.domain.merkle import consistency
from app.domain.notes import Checkpoint, Signer
from app.domain.reads import READS
from app.store import bundles, decision_types, events, schema, tree
from app.store.db import Database, ReadTx, WriteTx, new_id, reads, writes
from app.store.decisions import Filters
from app.verifier import verify

PAGE = 200
FEW = 500  # events that came while others were sealed: nobody waits for an end of those
IN_MEMORY = 1 << 20
HERE = Path(verify.__file__).parent
Row = Any
Proving = tuple[Proofs, Nodes]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a bundle is of: who asked, when, with which filters, and the checkpoint that everything is proved under."""

    actor: Actor
    at: str
    filters: Filters
    whole: bool
    scope: Mapping[str, Any]
    size: int
    root: bytes
    note: str
    proofs: Mapping[str, list[str]]


def bundle(
    db: Database,
    actor: Actor,
    filters: Filters,
    signer: Signer,
    seal: Callable[[], int],
    since: int | None = None,
    *,
    parquet: bool = False,
) -> Iterator[bytes]:
    """The zip, as it is made. `seal` gives places to the events that wait; `since` is the size of an older checkpoint.

    Raises Forbidden, Conflict where somebody would see what a blind review hides from them, and HandrailError where
    `parquet` asks for what is not installed, all before the first byte.
    """
    if parquet:
        must_be_there()
    filters = Filters(type=filters.type, since=filters.since, until=filters.until)  # it is filtered by nothing else
    _check(db, actor, filters)
    for _ in range(1000):
        if seal() < FEW:
            break
    return _written(db, _start(db, actor, filters, signer, since), signer, parquet)


@reads
def log_size(tx: ReadTx) -> int:
    """How many events have their place in the log."""
    return int(tree.head(tx).size)


@reads
def _check(tx: ReadTx, actor: Actor, filters: Filters) -> None:
    actor.must(Permission.EXPORT)
    actor.must(Permission.READ_AUDIT)
    slugs = [row.slug for row in decision_types.all(tx)]
    judged = [slug for slug in slugs if not _views.sees_all(tx, actor, [slug])]
    if judged and bundles.open_blind(tx, filters, judged):
        raise Conflict(
            "A review is open that hides its proposal from you, and a bundle hides nothing: "
            "let somebody make it who is no reviewer of these types, or wait until it is settled.",
            "blind_review_open",
        )


@writes
def _start(tx: WriteTx, actor: Actor, filters: Filters, signer: Signer, since: int | None) -> Asked:
    _check.within(tx, actor, filters)  # again: a review may have come while others were sealed
    types = _both(actor.types(Permission.EXPORT), actor.types(Permission.READ_AUDIT))
    head, last = tree.head(tx), tree.last_checkpoint(tx) if signer.keys else None
    size, root = (last.size, last.root) if last else (head.size, head.root)
    if not size:
        raise Conflict("Nothing has its place in the audit tree yet; is a worker running?", "nothing_sealed")
    if since is not None and since > size:
        raise Conflict(f"The log has {size} events, fewer than the older checkpoint's {since}.", "checkpoint_ahead")
    nodes = tree.nodes(tx, head)
    olds = sorted({one for one in (since, *(push.size for push in tree.pushes(tx))) if one and one < size})
    proofs = {str(old): [one.hex() for one in consistency(nodes, old, size)] for old in olds}
    note = tree.note_of(tx, last) if last else Checkpoint(signer.origin, size, root).text + "\n"
    scope = {
        "from": filters.since and timestamp(filters.since),
        "to": filters.until and timestamp(filters.until),
        "decision_type": filters.type,
        "types": None if types is None else sorted(types),
    }
    data = {"format": "bundle", "filters": {name: value for name, value in scope.items() if value}, "checkpoint": size}
    events.record(tx, actor, Event(EventType.EXPORT_STARTED, new_id("exp"), data=data))
    whole = not any(scope[name] is not None for name in scope)
    allowed = replace(filters, types=types)
    return Asked(actor, timestamp(tx.now()), allowed, whole, scope, size, root, note, proofs)


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _written(db: Database, asked: Asked, signer: Signer, parquet: bool) -> Iterator[bytes]:
    archive, named, counts = Zip(), verify.Named(), dict.fromkeys(("decisions", "events", "reviews", "verdicts"), 0)
    with SpooledTemporaryFile(IN_MEMORY) as table, SpooledTemporaryFile(IN_MEMORY) as columns:
        also = Parquet(columns) if parquet else None
        yield from archive.deflated("decisions.jsonl", _decisions(db, asked, named, table, also, counts))
        yield from archive.deflated("decisions.csv", _again(table))
        if also:
            also.end()
            yield from archive.deflated("decisions.parquet", _again(columns))
    yield from archive.deflated("events.jsonl", _events(db, asked, named, counts))
    for name in sorted(named.files):
        text = _text(db, name, named.files[name])
        if text is not None:
            yield from archive.deflated(name, [text])
    small = {
        "people.csv": named.people().encode(),
        "consistency.json": json_bytes(asked.proofs),
        "checkpoint.txt": asked.note.encode(),
        "VERIFY.md": (HERE / "VERIFY.md").read_bytes(),
        "verify.py": (HERE / "verify.py").read_bytes(),
    }
    for name, content in small.items():
        yield from archive.deflated(name, [content])
    counts["people"] = len({key[0] for key in named.roles})
    counts["policies"] = sum(name.startswith("policies/") for name in archive.files)
    manifest = _manifest(asked, archive, signer, counts)
    yield archive.stored("manifest.json", manifest)
    if signer.keys:
        digest = base64.b64encode(sha256(manifest).digest()).decode()
        yield archive.stored("manifest.sig", signer.note(f"{signer.origin}/bundle\n{digest}\n").encode())
    yield archive.ended()


def _manifest(asked: Asked, archive: Zip, signer: Signer, counts: Mapping[str, int]) -> bytes:
    return json_bytes({
        "format": FORMAT,
        "origin": signer.origin,
        "vkeys": list(signer.vkeys),
        "scope": asked.scope,
        "asked_by": asked.actor.person_id or asked.actor.id,
        "asked_at": asked.at,
        "schema": schema.head(),
        "counts": counts,
        "whole_log": asked.whole,
        "checkpoint": {"size": asked.size, "root": asked.root.hex()},
        "files": {name: asdict(one) for name, one in archive.files.items()},
    })  # fmt: skip


def _again(file: Any) -> Iterator[bytes]:
    file.seek(0)
    return iter(lambda: file.read(1 << 16), b"")


def _decisions(
    db: Database, asked: Asked, named: verify.Named, table: Any, also: Parquet | None, counts: dict[str, int]
) -> Iterator[bytes]:
    """The lines of decisions.jsonl; the rows of decisions.csv, made from the same, go to `table` and to `also`."""
    table.write((",".join(verify.COLUMNS) + "\r\n").encode())
    after: str | None = ""
    while after is not None:
        lines, after = _page(db, asked, named, after)
        counts["decisions"] += len(lines)
        for line in lines:
            counts["reviews"] += len(line["reviews"])
            counts["verdicts"] += sum(len(one["verdicts"]) for one in line["reviews"])
            table.write(verify.csv_line(line).encode())
            if also:
                also.add(verify.cells(line))
        if lines:
            yield b"".join(json_bytes(line) + b"\n" for line in lines)


@reads
def _page(tx: ReadTx, asked: Asked, named: verify.Named, after: str) -> tuple[list[dict[str, Any]], str | None]:
    rows = bundles.page(tx, asked.filters, after, PAGE)
    ids = [row.id for row in rows]
    parts = bundles.reviews_of(tx, ids)
    # Events come last: PostgreSQL gives each statement what is committed by then, and so they tell of every change.
    told: dict[str, list[Any]] = {id: [] for id in ids}
    later = set()
    for one in bundles.events_of(tx, ids):
        if one.type in READS:
            continue
        if one.idx is not None and one.idx < asked.size:
            told[one.decision_id].append(json.loads(one.body))
        elif one.type == EventType.DECISION_ERASED:
            raise Conflict("Something was erased while the bundle was made. Make it again.", "erased_meanwhile")
        else:
            later.add(one.decision_id)
    asked_of, said, judged = (_grouped(part, key) for part, key in zip(parts, KEYS, strict=False))
    seen = {one.id: one for one in parts[3]}
    lines = []
    for row in rows:
        if not _began(told[row.id]):
            continue
        for one in told[row.id]:
            named.note(one)
        its = asked_of.get(row.id, [])
        mine = [one for review in its for one in judged.get(review.id, [])]
        went_on = row.id in later
        lines.append(_record.line(row, told[row.id], its, said.get(row.id, []), mine, seen, went_on=went_on))
    return lines, rows[-1].id if len(rows) == PAGE else None


KEYS = ("decision_id", "decision_id", "review_id")


def _grouped(rows: Any, key: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(getattr(row, key), []).append(row)
    return found


def _began(told: list[Any]) -> bool:
    """Whether the decision was there at the checkpoint at all."""
    return any(one["type"] == EventType.DECISION_SUBMITTED for one in told)


def _events(db: Database, asked: Asked, named: verify.Named, counts: dict[str, int]) -> Iterator[bytes]:
    """The lines of events.jsonl: those of no decision first, then decision by decision."""
    proofs, place, after = (Proofs(asked.size), Nodes()), -1, ""
    while True:
        rows, lines = _of_none(db, asked, place, proofs)
        for row in rows:
            named.note(json.loads(row.body))
        yield _told(rows, lines, counts)
        if len(rows) < PAGE:
            break
        place = rows[-1].idx
    while True:
        rows, lines, last = _of_some(db, asked, after, proofs)
        yield _told(rows, lines, counts)
        if last is None:
            return
        after = last


def _told(rows: list[Row], lines: list[bytes], counts: dict[str, int]) -> bytes:
    counts["events"] += len(rows)
    return b"".join(lines)


@reads
def _of_none(tx: ReadTx, asked: Asked, place: int, proofs: Proving) -> tuple[list[Row], list[bytes]]:
    rows = list(bundles.events_of_none(tx, asked.filters, place, asked.size, PAGE))
    return rows, _proved(tx, rows, proofs)


@reads
def _of_some(tx: ReadTx, asked: Asked, after: str, proofs: Proving) -> tuple[list[Row], list[bytes], str | None]:
    ids = [row.id for row in bundles.page(tx, asked.filters, after, PAGE)]
    found: dict[str, list[Row]] = {id: [] for id in ids}
    for one in bundles.events_of(tx, ids):
        if one.idx is not None and one.idx < asked.size:
            found[one.decision_id].append(one)
    began = (told for told in found.values() if any(one.type == EventType.DECISION_SUBMITTED for one in told))
    rows = [one for told in began for one in told]
    return rows, _proved(tx, rows, proofs), ids[-1] if len(ids) == PAGE else None


def _proved(tx: ReadTx, rows: list[Row], proofs: Proving) -> list[bytes]:
    proof, nodes = proofs
    nodes.at = tree.nodes(tx, tree.head(tx))
    return [event_line(row.idx, row.body, proof.next(nodes, row.idx)) for row in rows]


@reads
def _text(tx: ReadTx, name: str, digest: str) -> bytes | None:
    """The text that a digest of a policy or a type is of: canonical, with fractions as text."""
    folder, _, file = name.removesuffix(".json").partition("/")
    if folder == "policies":
        slug, _, version = file.rpartition("-v")
        text = bundles.policy_text(tx, slug, int(version))
    else:
        text = bundles.type_text(tx, file.rpartition("-")[0], digest)
    return None if text is None else canonical(fractions_as_text(json.loads(text)))

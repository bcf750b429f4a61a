"""Owns exports: keyset pages, each its own short transaction, streamed in constant memory. The export is an event.

The database writes the lines itself. Where something may be hidden from the asker they are written here, row by row;
both give the same bytes, and this file says which.
"""

import csv
import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from app.actions import _views
from app.domain.access import Actor, Permission
from app.domain.canonical import dumps
from app.domain.events import Event, EventType, timestamp
from app.domain.reads import FREE, GIVEN
from app.store import bundles, decision_types, decisions, events, exports, reviews, tree
from app.store.db import Database, ReadTx, WriteTx, new_id, surveys, writes
from app.store.decisions import Filters
from app.store.exports import COLUMNS, FORMULA, UNSEEN

PAGE = 500  # rows that are written here
LINES = 2_500  # rows that the database writes, some 4 MiB
Row = Any
Key = exports.Key
Lines = Callable[[ReadTx, Filters, Key | None, int], tuple[str, Key | None]]
Page = tuple[bytes, Key | None]
Write = Callable[[list[dict[str, Any]]], bytes]


def decisions_jsonl(db: Database, actor: Actor, filters: Filters) -> Iterator[bytes]:
    """One JSON object a line, oldest first, with reviews, judgements, verdicts. Raises Forbidden before the first."""
    allowed = _start(db, actor, filters, "jsonl")
    return _stream(db, actor, allowed, exports.jsonl, _jsonl)


def decisions_csv(db: Database, actor: Actor, filters: Filters) -> Iterator[bytes]:
    """RFC 4180 with a header; no cell can start a formula. Raises Forbidden before the first chunk."""
    allowed = _start(db, actor, filters, "csv")
    header = (",".join(COLUMNS) + "\r\n").encode()
    return _after(header, _stream(db, actor, allowed, exports.csv, _csv))


@surveys
def events_about(tx: ReadTx, actor: Actor, filters: Filters) -> int:
    """About how many events a bundle has: those of the log, or as many of them as its share of the decisions.

    Raises Forbidden.
    """
    actor.must(Permission.EXPORT)
    size = int(tree.head(tx).size)
    asked = Filters(type=filters.type, since=filters.since, until=filters.until, types=actor.types(Permission.EXPORT))
    if asked == Filters():
        return size
    return round(size * bundles.count(tx, asked) / max(1, bundles.count(tx, Filters())))


@writes
def _start(tx: WriteTx, actor: Actor, filters: Filters, kind: str) -> Filters:
    actor.must(Permission.EXPORT)
    asked = {name: _plain(name, value) for name, value in asdict(filters).items() if value and name != "types"}
    events.record(tx, actor, Event(EventType.EXPORT_STARTED, new_id("exp"), data={"format": kind, "filters": asked}))
    # Whatever comes in after this moment is not part of the export, so it ends.
    until = min(filters.until, tx.now()) if filters.until else tx.now()
    return replace(filters, types=actor.types(Permission.EXPORT), until=until)


def _plain(name: str, value: Any) -> Any:
    if name in FREE:  # may name a person, and an event is for ever
        return GIVEN
    return timestamp(value) if hasattr(value, "strftime") else value


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _stream(db: Database, actor: Actor, filters: Filters, lines: Lines, write: Write) -> Iterator[bytes]:
    """While one page is on its way to the asker, the next is read."""
    page = _page.after(db.mark())
    with ThreadPoolExecutor(1, "export") as ahead:
        coming: Future[Page] | None = ahead.submit(page, db, actor, filters, None, lines, write)
        while coming is not None:
            text, after = coming.result()
            coming = ahead.submit(page, db, actor, filters, after, lines, write) if after else None
            if text:
                yield text


@surveys
def _page(tx: ReadTx, actor: Actor, filters: Filters, after: Any, lines: Lines, write: Write) -> Page:
    if _views.sees_all(tx, actor, [row.slug for row in decision_types.all(tx)]):
        text, last = lines(tx, filters, after, LINES)
        return text.encode(), last
    views, last = _rows(tx, actor, filters, after)
    return write(views), last


def _rows(tx: ReadTx, actor: Actor, filters: Filters, after: Any) -> tuple[list[dict[str, Any]], Key | None]:
    rows = decisions.page(tx, filters, after=after, limit=PAGE, oldest_first=True)
    ids = {row.id for row in rows}
    asked = reviews.of_decisions(tx, ids) if ids else ()
    review_ids = [row.id for row in asked]
    said = reviews.verdicts(tx, review_ids) if review_ids else ()
    judged = reviews.judgements(tx, review_ids) if review_ids else ()
    hide, unheard = _views.hidden(tx, actor, rows), _views.unheard(tx, actor, asked)
    said = [one for one in said if one.review_id not in unheard]
    judged = [one for one in judged if one.review_id not in unheard]
    views = [_whole(row, row.id in hide, asked, said, judged) for row in rows]
    return views, (rows[-1].created_at, rows[-1].id) if len(rows) == PAGE else None


def _whole(row: Row, hide: bool, asked: Any, said: Any, judged: Any) -> dict[str, Any]:
    view = _views.decision(row, hide=hide)
    view["reviews"] = [
        _views.review(one)
        | {
            "verdicts": [_views.verdict(v) for v in said if v.review_id == one.id and not hide],
            "judgements": [_views.judgement(j) for j in judged if j.review_id == one.id and not hide],
        }
        for one in asked
        if one.decision_id == row.id
    ]
    return view


def _jsonl(views: list[dict[str, Any]]) -> bytes:
    return "".join(dumps(view) + "\n" for view in views).encode()


def _csv(views: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_cell(value) for value in _flat(view)] for view in views)
    return text.getvalue().encode()


def _flat(view: dict[str, Any]) -> list[Any]:
    verdicts = [one for review in view["reviews"] for one in review["verdicts"]]
    judgements = [one for review in view["reviews"] for one in review["judgements"]]
    proposal = view["proposal"] or {}
    overturned = view["overturned"] or {}
    policy, erased = view["policy"] or {}, view["erased"] or {}
    known = view | {
        "model_name": view["model"]["name"],
        "model_version": view["model"]["version"],
        "proposal_outcome": proposal.get("outcome"),
        "confidence": proposal.get("confidence"),
        "overturned_outcome": overturned.get("outcome"),
        "overturned_at": overturned.get("at"),
        "policy_version": policy.get("version"),
        "policy_digest": policy.get("digest"),
        "reasons": " ".join(one["text"] for one in view["reasons"]),
        "verdict_times": _joined(verdicts, "created_at"),
        "judgement_outcomes": _joined(judgements, "outcome"),
        "input": None if erased else dumps(view["input"]),
        "erased_at": erased.get("at"),
        "erased_under": erased.get("under"),
    }
    for name in ("action", "outcome", "reason_code", "rationale", "person_id"):
        known[f"verdict_{name}s"] = _joined(verdicts, name)
    return [known[column] for column in COLUMNS]


def _joined(rows: list[dict[str, Any]], name: str) -> str:
    return " | ".join(str(row[name] or "") for row in rows)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    if _is_number(value):
        return text
    seen = text.translate(dict.fromkeys(map(ord, UNSEEN))).lstrip()
    return f"'{text}" if seen.startswith(tuple(FORMULA)) or text.startswith(("\t", "\r", "\n")) else text


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

"""Owns exports: keyset pages, each its own short transaction, streamed in constant memory. The export is an event."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

from app.actions import _views
from app.domain.access import Actor, Permission
from app.domain.canonical import digest, dumps
from app.domain.events import Event, EventType, timestamp
from app.store import decisions, events, reviews
from app.store.db import Database, ReadTx, WriteTx, new_id, surveys, writes
from app.store.decisions import Filters

PAGE = 500
Row = Any
FORMULA = tuple("=+-@＝＋－＠")  # what a spreadsheet would run (OWASP: CSV injection)
UNSEEN = "\ufeff\u200b\u200c\u200d\u2060"
COLUMNS = (
    "id", "decision_type", "service", "external_id", "subject", "model_name", "model_version", "proposal_outcome",
    "confidence", "stakes", "tier", "status", "outcome", "decided_by", "overturned_outcome", "policy_version",
    "policy_digest", "sampled", "inclusion_probability", "reasons", "created_at", "final_at", "overturned_at",
    "verdict_actions", "verdict_outcomes", "verdict_reason_codes", "verdict_rationales", "verdict_person_ids",
    "verdict_times", "judgement_outcomes", "input",
)  # fmt: skip


def decisions_jsonl(db: Database, actor: Actor, filters: Filters) -> Iterator[bytes]:
    """One JSON object a line, oldest first, with reviews, judgements, verdicts. Raises Forbidden before the first."""
    allowed = _start(db, actor, filters, "jsonl")
    return _stream(db, actor, allowed, _jsonl)


def decisions_csv(db: Database, actor: Actor, filters: Filters) -> Iterator[bytes]:
    """RFC 4180 with a header; no cell can start a formula. Raises Forbidden before the first chunk."""
    allowed = _start(db, actor, filters, "csv")
    header = (",".join(COLUMNS) + "\r\n").encode()
    return _after(header, _stream(db, actor, allowed, _csv))


@writes
def _start(tx: WriteTx, actor: Actor, filters: Filters, kind: str) -> Filters:
    actor.must(Permission.EXPORT)
    asked = {name: _plain(name, value) for name, value in asdict(filters).items() if value and name != "types"}
    events.record(tx, actor, Event(EventType.EXPORT_STARTED, new_id("exp"), data={"format": kind, "filters": asked}))
    # Whatever comes in after this moment is not part of the export, so it ends.
    until = min(filters.until, tx.now()) if filters.until else tx.now()
    return replace(filters, types=actor.types(Permission.EXPORT), until=until)


def _plain(name: str, value: Any) -> Any:
    if name in ("subject", "external_id"):  # may name a person, and an event is for ever
        return digest(value.encode())
    return timestamp(value) if hasattr(value, "strftime") else value


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _stream(
    db: Database, actor: Actor, filters: Filters, write: Callable[[list[dict[str, Any]]], bytes]
) -> Iterator[bytes]:
    after, page = None, _page.after(db.mark())
    while True:
        views, after = page(db, actor, filters, after)
        if views:
            yield write(views)
        if after is None:
            return


@surveys
def _page(tx: ReadTx, actor: Actor, filters: Filters, after: Any) -> tuple[list[dict[str, Any]], Any]:
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
    policy = view["policy"] or {}
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
        "input": dumps(view["input"]),
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
    return f"'{text}" if seen.startswith(FORMULA) or text.startswith(("\t", "\r", "\n")) else text


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

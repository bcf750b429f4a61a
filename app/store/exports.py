"""Owns the lines of an export as the database itself writes them: whole JSON and CSV rows, one text each.

What they look like is promised by actions/exports.py, which writes the same bytes row by row where something is hidden.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.store import _spelling as spelt
from app.store._filters import Filters, conditions
from app.store.db import ReadTx
from app.store.tables import decision, judgement, review, verdict

Expr = sa.ColumnElement[str]
Key = tuple[datetime, str]
FORMULA = "=+-@＝＋－＠"  # what a spreadsheet would run (OWASP: CSV injection)
UNSEEN = "\ufeff\u200b\u200c\u200d\u2060"
BLANK = UNSEEN + "".join(chr(c) for c in range(0x3001) if chr(c).isspace())  # none of Python's is higher


def jsonl(tx: ReadTx, filters: Filters, after: Key | None, limit: int) -> tuple[str, Key | None]:
    """The next lines, each with its line end, and the key of the last one; None when these are the last."""
    return _page(tx, _written(_json_line(), tx.connection.dialect), filters, after, limit)


def csv(tx: ReadTx, filters: Filters, after: Key | None, limit: int) -> tuple[str, Key | None]:
    """As `jsonl`, but records of RFC 4180."""
    return _page(tx, _written(_csv_line(), tx.connection.dialect), filters, after, limit)


def _page(tx: ReadTx, line: Expr, filters: Filters, after: Key | None, limit: int) -> tuple[str, Key | None]:
    c = decision.c
    key = sa.tuple_(c.created_at, c.id)
    query = sa.select(line.label("line")).select_from(decision).where(*conditions(filters)).order_by(c.created_at, c.id)
    if after:
        query = query.where(key > _bound(after))
    end = tx.row(query.with_only_columns(c.created_at, c.id).offset(limit - 1).limit(1))
    if end:
        query = query.where(key <= _bound((end.created_at, end.id)))
    # One text for the whole page: no row of it is touched in Python.
    text = tx.value(sa.select(spelt.joined(query.subquery().c.line, _quoted(""))))
    return text or "", (end.created_at, end.id) if end else None


@cache
def _written(line: Expr, dialect: sa.Dialect) -> Expr:
    """The same as text, made once: the tree has hundreds of nodes, and each page would walk through them."""
    whole = sa.select(line.label("line")).select_from(decision)
    text = str(whole.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).replace("%%", "%")
    alone = text.removeprefix("SELECT ").removesuffix(" AS line \nFROM decision")
    return sa.literal_column(alone, sa.Text)


def _bound(key: Key) -> Any:
    columns = (decision.c.created_at, decision.c.id)
    return sa.tuple_(*(sa.bindparam(None, value, column.type) for value, column in zip(key, columns, strict=True)))


@cache
def _json_line() -> Expr:
    c = decision.c
    fields = {
        "id": _plain(c.id),
        "decision_type": _plain(c.decision_type),
        "service": spelt.json_text(c.service),
        "external_id": spelt.json_text(c.external_id),
        "subject": spelt.json_text(c.subject),
        "model": _object({"name": spelt.json_text(c.model_name), "version": spelt.json_text(c.model_version)}),
        "proposal": c.proposal,
        "proposal_hidden": _quoted("false"),
        "stakes": spelt.json_text(c.stakes),
        "tier": _plain(c.tier),
        "status": _plain(c.status),
        "outcome": spelt.json_text(c.outcome),
        "decided_by": _plain(c.decided_by),
        "reasons": _reasons(c.reasons),
        "policy": _unless_null(
            c.policy_version, _object({"version": _number(c.policy_version), "digest": _plain(c.policy_digest)})
        ),
        "sampled": _boolean(c.sampled),
        "inclusion_probability": spelt.fraction(c.inclusion_probability),
        "overturned": _unless_null(
            c.overturned_at,
            _object({"outcome": spelt.json_text(c.overturned_outcome), "at": _time(c.overturned_at)}),
        ),
        "created_at": _time(c.created_at),
        "final_at": _time(c.final_at),
        "legal_hold": _unless_null(c.held_at, _object({"cause": _plain(c.hold_cause), "at": _time(c.held_at)})),
        "erased": _unless_null(
            c.erased_at,
            _object({"at": _time(c.erased_at), **{n: _plain(c[f"erased_{n}"]) for n in ("by", "under", "event")}}),
        ),
        "input": c.input,
        "metadata": c.metadata,
        "reviews": _if_asked(
            _array(_review(), (review.c.created_at, review.c.id), review.c.decision_id == c.id, decision), "[]"
        ),
    }
    return _object(fields, end="}\n")


def _review() -> Expr:
    c = review.c
    plain = ("id", "decision_id", "decision_type", "kind", "queue", "tier")
    numbers, ended = ("priority", "level"), "settled_at"
    fields = {name: _plain(c[name]) for name in plain} | {"stakes": spelt.json_text(c.stakes)}
    fields |= {name: _number(c[name]) for name in numbers}
    fields |= {"state": _plain(c.state), "blind": _boolean(c.blind), "required": _number(c.required)}
    fields |= {"note": spelt.json_text(c.note)}
    fields |= {name: _time(c[name]) for name in ("created_at", "due_at", "expires_at", "available_at")}
    lease = _object({"holder_id": _plain(c.lease_holder), "expires_at": _time(c.lease_expires_at)})
    fields |= {"lease": _unless_null(c.lease_holder, lease), ended: _time(c[ended])}
    v, j = verdict.c, judgement.c
    fields["verdicts"] = _array(_verdict(), (v.created_at, v.id), v.review_id == c.id, review)
    fields["judgements"] = _array(_judgement(), (j.created_at,), j.review_id == c.id, review)
    return _object(fields)


def _verdict() -> Expr:
    c = verdict.c
    fields = {name: _plain(c[name]) for name in ("id", "review_id", "person_id", "key_id", "action")}
    fields |= {name: spelt.json_text(c[name]) for name in ("outcome", "reason_code", "rationale")}
    return _object(fields | {name: _time(c[name]) for name in ("claimed_at", "proposal_shown_at", "created_at")})


def _judgement() -> Expr:
    c = judgement.c
    fields = {"person_id": _plain(c.person_id)}
    fields |= {name: spelt.json_text(c[name]) for name in ("outcome", "reason_code", "rationale")}
    return _object(fields | {"created_at": _time(c.created_at)})


def _object(fields: Mapping[str, Expr], end: str = "}") -> Expr:
    parts: list[Expr] = []
    for name, value in fields.items():
        parts += [_quoted(f'{"," if parts else "{"}"{name}":'), value]
    return _concatenated([*parts, _quoted(end)])


def _if_asked(value: Expr, otherwise: str) -> Expr:
    """Nobody was asked about an autonomous decision that was not drawn as a sample; a test says so."""
    alone = sa.and_(decision.c.tier == _quoted("autonomous"), sa.not_(decision.c.sampled))
    return sa.case((alone, _quoted(otherwise)), else_=value)


def _array(one: Expr, order: Iterable[Any], where: Any, within: sa.Table) -> Expr:
    rows = sa.select(one.label("one")).where(where).order_by(*order).correlate(within).subquery()
    return sa.func.coalesce(
        sa.select(_quoted("[") + spelt.joined(rows.c.one, _quoted(",")) + _quoted("]")).scalar_subquery(), _quoted("[]")
    )


def _reasons(column: Any) -> Expr:
    # A quotation mark inside a JSON string stands behind a backslash, so this finds the member and nothing else.
    for value in ("true", "false"):
        column = sa.func.replace(column, _quoted(f',"quotes_proposal":{value}}}'), _quoted("}"))
    return column  # type: ignore[no-any-return]


def _plain(column: Any) -> Expr:
    """Of a vocabulary that needs no escapes."""
    return sa.func.coalesce(_quoted('"') + column + _quoted('"'), _quoted("null"))


def _time(column: Any) -> Expr:
    return _plain(spelt.timestamp(column))


def _number(column: Any) -> Expr:
    return sa.cast(column, sa.Text)


def _boolean(column: Any) -> Expr:
    return sa.case((column, _quoted("true")), else_=_quoted("false"))


def _unless_null(column: Any, value: Expr) -> Expr:
    return sa.case((column.is_(None), _quoted("null")), else_=value)


def _quoted(text: str) -> Expr:
    return sa.literal_column("'" + text.replace("'", "''") + "'", sa.Text)


def _concatenated(parts: Sequence[Expr]) -> Expr:
    return spelt.concatenated(*parts)


COLUMNS = (
    "id", "decision_type", "service", "external_id", "subject", "model_name", "model_version", "proposal_outcome",
    "confidence", "stakes", "tier", "status", "outcome", "decided_by", "overturned_outcome", "policy_version",
    "policy_digest", "sampled", "inclusion_probability", "reasons", "created_at", "final_at", "overturned_at",
    "verdict_actions", "verdict_outcomes", "verdict_reason_codes", "verdict_rationales", "verdict_person_ids",
    "verdict_times", "judgement_outcomes", "input", "erased_at", "erased_under",
)  # fmt: skip
SAFE = ("id", "decision_type", "tier", "status", "decided_by", "policy_digest", "erased_under")


@cache
def _csv_line() -> Expr:
    c = decision.c
    cells: dict[str, Expr] = {name: _filled(c[name]) for name in SAFE}
    times = ("created_at", "final_at", "overturned_at", "erased_at")
    cells |= {name: _filled(spelt.timestamp(c[name])) for name in times}
    cells |= {
        "confidence": _filled(spelt.confidence(c.confidence, c.proposal)),
        "policy_version": _filled(_number(c.policy_version)),
        "sampled": sa.case((c.sampled, _quoted("True")), else_=_quoted("False")),
        "inclusion_probability": spelt.fraction(c.inclusion_probability),
        "reasons": _reason_texts(),
        "verdict_actions": _if_asked(_said(), ",,,,,"),
        "judgement_outcomes": _if_asked(_judged(), ""),
        "input": sa.case((c.erased_at.is_(None), _in_quotes(c.input)), else_=_quoted("")),
    }
    cells |= {name: _filled(_guarded(c[name])) for name in ("proposal_outcome", "outcome", "overturned_outcome")}
    cells |= {name: _cell(c[name]) for name in COLUMNS if name in c and name not in cells}
    parts: list[Expr] = []
    for name in COLUMNS:
        if name in cells:
            parts += [_quoted(",") if parts else _quoted(""), cells[name]]
    return _concatenated([*parts, _quoted("\r\n")])


def _reason_texts() -> Expr:
    reasons = decision.c.reasons
    # One reason without escapes, as most have, needs no parser.
    several = spelt.has(reasons, _quoted("},{")) | spelt.has(reasons, _quoted("\\"))
    one = spelt.between(reasons, _quoted('","text":"'), _quoted('","quotes_proposal":'))
    parsed = sa.case((several, spelt.members(reasons, _quoted("text"))), else_=one)
    # The limit keeps it from being written out, and run, each time it is mentioned.
    found = sa.select(parsed.label("texts")).correlate(decision).limit(1).subquery()
    return sa.select(_cell(found.c.texts)).scalar_subquery()


def _said() -> Expr:
    """The six cells of verdicts at once, in the order of COLUMNS."""
    v, r = verdict.c, review.c
    names = ("action", "outcome", "reason_code", "rationale", "person_id")
    columns = [sa.func.coalesce(v[name], _quoted("")).label(name) for name in names]
    rows = (
        sa.select(*columns, spelt.timestamp(v.created_at).label("at"))
        .select_from(verdict.join(review, r.id == v.review_id))
        .where(v.decision_id == decision.c.id)
        .order_by(r.created_at, r.id, v.created_at, v.id)
        .correlate(decision)
        .subquery()
    )
    said = sa.select(*(spelt.joined(column, _quoted(" | ")).label(column.name) for column in rows.c)).subquery()
    cells = [_cell(column) for column in said.c]
    return sa.select(_concatenated([part for cell in cells for part in (_quoted(","), cell)][1:])).scalar_subquery()


def _judged() -> Expr:
    j, r = judgement.c, review.c
    rows = (
        sa.select(j.outcome)
        .select_from(review.join(judgement, r.id == j.review_id))
        .where(r.decision_id == decision.c.id)
        .order_by(r.created_at, r.id, j.created_at)
        .correlate(decision)
        .subquery()
    )
    said = sa.select(spelt.joined(rows.c.outcome, _quoted(" | ")).label("said")).subquery()
    return sa.select(_cell(said.c.said)).scalar_subquery()


def _filled(value: Expr) -> Expr:
    return sa.func.coalesce(value, _quoted(""))


def _cell(value: Any) -> Expr:
    """Text that no spreadsheet runs, in quotation marks where RFC 4180 wants them."""
    special = sa.or_(*(value.like(_quoted(f"%{one}%")) for one in '",\r\n'))
    guarded = _guarded(value)
    return sa.case((value.is_(None), _quoted("")), (special, _in_quotes(guarded)), else_=guarded)


def _guarded(value: Any) -> Expr:
    code, first = spelt.first_code(value), sa.func.substr(value, 1, 1)
    harmless = sa.or_(*(code.between(ord(low), ord(high)) for low, high in ("az", "AZ", "09")))
    breaks = first.in_([_quoted(one) for one in "\t\r\n"])
    runs = sa.func.substr(sa.func.ltrim(value, _quoted(BLANK)), 1, 1).in_([_quoted(one) for one in FORMULA])
    return sa.case((harmless, value), (breaks | runs, _quoted("'") + value), else_=value)


def _in_quotes(value: Any) -> Expr:
    return _quoted('"') + sa.func.replace(value, _quoted('"'), _quoted('""')) + _quoted('"')

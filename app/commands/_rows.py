"""Owns how a row of CSV or JSONL becomes a decision. Must not talk to a server."""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from app.domain.canonical import MAX_INTEGER, canonical, digest, parse_strict
from app.domain.documents import fractions_as_text
from app.domain.errors import HandrailError, Malformed

FIELDS: Final = ("outcome", "confidence", "external_id")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the decision's own fields are in a row, and what is left out of `input`."""

    decision_type: str
    columns: Mapping[str, str]
    required: frozenset[str]
    dropped: frozenset[str]
    model: Mapping[str, str]

    @classmethod
    def of(cls, decision_type: str, maps: Sequence[str], drop: Sequence[str], model: str) -> Self:
        """From the words of the command line. Raises HandrailError with one sentence."""
        given: dict[str, str] = {}
        for one in maps:
            field, _, given[field] = one.partition("=")
            if field not in FIELDS or not given[field]:
                raise HandrailError(f"--map takes FIELD=COLUMN, and FIELD is one of {', '.join(FIELDS)}.")
        columns = {field: given.get(field, field) for field in FIELDS}
        required = frozenset({columns["outcome"], *given.values(), *drop})
        name, _, version = model.partition("@")
        return cls(
            decision_type,
            columns,
            required,
            frozenset(drop),
            {"name": name, **({"version": version} if version else {})},
        )


def decisions(file: Path, plan: Plan) -> Iterator[dict[str, Any]]:
    """The body of each decision, in the file's order. Raises HandrailError where the file is broken."""
    twins: Counter[str] = Counter()
    for number, row in _read(file):
        missing = sorted(plan.required - row.keys())
        if missing and (number == 1 or plan.columns["outcome"] in missing):
            raise HandrailError(f"Row {number} has no column {', '.join(missing)}; it has {', '.join(row)}.")
        yield _decision(row, plan, twins)


def _decision(row: Row, plan: Plan, twins: Counter[str]) -> dict[str, Any]:
    outcome, confidence, external_id = (row.get(plan.columns[field]) for field in FIELDS)
    proposal = {"outcome": _text(outcome)}
    if confidence not in (None, ""):
        proposal["confidence"] = _value(confidence)
    used = {*plan.columns.values(), *plan.dropped}
    return {
        "decision_type": plan.decision_type,
        "external_id": _own_name(row, twins) if external_id in (None, "") else _text(external_id),
        "model": dict(plan.model),
        "proposal": proposal,
        "input": {name: _value(value) for name, value in row.items() if name not in used},
    }


def _own_name(row: Row, twins: Counter[str]) -> str:
    """A name out of the row itself, so that a second run knows it; equal rows are told apart by counting."""
    print_ = digest(canonical(fractions_as_text(dict(row)))).removeprefix("sha256:")[:32]
    twins[print_] += 1
    return f"row-{print_}-{twins[print_]}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _value(value: Any) -> Any:
    """A cell that is written as JSON writes numbers is a number, unless it is too large for one."""
    found = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value
    number = float(value)
    if found["fraction"] or found["exponent"]:
        return number if math.isfinite(number) else value
    return int(value) if abs(number) <= MAX_INTEGER else value


def _read(file: Path) -> Iterator[tuple[int, Row]]:
    if file.suffix not in (".csv", ".jsonl"):
        raise HandrailError("The file must end in .csv or .jsonl.")
    try:
        yield from _csv(file) if file.suffix == ".csv" else _jsonl(file)
    except UnicodeDecodeError:
        raise HandrailError(f"{file} is not UTF-8 text.") from None


def _csv(file: Path) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(2**30)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            header = next(reader, [])
            if len(set(header)) != len(header):
                raise HandrailError("The header names a column twice.")
            for number, cells in enumerate((cells for cells in reader if cells), 1):
                if len(cells) != len(header):
                    raise HandrailError(f"Row {number} has {len(cells)} cells, the header has {len(header)}.")
                yield number, dict(zip(header, cells, strict=True))
        except csv.Error:
            raise HandrailError(f"The file is not CSV at line {reader.line_num}.") from None


def _jsonl(file: Path) -> Iterator[tuple[int, Row]]:
    with file.open("rb") as lines:
        for number, line in enumerate((line for line in lines if line.strip()), 1):
            try:
                row = parse_strict(line)
            except Malformed as error:
                raise HandrailError(f"Row {number} is not strict JSON: {error.detail}") from None
            if not isinstance(row, dict):
                raise HandrailError(f"Row {number} is not a JSON object.")
            yield number, row

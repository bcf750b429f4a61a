"""Owns `handrail submit`: a file's rows become decisions, in batches, through the public API."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress

from app.domain.errors import HandrailError

BATCH = 500
FIELDS = ("outcome", "confidence", "external_id")


def run(file: Path, kind: str, url: str, key: str, maps: list[str], drop: list[str]) -> int:
    """Submit every row; print counts per tier. Returns the exit code. Raises HandrailError with one sentence."""
    columns = _columns(maps)
    rows = list(_rows(file))
    counts: Counter[str] = Counter()
    headers = {"Authorization": f"Bearer {key}"}
    with (
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("submitting", total=len(rows))
        for start in range(0, len(rows), BATCH):
            group = [_decision(row, kind, columns, set(drop)) for row in rows[start : start + BATCH]]
            _send(client, group, start, counts)
            progress.advance(task, len(group))
    for name in sorted(counts):
        print(f"{name:<18}{counts[name]:>8}")
    return 1 if counts["refused"] else 0


def _columns(maps: list[str]) -> dict[str, str]:
    columns = {field: field for field in FIELDS}
    for one in maps:
        field, _, column = one.partition("=")
        if field not in FIELDS or not column:
            raise HandrailError(f"--map takes FIELD=COLUMN with a field of {', '.join(FIELDS)}.")
        columns[field] = column
    return columns


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8", newline="") as lines:
        if file.suffix == ".jsonl":
            yield from (json.loads(line) for line in lines if line.strip())
        elif file.suffix == ".csv":
            for row in csv.DictReader(lines):
                yield {name: _number(text) for name, text in row.items()}
        else:
            raise HandrailError("The file must end in .csv or .jsonl.")


def _number(text: str) -> Any:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return text
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else text


def _decision(row: dict[str, Any], kind: str, columns: dict[str, str], drop: set[str]) -> dict[str, Any]:
    used = set(columns.values()) | drop
    external_id = row.get(columns["external_id"])
    body: dict[str, Any] = {
        "decision_type": kind,
        "model": {"name": "import"},
        "proposal": {"outcome": str(row.get(columns["outcome"], "")), "confidence": row.get(columns["confidence"])},
        "input": {name: value for name, value in row.items() if name not in used},
    }
    return body | ({"external_id": str(external_id)} if external_id is not None else {})


def _send(client: httpx.Client, group: list[dict[str, Any]], start: int, counts: Counter[str]) -> None:
    try:
        answer = client.post("/api/v1/decisions/batch", json={"items": group})
    except httpx.HTTPError:
        raise HandrailError("The server cannot be reached; run the same command again to go on.") from None
    if answer.status_code != 200:
        raise HandrailError(f"The server refused the batch ({answer.status_code}): {_detail(answer)}")
    for number, result in enumerate(answer.json()["results"], start + 1):
        if result["status"] in (200, 201):
            counts[result["decision"]["tier"]] += 1
            counts["new" if result["status"] == 201 else "known before"] += 1
        else:
            counts["refused"] += 1
            print(f"row {number}: {result['problem']['detail']}", file=sys.stderr)


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason was given."

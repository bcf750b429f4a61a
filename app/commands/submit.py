"""Owns `handrail submit`: sends a file's rows through the public API, in batches, and counts the answers."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import Progress

from app.commands import _rows
from app.commands._desk import say
from app.domain.canonical import MAX_BODY, dumps
from app.domain.errors import HandrailError
from app.domain.policy import Tier

BATCH = 500
ROOM = MAX_BODY - 1_024  # bytes of a batch's items
TRIES, LONGEST_PAUSE = 6, 10  # for a server that says 503; seconds
SHOWN = 20  # refused rows that are told one by one


def submit(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or JSONL.", exists=True, dir_okay=False)],
    type: Annotated[str, typer.Option(help="The decision type.")],
    url: Annotated[str, typer.Option(help="The server, such as http://127.0.0.1:8000.")],
    key: Annotated[str, typer.Option(help="An API key with decisions:write.")],
    map: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=COLUMN", help="For outcome, confidence and external_id.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out.")] = None,
    model: Annotated[str, typer.Option(metavar="NAME[@VERSION]", help="The model that proposed.")] = "import",
) -> None:
    """Submit a file of decisions; every other column becomes input. Run it again, and nothing is submitted twice."""
    plan = _rows.Plan.of(type, map or [], drop or [], model)
    total = sum(1 for _ in _rows.decisions(file, plan))  # a file that cannot be read to its end sends nothing
    counts: Counter[str] = Counter()
    with _client(url, key) as client, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("submitting", total=total)
        done = 0
        for batch in _batches(file, plan):
            _count(_post(client, batch), done, counts)
            done += len(batch)
            progress.update(task, completed=done)
    _report(counts)
    if counts["refused"]:
        raise typer.Exit(1)


def _client(url: str, key: str) -> httpx.Client:
    try:
        return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    except (httpx.InvalidURL, UnicodeEncodeError, ValueError):
        raise HandrailError(
            "--url or --key cannot be read: say http://HOST:PORT and a key that begins with hr_."
        ) from None


def _batches(file: Path, plan: _rows.Plan) -> Iterator[list[str]]:
    """Decisions as JSON text, at most 500 and as many as one body holds."""
    batch: list[str] = []
    size = 0
    for body in _rows.decisions(file, plan):
        text = dumps(body)
        room = len(text.encode()) + 1
        if batch and (len(batch) == BATCH or size + room > ROOM):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += room
    if batch:
        yield batch


def _post(client: httpx.Client, batch: list[str]) -> list[dict[str, Any]]:
    content = f'{{"items":[{",".join(batch)}]}}'.encode()
    for _ in range(TRIES):
        try:
            answer = client.post(
                "/api/v1/decisions/batch", content=content, headers={"Content-Type": "application/json"}
            )
        except (httpx.HTTPError, httpx.InvalidURL):
            raise HandrailError("The server cannot be reached; run the same command again to go on.") from None
        if answer.status_code != 503:
            break
        time.sleep(_pause(answer))
    if answer.status_code != 200:
        raise HandrailError(f"The server refused the batch with {answer.status_code}: {_detail(answer)}")
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def _pause(answer: httpx.Response) -> float:
    given = answer.headers.get("retry-after", "")
    return min(float(given), LONGEST_PAUSE) if given.isdecimal() else 1.0


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason was given."


def _count(results: list[dict[str, Any]], before: int, counts: Counter[str]) -> None:
    for number, result in enumerate(results, before + 1):
        if "decision" in result:
            counts[result["decision"]["tier"]] += 1
            counts["new" if result["status"] == 201 else "known"] += 1
            continue
        counts["refused"] += 1
        if counts["refused"] <= SHOWN:
            say(f"decision {number}: {_why(result['problem'])}")


def _why(problem: dict[str, Any]) -> str:
    places = "; ".join(f"{one['pointer'] or '/'} {one['detail']}" for one in problem["errors"])
    return f"{problem['detail']} {places}".strip()


def _report(counts: Counter[str]) -> None:
    if counts["refused"] > SHOWN:
        say(f"... and {counts['refused'] - SHOWN} more.")
    for name in (*(tier.value for tier in Tier), "new", "known", "refused"):
        sys.stdout.write(f"{name:<16}{counts[name]:>9}\n")

"""Owns the commands about the record: export decisions, and verify, which needs neither server nor database."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.actions import exports
from app.commands._desk import database, say
from app.commands._record import faults
from app.domain.access import SYSTEM
from app.domain.errors import HandrailError
from app.store.decisions import Filters


class Format(StrEnum):
    """How an export is written."""

    JSONL = "jsonl"
    CSV = "csv"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("say a date (2026-11-24) or an RFC 3339 time (2026-11-24T09:08:00Z)") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def export_decisions(
    out: Annotated[Path, typer.Option(help="The file to write.", dir_okay=False)],
    format: Annotated[Format, typer.Option()] = Format.JSONL,
    type: Annotated[str | None, typer.Option(help="Only this decision type.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", parser=_moment, metavar="DATE")] = None,
    until: Annotated[datetime | None, typer.Option("--to", parser=_moment, metavar="DATE")] = None,
) -> None:
    """Write the record of decisions to a file; the export is an event itself."""
    write = exports.decisions_csv if format is Format.CSV else exports.decisions_jsonl
    # Half an export must never look like a whole one.
    part = out.with_name(f"{out.name}.part")
    with database() as db, part.open("wb") as file:
        for chunk in write(db, SYSTEM, Filters(type=type, since=since, until=until)):
            file.write(chunk)
    part.replace(out)
    say(f"{out} is written.")


def verify(file: Annotated[Path, typer.Argument(help="An export in JSONL.", exists=True, dir_okay=False)]) -> None:
    """Check an export offline: exit 0 when it is sound, 1 with what is wrong."""
    checked, wrong = 0, 0
    with file.open("rb") as lines:
        if lines.peek(1)[:1] != b"{":
            raise HandrailError(f"{file} is no JSONL export (an export in CSV is for reading; check the JSONL).")
        for checked, found in enumerate(faults(lines), 1):
            wrong += len(found)
            for fault in found:
                say(f"line {checked}: {fault}")
    if wrong:
        raise typer.Exit(1)
    typer.echo(f"{checked} decisions, sound.")

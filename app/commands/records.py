"""Owns the commands about the record: exports, and verify, which needs neither server nor database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from app.actions import audit, bundles, exports
from app.commands._desk import database, say, text_of
from app.commands._record import faults
from app.domain.access import SYSTEM
from app.domain.errors import HandrailError
from app.domain.notes import parse_checkpoint, parse_note
from app.settings import Settings
from app.signing import signer_of
from app.store.decisions import Filters
from app.verifier.verify import main as verify_bundle


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
    with database() as db:
        _keep(out, write(db, SYSTEM, Filters(type=type, since=since, until=until)))


def export_bundle(
    out: Annotated[Path, typer.Option(help="The zip to write.", dir_okay=False)],
    type: Annotated[str | None, typer.Option(help="Only this decision type.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", parser=_moment, metavar="DATE")] = None,
    until: Annotated[datetime | None, typer.Option("--to", parser=_moment, metavar="DATE")] = None,
    older: Annotated[
        Path | None, typer.Option("--since", help="A checkpoint that was kept: the bundle proves that the log goes on.")
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Add decisions.parquet: decisions.csv for programs that read Parquet.")
    ] = False,
) -> None:
    """Write everything an auditor needs to one zip that proves itself; the export is an event itself."""
    signer = signer_of(Settings())
    size = parse_checkpoint(parse_note(text_of(older)).text).size if older else None
    with database() as db:
        filters = Filters(type=type, since=since, until=until)
        seal = partial(audit.seal, db, signer)
        chunks = bundles.bundle(db, SYSTEM, filters, signer, seal, size, parquet=parquet)
        if not signer.keys:
            say("There is no signing key (`handrail key create-signing`), so the bundle can only agree with itself.")
        _keep(out, chunks)


def _keep(out: Path, chunks: Iterator[bytes]) -> None:
    # Half an export must never look like a whole one.
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    say(f"{out} is written.")


def verify(
    file: Annotated[Path, typer.Argument(help="A bundle (zip), or an export in JSONL.", exists=True, dir_okay=False)],
    key: Annotated[list[str] | None, typer.Option(help="A verifier key that you know to be the log's.")] = None,
    since: Annotated[Path | None, typer.Option(help="A checkpoint that you kept.", exists=True, dir_okay=False)] = None,
    event: Annotated[str | None, typer.Option(help="Print the proof of this event of the bundle.")] = None,
) -> None:
    """Check a bundle or an export offline: exit 0 when it is sound, 1 with what is wrong."""
    with file.open("rb") as beginning:
        is_zip = beginning.read(2) == b"PK"
    if is_zip:
        options = [f"--key={one}" for one in key or ()]
        options += [f"--since={since}"] * bool(since) + [f"--event={event}"] * bool(event)
        raise typer.Exit(verify_bundle([*options, "--", str(file)]))
    if key or since or event:
        raise typer.BadParameter("--key, --since and --event are for bundles.")
    _verify_lines(file)


def _verify_lines(file: Path) -> None:
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

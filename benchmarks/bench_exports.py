"""Promise: an export of a million decisions is nearly as fast as the database's own dump, in constant memory.

Rows a second of JSON Lines and CSV against `COPY (SELECT the same columns) TO STDOUT` (on SQLite: a plain cursor loop
that writes the same columns), each in a process of its own, in turns. Prints ratios, asserts nothing.
"""

import argparse
import csv
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from common import databases
from fill import fill, prepare

from app.actions import exports
from app.domain.access import Actor, Grant
from app.store.db import Database, driver_url
from app.store.decisions import Filters

AUDITOR = Actor("person", "usr_bench", "Bench", person_id="usr_bench", grants=(Grant("auditor"),))
OURS = {"JSON Lines": exports.decisions_jsonl, "CSV": exports.decisions_csv}
SHARED = """d.id, d.decision_type, d.service, d.external_id, d.subject, d.model_name, d.model_version, d.stakes, d.tier,
    d.status, d.outcome, d.decided_by, d.policy_version, d.policy_digest, d.sampled, d.inclusion_probability, d.reasons,
    d.overturned_outcome, d.overturned_at, d.created_at, d.final_at, d.input"""
ORDER = "FROM decision d ORDER BY d.created_at, d.id"
OF_REVIEW = "JOIN review r ON r.id = {0}.review_id WHERE r.decision_id = d.id"
WHOLE = {  # the same columns, each review, verdict and judgement with all of its own
    "PostgreSQL": f"""SELECT {SHARED}, d.proposal, d.metadata,
        (SELECT json_agg(r) FROM review r WHERE r.decision_id = d.id),
        (SELECT json_agg(v) FROM verdict v {OF_REVIEW.format("v")}),
        (SELECT json_agg(j) FROM judgement j {OF_REVIEW.format("j")}) {ORDER}""",
}
SAID = ("action", "outcome", "reason_code", "rationale", "person_id", "created_at")
FLAT = f"""SELECT {SHARED}, d.proposal_outcome, d.confidence, v.*, j.* FROM decision d
    LEFT JOIN LATERAL (SELECT {", ".join(f"string_agg(v.{name}::text, ' | ')" for name in SAID)} FROM verdict v
        {OF_REVIEW.format("v")}) v ON true
    LEFT JOIN LATERAL (SELECT string_agg(j.outcome, ' | ') FROM judgement j {OF_REVIEW.format("j")}) j ON true
    ORDER BY d.created_at, d.id"""
ONE = f"(SELECT {{0}} FROM verdict v {OF_REVIEW.format('v')})"
FLAT_SQLITE = f"""SELECT {SHARED}, d.proposal_outcome, d.confidence,
    {", ".join(ONE.format(f"group_concat(v.{name}, ' | ')") for name in SAID)},
    (SELECT group_concat(j.outcome, ' | ') FROM judgement j {OF_REVIEW.format("j")}) {ORDER}"""


def main() -> None:
    """Fill a database, then measure each way of writing it out in turn, several rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--url", help="a database that is filled already, instead")
    parser.add_argument("--one", help="measure this alone, and print it as JSON")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measured(asked.url, asked.one)))
    elif asked.url:
        report(asked.url, asked.rounds)
    else:
        with databases(("exports",), asked.engines) as urls:
            for url in (one["exports"] for one in urls.values()):
                db = Database(url)
                prepare(db)
                fill(db, asked.decisions, waiting=50, ruled=150, events=False)
                db.close()
                report(url, asked.rounds)


def report(url: str, rounds: int) -> None:
    """A table of medians; each ratio is ours over the database's own."""
    kinds = [f"{who} {kind}" for kind in OURS for who in ("plain", "Handrail")]
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            command = [sys.executable, "-W", "ignore", str(Path(__file__)), "--url", url, "--one", kind]
            found[kind].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    titles = f"{'rows':>10}{'rows/s':>10}{'CPU us/row':>12}{'growth MiB':>12}{'ratio':>8}"
    print(f"{driver_url(url).get_backend_name():<24}{titles}")
    for kind, results in found.items():
        rate, cpu, growth = (statistics.median(one[part] for one in results) for part in ("rate", "cpu", "growth"))
        plain = statistics.median(one["rate"] for one in found[kind.replace("Handrail", "plain")])
        own = f"{rate / plain:>8.2f}" if kind.startswith("Handrail") else ""
        print(f"  {kind:<22}{results[0]['rows']:>10,.0f}{rate:>10,.0f}{cpu:>12.1f}{growth:>12.1f}{own}")


def measured(url: str, kind: str) -> dict[str, float]:
    """Rows a second, CPU of this process for each row, and by how much its memory grew since its start."""
    who, _, form = kind.partition(" ")
    chunks = _ours(url, form) if who == "Handrail" else _plain(url, form)
    started, cpu, rows, memory = time.perf_counter(), time.process_time(), 0, [_resident()]
    for number, chunk in enumerate(chunks):
        rows += chunk.count(b"\n")
        if number % 500 == 0 or len(chunk) > 100_000:
            memory.append(_resident())
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"rate": rows / seconds, "rows": rows, "growth": max(memory) - memory[0], "cpu": cpu / rows * 1e6}


def _resident() -> float:
    """MiB, as Linux tells it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def _ours(url: str, form: str) -> Iterator[bytes]:
    db = Database(url)
    yield from OURS[form](db, AUDITOR, Filters())
    db.close()


def _plain(url: str, form: str) -> Iterator[bytes]:
    if driver_url(url).get_backend_name() == "sqlite":
        yield from _cursor_loop(url, form)
        return
    text = f"COPY ({WHOLE['PostgreSQL']}) TO STDOUT" if form != "CSV" else f"COPY ({FLAT}) TO STDOUT WITH (FORMAT csv)"
    with psycopg.connect(url) as connection, connection.cursor().copy(text) as copy:  # type: ignore[arg-type]
        for block in copy:
            yield bytes(block)


class _Lines:
    """Where csv.writer and print may write."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def write(self, text: str) -> None:
        self.kept.append(text)


def _cursor_loop(url: str, form: str) -> Iterator[bytes]:
    connection, lines = sqlite3.connect(str(driver_url(url).database)), _Lines()
    cursor = connection.execute(
        FLAT_SQLITE.replace("d.input", "d.input, d.proposal, d.metadata") if form != "CSV" else FLAT_SQLITE
    )
    writer, names = csv.writer(lines), [one[0] for one in cursor.description]
    while rows := cursor.fetchmany(1000):
        if form == "CSV":
            writer.writerows(rows)
        else:
            lines.kept += [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows]
        yield "".join(lines.kept).encode()
        lines.kept.clear()


if __name__ == "__main__":
    main()

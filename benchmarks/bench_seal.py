"""Promise: sealing keeps up, stays a second behind the commit at most, and costs submitting little.

(1) events a second when the sealer catches up, against reading and hashing the same events; (2) from the commit of an
event to the checkpoint that covers it, at 500 events a second, with the worker in a process of its own; (3)
submissions a second through HTTP without the tree (its trigger dropped), with events that nobody seals, and with the
worker in the serving process. On both databases; prints rates, delays and ratios, asserts nothing.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from bench_submit import load, prepared, serving
from common import databases, p99

from app import signing
from app.actions import audit
from app.domain.access import SYSTEM
from app.domain.events import Event, EventType
from app.domain.merkle import leaf_hash
from app.domain.notes import Signer
from app.store import events, schema, tree
from app.store.db import Database
from app.store.tables import event, sealed

ORIGIN = "bench.example"
DATA = {
    "reasons": ["below_autonomous"],
    "digests": dict.fromkeys(("input", "proposal", "metadata"), "sha256:" + "0" * 64),
}


def main() -> None:
    """All three, on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="how many there are to catch up with")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each target is measured in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", choices=("sqlite", "postgres", "both"), default="both")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hr-bench-") as folder:
        key = Path(folder) / "signing.key"
        signing.create_key(key, ORIGIN)
        signer = Signer(ORIGIN, (signing.read_key(key, ORIGIN),))
        os.environ |= {"HANDRAIL_ORIGIN": ORIGIN, "HANDRAIL_SIGNING_KEY_FILE": str(key)}
        with databases(("backlog", "delay", "without", "waiting", "sealing"), asked.engines) as found:
            for engine, urls in found.items():
                print(engine)
                catching_up(urls["backlog"], signer, asked.events)
                delays(urls["delay"], asked.seconds * asked.rounds)
                costs(urls, asked)


def happen(db: Database, count: int) -> list[str]:
    told = (Event(EventType.DECISION_SUBMITTED, f"dec_{number:036}", data=DATA) for number in range(count))
    with db.write() as tx:
        return [one.id for one in events.record(tx, SYSTEM, *told)]


def catching_up(url: str, signer: Signer, count: int) -> None:
    db = Database(url)
    schema.migrate(db)
    for _ in range(0, count, 2000):
        happen(db, 2000)
    started = time.perf_counter()
    done = 0
    while fresh := audit.seal(db, signer):
        done += fresh
    rate = done / (time.perf_counter() - started)
    started = time.perf_counter()
    for first in range(0, done, audit.BATCH):
        with db.read() as tx:
            for body in tree.bodies(tx, first, audit.BATCH):
                leaf_hash(body)
    bare = done / (time.perf_counter() - started)
    print(f"  catching up with {done:,} events: {rate:,.0f}/s; sealing / reading and hashing {rate / bare:.2f}")
    db.close()


def delays(url: str, seconds: float) -> None:
    """500 events a second in commits of five; what an observer sees of the checkpoints."""
    db = Database(url)
    schema.migrate(db)
    committed, seen, over = dict[str, float](), list[tuple[int, float]](), threading.Event()

    def observe() -> None:
        while not over.wait(0.005):
            with db.read() as tx:
                last = tree.last_checkpoint(tx)
            if last and (not seen or seen[-1][0] < last.size):
                seen.append((last.size, time.perf_counter()))

    with working(url, db):
        observer = threading.Thread(target=observe)
        observer.start()
        started = time.perf_counter()
        for number in range(int(seconds * 100)):
            time.sleep(max(0.0, started + number / 100 - time.perf_counter()))
            ids = happen(db, 5)
            committed |= dict.fromkeys(ids, time.perf_counter())
        rate = len(committed) / (time.perf_counter() - started)
        time.sleep(2)
        over.set()
        observer.join()
    with db.read() as tx:
        places = {row.event_id: row.idx for row in tx.rows(sa.select(sealed))}
    sizes = [size for size, _ in seen]
    late = [seen[bisect_right(sizes, places[one])][1] - moment for one, moment in committed.items()]
    p50, most = statistics.median(late) * 1000, max(late) * 1000
    print(f"  from commit to checkpoint, {len(late):,} events at {rate:,.0f}/s: p50 {p50:.0f} ms, "
          f"p99 {p99(late) * 1000:.0f} ms, most {most:.0f} ms")  # fmt: skip
    db.close()


@contextmanager
def working(url: str, db: Database) -> Iterator[None]:
    """`handrail worker` beside us, from when it has sealed what there is."""
    env = os.environ | {"HANDRAIL_DATABASE_URL": url, "HANDRAIL_LOG_LEVEL": "warning"}
    happen(db, 1)
    with subprocess.Popen([sys.executable, "-m", "app", "worker"], env=env) as process:
        while True:
            with db.read() as tx:
                if tree.last_checkpoint(tx):
                    break
            time.sleep(0.1)
        yield
        process.terminate()


def costs(urls: dict[str, str], asked: argparse.Namespace) -> None:
    keys = {name: prepared(urls[name]) for name in ("without", "waiting", "sealing")}
    without_tree(urls["without"])
    found: dict[str, list[float]] = {name: [] for name in keys}
    with serving("handrail", urls["without"]) as a, serving("handrail", urls["waiting"]) as b, \
            serving("sealing", urls["sealing"]) as c:  # fmt: skip
        ports = {"without": a, "waiting": b, "sealing": c}
        for number in range(-1, asked.rounds):
            for name, port in sorted(ports.items(), reverse=number % 2 == 0):
                one = load(port, "/api/v1/decisions", keys[name], 32, asked.seconds, f"{number}-{name}")
                if number >= 0:
                    found[name].append(one["rate"])
    rates = {name: statistics.median(values) for name, values in found.items()}
    shares = {
        name: statistics.median(mine / bare for mine, bare in zip(values, found["without"], strict=True))
        for name, values in found.items()
    }
    print(f"  submissions/s: {rates['without']:,.0f} without the tree")
    print(f"    with events that wait     {rates['waiting']:>7,.0f}{shares['waiting']:>6.2f}")
    print(f"    with the worker sealing   {rates['sealing']:>7,.0f}{shares['sealing']:>6.2f}")
    with_all_sealed(urls["sealing"])


def without_tree(url: str) -> None:
    db = Database(url)
    with db.write() as tx:
        tx.run(sa.text("DROP TRIGGER event_unsealed" + ("" if db.is_sqlite else " ON event")))
    db.close()


def with_all_sealed(url: str) -> None:
    db = Database(url)
    audit.seal(db, Signer(ORIGIN))
    with db.read() as tx:
        state = tree.state(tx)
        count = tx.value(sa.select(sa.func.count()).select_from(event))
    print(f"  afterwards {state.size:,} of {count:,} events are sealed, {state.signed:,} signed for\n")
    db.close()


if __name__ == "__main__":
    main()

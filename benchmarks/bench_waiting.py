"""Promise: who waits for a verdict costs the others little, and hears of it soon.

1,000 clients wait (`?wait=30`) on two processes over PostgreSQL: submissions a second with them and without, in turns;
then verdicts, and how long each takes to reach its waiter. Prints ratios and milliseconds, asserts nothing.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench_submit import _wait_for, load, postgres

from app.actions import people
from app.commands.demo import furnish
from app.domain.access import SYSTEM, Grant
from app.store import schema
from app.store.db import Database


def main() -> None:
    """Measure both promises in one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, default=1_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--verdicts", type=int, default=200)
    asked = parser.parse_args()
    with postgres() as url:
        keys = prepared(url)
        with serving(url) as port:
            asyncio.run(measure(port, keys, asked))


def prepared(url: str) -> dict[str, str]:
    """A schema, the sample types, a key that submits and one that acts as a reviewer."""
    db = Database(url)
    schema.migrate(db)
    furnish(db)
    person = people.add(db, SYSTEM, "rea@example.org", "Rea", None, [Grant("reviewer"), Grant("lead")])["id"]
    made = {
        "submit": people.create_key(db, SYSTEM, "bench", ["decisions:write"])["key"],
        "review": people.create_key(db, SYSTEM, "rea", ["reviews:write", "decisions:read"], person_id=person)["key"],
    }
    db.close()
    return {name: str(key) for name, key in made.items()}


@contextmanager
def serving(url: str) -> Iterator[int]:
    """`handrail serve --workers 2`; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "HANDRAIL_DATABASE_URL": url, "HANDRAIL_SECRET_KEY": "b" * 40, "HANDRAIL_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "app", "serve", "--workers", "2", "--port", str(port)]
    with subprocess.Popen(command, env=env) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON or None)."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        raw = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
        writer.write(head.encode() + raw)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        said = await reader.readexactly(length)
        return int(answer.split(b" ", 2)[1]), json.loads(said) if said else None

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()


async def measure(port: int, keys: dict[str, str], asked: argparse.Namespace) -> None:
    """Both tables."""
    pending = await submitted(port, keys["submit"], asked.waiting)
    rates: dict[bool, list[float]] = {False: [], True: []}
    await under_load(port, keys, asked, "warm")
    for number in range(asked.rounds):
        for waiting in (False, True):
            crowd = Crowd(port, keys["submit"], pending if waiting else [])
            await crowd.settle()
            rates[waiting].append(await under_load(port, keys, asked, f"{number}-{int(waiting)}"))
            await crowd.leave()
    without, with_them = (statistics.median(rates[one]) for one in (False, True))
    print(f"{asked.clients} clients submit, two processes, PostgreSQL, {asked.rounds} rounds of {asked.seconds:g} s\n")
    print(f"{'nobody waits':<28}{without:>8,.0f} submissions/s   {[round(one) for one in rates[False]]}")
    print(
        f"{asked.waiting:,} clients wait{'':<9}{with_them:>8,.0f} submissions/s   {[round(one) for one in rates[True]]}"
    )
    print(f"{'ratio':<28}{with_them / without:>8.2f}\n")
    heard = await verdicts(port, keys, pending, asked.verdicts)
    cuts = statistics.quantiles(heard, n=100)
    print(f"{len(heard)} verdicts, from its answer to the waiter's: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms")


async def under_load(port: int, keys: dict[str, str], asked: argparse.Namespace, run: str) -> float:
    found = await asyncio.to_thread(
        load, port, "/api/v1/decisions", keys["submit"], asked.clients, asked.seconds, f"w{run}"
    )
    return float(found["rate"])


async def submitted(port: int, key: str, count: int) -> list[str]:
    """Decisions that people must decide on; their ids."""
    client, found = Client(port, key), []
    for number in range(count):
        body = {
            "decision_type": "refund",
            "external_id": f"wait-{number}",
            "model": {"name": "bench", "version": "1"},
            "proposal": {"outcome": "approve", "confidence": 0.7},
            "input": {"order": "A-1", "amount_cents": 9_900, "currency": "EUR", "reason": "late",
                      "customer": {"name": "Ada", "since": 2019, "vip": False, "refunds_90d": 1}},
        }  # fmt: skip
        status, answer = await client.call("POST", "/api/v1/decisions", body)
        if status != 201 or answer["status"] != "pending":
            raise SystemExit(f"a decision did not wait: {status} {answer}")
        found.append(answer["id"])
    client.close()
    return found


class Crowd:
    """Clients that wait, each on a decision of its own, and ask again when their time is over."""

    def __init__(self, port: int, key: str, decisions: list[str]) -> None:
        self.heard: dict[str, float] = {}
        self._arrived = 0
        self._clients = {one: Client(port, key) for one in decisions}
        self._tasks = [asyncio.create_task(self._wait(one, client)) for one, client in self._clients.items()]

    async def _wait(self, decision: str, client: Client) -> None:
        await client.call("GET", "/livez")
        self._arrived += 1
        while True:
            status, answer = await client.call("GET", f"/api/v1/decisions/{decision}?wait=30")
            if status != 200 or answer["status"] != "pending":
                self.heard[decision] = time.perf_counter()
                return

    async def settle(self) -> None:
        """Until all are connected, and have waited a little."""
        while self._arrived < len(self._clients):
            await asyncio.sleep(0.05)
        await asyncio.sleep(3 if self._clients else 0)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients.values():
            client.close()
        await asyncio.sleep(1)


async def verdicts(port: int, keys: dict[str, str], decisions: list[str], count: int) -> list[float]:
    """Milliseconds from the answer to a verdict until the waiter has it."""
    crowd = Crowd(port, keys["submit"], decisions)
    await crowd.settle()
    reviewer, given, missed = Client(port, keys["review"]), {}, 0
    waited = set(decisions)
    while len(given) < count and missed < 20_000:
        status, review = await reviewer.call("POST", "/api/v1/claims", {})
        if status != 201:
            break
        body = {"token": review["lease"]["token"], "action": "approve"}
        path = f"/api/v1/reviews/{review['id']}/verdict"
        status, said = await reviewer.call("POST", path, body)
        if status not in (200, 201, 202):
            raise SystemExit(f"a verdict was refused: {status} {said}")
        if review["decision"]["id"] in waited:
            given[review["decision"]["id"]] = time.perf_counter()
        else:
            missed += 1
        await asyncio.sleep(0.02)  # a busy floor of reviewers, not a flood
    for _ in range(100):
        if set(given) <= set(crowd.heard):
            break
        await asyncio.sleep(0.05)
    await crowd.leave()
    return [max(0.0, crowd.heard[one] - at) * 1000 for one, at in given.items()]


if __name__ == "__main__":
    main()

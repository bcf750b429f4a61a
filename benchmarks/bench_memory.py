"""Promise: a serving process does not grow. Its memory after warm-up, and after an hour's worth of requests.

Submissions at full speed, beside claims, verdicts, lists, single reads and refusals; on both databases. An hour at 50
requests a second is 180,000; what does not fit into the time is said. Prints MiB and the growth, asserts nothing.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from pathlib import Path

from bench_submit import load, postgres, serving, sqlite
from bench_waiting import Client, prepared

HOUR = 180_000


def main() -> None:
    """Measure one process on each database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240.0, help="at most so long on each database")
    parser.add_argument("--requests", type=int, default=HOUR)
    parser.add_argument("--warm", type=float, default=20.0)
    asked = parser.parse_args()
    print(f"{'':<14}{'requests':>10}{'MiB warm':>10}{'MiB after':>11}{'growth':>8}")
    with tempfile.TemporaryDirectory(prefix="hr-bench-") as folder:
        for name, urls in {"SQLite": sqlite(Path(folder)), "PostgreSQL": postgres()}.items():
            with urls as url:
                keys = prepared(url)
                with serving("handrail", url) as port:
                    print(f"{name:<14}{row(asyncio.run(measure(port, keys, asked)))}", flush=True)


def row(found: tuple[int, float, float]) -> str:
    requests, warm, after = found
    return f"{requests:>10,}{warm:>10.1f}{after:>11.1f}{(after / warm - 1) * 100:>7.1f}%"


async def measure(port: int, keys: dict[str, str], asked: argparse.Namespace) -> tuple[int, float, float]:
    """(requests after warm-up, MiB resident before, MiB after)."""
    client = Client(port, keys["submit"])
    process = (await client.call("GET", "/livez"))[1]["process"]
    await driven(port, keys, asked.warm, "warm")
    warm, done, limit, number = resident(process), 0, time.monotonic() + asked.seconds, itertools.count()
    while done < asked.requests and time.monotonic() < limit:
        done += await driven(port, keys, min(10.0, asked.seconds), f"m{next(number)}")
    client.close()
    return done, warm, resident(process)


async def driven(port: int, keys: dict[str, str], seconds: float, run: str) -> int:
    """Requests that were answered."""
    until = time.monotonic() + seconds
    submitting = asyncio.to_thread(load, port, "/api/v1/decisions", keys["submit"], 32, seconds, run)
    found, others = await asyncio.gather(submitting, reviewing(port, keys["review"], until))
    return int(found["rate"] * seconds) + others


async def reviewing(port: int, key: str, until: float) -> int:
    """Claim, read, decide, list, and ask for what is not there."""
    client, done = Client(port, key), 0
    while time.monotonic() < until:
        status, review = await client.call("POST", "/api/v1/claims", {})
        if status == 201:
            decision = review["decision"]["id"]
            body = {"token": review["lease"]["token"], "action": "approve"}
            await client.call("GET", f"/api/v1/decisions/{decision}")
            await client.call("POST", f"/api/v1/reviews/{review['id']}/verdict", body)
            await client.call("GET", f"/api/v1/decisions/{decision}/events")
        await client.call("GET", f"/api/v1/decisions?limit=50&subject=nobody-{done}")
        await client.call("GET", f"/api/v1/decisions/dec_{done}")
        done += 6
    client.close()
    return done


def resident(process: int) -> float:
    """MiB of memory that the process holds (Linux)."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()

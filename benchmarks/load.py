"""A load generator over raw sockets: as many clients as asked, each with one request in flight. Its own process."""

import asyncio
import itertools
import json
import statistics
import sys
import time
from typing import Any


async def client(request: Any, port: int, until: float, seconds: list[float], failed: list[str]) -> None:
    """Send requests over one kept-alive connection until the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (started := time.perf_counter()) < until:
        writer.write(request())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if head.startswith((b"HTTP/1.1 201", b"HTTP/1.1 200")):
            seconds.append(time.perf_counter() - started)
        else:
            failed.append(f"{head[:30]!r} {body[:200]!r}")
    writer.close()


async def measure(port: int, path: str, key: str, clients: int, duration: float, run: str) -> dict[str, Any]:
    """`{rate, p50, p99, failed}`: answers a second, milliseconds, and how many were refused."""
    numbers = itertools.count()

    def request() -> bytes:
        body = json.dumps(decision(f"{run}-{next(numbers)}")).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    seconds: list[float] = []
    failed: list[str] = []
    started = time.perf_counter()
    await asyncio.gather(*(client(request, port, started + duration, seconds, failed) for _ in range(clients)))
    spent = time.perf_counter() - started
    cuts = statistics.quantiles(seconds, n=100) if len(seconds) > 1 else [0.0] * 99
    return {
        "rate": len(seconds) / spent, "p50": cuts[49] * 1000, "p99": cuts[98] * 1000,
        "failed": len(failed), "first_failure": failed[0] if failed else None,
    }  # fmt: skip


def decision(external_id: str) -> dict[str, Any]:
    """About 1 KB, with small amounts and medium ones: under the sample policy, one in six waits for people."""
    amount = 100 * (int(external_id.rpartition("-")[2]) % 60)
    return {
        "decision_type": "refund",
        "external_id": external_id,
        "model": {"name": "bench", "version": "1"},
        "proposal": {"outcome": "approve", "confidence": 0.95, "explanation": "The claim fits the order. " * 12},
        "input": {
            "order": "A-10042",
            "amount_cents": amount,
            "currency": "EUR",
            "reason": "The parcel never arrived; tracking stopped nine days ago. " * 6,
            "customer": {"name": "Ada Okafor", "since": 2019, "vip": False, "refunds_90d": 1},
        },
    }


if __name__ == "__main__":
    port, path, key, clients, duration, run = sys.argv[1:]
    print(json.dumps(asyncio.run(measure(int(port), path, key, int(clients), float(duration), run))))

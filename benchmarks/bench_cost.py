"""What a decision and a review cost: CPU of the serving process and of PostgreSQL, bytes of log (WAL), bytes kept.

One process, PostgreSQL, 32 clients that submit bodies of 1 KB; then a reviewer who claims and decides, one after the
other. Prints, asserts nothing.
"""

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from bench_submit import load, postgres, serving
from bench_waiting import Client, prepared

from app.store.db import Database

TABLES = ("decision", "event", "review", "verdict", "idempotency")


def main() -> None:
    """Drive submissions for a while, and divide."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--reviews", type=int, default=300)
    asked = parser.parse_args()
    with postgres() as url:
        keys, db = prepared(url), Database(url)
        with serving("handrail", url) as port:
            process = httpx.get(f"http://127.0.0.1:{port}/livez").json()["process"]
            load(port, "/api/v1/decisions", keys["submit"], 32, 3.0, "warm")
            start = taken(db, process)
            load(port, "/api/v1/decisions", keys["submit"], 32, asked.seconds, "cost")
            middle = taken(db, process)
            done = asyncio.run(reviewed(port, keys["review"], asked.reviews))
            end = taken(db, process)
        decisions = scalar(db, "SELECT count(*) FROM decision")
        share = scalar(db, "SELECT count(*) FROM review") / decisions
        report("decision submitted", middle["decisions"] - start["decisions"], start, middle)
        print(f"(with {share:.2f} reviews each)\n")
        report("review claimed and decided", done, middle, end)
        db.close()


async def reviewed(port: int, key: str, count: int) -> int:
    """How many reviews were claimed and decided."""
    client = Client(port, key)
    for done in range(count):
        status, review = await client.call("POST", "/api/v1/claims", {})
        if status != 201:
            return done
        body = {"token": review["lease"]["token"], "action": "approve"}
        await client.call("POST", f"/api/v1/reviews/{review['id']}/verdict", body)
    client.close()
    return count


def taken(db: Database, process: int) -> dict[str, float]:
    """Running totals: decisions, bytes of log, bytes of tables, CPU seconds."""
    found = {"decisions": scalar(db, "SELECT count(*) FROM decision")}
    found["log"] = scalar(db, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
    found |= {name: scalar(db, f"SELECT pg_total_relation_size('{name}')") for name in TABLES}
    found["app"] = cpu(process)
    backends = db_pids(db)
    found["postgres"] = sum(cpu(pid) for pid in backends)
    return {name: float(value) for name, value in found.items()}


def db_pids(db: Database) -> list[int]:
    """The processes of the server, where they are on this machine."""
    with db.read() as tx:
        rows = tx.rows(sa.text("SELECT pid FROM pg_stat_activity"))
    return [row.pid for row in rows if Path(f"/proc/{row.pid}").exists()]


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used (Linux: proc(5), fields 14 and 15)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scalar(db: Database, query: str) -> Any:
    with db.read() as tx:
        return tx.value(sa.text(query))


def report(what: str, count: float, before: dict[str, float], after: dict[str, float]) -> None:
    """Each cost of one of them."""
    spent = {name: (after[name] - before[name]) / max(count, 1) for name in before}
    print(f"{count:,.0f} x {what}")
    print(f"  CPU, serving process{spent['app'] * 1000:>8.2f} ms")
    print(f"  CPU, PostgreSQL     {spent['postgres'] * 1000:>8.2f} ms")
    print(f"  log (WAL)           {spent['log']:>8,.0f} bytes")
    print(f"  kept, with indexes  {sum(spent[name] for name in TABLES):>8,.0f} bytes")


if __name__ == "__main__":
    main()

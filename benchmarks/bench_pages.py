"""Promise: the pages that people open all day take as long with a million rows as with a thousand.

Over HTTP, signed in, first pages of the queue, the decisions, the flow and the metrics; page 100 of the decisions by
its cursor, and page 100 of the queue through the store. With 1,000 and 1,000,000 decisions that all wait, in turns.
Prints ratios, asserts nothing.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import httpx
import sqlalchemy as sa
from common import databases, in_turns, p99, ratio
from fill import fill, prepare

from app.actions import people, reading
from app.actions.sessions import hash_password
from app.domain.access import SYSTEM, Actor, Grant
from app.domain.errors import Conflict
from app.store.db import Database
from app.store.decisions import Filters
from app.store.tables import decision
from app.web.lists import cursor

EMAIL, PASSWORD = "pages@example.org", "a long enough password"
PAGES = ("/queue", "/queue?queue=refunds", "/decisions", "/decisions?tier=human_decides", "/flow", "/metrics")
DEEP = 100


def main() -> None:
    """Fill two databases on each engine, serve both, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--engines", choices=("sqlite", "postgres", "both"), default="both")
    asked = parser.parse_args()
    with databases(("few", "many"), asked.engines) as found:
        for engine, urls in found.items():
            for name, count in (("few", asked.few), ("many", asked.many)):
                db = Database(urls[name])
                prepare(db)
                fill(db, count)
                db.close()
            measure(engine, urls, asked.rounds)


def measure(engine: str, urls: dict[str, str], rounds: int) -> None:
    """The table of one engine."""
    with ExitStack() as stack:
        sizes = {size: stack.enter_context(signed_in(url)) for size, url in urls.items()}
        print(f"{engine:<38}{'p50 few':>10}{'p50 many':>10}{'ratio':>8}{'p99 many':>10}  ms")
        for page in PAGES:
            row(page, {size: getting(client, page) for size, (client, _) in sizes.items()}, rounds)
        deep = {size: f"/decisions?{urlencode({'cursor': deep_cursor(db)})}" for size, (_, db) in sizes.items()}
        row("/decisions, deep", {size: getting(sizes[size][0], path) for size, path in deep.items()}, rounds)
        row("the queue, deep", {size: queue_page(db) for size, (_, db) in sizes.items()}, rounds)
        print()


def row(title: str, targets: dict[str, Callable[[], object]], rounds: int) -> None:
    """One line of it."""
    found = in_turns(targets, rounds)
    few, many = (statistics.median(found[size]) for size in ("few", "many"))
    print(f"  {title:<36}{few:>10.1f}{many:>10.1f}{ratio(found, 'many', 'few'):>8.2f}{p99(found['many']):>10.1f}")


def getting(client: httpx.Client, path: str) -> Callable[[], object]:
    """A call that gets the page, or stops the benchmark."""
    return lambda: client.get(path).raise_for_status()


def deep_cursor(db: Database) -> str:
    """Where page 100 begins, or the last page when there are fewer."""
    reader = Actor("system", "system", "bench")
    place = "SELECT count(*) FROM (SELECT 1 FROM decision LIMIT 5000) AS listed"
    with db.read() as tx:
        skipped = min(50 * (DEEP - 1), int(tx.value(sa.text(place))) - 60)
        query = sa.text("SELECT id FROM decision ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET :n")
        last = tx.value(query, {"n": skipped})
        after = tx.value(sa.select(decision.c.created_at).where(decision.c.id == last))
    assert reading.decision_list(db, reader, Filters(), (after, last), 50).data
    return cursor((after, last))


def queue_page(db: Database) -> Callable[[], object]:
    """A call that reads the queue's page 100, or the last one, as the page does."""
    with db.read() as tx:
        person = tx.value(sa.text("SELECT id FROM person WHERE email = :email"), {"email": EMAIL})
    me = Actor("person", person, "Pages", person_id=person, grants=(Grant("reviewer"),))
    after, page = None, None
    for _ in range(DEEP - 1):
        page, _counts = reading.queue_list(db, me, None, after, 100)
        if page.next is None:
            break
        after = page.next
    return lambda: reading.queue_list(db, me, None, after, 100)


@contextmanager
def signed_in(url: str) -> Iterator[tuple[httpx.Client, Database]]:
    """A server on the database, and a browser in which a reviewer and auditor is signed in."""
    db = Database(url)
    with suppress(Conflict):  # the database was used before
        people.add(db, SYSTEM, EMAIL, "Pages", hash_password(PASSWORD), [Grant("reviewer"), Grant("policy_owner")])
    with serving(url) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        form = re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in").text)
        answer = client.post("/sign-in", data={"csrf": form[1] if form else "", "email": EMAIL, "password": PASSWORD})
        if answer.status_code >= 400:
            raise SystemExit(f"could not sign in: {answer.status_code} {answer.text[:300]}")
        yield client, db
    db.close()


@contextmanager
def serving(url: str) -> Iterator[int]:
    """One server process; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {"HANDRAIL_DATABASE_URL": url, "HANDRAIL_SECRET_KEY": "b" * 40, "HANDRAIL_LOG_LEVEL": "warning"}
    own["HANDRAIL_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "servers:handrail",
        "--app-dir",
        str(Path(__file__).parent),
    ]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    with subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield port
        finally:
            process.terminate()


if __name__ == "__main__":
    main()

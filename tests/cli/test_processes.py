"""`serve --workers 2` for real, on PostgreSQL: two processes answer, add up, are replaced, and leave gently."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.store.db import Database
from tests.factories import House, furnish, submission

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60  # seconds; only a broken program uses them up
COUNT = re.compile(r"^handrail_decisions_total\{.*\} ([0-9.]+)$", re.MULTILINE)
SUBMITTERS = 8


class Served:
    """A supervisor with its processes, and connections to each of them."""

    def __init__(self, url: str, house: House) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.base = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.house = house
        settings = {"HANDRAIL_DATABASE_URL": url, "HANDRAIL_SECRET_KEY": "s" * 40, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "app", "serve", "--workers", "2", "--port", self.base.rpartition(":")[2]]
        self.process = subprocess.Popen(command, env={**os.environ, **settings}, cwd=ROOT)
        self._stack = ExitStack()

    def connections(self, count: int = 2, but: frozenset[int] = frozenset()) -> dict[int, httpx.Client]:
        """A kept-alive connection to each of `count` processes, by process id."""
        found: dict[int, httpx.Client] = {}
        limit = time.monotonic() + PATIENCE
        while len(found) < count:
            assert time.monotonic() < limit, "the processes did not all answer"
            client = self._stack.enter_context(httpx.Client(base_url=self.base, timeout=PATIENCE))
            try:
                pid = client.get("/livez").json()["process"]
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if pid not in but:
                found.setdefault(pid, client)
        return found

    def submit(self, client: httpx.Client, name: str) -> Any:
        return client.post(
            "/api/v1/decisions", json=submission(external_id=name), headers=self.house.headers("service")
        )

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.end()
        self._stack.close()


@pytest.fixture
def served(fresh_postgres_url: str) -> Iterator[Served]:
    db = Database(fresh_postgres_url)
    one = Served(fresh_postgres_url, furnish(db))
    db.close()
    yield one
    one.close()


def counted(client: httpx.Client) -> int:
    return int(sum(float(n) for n in COUNT.findall(client.get("/metrics").text)))


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def until(true: Callable[[], bool]) -> bool:
    limit = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < limit:
        time.sleep(0.05)
    return true()


def test_processes_add_up_and_one_that_is_killed_is_replaced_without_losing_its_counts(served: Served) -> None:
    two = served.connections()
    answers = [served.submit(client, f"{pid}-{n}") for pid, client in two.items() for n in range(50)]
    assert {201} == {one.status_code for one in answers}
    assert [100, 100] == [counted(client) for client in two.values()]
    killed, left = two
    os.kill(killed, signal.SIGKILL)
    after = served.connections(but=frozenset({killed}))
    assert left in after
    assert [100, 100] == [counted(client) for client in after.values()]
    (new,) = set(after) - {left}
    assert 201 == served.submit(after[new], "one more").status_code
    assert [101, 101] == [counted(client) for client in after.values()]
    served.end()
    assert until(lambda: all(is_gone(pid) for pid in after))


def test_the_worker_is_embedded_once(served: Served, fresh_postgres_url: str) -> None:
    served.connections()
    db = Database(fresh_postgres_url)

    def beats() -> int:
        with db.read() as tx:
            return int(tx.connection.exec_driver_sql("SELECT count(*) FROM heartbeat").scalar_one())

    assert until(lambda: beats() > 0)
    served.end()  # each worker has beaten by then: it does so in its first round
    assert 1 == beats()
    db.close()


def test_no_request_in_flight_is_dropped_when_all_are_told_to_end(served: Served) -> None:
    served.connections()
    broken: list[str] = []
    answered: list[int] = []
    ready = threading.Barrier(SUBMITTERS + 1)

    def drive(number: int) -> None:
        with httpx.Client(base_url=served.base, timeout=PATIENCE) as client:
            served.submit(client, f"first-{number}")
            ready.wait(PATIENCE)
            for turn in range(100_000):
                try:
                    answered.append(served.submit(client, f"{number}-{turn}").status_code)
                except httpx.ConnectError:
                    return  # nothing listens any more
                except httpx.TransportError as error:
                    broken.append(repr(error))
                    return

    threads = [threading.Thread(target=drive, args=(number,)) for number in range(SUBMITTERS)]
    for one in threads:
        one.start()
    ready.wait(PATIENCE)
    assert until(lambda: len(answered) > 50)
    started = time.monotonic()
    served.end()
    assert time.monotonic() - started < 10
    for one in threads:
        one.join(PATIENCE)
    assert ([], {201}) == (broken, set(answered))


def test_who_waits_for_a_verdict_is_answered_when_all_are_told_to_end(served: Served) -> None:
    (client, _) = served.connections().values()
    waiting = served.submit(client, "waiting").json()
    found: list[httpx.Response] = []

    def wait() -> None:
        path = f"/api/v1/decisions/{waiting['id']}?wait=30"
        found.append(client.get(path, headers=served.house.headers("service")))

    thread = threading.Thread(target=wait)
    thread.start()
    with httpx.Client(base_url=served.base, timeout=PATIENCE) as other:
        served.submit(other, "after it")  # the waiting request is on its way by now
    started = time.monotonic()
    served.end()
    thread.join(PATIENCE)
    assert time.monotonic() - started < 10
    assert [(200, "pending")] == [(one.status_code, one.json()["status"]) for one in found]


def test_processes_whose_supervisor_is_killed_end_by_themselves(served: Served) -> None:
    pids = set(served.connections())
    served.process.kill()
    served.process.wait(PATIENCE)
    assert until(lambda: all(is_gone(pid) for pid in pids))

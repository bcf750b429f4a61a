"""Owns the processes that serve: a server that leaves gently, and the supervisor of several that share one listener.

Must not know a route. The supervisor only starts, watches, replaces and ends its children; see ADR 0009 for metrics.
"""

import asyncio
import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from multiprocessing.process import BaseProcess
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from app.domain.errors import HandrailError
from app.settings import Settings

GRACE = 10  # seconds that requests in flight get at shutdown
FAREWELL = 1.0  # seconds in which busy connections end by themselves, before the idle ones are closed
HUNG = 60  # seconds without a turn of the event loop after which a process is replaced
LOOK = 0.2  # seconds between looks at the children
YOUNG = 2.0  # a child that dies younger than this is replaced only after a pause
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it when it is imported

log = logging.getLogger(__name__)
spawn = multiprocessing.get_context("spawn")
Made = Callable[[bool], FastAPI]


class Server(uvicorn.Server):
    """One process. At the end it frees who waits, and says `Connection: close` while it still answers.

    Without that, a kept-alive connection may be closed just as its next request is on the way.
    """

    def __init__(self, app: FastAPI, *, alive: Callable[[], None] = lambda: None) -> None:
        super().__init__(
            uvicorn.Config(
                app, access_log=False, log_config=None, timeout_graceful_shutdown=GRACE,
                callback_notify=_told(alive), timeout_notify=0, **forwarding(app.state.settings),
            )
        )  # fmt: skip
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await self._app.state.watch.stop()
        for one in self._last_connections(sockets or []):
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, one)
        limit = time.monotonic() + FAREWELL
        while self.server_state.connections and time.monotonic() < limit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def _last_connections(self, listeners: list[socket.socket]) -> list[socket.socket]:
        """Close the listeners, and return who had connected by then: the kernel would reset them."""
        spares, found = [one.dup() for one in listeners], []
        for server in self.servers:
            server.close()
        for spare in spares:
            spare.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append(spare.accept()[0])
            spare.close()
        return found

    def _protocol(self) -> asyncio.Protocol:
        make = cast(Any, self.config.http_protocol_class)
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def forwarding(settings: Settings) -> dict[str, Any]:
    """Whose X-Forwarded-For uvicorn believes: the trusted proxies', and by default nobody's."""
    trusted = [str(network) for network in settings.trusted_proxies]
    return {"proxy_headers": bool(trusted), "forwarded_allow_ips": trusted}


def _told(alive: Callable[[], None]) -> Callable[..., Awaitable[None]]:
    async def notify() -> None:
        alive()

    return notify


class Supervisor:
    """Runs `count` processes until SIGTERM or SIGINT; one that dies or hangs is replaced in its place.

    Only the process in place 0 may embed the worker, so that it runs once. Children whose supervisor is gone drain
    and end by themselves.
    """

    def __init__(self, make: Made, listener: socket.socket, count: int) -> None:
        self._make = make
        self._listener = listener
        self._children = [_Child(self, place) for place in range(count)]
        self._stop = threading.Event()

    def run(self) -> None:
        """Serve until told to stop. Raises HandrailError when no process can start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        with tempfile.TemporaryDirectory(prefix="handrail-metrics-") as folder:
            os.environ[METRICS_FOLDER] = folder
            for child in self._children:
                child.start()
            try:
                self._watch()
            finally:
                self._end()
                del os.environ[METRICS_FOLDER]

    def start(self, place: int, seen: ctypes.c_double) -> BaseProcess:
        """A new process for the place."""
        given = (self._make, self._listener, place == 0, seen)
        process = spawn.Process(target=_serve, args=given, name=f"serve-{place}")
        process.start()
        return process

    def _watch(self) -> None:
        while not self._stop.wait(LOOK):
            for child in self._children:
                child.look()

    def _end(self) -> None:
        self._listener.close()
        for child in self._children:
            child.terminate()
        limit = time.monotonic() + GRACE + 10
        for child in self._children:
            child.join(limit - time.monotonic())


class _Child:
    """One place in the supervisor: the process that holds it, and when its event loop was last seen to turn."""

    def __init__(self, supervisor: Supervisor, place: int) -> None:
        self._supervisor = supervisor
        self._place = place
        self._seen: ctypes.c_double = spawn.Value("d", 0.0, lock=False)
        self._started = 0.0
        self._was_up = False

    def start(self) -> None:
        self._started, self._seen.value = time.monotonic(), 0.0
        self._process = self._supervisor.start(self._place, self._seen)

    def look(self) -> None:
        """Replace the process when it is gone or hangs."""
        now = time.monotonic()
        self._was_up = self._was_up or self._seen.value > 0
        if self._process.is_alive():
            if now - max(self._seen.value, self._started) > HUNG:
                log.error("process %s hangs; it is replaced", self._process.pid)
                self._process.kill()
            return
        if not self._was_up:
            raise HandrailError("A serving process could not start; its log says why.")
        if now - self._started > YOUNG:
            log.warning("process %s ended (%s); it is replaced", self._process.pid, self._process.exitcode)
            self.start()

    def terminate(self) -> None:
        self._process.terminate()

    def join(self, seconds: float) -> None:
        self._process.join(max(seconds, 0))
        if self._process.is_alive():
            log.error("process %s did not end in time; it is killed", self._process.pid)
            self._process.kill()
            self._process.join()


def _serve(make: Made, listener: socket.socket, first: bool, seen: ctypes.c_double) -> None:
    threading.Thread(target=_end_with_the_supervisor, name="supervisor", daemon=True).start()

    def alive() -> None:
        seen.value = time.monotonic()

    Server(make(first), alive=alive).run(sockets=[listener])


def _end_with_the_supervisor() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

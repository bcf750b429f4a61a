"""Owns the servers and workers under test: start, kill, pause, end, start again. Must not know what is asked."""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import uvicorn

from app.main import create_app
from tests.conftest import settings_for

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


class Process:
    """One `python -m app ...` against a database, its log in a file."""

    def __init__(self, url: str, log: Path, *command: str, **env: str) -> None:
        self.log = log
        self._command: Sequence[str] = (sys.executable, "-m", "app", *command)
        self._env: Mapping[str, str] = _environment(url, env)
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        return self

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self._running is not None, "not started"
        return self._running

    @property
    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """`kill -9`: no goodbye."""
        if self.alive:
            self._process.kill()
            self._process.wait()

    def end(self, within: float = 30) -> float:
        """SIGTERM; the seconds until it was gone. Raises TimeoutExpired when it stays."""
        started = time.monotonic()
        if self.alive:
            self._process.terminate()
            self._process.wait(within)
        return time.monotonic() - started

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class App(Process):
    """One serving process on a port of loopback."""

    def __init__(self, url: str, folder: Path, *options: str, **env: str) -> None:
        self.port = free_port()
        log = folder / f"app-{self.port}.log"
        super().__init__(url, log, "serve", "--port", str(self.port), "--no-worker", *options, **env)

    def start(self, *, wait: bool = True) -> Self:
        super().start()
        if wait:
            self.await_answer()
        return self

    def await_answer(self, within: float = START_SECONDS) -> float:
        """The seconds until it answers. Raises AssertionError when it does not."""
        started = time.monotonic()
        while time.monotonic() - started < within:
            assert self.alive, f"the server ended: {self.said()[-2000:]}"
            if self.ask("/livez") == 200:
                return time.monotonic() - started
            time.sleep(0.02)
        raise AssertionError(f"no answer within {within} s: {self.said()[-2000:]}")

    def ask(self, path: str, within: float = 5) -> int:
        """The status of a GET; 0 when nobody answers."""
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within)
        try:
            asked.request("GET", path)
            with asked.getresponse() as answer:
                return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            asked.close()


class Here:
    """A server in this process: quick to start, and a fault can be put into it."""

    def __init__(self, url: str) -> None:
        self.port = free_port()
        app = create_app(settings_for(url))
        self._server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_config=None, access_log=False))
        self._thread = threading.Thread(target=self._server.run)

    def start(self) -> Self:
        self._thread.start()
        started = time.monotonic()
        while not self._server.started:
            assert time.monotonic() - started < START_SECONDS, "the server does not start"
            time.sleep(0.01)
        return self

    def kill(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def worker(url: str, folder: Path, **env: str) -> Process:
    """The background work, alone."""
    return Process(url, folder / f"worker-{random.getrandbits(32)}.log", "worker", **env)


def free_port() -> int:
    """A port below the range that outgoing connections take theirs from, so that a restart finds it free."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def pause(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def resume(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def _environment(url: str, more: Mapping[str, str]) -> dict[str, str]:
    base = {name: value for name, value in os.environ.items() if not name.startswith("HANDRAIL_")}
    ours = {"HANDRAIL_DATABASE_URL": url, "HANDRAIL_SECRET_KEY": "s" * 40, "HANDRAIL_LOG_FORMAT": "json"}
    path = os.pathsep.join(filter(None, (more.get("PYTHONPATH"), str(ROOT), base.get("PYTHONPATH"))))
    return base | ours | more | {"PYTHONPATH": path}

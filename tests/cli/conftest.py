"""Owns a command line in a folder of its own, and a server that really listens."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from structlog.testing import capture_logs

from app.cli import run
from app.main import create_app
from app.store.db import Database
from tests.conftest import settings_for
from tests.factories import House

Handrail = Callable[..., tuple[int, str, str]]
ROWS = """id,verdict,score,amount_cents,note,truth
a,approve,0.95,4900,"says ""hello"", twice",x
b,approve,0.7,12900,007,x
c,deny,,999999999999999999999,1e400,x
"""
MAPS = ("--map", "outcome=verdict", "--map", "confidence=score", "--map", "external_id=id", "--drop", "truth")


@pytest.fixture
def handrail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Handrail:
    """Runs a command line in a folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDRAIL_SECRET_KEY", "s" * 40)

    def command(*args: Any) -> tuple[int, str, str]:
        code = run([str(one) for one in args])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def here(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both databases in turn, named by the environment."""
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", database_url)
    return database_url


@pytest.fixture
def server(db: Database, database_url: str) -> Iterator[str]:
    """The address of a server that really listens, on both databases in turn."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(settings_for(database_url), database=db), log_config=None)
    one = uvicorn.Server(config)
    thread = threading.Thread(target=one.run, kwargs={"sockets": [listener]})
    with capture_logs():
        thread.start()  # the socket listens already, so that nobody has to wait
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        one.should_exit = True
        thread.join()
    listener.close()


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def submitted(handrail: Handrail, server: str, house: House, file: Path, *more: str) -> tuple[int, dict[str, int], str]:
    args = ("--type", "refund", "--url", server, "--key", house.keys["service"])
    code, out, err = handrail("submit", file, *args, *more)
    return code, {line.split()[0]: int(line.split()[1]) for line in out.splitlines()}, err

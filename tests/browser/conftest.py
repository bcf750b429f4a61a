"""Owns a real server on a free port and Chromium before it; what the console complains of fails the test."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from app.store.db import Database
from app.store.schema import migrate
from tests.web.house import House

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
REPORT = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip(f"no Chromium here (looked for {', '.join(NAMES)}); install one to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGS))
        yield browser
        browser.close()


class Site:
    """A served house and the windows that look at it. `complaints` is what their consoles said."""

    def __init__(self, house: House, url: str, chromium: Browser) -> None:
        self.house = house
        self.url = url
        self.complaints: list[str] = []
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []

    def window(self, **options: Any) -> Page:
        context = self._chromium.new_context(base_url=self.url, **options)
        context.add_init_script(REPORT)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: self._hear(page, said.type, said.text))
        page.on("pageerror", lambda error: self._hear(page, "error", str(error)))
        return page

    def _hear(self, page: Page, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{page.url}: {text}")

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def serve(house: House) -> tuple[str, uvicorn.Server, threading.Thread]:
    # Listening before the server runs lets early connections wait for it, so nothing has to be polled.
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(house.app, log_level="warning", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", server, thread


@contextmanager
def visited(db: Database, chromium: Browser) -> Iterator[Site]:
    """A served house; fails when a console complained."""
    house = House(db)
    url, server, thread = serve(house)
    site = Site(house, url, chromium)
    yield site
    site.close()
    server.should_exit = True
    thread.join()
    assert [] == site.complaints


@pytest.fixture
def site(db: Database, chromium: Browser) -> Iterator[Site]:
    with visited(db, chromium) as site:
        yield site


@pytest.fixture
def embedded_site(tmp_path: Path, chromium: Browser) -> Iterator[Site]:
    """For what does not depend on the database."""
    db = Database(f"sqlite:///{tmp_path}/handrail.db")
    migrate(db)
    with visited(db, chromium) as site:
        yield site
    db.close()

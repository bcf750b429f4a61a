"""Owns a small TCP proxy that breaks what passes through it: delay, cut, half-open, a reply that is dropped."""

import socket
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import sqlalchemy as sa

Address = tuple[str, int] | str  # host and port, or the path of a Unix socket
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST
CHUNK = 65_536


class Proxy:
    """Listens on a port of loopback. Set `delay` (seconds for each direction) and `reply_limit` (bytes) at any time."""

    def __init__(self, upstream: Address) -> None:
        self.delay = 0.0
        self.reply_limit: int | None = None
        self._upstream = upstream
        self._frozen = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[_Link] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Reset every connection, both ways; how many there were."""
        with self._lock:
            links, self._open = self._open, set()
        for link in links:
            link.reset()
        return len(links)

    def freeze(self) -> None:
        """Half-open: whatever is connected, now or while frozen, stays so and never hears anything again."""
        self._frozen = True
        with self._lock:
            for link in self._open:
                link.dead = True

    def thaw(self) -> None:
        """New connections get through again; those of before stay silent."""
        self._frozen = False

    def url(self, of: sa.URL) -> str:
        """The database URL that leads through here."""
        here = of.set(drivername="postgresql", host="127.0.0.1", port=self.port, query={"sslmode": "disable"})
        return here.render_as_string(hide_password=False)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            link = _Link(self, client, dead=self._frozen)
            with self._lock:
                self._open.add(link)
            link.start(self._upstream)

    def forget(self, link: "_Link") -> None:
        with self._lock:
            self._open.discard(link)


class _Link:
    """One client's connection and ours to the server behind, pumped by two threads."""

    def __init__(self, proxy: Proxy, client: socket.socket, *, dead: bool) -> None:
        self.dead = dead
        self._proxy = proxy
        self._client = client
        self._server: socket.socket | None = None

    def start(self, upstream: Address) -> None:
        if self.dead:
            return
        try:
            self._server = _connected(upstream)
        except OSError:
            self.reset()
            return
        threading.Thread(target=self._pump, args=(self._client, self._server, False), daemon=True).start()
        threading.Thread(target=self._pump, args=(self._server, self._client, True), daemon=True).start()

    def reset(self) -> None:
        for end in (self._client, self._server):
            if end is None:
                continue
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)  # wakes the pump that waits on it
            end.close()
        self._proxy.forget(self)

    def _pump(self, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(CHUNK):
                time.sleep(self._proxy.delay)
                limit = self._proxy.reply_limit if is_reply else None
                if not self.dead:
                    sink.sendall(data if limit is None else data[: max(0, limit - passed)])
                passed += len(data)
                if limit is not None and passed >= limit:
                    break
        if not self.dead:
            self.reset()


def upstream(url: sa.URL) -> Address:
    """Where a PostgreSQL URL leads."""
    folder = url.query.get("host")
    return f"{folder}/.s.PGSQL.{url.port or 5432}" if folder else (str(url.host), url.port or 5432)


def _connected(upstream: Address) -> socket.socket:
    if isinstance(upstream, tuple):
        return socket.create_connection(upstream)
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(Path(upstream)))
    return made

"""Owns tiles: how the hashes of a tree are cut, named and joined (C2SP tlog-tiles). Must not fetch or store one."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.merkle import HASH, Node, folded, root

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
ENTRIES: Final = -1  # the level of entry bundles
MAX_ENTRY: Final = 0xFFFF  # bytes
PLACE: Final = re.compile(r"(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """Which tile: its level (ENTRIES for a bundle), its index there, its width in hashes, 256 when it is full."""

    level: int
    n: int
    width: int = WIDTH

    def path(self) -> str:
        """As clients ask for it: `0/x001/x234/067`, `entries/273.p/112`."""
        groups = f"{self.n:,}".split(",")
        groups[0] = groups[0].zfill(3)
        name = "/".join([*(f"x{one}" for one in groups[:-1]), groups[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"{level}/{name}" + ("" if self.width == WIDTH else f".p/{self.width}")


def parse(path: str) -> Place | None:
    """The place that a path names; None unless it is written in the one right way."""
    found = PLACE.fullmatch(path)
    if found is None:
        return None
    level, name, width = found.groups()
    n = int(name.replace("/", "").replace("x", ""))
    place = Place(ENTRIES if level == "entries" else int(level), n, int(width or WIDTH))
    return place if place.path() == path and place.width <= WIDTH else None


@dataclass(frozen=True, slots=True)
class Tile:
    """A full tile: 8,192 bytes."""

    level: int
    n: int
    hashes: bytes


class Edge:
    """The right-hand edge of a growing tree: the hashes of its partial tiles, of which there may be one a level."""

    def __init__(self, size: int = 0, stored: bytes = b"") -> None:
        self.size = size
        self._rows: list[list[bytes]] = []
        start = 0
        while size:
            end = start + size % WIDTH * HASH
            self._rows.append(cut(stored[start:end]))
            start, size = end, size // WIDTH
        if len(stored) != start:
            raise ValueError("The edge does not fit the size of the tree.")

    def stored(self) -> bytes:
        """What the edge is made from again: the partial tiles, level 0 first."""
        return b"".join(b"".join(row) for row in self._rows)

    def grow(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Put leaf hashes on the right; returns the tiles that are full now."""
        full: list[Tile] = []
        fresh, level = list(leaves), 0
        while fresh:
            if level == len(self._rows):
                self._rows.append([])
            row = self._rows[level]
            row += fresh
            first = self.size // WIDTH ** (level + 1)
            parts = [row[start : start + WIDTH] for start in range(0, len(row) - WIDTH + 1, WIDTH)]
            full += [Tile(level, first + i, b"".join(part)) for i, part in enumerate(parts)]
            del row[: len(parts) * WIDTH]
            fresh, level = [root(part) for part in parts], level + 1
        self.size += len(leaves)
        return full

    def root(self) -> bytes:
        """The root over all leaves."""
        return folded([peak for row in reversed(self._rows) for peak in _peaks(row)])

    def tile(self, level: int) -> bytes:
        """The partial tile of a level; empty when there is none."""
        return b"".join(self._rows[level]) if level < len(self._rows) else b""


def _peaks(row: Sequence[bytes]) -> Iterator[bytes]:
    start = 0
    while start < len(row):
        width = 1 << (len(row) - start).bit_length() - 1
        yield root(row[start : start + width])
        start += width


def cut(hashes: bytes) -> list[bytes]:
    return [hashes[start : start + HASH] for start in range(0, len(hashes), HASH)]


def node_of(fetch: Callable[[int, int], bytes]) -> Node:
    """The nodes of a tree by its tiles: `fetch(level, n)` gives a full tile, or a partial one that is wide enough.

    A node raises LookupError when its tile is too narrow.
    """

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        n, start = divmod(index << height, WIDTH)
        hashes = cut(fetch(tile_level, n)[start * HASH : (start + (1 << height)) * HASH])
        if len(hashes) != 1 << height:
            raise LookupError(f"Tile {Place(tile_level, n).path()} is not there, or too narrow.")
        return root(hashes)

    return node


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries as one bundle: each behind its length, a big-endian uint16. Raises ValueError for one that is longer."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise ValueError("An entry is longer than the 65,535 bytes that a bundle can say.")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)

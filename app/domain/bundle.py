"""Owns the form of a bundle: its zip, byte for byte as the verifier wants it, and proofs that share what they can."""

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from app.domain.merkle import Node, inclusion, node_hash
from app.verifier.verify import MEMBERS, Member, ending

STORED, DEFLATED = 0, 8
FORMAT: Final = "handrail-bundle/1"
REMEMBERED: Final = 100_000  # nodes, some 20 MB


@dataclass(frozen=True, slots=True)
class File:
    """What the manifest says of a member."""

    bytes: int
    sha256: str
    packed_sha256: str


class Zip:
    """Writes members one after the other, in constant memory. Whoever iterates to the end of each sends them on."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.files: dict[str, File] = {}
        self._place = 0

    def deflated(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The bytes of the zip for a member that comes in chunks."""
        pack, plain, packed, crc, size, length = zlib.compressobj(6, zlib.DEFLATED, -15), sha256(), sha256(), 0, 0, 0
        yield Member(name, DEFLATED, 0, 0, 0, self._place).header()
        for chunk in chunks:
            plain.update(chunk)
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
            if out := pack.compress(chunk):
                packed.update(out)
                length += len(out)
                yield out
        out = pack.flush()
        packed.update(out)
        member = Member(name, DEFLATED, crc, length + len(out), size, self._place)
        self.files[name] = File(size, plain.hexdigest(), packed.hexdigest())
        yield out + self._added(member)

    def stored(self, name: str, content: bytes) -> bytes:
        """The bytes of the zip for a member that is not compressed: those that no manifest can list."""
        member = Member(name, STORED, zlib.crc32(content), len(content), len(content), self._place)
        return member.header() + content + self._added(member)

    def ended(self) -> bytes:
        """The directory and what follows it."""
        entries = b"".join(one.entry() for one in self.members)
        return entries + ending(len(self.members), len(entries), self._place)

    def _added(self, member: Member) -> bytes:
        if len(self.members) == MEMBERS:
            raise ValueError("A bundle has no room for more members.")
        self.members.append(member)
        trailer = member.trailer()
        self._place += len(member.header()) + member.packed + len(trailer)
        return trailer


class Proofs:
    """Proofs of leaves of one tree, one after the other: each ends at the first node that the one before has shown."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._nodes = [-1] * (max(size - 1, 0).bit_length()) + [0]

    def next(self, node: Node, index: int) -> list[bytes]:
        """What the leaf's audit path has below the path of the leaf before. Raises ValueError outside the tree."""
        level, place, steps, last = 0, index, 0, self._size - 1
        while self._nodes[level] not in (place, place ^ 1):
            self._nodes[level] = place
            steps += place & 1 or place < last
            level, place, last = level + 1, place >> 1, last >> 1
        self._nodes[level] = place
        return inclusion(node, index, self._size, steps)


class Nodes:
    """The nodes of a tree that only grows, each hashed once while it is remembered, from `at` every eighth level."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], bytes] = {}
        self.at: Node = _nowhere

    def __call__(self, level: int, index: int) -> bytes:
        found = self._known.get((level, index))
        if found is None:
            if level % 8:
                found = node_hash(self(level - 1, 2 * index), self(level - 1, 2 * index + 1))
            else:
                found = self.at(level, index)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[level, index] = found
        return found


def _nowhere(level: int, index: int) -> bytes:
    raise LookupError(f"There is no node {index} at level {level}.")


def event_line(index: int, body: bytes, proof: Iterable[bytes]) -> bytes:
    """The body is there as it is stored: the bytes between `"body":` and the last brace are those of the leaf."""
    hashes = ",".join([f'"{one.hex()}"' for one in proof])
    return b'{"index":%d,"proof":[%b],"body":%b}\n' % (index, hashes.encode(), body)


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

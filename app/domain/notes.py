"""Owns the texts that are signed: notes, checkpoints, cosignatures, proofs (C2SP signed-note and tlog-*). Holds no key.

Signing and verifying are done by callables that are given: Ed25519 (RFC 8032) comes from outside.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from app.domain.errors import Malformed
from app.domain.merkle import HASH

ED25519: Final = 1
COSIGNATURE: Final = 4
DASH: Final = "\N{EM DASH} "
MAX_SIGNATURES: Final = 100
MAX_SIZE: Final = 2**63 - 1
CHECKPOINT: Final = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([^\n]+)\n(?:[^\n]+\n)*")
PROOF: Final = "c2sp.org/tlog-proof@v1"
Check = Callable[[bytes, bytes, bytes], bool]  # public key, message, signature


@dataclass(frozen=True, slots=True)
class Key:
    """A public Ed25519 key under a name; `algorithm` is ED25519 (notes) or COSIGNATURE (witnesses)."""

    name: str
    algorithm: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that signatures say; an identifier, no proof of anything."""
        return _key_id(self.name, self.algorithm, self.public)

    @property
    def vkey(self) -> str:
        """`<name>+<id in hex>+<base64 of algorithm and key>`: what verifiers are given."""
        return f"{self.name}+{self.id.hex()}+{_base64(bytes([self.algorithm]) + self.public)}"


@lru_cache(maxsize=64)
def _key_id(name: str, algorithm: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def key_of(vkey: str) -> Key:
    """The key of a verifier key's text. Raises Malformed."""
    name, _, rest = vkey.partition("+")
    said, _, encoded = rest.partition("+")
    raw = _bytes(encoded)
    if raw is None or len(raw) != 1 + HASH or raw[0] not in (ED25519, COSIGNATURE) or not is_name(name):
        raise Malformed("A verifier key is written NAME+ID+KEY, with an Ed25519 key in base64.")
    key = Key(name, raw[0], raw[1:])
    if said != key.id.hex():
        raise Malformed("A verifier key's name, id and key do not belong together.")
    return key


def seed_of(skey: str) -> tuple[str, str, bytes]:
    """Name, id in hex and 32-byte seed out of `PRIVATE+KEY+<name>+<id>+<base64>`. Raises Malformed."""
    parts = skey.removesuffix("\n").split("+", 4)
    raw = _bytes(parts[4]) if len(parts) == 5 else None
    if parts[:2] != ["PRIVATE", "KEY"] or raw is None or len(raw) != 1 + HASH or raw[0] != ED25519:
        raise Malformed("A signing key is one line: PRIVATE+KEY+ORIGIN+ID+KEY, as `handrail key create-signing` makes.")
    return parts[2], parts[3], raw[1:]


def skey(key: Key, seed: bytes) -> str:
    """The line of a file that holds a signing key."""
    return f"PRIVATE+KEY+{key.name}+{key.id.hex()}+{_base64(bytes([key.algorithm]) + seed)}\n"


def is_name(name: str) -> bool:
    """Whether a key, or the origin of a log, may be called so."""
    return bool(name) and not re.search(r"[\s+]", name) and name.isprintable()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that can sign; `sign` turns a message into 64 bytes."""

    key: Key
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Signer:
    """What a log signs with: its origin, and its keys, of which there are two while one takes over from the other."""

    origin: str
    keys: tuple[SigningKey, ...] = ()

    def note(self, text: str) -> str:
        """The text with a signature of each key below it. The text ends in a newline."""
        return joined(text, (Signature(one.key.name, one.key.id + one.sign(text.encode())) for one in self.keys))

    def promise(self, said: str) -> str | None:
        """A signed note of lines that no checkpoint can be mistaken for: `<origin>/promise` stands before them."""
        return self.note(f"{self.origin}/promise\n{said}") if self.keys else None

    @property
    def vkeys(self) -> tuple[str, ...]:
        return tuple(one.key.vkey for one in self.keys)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Whose cosignatures are taken, and how they are verified."""

    keys: tuple[Key, ...]
    check: Check


@dataclass(frozen=True, slots=True)
class Signature:
    """One line below a note: whose, and the bytes (4 of the key's id, then the signature)."""

    name: str
    blob: bytes

    @property
    def line(self) -> str:
        return f"{DASH}{self.name} {_base64(self.blob)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and the signatures that were below it."""

    text: str
    signatures: tuple[Signature, ...]


def joined(text: str, signatures: Iterable[Signature]) -> str:
    """The note as it travels."""
    return text + "\n" + "".join(one.line for one in signatures)


def parse_note(note: str) -> Note:
    """The parts of a note. Raises Malformed unless it is written exactly as C2SP signed-note says."""
    text, blank, below = note.rpartition("\n\n")
    if not text or not below.endswith("\n") or any(ord(one) < 32 and one != "\n" for one in note):
        raise Malformed("A signed note is a text, an empty line, and signature lines.")
    lines = below.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(f"A signed note has at most {MAX_SIGNATURES} signatures here.")
    return Note(text + blank[:1], tuple(map(parse_signature, lines)))


def parse_signature(line: str) -> Signature:
    """One signature line, without its newline. Raises Malformed."""
    name, _, encoded = line.removeprefix(DASH).partition(" ")
    blob = _bytes(encoded)
    if not line.startswith(DASH) or not is_name(name) or blob is None or len(blob) < 5:
        raise Malformed("A signature line is an em dash, a name, and base64, with one space between.")
    return Signature(name, blob)


def signers(note: Note, keys: Iterable[Key], check: Check) -> list[Key]:
    """The keys, of those given, that signed the note. Lines of others are passed over.

    Raises Malformed when a known key's signature does not verify, or none of them signed.
    """
    found = [key for key in keys for one in note.signatures if _signed_by(note.text, one, key, check)]
    if not found:
        raise Malformed("No known key has signed this note.")
    return found


def _signed_by(text: str, signature: Signature, key: Key, check: Check) -> bool:
    if (signature.name, signature.blob[:4]) != (key.name, key.id):
        return False
    message, raw = text.encode(), signature.blob[4:]
    if key.algorithm == COSIGNATURE:
        message, raw = cosigned(text, int.from_bytes(raw[:8], "big")), raw[8:]
    if len(raw) != 64 or not check(key.public, message, raw):
        raise Malformed(f"The signature of {key.name} does not verify.")
    return True


def cosigned(text: str, at: int) -> bytes:
    """What a witness signs of a checkpoint's text at a POSIX time (C2SP tlog-cosignature, cosignature/v1)."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The size and the root (32 bytes) of the log of an origin (C2SP tlog-checkpoint)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text is; extension lines are passed over. Raises Malformed."""
    found = CHECKPOINT.fullmatch(text)
    root = _bytes(found[3]) if found else None
    if found is None or root is None or len(root) != HASH or int(found[2]) > MAX_SIZE:
        raise Malformed("A checkpoint is three lines: origin, size, and a root hash of 32 bytes in base64.")
    return Checkpoint(found[1], int(found[2]), root)


def proof(index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """The proof that the leaf at `index` is under a signed checkpoint (C2SP tlog-proof), for a `.tlog-proof` file."""
    hashes = "".join(f"{_base64(one)}\n" for one in path)
    return f"{PROOF}\nindex {index}\n{hashes}\n{checkpoint}"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(encoded: str) -> bytes | None:
    """What the base64 text says; None unless it is the one way to write that."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if _base64(raw) == encoded else None

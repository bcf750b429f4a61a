#!/usr/bin/env python3
"""Checks a Handrail audit bundle: offline, one file, nothing but Python's own library. Read it before you trust it.

    python verify.py BUNDLE.zip [--key VKEY ...] [--since OLD_CHECKPOINT] [--event EVENT_ID]

It ends with 0 when the bundle is sound, 1 with what is wrong and where, 2 when it was called wrongly. In this order:
signatures (RFC 8032), the zip, the tree (RFC 9162), what may happen to a decision, what is said of it, the whole.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import json
import re
import struct
import sys
import zlib
from hashlib import sha256, sha512
from typing import Any, BinaryIO, Iterator, NamedTuple, Tuple  # noqa: UP035

SMALL, LINE, MEMBERS, GROUP = 1 << 24, 1 << 24, 20_000, 50_000  # the most bytes, members and events of one decision
ENOUGH = 20  # faults, then it stops


class Wrong(Exception):
    """Something is not as it must be; the text says what and where."""


MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, struct.error)


def must(ok: Any, why: str) -> None:
    if not ok:
        raise Wrong(why)


# --- Signatures: Ed25519 (RFC 8032, 5.1) and signed notes (C2SP signed-note) ---

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = Tuple[int, int, int, int]  # noqa: UP006
# x, y, z and t = xy/z: the point is (x/z, y/z)


def point(raw: bytes) -> Point | None:
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def plus(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n: int, p: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while n:
        if n & 1:
            found = plus(found, p)
        n, p = n >> 1, plus(p, p)
    return found


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 64 bytes are the Ed25519 signature of the message under the 32 bytes of the public key."""
    key, base = point(public), point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    s = int.from_bytes(signature[32:], "little")
    if key is None or base is None or len(signature) != 64 or s >= ORDER:
        return False
    h = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % ORDER
    x, y, z, _ = plus(times(s, base), times(ORDER - h, key))  # s*B - h*A must be R
    one = pow(z, P - 2, P)
    return bool((y * one % P | (x * one % P & 1) << 255).to_bytes(32, "little") == signature[:32])


class Key(NamedTuple):
    name: str
    id: bytes
    public: bytes


def key_of(vkey: str) -> Key:
    """`<name>+<8 hex digits>+<base64 of 1 and the key>`, as `handrail key create-signing` prints it."""
    name, _, rest = vkey.partition("+")
    digits, _, text = rest.partition("+")
    raw = unbase64(text)
    key = Key(name, sha256(name.encode() + b"\n" + raw).digest()[:4], raw[1:])
    must(len(raw) == 33 and raw[:1] == b"\1" and key.id.hex() == digits, f"{vkey!r} is no verifier key (a vkey).")
    return key


def unbase64(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not the one way to write it in base64")
    return raw


def opened(note: bytes, keys: list[Key], what: str) -> list[str]:
    """The lines of a signed note's text, once one of the keys has signed it and none of their signatures is wrong."""
    text, _, below = note.decode().rpartition("\n\n")
    must(text and below.endswith("\n") and "\r" not in text, f"{what}: it is no signed note.")
    found = False
    for line in below[:-1].split("\n"):
        dash, name, blob = line.split(" ")
        raw = unbase64(blob)
        must(dash == "\u2014", f"{what}: a line of signatures does not begin with a dash.")
        for key in keys:
            if (name, raw[:4]) == (key.name, key.id):
                found = True
                must(signed(key.public, (text + "\n").encode(), raw[4:]), f"{what}: the signature of {name} is wrong.")
    must(found, f"{what}: none of the keys has signed it ({', '.join(key.name for key in keys) or 'there is no key'}).")
    return text.split("\n")


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes


def checkpoint_of(note: bytes, keys: list[Key], what: str) -> Checkpoint:
    lines = opened(note, keys, what) if keys else note.decode().rpartition("\n\n")[0].split("\n")
    must(re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]), f"{what}: the second line is no size of a tree.")
    return Checkpoint(lines[0], int(lines[1]), unbase64(lines[2]))


# --- The zip: only the one form that Handrail writes, so that every byte of it has its meaning ---

MANY = 0xFFFFFFFF


class Member(NamedTuple):
    name: str
    method: int  # 8: deflated; 0: as it is
    crc: int
    packed: int  # bytes in the zip
    size: int  # bytes when unpacked
    start: int  # where its header begins

    def header(self) -> bytes:
        known = (self.crc, self.size, self.packed) if self.method == 0 else (0, 0, 0)
        flags, name = (0x0800 if self.method == 0 else 0x0808), self.name.encode()
        head = (b"PK\3\4", 45, flags, self.method, 0, 33, known[0], MANY, MANY, len(name), 20)
        return struct.pack("<4s5H3L2H", *head) + name + struct.pack("<2H2Q", 1, 16, known[1], known[2])

    def trailer(self) -> bytes:
        return struct.pack("<4sL2Q", b"PK\7\10", self.crc, self.packed, self.size) if self.method else b""

    def entry(self) -> bytes:
        flags, name = (0x0800 if self.method == 0 else 0x0808), self.name.encode()
        head = (b"PK\1\2", 45, 45, flags, self.method, 0, 33, self.crc, MANY, MANY, len(name), 28, 0, 0, 0, 0, MANY)
        extra = struct.pack("<2H3Q", 1, 24, self.size, self.packed, self.start)
        return struct.pack("<4s6H3L5H2L", *head) + name + extra


def ending(count: int, size: int, start: int) -> bytes:
    """The last 98 bytes, after a directory of `count` entries and `size` bytes that begins at `start`."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    return record + struct.pack(
        "<4sLQL4s4H2LH", b"PK\6\7", 0, start + size, 1, b"PK\5\6", 0, 0, *[0xFFFF] * 2, MANY, MANY, 0
    )


class Zip:
    """The members of a bundle. `hashes` has, of each that was read to its end, the SHA-256 unpacked and packed."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.hashes = file, {}  # type: ignore[var-annotated]
        total = file.seek(0, 2)
        must(total >= 98, "This is no bundle: the file is too short for a zip.")
        count, size, start = struct.unpack("<3Q", self.at(total - 66, 24))
        must(self.at(total - 22, 22) == ending(0, 0, 0)[-22:], "The zip has no end: it was cut or lengthened.")
        must(count <= MEMBERS and size <= SMALL, "The zip says that it has more members than any bundle.")
        must(start + size + 98 == total and self.at(total - 98, 98) == ending(count, size, start),
             "The end of the zip is not as Handrail writes it: it was cut off, lengthened, or changed.")  # fmt: skip
        self.members = {one.name: one for one in self.directory(self.at(start, size), count)}
        must(len(self.members) == count, "A name is in the zip twice.")
        place = 0
        for one in self.members.values():
            header = one.header()
            must(one.start == place and self.at(place, len(header)) == header,
                 f"{one.name}: its header in the zip is not what Handrail writes (byte {place}).")  # fmt: skip
            place += len(header) + one.packed
            trailer = one.trailer()
            must(self.at(place, len(trailer)) == trailer, f"{one.name}: what follows it in the zip is changed.")
            place += len(trailer)
        must(place == start, "There is something in the zip that belongs to no member.")

    def at(self, place: int, count: int) -> bytes:
        self.file.seek(place)
        return self.file.read(count)

    def directory(self, raw: bytes, count: int) -> Iterator[Member]:
        place = 0
        for number in range(1, count + 1):
            entry = raw[place : place + 74 + int.from_bytes(raw[place + 28 : place + 30], "little")]
            must(len(entry) >= 74 and entry[46:-28].isascii(), f"Entry {number} of the zip's directory cannot be read.")
            size, packed, start = struct.unpack("<3Q", entry[-24:])
            method, crc = struct.unpack_from("<H4xL", entry, 10)
            one = Member(entry[46:-28].decode(), method, crc, packed, size, start)
            must(entry == one.entry() and one.method in (0, 8), f"Entry {number} of the zip's directory is changed.")
            yield one
            place += len(entry)
        must(place == len(raw), "There is something after the last entry of the zip's directory.")

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a member, some at a time; what was declared of it is checked by its end."""
        one = self.members[name]
        place, end, size, crc, plain, packed = one.start + len(one.header()), 0, 0, 0, sha256(), sha256()
        end, inflate = place + one.packed, zlib.decompressobj(-15)
        while place < end or (one.method and not inflate.eof):
            raw = self.at(place, min(end - place, 1 << 16))
            must(raw, f"{name}: its compressed bytes end too early.")
            place += len(raw)
            packed.update(raw)
            while raw:
                try:
                    out = inflate.decompress(raw, 1 << 20) if one.method else raw
                except zlib.error:
                    raise Wrong(f"{name}: its compressed bytes are changed.") from None
                raw = inflate.unconsumed_tail if one.method else b""
                size, crc = size + len(out), zlib.crc32(out, crc)
                must(size <= one.size, f"{name}: it is larger than the zip says.")
                must(not inflate.unused_data, f"{name}: there is something after its compressed bytes.")
                plain.update(out)
                yield out
        must(size == one.size and crc == one.crc, f"{name}: its size or its CRC is not what the zip says.")
        self.hashes[name] = (plain.hexdigest(), packed.hexdigest())

    def read(self, name: str, limit: int = SMALL) -> bytes:
        must(name in self.members, f"{name} is missing.")
        must(self.members[name].size <= limit, f"{name}: it is larger than any that Handrail writes.")
        return b"".join(self.chunks(name))

    def lines(self, name: str) -> Iterator[bytes]:
        rest = b""
        for chunk in self.chunks(name):
            *whole, rest = (rest + chunk).split(b"\n")
            must(len(rest) <= LINE, f"{name}: a line is longer than {LINE:,} bytes.")
            yield from whole
        must(not rest, f"{name}: the last line does not end; the file was cut off.")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    must(len(found) == len(pairs), "an object has the same key twice")
    return found


def no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


decode = json.JSONDecoder(object_pairs_hook=unique, parse_constant=no_number).scan_once  # type: ignore[attr-defined]


def parsed(text: str, what: str) -> Any:
    """Strict JSON in bounded memory: most of a long text must be strings, not structure."""
    if len(text) > 1 << 16:
        outside = text.replace("\\\\", "").replace('\\"', "").split('"', 20_000)[::2]
        must(sum(map(len, outside)) < 1 << 17, f"{what} has more structure than Handrail writes")
    try:
        value, end = decode(text, 0)
    except (ValueError, RecursionError, StopIteration) as error:
        raise Wrong(f"{what} is no strict JSON ({str(error) or 'it is empty'})") from None
    must(end == len(text), f"{what} goes on after its JSON")
    return value


# --- The tree (RFC 9162, 2.1) ---


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


class Tree:
    """Proves leaves one after the other and keeps the last path alone. A proof ends where it meets that path."""

    def __init__(self, size: int, root: bytes) -> None:
        self.size, self.height = size, max(size - 1, 0).bit_length()
        self.last = [max(size - 1, 0) >> level for level in range(self.height + 1)]  # the last node of each level
        self.nodes = [1 << 80] * self.height + [0]  # which node the path has at each level, then its hash
        self.hashes: list[Any] = [None] * self.height + [root]
        self.sides: list[Any] = [None] * (self.height + 1)  # the hash of its sibling, if there is one

    def include(self, index: int, leaf: bytes, proof: list[str]) -> None:
        nodes, hashes, sides, last = self.nodes, self.hashes, self.sides, self.last
        must(type(index) is int and 0 <= index < self.size, "its index is not in the tree of the checkpoint")
        level, place, found, steps = 0, index, leaf, iter(proof)
        while (apart := place ^ nodes[level]) > 1:
            nodes[level], hashes[level], side = place, found, None
            if place & 1:
                side = bytes.fromhex(next(steps, ""))
                found = sha256(b"\1" + side + found).digest()
            elif place < last[level]:
                side = bytes.fromhex(next(steps, ""))
                found = sha256(b"\1" + found + side).digest()
            sides[level] = side
            place, level = place >> 1, level + 1
        if apart:
            nodes[level], hashes[level], sides[level] = place, sides[level], hashes[level]
        must(found == hashes[level], "its bytes are not under the checkpoint: they, or the proof, were changed")
        must(next(steps, None) is None, "its proof is too long")

    def path(self) -> list[bytes]:
        return [side for side in self.sides if side is not None]


def consistent(old: Checkpoint, new: Checkpoint, proof: list[bytes]) -> bool:
    """Whether the newer tree begins with the older one: RFC 9162, 2.1.4.2."""
    if old.size in (0, new.size):
        return not proof and (old.size == 0 or old.root == new.root)
    steps = list(proof) if old.size & (old.size - 1) else [old.root, *proof]
    place, last = old.size - 1, new.size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = steps.pop(0) if steps else b""
    for step in steps:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node(step, before), node(step, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node(after, step)
        place, last = place >> 1, last >> 1
    return last == 0 and (before, after) == (old.root, new.root)


# --- What may happen to a review and to a decision, in the order of their versions ---


class Review:
    """A review as its events tell it."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.asked, self.id, self.kind = asked, asked["id"], asked["kind"]
        self.state, self.level, self.last = "open", 0, ""
        self.holder: Any = None
        self.token, self.over = 0, False
        self.claimed = self.until = self.outcome = self.ended = None
        self.rulings, self.back, self.passed, self.said, self.judged = [], [], [], {}, {}  # type: ignore[var-annotated]

    def step(self, e: Any) -> None:  # noqa: C901
        """Let one event happen, or say why it cannot have happened."""
        kind, data, before, after, person = e["type"][7:], e["data"], e["before"], e["after"], e["actor"]["person"]
        holding = {"holder": self.holder, "token": self.token}
        must(self.state == "open", f"the review was {self.state} already")
        must(self.last != "escalate" or kind == "escalated", "its reviewer passed it on, so it went to the leads next")
        if kind in ("renewed", "snoozed", "judged", "verdict_given", "abstained"):
            must(person is not None and person == self.holder, "this person did not hold the review")
            must(data.get("token", self.token) == self.token, f"the lease had token {self.token}")
        if kind == "claimed":
            must(before == holding, "what it says was before was not so")
            must(after["token"] == self.token + 1 and after["holder"] == person, "a new lease has the next token")
            must(self.holder in (None, person) or self.over, "somebody else still held the review")
            self.holder, self.token, self.until, self.claimed = person, self.token + 1, after["until"], e["time"]
        elif kind == "renewed":
            self.until = data["until"]
        elif kind == "lease_expired":
            must((data["holder"], data["token"], data["ended"]) == (self.holder, self.token, self.until),
                 "there was no such lease")  # fmt: skip
        elif kind in ("released", "snoozed"):
            must(self.holder and (kind == "snoozed" or before == holding), "what it says was before was not so")
            self.holder, self.token = None, self.token + 1
            self.back.append(e["id"])
        elif kind == "undone":
            must(data["event"] in self.back, "it takes back what did not happen")
        elif kind == "judged":
            must(person not in self.judged, "this person had judged already")
            self.judged[person] = e
        elif kind in ("verdict_given", "abstained"):
            self.say(e, data["action"], after["outcome"])
        elif kind == "escalated":
            must(before == {"level": self.level} and after == {"level": 1}, "what it says was before was not so")
            must(data["why"] != "split" or len(set(self.rulings)) > 1, "the reviewers had not disagreed")
            must((data["why"] == "reviewer") == (self.last == "escalate"), "no reviewer had passed it on")
            self.holder, self.level = None, 1
            self.passed.append({"at": e["time"], "why": data["why"]})
        elif kind in ("settled", "expired", "cancelled"):
            self.state, self.outcome, self.ended, self.holder = kind, after.get("outcome"), e["time"], None
            must(after["state"] == kind, "the state that it tells is another")
            if kind == "settled":
                must(self.rulings and self.outcome == self.rulings[-1], "no reviewer had just ruled so")
                must(self.level or len(set(self.rulings)) == 1, "the reviewers did not agree")
        else:
            must(kind == "overdue", "there is no such step")
        self.over = kind == "lease_expired" or (self.over and kind == "overdue")
        self.last = data["action"] if kind == "verdict_given" else kind

    def say(self, e: Any, action: str, outcome: Any) -> None:
        spoke = {one["actor"]["person"] for one, *_ in self.said.values()}
        must(self.holder not in spoke, "this person had spoken already")
        must((action == "abstain") == (e["type"] == "review.abstained"), "the action is not that of the event")
        must(action in ("approve", "override", "decide", "escalate", "abstain"), "there is no such action")
        must((outcome is None) == (action in ("escalate", "abstain")), "a ruling has an outcome, and nothing else has")
        judged = self.judged.get(self.holder, {"time": None})["time"]
        shown = {"proposal_shown_at": judged if self.asked["blind"] else self.claimed} if "blind" in self.asked else {}
        self.said[e["data"]["verdict"]] = (e, self.claimed, shown)
        self.rulings += [outcome] if outcome is not None else []
        self.holder = None


class Decision:
    """A decision as its events tell it; the first of them submitted it."""

    def __init__(self, e: Any) -> None:
        must(e["type"] == "decision.submitted", "a decision begins by being submitted")
        after, asked = e["after"], e["data"]["review"]
        self.first, self.status, self.outcome, self.by = e, after["status"], after["outcome"], None
        self.final_at: Any = None
        self.overturned: Any = None
        self.erased: Any = None
        self.gone: set[str] = set()  # commitments whose texts and salts were erased
        self.reviews = {asked["id"]: Review(dict(asked, created_at=e["time"]))} if asked else {}
        alone = after["tier"] == "autonomous"
        must(self.status == ("final" if alone else "pending"), "only an autonomous decision is final at once")
        must((self.outcome is None) != alone, "only an autonomous decision has its outcome at once")
        must(
            not asked or asked["kind"] == ("sample" if alone else "gate"), "its review is not of the kind for its tier"
        )
        if alone:
            self.by, self.final_at = "policy", e["time"]

    def step(self, e: Any) -> None:
        kind, data, before, after = e["type"][9:], e["data"], e["before"], e["after"]
        if kind in ("finalised", "cancelled"):
            must(
                self.status == "pending" and before == {"status": "pending"}, f"the decision was {self.status} already"
            )
            self.status, self.final_at = after["status"], e["time"]
            must(self.status == ("final" if kind == "finalised" else kind), "the state that it tells is another")
        if kind == "finalised":
            self.outcome, self.by = after["outcome"], after["decided_by"]
            review = self.reviews[data["review"]]
            must(review.state == {"reviewer": "settled", "timeout": "expired"}[self.by] and review.kind == "gate",
                 "its review had not ended so")  # fmt: skip
            must(review.outcome == self.outcome, "its review ended with another outcome")
        elif kind == "overturned":
            review, found = self.reviews[data["review"]], after["overturned_outcome"]
            must(
                self.by == "policy" and before == {"outcome": self.outcome} != {"outcome": found},
                "it overturns nothing",
            )
            must((review.kind, review.state, review.outcome) == ("sample", "settled", found), "no review found this")
            self.overturned = {"outcome": found, "at": e["time"]}
        elif kind == "erased":
            self.gone.update(data["commitments"].values())
            self.erased = {"at": e["time"], "by": e["actor"]["id"], "event": e["id"], "under": data["under"]}
        else:
            must(kind in ("cancelled", "held", "hold_released"), "there is no such step")

    def end(self) -> None:
        for one in self.reviews.values():
            must(
                one.state != "cancelled" or self.status == "cancelled", f"{one.id} was cancelled, the decision was not"
            )
            open_gate = one.kind == "gate" and (self.status == "pending") != (one.state == "open")
            must(not open_gate, f"{one.id} is {one.state}, but the decision is {self.status}")
            must(one.last != "escalate", f"{one.id}: its reviewer passed it on, but it did not go to the leads")


def replayed(group: list[tuple[int, Any]], id: str) -> Decision:
    """Let everything happen again. Raises Wrong with the first step that is missing or impossible."""
    steps: dict[str, list[tuple[int, int, Any]]] = {id: []}
    for number, e in group:
        if e["object"]["version"] is not None:
            steps.setdefault(e["object"]["id"], []).append((e["object"]["version"], number, e))
    for name, one in steps.items():
        one.sort()
        for expected, (version, number, _) in enumerate(one, 1):
            must(version == expected, f"version {expected} of {name} is missing, before line {number} of events.jsonl")
    must(steps[id], f"no event tells that {id} was submitted")
    first, *mine = steps.pop(id)
    found: Decision = at_step(Decision, first)
    for name, one in steps.items():
        must(name in found.reviews, f"line {one[0][1]} of events.jsonl tells of {name}, which is no review of {id}")
        for each in one:
            at_step(found.reviews[name].step, each)
    for each in mine:
        at_step(found.step, each)
    found.end()
    return found


def at_step(happen: Any, step: tuple[int, int, Any]) -> Any:
    version, number, e = step
    try:
        return happen(e)
    except (Wrong, *MALFORMED) as error:
        where = f"line {number} of events.jsonl: {e['id']} ({e['type']}, version {version} of {e['object']['id']})"
        raise Wrong(f"{where} cannot have happened: {said(error)}") from None


def said(error: Exception) -> str:
    return str(error) if isinstance(error, Wrong) else f"it is not written as Handrail writes it ({error!r:.100})"


# --- What the record says of each decision ---


def agree(line: Any, expected: dict[str, Any], what: str = "") -> None:
    if expected.items() <= line.items():
        return
    for name, value in expected.items():
        if line[name] != value:
            raise Wrong(f"{what}{name} is {json.dumps(line[name]):.80}, but the events say {json.dumps(value):.80}")


def kept(committed: Any, e: Any, gone: set[str], what: str = "") -> None:
    """Every text that an event commits to is there and is that text, or an event tells of its erasure."""
    names = e["commitments"] if e["v"] > 1 else e["data"].get("digests", {})
    for label, name in names.items():
        if label not in committed:
            must(name in gone, f"{what}its {label} is missing, and no event tells that it was erased")
            continue
        text, salt = committed[label]["text"].encode(), committed[label]["salt"]
        if e["v"] > 1:
            found = hmac.digest(bytes.fromhex(salt), label.encode() + text, "sha256").hex()
        else:
            found = "sha256:" + sha256(text).hexdigest()
        must(found == name, f"{what}its {label} is not what the event committed to (text or salt was changed)")
    for label in committed:
        must(label in names or e["v"] == 1, f"{what}its {label} is nothing that the event committed to")


def compare(line: Any, found: Decision) -> None:
    e, data, after = found.first, found.first["data"], found.first["after"]
    agree(line, {
        "decision_type": e["decision_type"], "created_at": e["time"], "policy": e["policy"], "stakes": after["stakes"],
        "tier": after["tier"], "sampled": after["sampled"], "type_digest": data["type_digest"],
        "inclusion_probability": data["inclusion_probability"],
    })  # fmt: skip
    must([one["code"] for one in line["reasons"]] == data["reasons"], "its reasons are not those that the event says")
    must(data.get("proposed", line["proposal_outcome"]) == line["proposal_outcome"], "it proposed another outcome")
    kept(line["committed"], e, found.gone)
    if "proposal" in line["committed"]:
        proposal = parsed(line["committed"]["proposal"]["text"], "its proposal")
        must(proposal["outcome"] == line["proposal_outcome"], "proposal_outcome is not what the proposal says")
    if e["v"] == 1:
        return
    agree(line, {
        "status": found.status, "outcome": found.outcome, "decided_by": found.by, "final_at": found.final_at,
        "overturned": found.overturned, "erased": found.erased, "service": data["service"], "model": data["model"],
        "confidence": data["confidence"],
    })  # fmt: skip
    must([one["id"] for one in line["reviews"]] == list(found.reviews), "its reviews are not those of the events")
    for one in line["reviews"]:
        compare_review(one, found.reviews[one["id"]], found.gone)


def compare_review(line: Any, found: Review, gone: set[str]) -> None:
    ended = {"state": found.state, "outcome": found.outcome, "settled_at": found.ended, "level": found.level}
    agree(line, found.asked | ended | {"escalated": found.passed}, f"{found.id}: ")
    must(
        found.state != "settled" or found.level or len(found.rulings) >= line["required"], f"{found.id}: too few ruled"
    )
    for one in line["judgements"]:
        e: Any = found.judged.get(one["person"])
        must(e, f"{found.id}: no event tells of the judgement of {one['person']}")
        expected = {"outcome": e["data"]["outcome"], "reason_code": e["data"]["reason_code"], "at": e["time"]}
        agree(one, expected, f"{found.id}: the judgement's ")
        kept(one["committed"], e, gone, f"{found.id}: of the judgement ")
    for one in line["verdicts"]:
        must(one["id"] in found.said, f"{found.id}: no event tells of the verdict {one['id']}")
        e, claimed, shown = found.said[one["id"]]
        expected = {"person": e["actor"]["person"], "key": e["actor"]["key"], "at": e["time"], "claimed_at": claimed,
                    "outcome": e["after"]["outcome"], **shown}  # fmt: skip
        agree(one, expected | {name: e["data"][name] for name in ("action", "reason_code")}, f"{one['id']}: ")
        kept(one["committed"], e, gone, f"{one['id']}: ")
    counts = (len({one["id"] for one in line["verdicts"]}), len({one["person"] for one in line["judgements"]}))
    must(counts == (len(found.said), len(found.judged)), f"{found.id}: what events tell of is missing")


# --- The whole ---

COLUMNS = (
    "id", "decision_type", "service", "external_id", "model_name", "model_version", "proposal_outcome", "confidence",
    "stakes", "tier", "reasons", "policy_version", "policy_digest", "sampled", "inclusion_probability", "status",
    "outcome", "decided_by", "overturned_outcome", "overturned_at", "created_at", "final_at", "erased_at", "verdicts",
    "outcomes", "people", "reason_codes", "claimed", "decided", "judgements", "rationales", "input",
)  # fmt: skip
VERDICTS = {"verdicts": "action", "outcomes": "outcome", "people": "person", "reason_codes": "reason_code",
            "claimed": "claimed_at", "decided": "at"}  # fmt: skip


def csv_line(line: Any) -> str:
    """The row of decisions.csv for a line of decisions.jsonl: the same, flat, every cell in quotes."""
    return '"' + flat(line)[1:].replace('"', '""').replace("\0", '","') + '"\r\n'


def cells(line: Any) -> list[str]:
    return flat(line)[1:].split("\0")


def flat(line: Any) -> str:
    """The cells, each after a NUL. No cell can start a formula."""
    said = [one for review in line["reviews"] for one in review["verdicts"]]
    judged = [one for review in line["reviews"] for one in review["judgements"]]
    known = dict(line, judgements=" | ".join([one["outcome"] for one in judged]))
    known["reasons"] = " ".join([one["code"] for one in line["reasons"]])
    known["rationales"] = " | ".join([one["committed"].get("rationale", NONE)["text"] for one in said])
    known["input"] = line["committed"].get("input", NONE)["text"]
    for column, group, name in NESTED:
        known[column] = line[group] and line[group][name]
    for column, name in VERDICTS.items():
        known[column] = " | ".join([one[name] or "" for one in said])
    found = ["" if (value := known[name]) is None else str(value) for name in COLUMNS]
    text = "\0".join(["", *found])
    if text.count("\0") != len(found):
        text = "\0".join(["", *(one.replace("\0", "\ufffd") for one in found)])
    return FORMULA("\0'", text)


NONE = {"text": ""}
NESTED = [(one, *one.split("_")) for one in COLUMNS if one.startswith(("model_", "policy_", "overturned_", "erased_"))]
FORMULA = re.compile("\0(?=[\t\r\n]|\\s*[=+@\uff1d\uff0b\uff0d\uff20\ufeff\u200b-])").sub


class Stop(Wrong):
    """Something after which nothing more can be judged."""


class Named:
    """What events tell of policies, types and people."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}  # each file that events name, and its digest
        self.needed: set[str] = set()  # those that must be there, as a decision was made under them
        self.roles: dict[tuple[str, str, str], list[list[str]]] = {}

    def note(self, e: Any) -> None:
        kind, slug, policy, submitted = e["type"], e["decision_type"], e["policy"], e["type"] == "decision.submitted"
        if policy:
            self.name(f"policies/{slug}-v{policy['version']}.json", policy["digest"], submitted)
        if submitted or kind in ("decision_type.created", "decision_type.changed"):
            digest = e["data"]["type_digest"] if submitted else e["after"]["digest"]
            self.name(f"types/{slug}-{digest[7:]}.json", digest, submitted)
        elif kind in ("person.granted", "person.grant_revoked"):
            role = e["after"] or e["before"]
            held = self.roles.setdefault((e["object"]["id"], role["role"], role["decision_type"]), [])
            if kind == "person.granted":
                held.append([e["time"], ""])
            elif held:
                held[-1][1] = e["time"]

    def name(self, file: str, digest: str, needed: bool) -> None:
        must(self.files.setdefault(file, digest) == digest, f"another event gives {file} another digest")
        if needed:
            self.needed.add(file)

    def people(self) -> str:
        """people.csv: who held which role, and when."""
        held = sorted([*key, *times] for key, periods in self.roles.items() for times in periods)
        return "".join(",".join(row) + "\n" for row in [["person", "role", "decision_type", "from", "until"], *held])


class Audit:
    """One pass over a bundle: what is wrong with it, and how much there was."""

    def __init__(self, bundle: Zip, keys: list[Key]) -> None:
        self.zip, self.faults, names = bundle, [], list(bundle.members)  # type: ignore[var-annotated]
        self.manifest = m = parsed(bundle.read("manifest.json").decode(), "manifest.json")
        must(m["format"] == "handrail-bundle/1", "manifest.json: this is no bundle that this verifier knows.")
        count = len(m["files"])
        last = names[count:]
        must(names[:count] == list(m["files"]) and last in (["manifest.json"], ["manifest.json", "manifest.sig"]),
             "The members of the zip are not those that the manifest lists, in its order.")  # fmt: skip
        self.keys = keys or [key_of(one) for one in m["vkeys"]]
        if self.keys:
            lines = opened(bundle.read("manifest.sig"), self.keys, "manifest.sig")
            digest = base64.b64encode(bytes.fromhex(bundle.hashes["manifest.json"][0])).decode()
            must(lines == [m["origin"] + "/bundle", digest], "manifest.sig: it was given for another manifest.")
        self.head = head = checkpoint_of(bundle.read("checkpoint.txt"), self.keys, "checkpoint.txt")
        said = {"size": head.size, "root": head.root.hex()}
        must((head.origin, said) == (m["origin"], m["checkpoint"]),
             "checkpoint.txt: it is not the checkpoint of the manifest.")  # fmt: skip
        self.tree, self.named = Tree(head.size, head.root), Named()
        self.counts = dict.fromkeys(("decisions", "events", "reviews", "verdicts"), 0)
        self.wanted, self.proof, self.older = "", "", 0

    def fault(self, why: str) -> None:
        self.faults.append(why)
        if len(self.faults) == ENOUGH:
            raise Stop("There may be more; it stops here.")

    def events(self) -> Iterator[tuple[int, Any]]:
        """Line by line, each shown to be a leaf of the tree."""
        index, decision, include = -1, "", self.tree.include
        for number, line in enumerate(self.zip.lines("events.jsonl"), 1):
            try:
                head, _, rest = line.partition(b',"body":')
                row, body = parsed(head.decode() + "}", "what is before the event"), rest[:-1]
                must(len(row) == 2 and rest[-1:] == b"}", "it has more than an index, a proof and an event")
                include(row["index"], sha256(b"\0" + body).digest(), row["proof"])
                e = parsed(body.decode(), "the event")
                here = e["decision"] or ""
                must((here, row["index"]) > (decision, index), "it is out of order, or there twice")
                must(e["v"] == 2 or (e["v"] == 1 and "version" not in e["object"]), "its version is unknown")
                index, decision, self.counts["events"] = row["index"], here, number
                self.named.note(e)
            except (Wrong, *MALFORMED) as error:
                raise Stop(f"events.jsonl, line {number}: {said(error)}.") from None
            if e["id"] == self.wanted:
                hashes = "".join(base64.b64encode(one).decode() + "\n" for one in self.tree.path())
                self.proof = f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n"
            yield number, e

    def record(self) -> None:
        """The record beside the events, decision by decision."""
        events, table, before = self.events(), Table(self.zip.chunks("decisions.csv")), ""
        table.take((",".join(COLUMNS) + "\r\n").encode(), "the heading")
        ahead = next(events, None)
        while ahead and ahead[1]["decision"] is None:
            ahead = next(events, None)
        for number, raw in enumerate(self.zip.lines("decisions.jsonl"), 1):
            where, group = f"decisions.jsonl, line {number}", []
            try:
                line = parsed(raw.decode(), "the line")
                id = line["id"]
                must(id > before, "it is out of order, or there twice")
                before, where = id, f"{where} ({id:.60})"
                while ahead and ahead[1]["decision"] <= id:
                    if ahead[1]["v"] == 1 or ahead[1]["object"]["version"] is not None:  # a read is no step
                        group.append(ahead)
                    must(ahead[1]["decision"] == id, f"{ahead[1]['decision']} has events, but is not here before it")
                    must(len(group) < GROUP, "it has more events than any decision")
                    ahead = next(events, None)
                table.take(csv_line(line).encode(), f"the row of {id:.60}")
                self.decision(line, group)
            except Stop:
                raise
            except (Wrong, *MALFORMED) as error:
                self.fault(f"{where}: {said(error)}.")
            self.counts["decisions"] = number
        must(ahead is None, "decisions.jsonl: decisions are missing at its end, of which there are events.")
        must(table.over(), "decisions.csv: it has more rows than decisions.jsonl has lines.")

    def decision(self, line: Any, group: list[tuple[int, Any]]) -> None:
        self.counts["reviews"] += len(line["reviews"])
        self.counts["verdicts"] += sum(len(one["verdicts"]) for one in line["reviews"])
        older = [e for _, e in group if e["v"] == 1]
        if older:  # from before events were numbered: the bytes are proved, the steps are not replayed
            self.older += 1
            must(group[0][1]["v"] == 1, "it was submitted with numbered events, and has others besides")
            found = Decision(next(e for e in older if e["type"] == "decision.submitted"))
            for _, e in group:
                if e["type"] == "decision.erased":
                    found.step(e)
        else:
            found = replayed(group, line["id"])
        compare(line, found)

    def others(self) -> None:  # noqa: C901
        """Policies, types, people, counts, and every other file."""
        for name, known in self.manifest["files"].items():
            if name not in self.zip.hashes:
                for _ in self.zip.chunks(name):
                    pass
            size = self.zip.members[name].size
            if (size, *self.zip.hashes[name]) != (known["bytes"], known["sha256"], known["packed_sha256"]):
                self.fault(f"{name}: it is not the file that the manifest lists.")
            if (
                name.startswith(("policies/", "types/"))
                and self.named.files.get(name) != "sha256:" + self.zip.hashes[name][0]
            ):
                self.fault(f"{name}: it is not the text that the events name by its digest.")
        for name in self.named.needed - self.manifest["files"].keys():
            self.fault(f"{name} is missing, though a decision was made under it.")
        if self.zip.read("people.csv") != self.named.people().encode():
            self.fault("people.csv: who held which role, and when, is not what the events say.")
        policies = sum(name.startswith("policies/") for name in self.zip.members)
        counts = dict(self.counts, people=len({key[0] for key in self.named.roles}), policies=policies)
        for name, count in self.manifest["counts"].items():
            if counts[name] != count:
                self.fault(f"The manifest counts {count} {name}, but there are {counts[name]}.")
        if self.manifest["whole_log"] and counts["events"] != self.head.size:
            self.fault(f"It says that it is the whole log, but has {counts['events']} of {self.head.size} events.")

    def since(self, path: str) -> str:
        """Whether this log still begins with the one that an older checkpoint is of; in words when it does."""
        with open(path, "rb") as file:
            note = file.read(SMALL)
        old = checkpoint_of(note, self.keys, "The older checkpoint")
        must(old.origin == self.head.origin, f"The older checkpoint is of another log, {old.origin}.")
        must(old.size <= self.head.size, f"The log went back: it had {old.size} events and now has {self.head.size}.")
        known = parsed(self.zip.read("consistency.json").decode(), "consistency.json")
        proof = known.get(str(old.size), [] if old.size in (0, self.head.size) else None)
        must(proof is not None, f"The bundle has no proof from size {old.size}: ask for one that was made with "
             "`handrail export bundle --since OLD_CHECKPOINT`.")  # fmt: skip
        must(consistent(old, self.head, [bytes.fromhex(one) for one in proof]),
             f"The first {old.size} events are not those of the older checkpoint: the log was rewritten.")  # fmt: skip
        return f"The log still begins with the {old.size} events of the older checkpoint."


class Table:
    """decisions.csv as it comes: what it must say next is taken from its beginning."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.rest, self.place = chunks, b"", 0

    def take(self, expected: bytes, what: str) -> None:
        while len(self.rest) - self.place < len(expected):
            more = next(self.chunks, None)
            must(more is not None, f"decisions.csv ends before {what}")
            self.rest, self.place = self.rest[self.place :] + (more or b""), 0
        same = self.rest.startswith(expected, self.place)
        must(same, f"{what} in decisions.csv does not say what decisions.jsonl says")
        self.place += len(expected)

    def over(self) -> bool:
        return self.place == len(self.rest) and not any(self.chunks)


def examined(path: str, keys: list[Key], since: str | None, event: str | None) -> list[str]:
    """What was found, as sentences, when all is well. Raises Wrong with what is not, one line each."""
    faults: list[str] = []
    with open(path, "rb") as file:
        try:
            audit = Audit(Zip(file), keys)
            audit.wanted, faults = event or "", audit.faults
            told = [audit.since(since)] if since else []
            audit.record()
            audit.others()
            if not faults:
                return told + report(audit, bool(keys), event)
        except Wrong as error:
            faults.append(said(error))
        except MALFORMED as error:
            faults.append(f"The bundle is not written as Handrail writes it ({error!r:.200}).")
        except MemoryError:
            faults.append("The bundle needs more memory than there is.")
    raise Wrong("\n".join(one.encode("ascii", "backslashreplace").decode() for one in faults))


PART = """It is a part of the log. No decision in it has a gap. That no decision, and not the newest event of one, was
left out, only a bundle of the whole log can show."""


def report(audit: Audit, trusted: bool, event: str | None) -> list[str]:
    if event:
        must(audit.proof, f"{event} is not in the bundle.")
        return [audit.proof + audit.zip.read("checkpoint.txt").decode()]
    whole, n = audit.manifest["whole_log"], audit.counts
    told = [f"Sound: {n['decisions']} decisions, {n['events']} events, {n['verdicts']} verdicts, "
            f"under the checkpoint of {audit.head.origin} at size {audit.head.size}."]  # fmt: skip
    told.append("Nothing is missing: it is the whole log." if whole else PART)
    if "decisions.parquet" in audit.zip.members:
        told.append("decisions.parquet is as the manifest says; its content was not read.")
    if not audit.keys:
        told.append("NOT SIGNED: whoever made it had no key, so it only agrees with itself.")
    elif not trusted:
        told.append("It was checked with its own keys: it is whole, but that proves not whose it is. Give --key.")
    if audit.older:
        told.append(
            f"{audit.older} decisions are older than numbered events: their bytes are proved, their steps are not."
        )
    return told


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check a Handrail audit bundle, offline.")
    parser.add_argument("bundle")
    parser.add_argument("--key", action="append", default=[], help="a verifier key that you know to be the log's")
    parser.add_argument("--since", help="a file with a checkpoint that you kept")
    parser.add_argument("--event", help="print the proof of this event (tlog-proof) and nothing else")
    asked = parser.parse_args(arguments)
    if sys.version_info < (3, 9):  # noqa: UP036
        parser.error("it takes Python 3.9 or later")
    try:
        keys = [key_of(one) for one in asked.key]
    except (Wrong, *MALFORMED):
        parser.error("--key takes a verifier key, as `handrail key create-signing` prints it")
    try:
        print("\n".join(examined(asked.bundle, keys, asked.since, asked.event)))
    except (Wrong, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    sys.exit(main())

"""Owns the Merkle tree of RFC 6962 and RFC 9162: hashes, roots, proofs and their verification. Reads no leaf itself.

A tree is known by a `node(level, index)` that gives the hash of a complete subtree of 2**level leaves, the index-th of
its level from the left. All hashes are 32 bytes of SHA-256.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

Node = Callable[[int, int], bytes]
HASH = 32
EMPTY = sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry): RFC 9162, 2.1.1."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): RFC 9162, 2.1.1."""
    return sha256(b"\1" + left + right).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes, in one pass and O(log n) memory; SHA-256 of nothing for none."""
    peaks: list[bytes] = []
    for size, leaf in enumerate(leaves):
        while size & 1:
            leaf, size = node_hash(peaks.pop(), leaf), size >> 1
        peaks.append(leaf)
    return folded(peaks)


def folded(peaks: Sequence[bytes]) -> bytes:
    """The root over the roots of complete subtrees that shrink from left to right, as the binary digits of a size."""
    if not peaks:
        return EMPTY
    *others, found = peaks
    for left in reversed(others):
        found = node_hash(left, found)
    return found


def root_of(node: Node, size: int) -> bytes:
    """The root of the first `size` leaves."""
    return _span(node, 0, size)


def inclusion(node: Node, index: int, size: int, steps: int | None = None) -> list[bytes]:
    """The audit path of a leaf, from its sibling upwards: RFC 9162, 2.1.3.1; of it only the first `steps`, if given.

    Raises ValueError unless index < size.
    """
    if not 0 <= index < size:
        raise ValueError("The leaf is not in a tree of that size.")
    siblings, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return [_span(node, *one) for one in siblings[::-1][:steps]]


def consistency(node: Node, old: int, new: int) -> list[bytes]:
    """What shows that the first `old` leaves of `new` are still the same: RFC 9162, 2.1.4.1.

    Empty when the sizes are equal. Raises ValueError unless 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ValueError("The older tree is not within the newer one.")
    path, start, end = [], 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_span(node, middle, end))
            end = middle
        else:
            path.append(_span(node, start, middle))
            start = middle
    if start:
        path.append(_span(node, start, end))
    return path[::-1]


def _split(count: int) -> int:
    """The largest power of two that is less than `count`, which is 2 or more."""
    return 1 << (count - 1).bit_length() - 1


def _span(node: Node, start: int, end: int) -> bytes:
    """The hash over leaves [start, end), where `start` is a multiple of a power of two no less than their number."""
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(node(level, start >> level))
        start += 1 << level
    return folded(peaks)


def climb(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> Iterator[tuple[bool, bytes, bytes]]:
    """Each step of a path: whether the sibling is on the left, the sibling, and the node above the two."""
    inner, found = _inner(index, size), leaf
    for level, sibling in enumerate(path):
        left = level >= inner or bool(index >> level & 1)
        found = node_hash(sibling, found) if left else node_hash(found, sibling)
        yield left, sibling, found


def _inner(index: int, size: int) -> int:
    """At how many levels a leaf's path is within complete subtrees; above, every sibling is on the left."""
    return (index ^ (size - 1)).bit_length()


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path leads from the leaf hash to the root: RFC 9162, 2.1.3.2. Strict about every length."""
    if not (0 <= index < size and _hashes(leaf, *path)):
        return False
    inner = _inner(index, size)
    nodes = [leaf, *(node for _, _, node in climb(leaf, index, size, path))]
    return len(path) == inner + (index >> inner).bit_count() and nodes[-1] == root


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the newer tree begins with the older one: RFC 9162, 2.1.4.2. Of an empty one nothing can be said."""
    if not (0 < old <= new and _hashes(*path)):
        return False
    if old == new or not path:
        return old == new and not path and old_root == new_root
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    found_old = found_new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            found_old, found_new = node_hash(sibling, found_old), node_hash(sibling, found_new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found_new = node_hash(found_new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root


def _hashes(*values: bytes) -> bool:
    return all(len(value) == HASH for value in values)

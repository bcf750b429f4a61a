"""The Merkle tree: the published vectors, a second implementation, and no proof that is nearly right."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import merkle
from tests.domain import merkle_oracle as oracle

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors"
published = pytest.mark.skipif(not VECTORS.exists(), reason="published vectors not present")
SIZES = st.integers(1, 600)
HASHES = st.binary(min_size=32, max_size=32)


def entries(count: int) -> list[bytes]:
    return [number.to_bytes(2, "big") for number in range(count)]


def reader(given: Sequence[bytes]) -> merkle.Node:
    """The nodes of a tree that lies in memory."""
    levels = [[merkle.leaf_hash(one) for one in given]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([merkle.node_hash(*below[i : i + 2]) for i in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"merkle_{name}.json").read_text())


def unhexed(values: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


@published
def test_every_published_inclusion_is_judged_as_published() -> None:
    cases = vectors("inclusion")["vectors"]
    for one in cases:
        leaf, root = unhexed([one["leafHash"], one["root"]])
        found = merkle.verify_inclusion(leaf, one["leafIdx"], one["treeSize"], unhexed(one["proof"] or []), root)
        assert (not one["wantErr"]) == found, one["source"]
    assert 98 == len(cases)


@published
def test_every_published_consistency_is_judged_as_published() -> None:
    cases = vectors("consistency")["vectors"]
    for one in cases:
        roots = unhexed([one["root1"], one["root2"]])
        found = merkle.verify_consistency(one["size1"], one["size2"], unhexed(one["proof"] or []), *roots)
        assert (not one["wantErr"]) == found, one["source"]
    assert 98 == len(cases)


@published
def test_published_hashes_roots_and_proofs_are_ours() -> None:
    tree = vectors("tree")
    leaves = unhexed(tree["leaves_hex"])
    for size, root in enumerate(tree["root_by_size"]):
        assert root == merkle.root(map(merkle.leaf_hash, leaves[:size])).hex()
        assert root == merkle.root_of(reader(leaves), size).hex()
    for one in tree["inclusion"]:
        assert unhexed(one["path"]) == merkle.inclusion(reader(leaves), one["index"], one["size"])
    for one in tree["consistency"]:
        assert unhexed(one["proof"]) == merkle.consistency(reader(leaves), one["size1"], one["size2"])
    assert (36, 36) == (len(tree["inclusion"]), len(tree["consistency"]))
    for one in tree["hasher"]:
        if "data_hex" in one:
            assert one["hash"] == merkle.leaf_hash(bytes.fromhex(one["data_hex"])).hex()
        if "left_hex" in one:
            assert one["hash"] == merkle.node_hash(*unhexed([one["left_hex"], one["right_hex"]])).hex()


@published
def test_all_proofs_of_all_trees_up_to_65_add_up_to_the_published_digests() -> None:
    node = reader([bytes([number]) for number in range(65)])
    wanted = {one["what"]: one["sha256"] for one in vectors("tree")["accumulated"]}
    found = {
        "inclusion": _digest((m, n, merkle.inclusion(node, m, n)) for n in range(1, 66) for m in range(n)),
        "consistency": _digest((m, n, merkle.consistency(node, m, n)) for n in range(1, 66) for m in range(1, n + 1)),
    }
    for name, digest in found.items():
        assert [digest] == [value for what, value in wanted.items() if what.startswith(f"OURS: {name}")]


def _digest(proofs: Iterator[tuple[int, int, list[bytes]]]) -> str:
    lines = (f"{m} {n}" + "".join(f" {one.hex()}" for one in path) + "\n" for m, n, path in proofs)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@given(SIZES, st.data())
def test_a_second_implementation_makes_the_same_proofs_and_ours_verify(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    given_, node = entries(size), reader(entries(size))
    root, old_root = oracle.mth(given_), oracle.mth(given_[:old])
    path, steps = oracle.path(index, given_), oracle.proof(old, given_)
    assert root == merkle.root_of(node, size)
    assert root == merkle.root(map(merkle.leaf_hash, given_))
    assert path == merkle.inclusion(node, index, size)
    assert steps == merkle.consistency(node, old, size)
    assert merkle.verify_inclusion(merkle.leaf_hash(given_[index]), index, size, path, root)
    assert merkle.verify_consistency(old, size, steps, old_root, root)


@given(st.integers(2, 200), st.data())
def test_no_other_leaf_place_size_root_or_path_is_included(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    given_ = entries(size)
    leaf, path, root = merkle.leaf_hash(given_[index]), oracle.path(index, given_), oracle.mth(given_)
    other = data.draw(st.integers(0, size - 1).filter(lambda place: place != index))
    assert not merkle.verify_inclusion(leaf, other, size, path, root)
    assert not merkle.verify_inclusion(leaf, -1, size, path, root)
    assert not merkle.verify_inclusion(leaf, size, size, path, root)
    for changed in _changed(data, path):
        assert not merkle.verify_inclusion(leaf, index, size, changed, root)
    for flipped in (_flipped(data, leaf), leaf[:-1], b""):
        assert not merkle.verify_inclusion(flipped, index, size, path, root)
    assert not merkle.verify_inclusion(leaf, index, size, path, _flipped(data, root))


@given(st.integers(2, 200), st.data())
def test_no_other_roots_sizes_or_steps_are_consistent(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    given_ = entries(size)
    steps, old_root, root = oracle.proof(old, given_), oracle.mth(given_[:old]), oracle.mth(given_)
    for changed in _changed(data, steps):
        assert not merkle.verify_consistency(old, size, changed, old_root, root)
    assert not merkle.verify_consistency(old, size, steps, _flipped(data, old_root), root)
    assert not merkle.verify_consistency(old, size, steps, old_root, _flipped(data, root))
    assert not merkle.verify_consistency(size, old, steps, root, old_root)
    assert not merkle.verify_consistency(0, size, steps, merkle.EMPTY, root)
    forked = oracle.mth([*given_[: old - 1], b"forked", *given_[old:]])
    assert not merkle.verify_consistency(old, size, steps, old_root, forked)


def _changed(data: st.DataObject, path: Sequence[bytes]) -> Iterator[list[bytes]]:
    """A path with a bit flipped, a hash cut, one too many, one too few, two of them exchanged."""
    at = data.draw(st.integers(0, len(path) - 1))
    yield [*path[:at], _flipped(data, path[at]), *path[at + 1 :]]
    yield [*path[:at], path[at][:-1], *path[at + 1 :]]
    yield [*path[:at], data.draw(HASHES), *path[at:]]
    yield [*path[:at], *path[at + 1 :]]
    if len(path) > 1:
        yield [*path[1:], path[0]]


def _flipped(data: st.DataObject, value: bytes) -> bytes:
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")


def test_a_tree_begins_with_itself_and_of_the_empty_one_nothing_is_said() -> None:
    root = oracle.mth(entries(7))
    assert merkle.verify_consistency(7, 7, [], root, root)
    assert not merkle.verify_consistency(7, 7, [root], root, root)
    assert not merkle.verify_consistency(0, 7, [], merkle.EMPTY, root)
    assert not merkle.verify_consistency(0, 0, [], merkle.EMPTY, merkle.EMPTY)
    assert [] == merkle.consistency(reader(entries(7)), 7, 7)


def test_a_proof_of_what_is_not_there_is_refused() -> None:
    node = reader(entries(7))
    for index in (-1, 7, 8):
        with pytest.raises(ValueError, match="not in a tree"):
            merkle.inclusion(node, index, 7)
    for old in (-1, 0, 8):
        with pytest.raises(ValueError, match="not within"):
            merkle.consistency(node, old, 7)

"""Tiles: names by the specification, an edge that grows as the tree does, proofs out of tiles."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import merkle, tiles
from app.domain.tiles import ENTRIES, WIDTH, Edge, Place
from tests.domain.test_merkle import entries, published, reader

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors"
LEAVES = [merkle.leaf_hash(number.to_bytes(3, "big")) for number in range(70_000)]


def vectors() -> Any:
    return json.loads((VECTORS / "merkle_tree.json").read_text())["tiles"]


@published
def test_tiles_are_named_as_published() -> None:
    for level, n, width, path in vectors()["path_examples"]:
        place = Place(ENTRIES if level == "entries" else level, n, width or WIDTH)
        assert path == f"tile/{place.path()}"
        assert place == tiles.parse(path.removeprefix("tile/"))


@given(st.integers(-1, 63), st.integers(0, 10**18 - 1), st.integers(1, 256))
def test_a_name_is_read_as_what_it_was_written_for(level: int, n: int, width: int) -> None:
    place = Place(level, n, width)
    assert place == tiles.parse(place.path())


@pytest.mark.parametrize(
    "path",
    [
        "", "0", "0/", "0/0", "0/00", "0/0000", "00/000", "64/000", "-1/000", "0/x000/000", "0/x01/000", "0/001/000",
        "0/000.p/0", "0/000.p/256", "0/000.p/1000", "0/000.p/01", "0/000.p/", "0/000.p", "0/000/", "/0/000", "0//000",
        "0/000\n", "0/٠٠٠", "entry/000", "entries/x000/000", "0/" + "x001/" * 6 + "000", "0/X001/000", "x/../000",
        "0/000.p/257", "entries/000.p/999",
    ],
)  # fmt: skip
def test_a_name_written_otherwise_is_none(path: str) -> None:
    assert tiles.parse(path) is None


def grown(leaves: Sequence[bytes], steps: Sequence[int]) -> tuple[Edge, dict[tuple[int, int], bytes]]:
    """The edge and the full tiles after appending by steps; the edge is stored and made again each time."""
    edge, kept, start = Edge(), {}, 0
    for step in [*steps, len(leaves)]:
        added = leaves[start : start + step]
        for tile in edge.grow(added):
            assert (tile.level, tile.n) not in kept
            kept[tile.level, tile.n] = tile.hashes
        start += len(added)
        edge = Edge(edge.size, edge.stored())
    return edge, kept


@published
def test_a_tree_of_70000_is_cut_as_published() -> None:
    wanted = vectors()["size_70000"]
    edge, kept = grown(LEAVES, [12_345, 1, 0, 255])
    assert wanted["full_l0"] == sum(level == 0 for level, _ in kept)
    assert wanted["full_l1"] == sum(level == 1 for level, _ in kept)
    assert [wanted[f"partial_l{level}"] for level in range(3)] == [len(edge.tile(level)) // 32 for level in range(3)]
    assert b"" == edge.tile(3)
    assert merkle.root(LEAVES) == edge.root()
    assert {8192} == {len(hashes) for hashes in kept.values()}
    assert sorted(kept) == [(0, n) for n in range(273)] + [(1, 0)]


@given(st.integers(0, 1500), st.lists(st.integers(0, 600), max_size=6), st.data())
def test_however_the_edge_grows_tiles_give_the_same_root_and_proofs(
    size: int, steps: list[int], data: st.DataObject
) -> None:
    leaves = LEAVES[:size]
    edge, kept = grown(leaves, steps)
    assert (size, merkle.root(leaves)) == (edge.size, edge.root())
    assert all(hashes == b"".join(leaves[n * 256 : n * 256 + 256]) for (level, n), hashes in kept.items() if level == 0)
    if size:
        node = tiles.node_of(lambda level, n: kept.get((level, n)) or edge.tile(level))
        whole = reader([number.to_bytes(3, "big") for number in range(size)])
        index, at = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
        assert merkle.inclusion(whole, index, size) == merkle.inclusion(node, index, size)
        assert merkle.consistency(whole, at, size) == merkle.consistency(node, at, size)
        assert merkle.root(leaves[:at]) == merkle.root_of(node, at)


def test_an_edge_that_does_not_fit_its_size_is_refused() -> None:
    edge = Edge()
    edge.grow(LEAVES[:300])
    for size, stored in ((300, edge.stored()[:-1]), (300, edge.stored() + b"\0"), (299, edge.stored()), (0, b"x")):
        with pytest.raises(ValueError, match="does not fit"):
            Edge(size, stored)


def test_a_tile_that_is_missing_or_narrow_is_named() -> None:
    node = tiles.node_of(lambda level, n: b"".join(LEAVES[:3]))
    assert LEAVES[2] == node(0, 2)
    with pytest.raises(LookupError, match=r"Tile 0/000 is not there"):
        node(1, 1)


def test_a_bundle_says_each_length_and_refuses_what_it_cannot_say() -> None:
    assert b"" == tiles.bundle([])
    assert b"\x00\x00\x00\x02ab\x01\x00" + b"c" * 256 == tiles.bundle([b"", b"ab", b"c" * 256])
    assert 65_537 == len(tiles.bundle([b"x" * 65_535]))
    with pytest.raises(ValueError, match="65,535"):
        tiles.bundle([entries(1)[0], b"x" * 65_536])

"""Tiles against the whole tree in memory, and against the numbers that C2SP tlog-tiles gives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.checkpoints import consistency_path
from support.log_tiles import decode_bundle, tile_widths
from votenet.core.log.merkle import (
    EMPTY_ROOT,
    consistency_holds,
    leaf_hash,
    merkle_path,
    merkle_root,
    root_from_path,
)
from votenet.core.log.tiles import (
    MAX_ENTRY_BYTES,
    TILE_BYTES,
    LogFrontier,
    bundle_path,
    consistency_proof,
    encode_bundle,
    inclusion_proof,
    log_files,
    tile_path,
)
from votenet.errors import NotProven


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % n) for n in range(size)]


class Stored:
    """Tiles as a store keeps them: the widest of each place."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.frontier = LogFrontier()
        self.reads = 0

    def append(self, leaves: list[bytes]) -> None:
        self.frontier, tiles = self.frontier.append(leaves)
        for tile in tiles:
            before = self.tiles.get((tile.level, tile.number), b"")
            assert tile.hashes.startswith(before), "a stored hash never changes"
            assert len(before) < len(tile.hashes) <= TILE_BYTES
            self.tiles[tile.level, tile.number] = tile.hashes

    def read(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.tiles[level, index]


def stored(blocks: list[int]) -> Stored:
    store, leaves = Stored(), leaves_of(sum(blocks))
    for size in blocks:
        start = store.frontier.size
        store.append(leaves[start : start + size])
    return store


blocks = st.lists(
    st.one_of(st.integers(0, 5), st.integers(0, 600), st.sampled_from([255, 256, 257])), max_size=8
)


@given(blocks)
@settings(max_examples=60)
def test_the_root_after_each_block_is_that_of_the_whole_tree(sizes: list[int]) -> None:
    leaves, store = leaves_of(sum(sizes)), Stored()
    for size in sizes:
        start = store.frontier.size
        store.append(leaves[start : start + size])
        assert store.frontier.size == start + size
        assert store.frontier.root == merkle_root(leaves[: start + size])
        assert LogFrontier.load(start + size, store.read) == store.frontier
    widths = {place: len(hashes) // 32 for place, hashes in store.tiles.items()}
    assert widths == {(level, index): width for level, index, width in tile_widths(len(leaves))}


@given(blocks.filter(any), st.data())
@settings(max_examples=60)
def test_every_proof_between_two_sizes_comes_from_the_newest_tiles(
    sizes: list[int], data: st.DataObject
) -> None:
    store, leaves = stored(sizes), leaves_of(sum(sizes))
    new = data.draw(st.integers(1, len(leaves)))
    old = data.draw(st.integers(1, new))
    assert LogFrontier.load(new, store.read).root == merkle_root(leaves[:new])
    assert inclusion_proof(old - 1, new, store.read) == merkle_path(leaves[:new], old - 1)
    assert consistency_proof(old, new, store.read) == consistency_path(leaves[:new], old)
    assert consistency_proof(0, new, store.read) == []


def test_a_log_of_three_levels() -> None:
    """65,536 leaves fill one tile of level 1, whose root is the first hash of level 2."""
    leaves = leaves_of(70_000)
    store = Stored()
    for start in range(0, len(leaves), 20_480):
        store.append(leaves[start : start + 20_480])
    root = merkle_root(leaves)
    assert store.frontier.root == root
    # The example of tlog-tiles, "Partial Tiles".
    widths = list(tile_widths(70_000))
    assert widths[272:] == [
        (0, 272, 256),
        (0, 273, 112),
        (1, 0, 256),
        (1, 1, 17),
        (2, 0, 1),
    ]
    assert {place: len(hashes) // 32 for place, hashes in store.tiles.items()} == {
        (level, index): width for level, index, width in widths
    }
    for index in (0, 65_535, 65_536, 69_999):
        store.reads = 0
        path = inclusion_proof(index, 70_000, store.read)
        assert root_from_path(leaves[index], index, 70_000, path) == root
        assert store.reads <= 6, "each tile is read once"
    for old in (1, 255, 256, 65_535, 65_536, 65_537, 69_888, 69_999):
        path = consistency_proof(old, 70_000, store.read)
        assert consistency_holds(old, 70_000, merkle_root(leaves[:old]), root, path)


def test_a_tree_of_256_has_a_whole_tile_and_one_hash_above_it() -> None:
    assert list(tile_widths(256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(tile_widths(0)) == []
    assert LogFrontier().root == EMPTY_ROOT


def test_a_tile_that_is_too_short_is_an_error_and_no_proof() -> None:
    store = stored([300])
    store.tiles[0, 1] = store.tiles[0, 1][:-1]
    for proof in (
        lambda: LogFrontier.load(300, store.read),
        lambda: inclusion_proof(0, 300, store.read),
        lambda: consistency_proof(256, 300, store.read),
    ):
        with pytest.raises(NotProven) as refused:
            proof()
        assert refused.value.code == "bad-tile"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_800])
def test_the_files_of_a_log_are_its_tiles_and_its_entries(size: int) -> None:
    entries = [b"%d" % n for n in range(size)]
    files: dict[str, bytes] = {}
    making = log_files(entries)
    try:
        while True:
            path, content = next(making)
            assert path not in files, "each is written once"
            files[path] = content
    except StopIteration as end:
        frontier = end.value
    assert frontier.root == merkle_root(leaves_of(size))
    widths = list(tile_widths(size))
    bundles = [(number, width) for level, number, width in widths if level == 0]
    assert files.keys() == {tile_path(*tile) for tile in widths} | {bundle_path(*one) for one in bundles}

    width_of = {(level, number): width for level, number, width in widths}
    assert frontier == LogFrontier.load(
        size, lambda level, number: files[tile_path(level, number, width_of[level, number])]
    )
    read_back = [
        entry for number, width in bundles for entry in decode_bundle(files[bundle_path(number, width)])
    ]
    assert read_back == entries


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "000"),
        (7, 1, "007.p/1"),
        (999, 256, "999"),
        (1000, 256, "x001/000"),
        (1_234_067, 256, "x001/x234/067"),  # the example of tlog-tiles
        (1_234_067, 112, "x001/x234/067.p/112"),
    ],
)
def test_addresses_are_those_of_tlog_tiles(index: int, width: int, path: str) -> None:
    assert tile_path(3, index, width) == f"tile/3/{path}"
    assert bundle_path(index, width) == f"tile/entries/{path}"


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_a_bundle_reads_back(entries: list[bytes]) -> None:
    bundle = encode_bundle(entries)
    assert decode_bundle(bundle) == entries
    if bundle:
        with pytest.raises(NotProven) as refused:
            decode_bundle(bundle + b"\x00")
        assert refused.value.code == "bad-tile"
        if entries[-1]:
            with pytest.raises(NotProven):
                decode_bundle(bundle[:-1])


def test_entries_stay_below_what_their_length_can_say() -> None:
    assert encode_bundle([bytes(MAX_ENTRY_BYTES)])[:2] == MAX_ENTRY_BYTES.to_bytes(2, "big")
    with pytest.raises(ValueError, match="60000"):
        encode_bundle([bytes(MAX_ENTRY_BYTES + 1)])

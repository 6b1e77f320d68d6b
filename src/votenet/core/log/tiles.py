"""A Merkle log kept as tiles of 256 hashes (C2SP tlog-tiles): growing it, and its proofs.

Tile number N of level L holds the roots of 256 whole subtrees of 256**L leaves each, fewer only at the right
edge. A stored tile may be wider than the tree that is asked for: its first hashes stay the same as the log
grows. So every earlier size can be proven from the tiles of the newest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Final, NamedTuple

from votenet.core.faults import fault
from votenet.core.log.merkle import EMPTY_ROOT, consistency_ranges, inclusion_ranges, leaf_hashes, merkle_root

TILE_WIDTH: Final = 256
"""Hashes of a whole tile, and entries of a whole bundle."""
HASH_BYTES: Final = 32
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
MAX_ENTRY_BYTES: Final = 60_000
"""Bytes of a record: below the 65,535 that the length in a bundle can say."""
_LENGTH: Final = struct.Struct(">H")

ReadTile = Callable[[int, int], bytes]
"""The hashes of a stored tile, one after the other, for its level and its number."""


class Tile(NamedTuple):
    """`hashes` has 32 to 8,192 bytes."""

    level: int
    number: int
    hashes: bytes

    @property
    def is_whole(self) -> bool:
        return len(self.hashes) == TILE_BYTES


@dataclass(frozen=True, slots=True)
class LogFrontier:
    """The right edge of a log: all that its root and its growth need. Some kilobytes, whatever the size."""

    size: int = 0
    edge: tuple[bytes, ...] = ()
    """The hashes of the unfinished tile of each level; empty where the last tile is whole."""

    @classmethod
    def load(cls, size: int, read_tile: ReadTile) -> LogFrontier:
        """The frontier of the first `size` leaves. Raises NotProven bad-tile for a tile that is too short."""
        edge: list[bytes] = []
        count = size
        while count:
            index, width = divmod(count, TILE_WIDTH)
            edge.append(_nodes(read_tile, len(edge), count - width, count) if width else b"")
            count = index
        return cls(size, tuple(edge))

    @property
    def root(self) -> bytes:
        """The root of the whole tree; no hash is computed twice for less than 256 at each level."""
        rest: list[bytes] = []
        for hashes in self.edge:
            nodes = [*_split(hashes), *rest]
            rest = [merkle_root(nodes)] if nodes else []
        return rest[0] if rest else EMPTY_ROOT

    def append(self, leaves: Sequence[bytes]) -> tuple[LogFrontier, list[Tile]]:
        """The log with these leaf hashes behind it, and every tile that is new or wider than before."""
        edge: list[bytes] = []
        tiles: list[Tile] = []
        count, added = self.size, b"".join(leaves)
        while added or len(edge) < len(self.edge):
            level = len(edge)
            known = self.edge[level] if level < len(self.edge) else b""
            hashes = known + added
            grown = _cut(level, count // TILE_WIDTH, hashes) if added else []
            tiles += grown
            whole = [tile.hashes for tile in grown if tile.is_whole]
            edge.append(hashes[len(whole) * TILE_BYTES :])
            added = b"".join(merkle_root(_split(tile)) for tile in whole)
            count //= TILE_WIDTH
        return LogFrontier(self.size + len(leaves), tuple(edge)), tiles


def inclusion_proof(index: int, size: int, read_tile: ReadTile) -> list[bytes]:
    """The path of leaf `index` in the tree of `size` leaves, from the leaf up (RFC 9162, 2.1.3).

    Raises:
        IndexError: there is no such leaf.
        NotProven: bad-tile, for a tile that is too short.
    """
    read = cache(read_tile)
    return [_range_root(start, end, read) for start, end in inclusion_ranges(index, size)]


def consistency_proof(old: int, new: int, read_tile: ReadTile) -> list[bytes]:
    """The proof that the tree of `new` leaves extends that of the first `old` (RFC 9162, 2.1.4).

    Raises:
        IndexError: the new tree is smaller.
        NotProven: bad-tile, for a tile that is too short.
    """
    nodes = consistency_nodes(old, new, read_tile)
    return nodes[1:] if nodes and old & (old - 1) == 0 else nodes


def consistency_nodes(old: int, new: int, read_tile: ReadTile) -> list[bytes]:
    """The same proof with its seed, as `roots_from_consistency` takes it: it can prove a lie, too.

    Raises as `consistency_proof`.
    """
    read = cache(read_tile)
    return [_range_root(start, end, read) for start, end in consistency_ranges(old, new)]


def log_leaves_between(start: int, end: int, read_tile: ReadTile) -> list[bytes]:
    """The hashes of the leaves `start` to `end` (not with it). Raises NotProven bad-tile for a short tile."""
    found: list[bytes] = []
    while start < end:
        stop = min(end, (start // TILE_WIDTH + 1) * TILE_WIDTH)
        found += _split(_nodes(read_tile, 0, start, stop))
        start = stop
    return found


def _range_root(start: int, end: int, read_tile: ReadTile) -> bytes:
    """The root over the leaves `start` to `end` (not with it), which begin where a subtree begins."""
    level = 0
    rest: list[bytes] = []  # the root of leaves at the end that fill no node of this level
    while start // TILE_WIDTH != (end - 1) // TILE_WIDTH:
        width = end % TILE_WIDTH
        if width:
            rest = [merkle_root([*_split(_nodes(read_tile, level, end - width, end)), *rest])]
        start, end, level = start // TILE_WIDTH, end // TILE_WIDTH, level + 1
    return merkle_root([*_split(_nodes(read_tile, level, start, end)), *rest])


def _nodes(read_tile: ReadTile, level: int, start: int, end: int) -> bytes:
    """The hashes of nodes `start` to `end` of a level, which are in one tile."""
    index, first = divmod(start, TILE_WIDTH)
    last = first + end - start
    hashes = read_tile(level, index)
    if len(hashes) < last * HASH_BYTES:
        raise fault("bad-tile", f"tile {index} of level {level} has fewer than {last} hashes")
    return hashes[first * HASH_BYTES : last * HASH_BYTES]


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]


def _cut(level: int, first: int, hashes: bytes) -> list[Tile]:
    """Tiles of these hashes, the first with the index `first`."""
    starts = range(0, len(hashes), TILE_BYTES)
    return [Tile(level, first + n, hashes[at : at + TILE_BYTES]) for n, at in enumerate(starts)]


# -- serving as files ------------------------------------------------------------------------------


def log_files(entries: Iterable[bytes]) -> Generator[tuple[str, bytes], None, LogFrontier]:
    """Every tile and bundle of a log with these entries, as address and content; returns its right edge."""
    frontier = LogFrontier()
    source = iter(entries)
    while bundle := list(islice(source, TILE_WIDTH)):
        yield bundle_path(frontier.size // TILE_WIDTH, len(bundle)), encode_bundle(bundle)
        frontier, tiles = frontier.append(leaf_hashes(bundle))
        yield from ((tile_path(tile.level, tile.number), tile.hashes) for tile in tiles if tile.is_whole)
    count = frontier.size
    for level, hashes in enumerate(frontier.edge):
        if hashes:
            yield tile_path(level, count // TILE_WIDTH, len(hashes) // HASH_BYTES), hashes
        count //= TILE_WIDTH
    return frontier


def tile_path(level: int, number: int, width: int = TILE_WIDTH) -> str:
    """The address of a tile below the log's prefix: tile/0/x001/x234/067, or .../067.p/12 for 12 hashes."""
    return f"tile/{level}/{_number_path(number, width)}"


def bundle_path(number: int, width: int = TILE_WIDTH) -> str:
    """The address of the entries whose leaf hashes are in tile `number` of level 0."""
    return f"tile/entries/{_number_path(number, width)}"


def _number_path(number: int, width: int) -> str:
    digits = f"{number:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *front, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
    partial = f".p/{width}" if width < TILE_WIDTH else ""
    return "/".join([*(f"x{part}" for part in front), last + partial])


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each behind its length in two bytes. Raises ValueError for one that is too long."""
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise ValueError(f"an entry of the log has more than {MAX_ENTRY_BYTES} bytes")
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)

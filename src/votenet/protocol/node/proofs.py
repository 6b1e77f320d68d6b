"""Where a vote stands in the Merkle tree of its block, without reading the whole block each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from cachetools import LRUCache

from votenet.core.log.merkle import GROUP_LEAVES, MerkleLevels, leaf_hashes
from votenet.errors import StorageCorrupt
from votenet.protocol.node.events import BlockSource
from votenet.protocol.wire.limits import LEVELS_UNITS

MAX_KEPT: Final = 8 * 2**20
"""Bytes of levels that are kept: of some 190 full blocks, four million votes."""
ENTRY_BYTES: Final = 1024
"""What keeping the levels of a block costs beside them, so that small blocks count too."""


class Proven(NamedTuple):
    """A vote's record and its audit path; `units`: what it cost to find the levels."""

    record: bytes
    size: int
    path: list[bytes]
    units: float


class Proofs:
    """Keeps the upper levels of the trees that were asked for last. Used by one thread at a time."""

    def __init__(self, source: BlockSource, *, max_kept: int = MAX_KEPT) -> None:
        self._source = source
        self._kept: LRUCache[bytes, MerkleLevels] = LRUCache(max_kept, _size)

    def prove(self, block_hash: bytes, root: bytes, position: int) -> Proven:
        """The vote at a position of a stored block whose header has this Merkle root.

        Raises:
            StorageError: the block cannot be read; StorageCorrupt when it is not what was saved.
        """
        levels, units = self._kept.get(block_hash), 0.0
        if levels is None:
            levels = self._read(block_hash, root)
            units = LEVELS_UNITS * levels.size
            if _size(levels) <= self._kept.maxsize:
                self._kept[block_hash] = levels
        records = self._source.records_of(block_hash, position // GROUP_LEAVES * GROUP_LEAVES, GROUP_LEAVES)
        try:
            path = levels.path(position, leaf_hashes(records))
        except (IndexError, ValueError) as error:
            raise _damaged(block_hash) from error
        return Proven(records[position % GROUP_LEAVES], levels.size, path, units)

    def _read(self, block_hash: bytes, root: bytes) -> MerkleLevels:
        """The levels from the stored votes, a group at a time: other threads get their turns."""
        try:
            levels = MerkleLevels(self._groups(block_hash))
        except ValueError as error:
            raise _damaged(block_hash) from error
        if levels.root != root:
            raise _damaged(block_hash)
        return levels

    def _groups(self, block_hash: bytes) -> Iterator[list[bytes]]:
        start = 0
        while records := self._source.records_of(block_hash, start, GROUP_LEAVES):
            yield leaf_hashes(records)
            start += GROUP_LEAVES


def _size(levels: MerkleLevels) -> int:
    return levels.bytes_kept + ENTRY_BYTES


def _damaged(block_hash: bytes) -> StorageCorrupt:
    return StorageCorrupt(
        f"the votes of block {block_hash.hex()} are not those that its header names",
        next_step="Move the node's chain.db* files away and start it again: it fetches the chain from its"
        " peers. Check the disk.",
    )

"""Where a vote stands in the Merkle tree of its block, without reading the block.

What lives here: Proofs, which keeps the upper levels of the trees that were asked for. What must not: the
chain (the caller says which block, and its root), the wire.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

from votenet.core.merkle import GROUP, MerkleLevels, leaf_hashes
from votenet.errors import StorageCorrupt
from votenet.protocol.events import BlockSource
from votenet.protocol.limits import LEVELS_UNITS

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
    """Used by one thread at a time."""

    def __init__(self, source: BlockSource, *, max_kept: int = MAX_KEPT) -> None:
        self._source, self._max_kept = source, max_kept
        self._kept: OrderedDict[bytes, MerkleLevels] = OrderedDict()
        self._bytes = 0

    def prove(self, block_hash: bytes, root: bytes, position: int) -> Proven:
        """The vote at a position of a stored block whose header has this Merkle root.

        Raises:
            StorageError: the block cannot be read; StorageCorrupt when it is not what was saved.
        """
        levels, units = self._kept.get(block_hash), 0.0
        if levels is None:
            levels = self._read(block_hash, root)
            units = LEVELS_UNITS * levels.size
            self._keep(block_hash, levels)
        self._kept.move_to_end(block_hash)
        records = self._source.records_of(block_hash, position // GROUP * GROUP, GROUP)
        try:
            path = levels.path(position, leaf_hashes(records))
        except (IndexError, ValueError) as error:
            raise _damaged(block_hash) from error
        return Proven(records[position % GROUP], levels.size, path, units)

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
        while records := self._source.records_of(block_hash, start, GROUP):
            yield leaf_hashes(records)
            start += GROUP

    def _keep(self, block_hash: bytes, levels: MerkleLevels) -> None:
        self._kept[block_hash] = levels
        self._bytes += levels.bytes_kept + ENTRY_BYTES
        while self._bytes > self._max_kept and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.bytes_kept + ENTRY_BYTES


def _damaged(block_hash: bytes) -> StorageCorrupt:
    return StorageCorrupt(
        f"the votes of block {block_hash.hex()} are not those that its header names",
        next_step="Move the node's chain.db* files away and start it again: it fetches the chain from its"
        " peers. Check the disk.",
    )

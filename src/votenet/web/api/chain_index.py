"""A chain as an explorer needs it: its headers and the ids of all its records, in compact form. Pure.

Per block 130 bytes, per record 32: a city's 100,000 votes take 4 MB. The bodies of blocks are not kept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Final, NamedTuple

from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, Header, genesis_header, log_leaves, log_start, unpack_header
from votenet.core.limits import HEADER_BYTES
from votenet.core.log.merkle import leaf_hash, path_in, tree_levels
from votenet.core.log.tiles import HASH_BYTES, TILE_WIDTH, LogFrontier
from votenet.errors import VotenetError

MAX_INDEXED_RECORDS: Final = 2_000_000
"""64 MB of ids: more than the votes of a large city."""
NO_MINER: Final = -1


class RecordPlace(NamedTuple):
    """A record is number `position` of the block at `height`, votes first."""

    height: int
    position: int


class BlockRow(NamedTuple):
    """A block of the list. `miner`: index of the named node that found it, None where none is named."""

    height: int
    hash: bytes
    header: Header
    votes: int
    records: int
    miner: int | None


class ChainIndex:
    """Blocks are added in order. Without named nodes the last ones may be taken off again."""

    def __init__(self, election: Election) -> None:
        genesis = genesis_header(election)
        self._headers = bytearray(genesis.pack())
        self._hashes = bytearray(genesis.hash)
        self._leaves = bytearray(leaf_hash(genesis.pack()))
        """Of the log: after genesis the records of each block, then its header."""
        self._ends = array("Q", [1])
        """Leaves up to each block, with it."""
        self._votes, self._miners = array("L", [0]), array("h", [NO_MINER])
        self._frontier: LogFrontier | None = log_start(election) if election.named else None
        self._upper: dict[tuple[int, int], bytes] = {}
        """Tiles above the leaves, by level and number."""

    @property
    def height(self) -> int:
        """Of the last block; 0 for genesis."""
        return len(self._ends) - 1

    @property
    def tip(self) -> bytes:
        return self.hash_at(self.height)

    @property
    def leaves(self) -> int:
        """Of the log."""
        return self._ends[-1]

    # -- growing -------------------------------------------------------------------------------

    def append(self, block: Block) -> None:
        """The next block. Raises VotenetError too-large, ValueError if it does not follow."""
        header, votes, extras = block
        if header.previous != self.tip:
            raise ValueError("the block does not follow the last one")
        added = log_leaves(header, votes, extras.records)
        if self.leaves + len(added) > MAX_INDEXED_RECORDS:
            raise VotenetError(
                f"the chain has more than {MAX_INDEXED_RECORDS:,} records: this page does not list it",
                code="chain-too-long",
                next_step="Fetch the archive, and search in that: /api/v1/archive",
            )
        self._headers += header.pack()
        self._hashes += header.hash
        self._leaves += b"".join(added)
        self._ends.append(self.leaves + len(added))
        self._votes.append(len(votes))
        self._miners.append(NO_MINER if extras.miner is None else extras.miner.node)
        if self._frontier is not None:
            self._frontier, tiles = self._frontier.append(added)
            self._upper.update({tile[:2]: tile.hashes for tile in tiles if tile.level})

    def cut(self, height: int) -> None:
        """Take off all blocks above this height: a branch with more work has replaced them.

        Never where nodes are named: they decide a block once.
        """
        assert self._frontier is None, "the log of named nodes only grows"
        for kept, width in ((self._headers, HEADER_BYTES), (self._hashes, HASH_BYTES)):
            del kept[(height + 1) * width :]
        for numbers in (self._ends, self._votes, self._miners):
            del numbers[height + 1 :]
        del self._leaves[self.leaves * HASH_BYTES :]

    # -- blocks --------------------------------------------------------------------------------

    def hash_at(self, height: int) -> bytes:
        return bytes(self._hashes[height * HASH_BYTES : (height + 1) * HASH_BYTES])

    def row(self, height: int) -> BlockRow:
        """Raises IndexError: there is no such block."""
        if not 0 <= height <= self.height:
            raise IndexError(height)
        at, miner = height * HEADER_BYTES, self._miners[height]
        return BlockRow(
            height=height,
            hash=self.hash_at(height),
            header=unpack_header(bytes(self._headers[at : at + HEADER_BYTES])),
            votes=self._votes[height],
            records=self._ends[height] - 1 - self.first_leaf(height) - self._votes[height],
            miner=None if miner == NO_MINER else miner,
        )

    def locator(self) -> list[bytes]:
        """Hashes from the tip back to genesis, further and further apart."""
        found, height, step = [], self.height, 1
        while height > 0:
            found.append(self.hash_at(height))
            height -= step
            step += step if len(found) > 10 else 0
        return [*found, self.hash_at(0)]

    def find_block(self, block_hash: bytes) -> int | None:
        """The height of the block with this hash."""
        return _aligned(self._hashes, block_hash)

    # -- records -------------------------------------------------------------------------------

    def find_record(self, start: bytes) -> RecordPlace | None:
        """The place of the vote, or other record, with this id; of the first one whose id begins so."""
        at = self._leaves.find(start)
        while at >= 0:
            leaf, rest = divmod(at, HASH_BYTES)
            height = self.height_of_leaf(leaf)
            if rest == 0 and leaf != self._ends[height] - 1:  # the last leaf of a block is its header
                return RecordPlace(height, leaf - self.first_leaf(height))
            at = self._leaves.find(start, at + 1)
        return None

    def height_of_leaf(self, leaf: int) -> int:
        """The height of the block that a leaf of the log is of."""
        return bisect_right(self._ends, leaf)

    def first_leaf(self, height: int) -> int:
        """The first leaf of the log that is of this block."""
        return self._ends[height - 1] if height else 0

    def record_ids(self, height: int) -> list[bytes]:
        """The ids of a block's records, votes first: the leaves of its Merkle root."""
        return self._slice(self.first_leaf(height), self._ends[height] - 1)

    def path(self, place: RecordPlace) -> list[bytes]:
        """The hashes that lead from a record to the Merkle root of its block."""
        return path_in(tree_levels(self.record_ids(place.height)), place.position)

    def _slice(self, start: int, end: int) -> list[bytes]:
        leaves = self._leaves
        return [bytes(leaves[at * HASH_BYTES : (at + 1) * HASH_BYTES]) for at in range(start, end)]

    # -- tiles ---------------------------------------------------------------------------------

    def tile(self, level: int, number: int, width: int) -> bytes | None:
        """The first `width` hashes of a tile of the log; None where there are not so many."""
        if level == 0:
            start = number * TILE_WIDTH * HASH_BYTES
            hashes = bytes(self._leaves[start : start + width * HASH_BYTES])
        else:
            hashes = self._upper.get((level, number), b"")[: width * HASH_BYTES]
        return hashes if len(hashes) == width * HASH_BYTES else None


def _aligned(hashes: bytearray, wanted: bytes) -> int | None:
    """Which of the hashes, one after the other, this one is."""
    at = hashes.find(wanted)
    while at >= 0 and at % HASH_BYTES:
        at = hashes.find(wanted, at + 1)
    return None if at < 0 else at // HASH_BYTES

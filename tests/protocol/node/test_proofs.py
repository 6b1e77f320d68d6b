"""Proofs from kept levels: right, cheap the second time, bounded in memory, and never from other votes."""

from __future__ import annotations

from collections import Counter

import pytest

from support.elections import make_election, make_votes, mine_block
from support.memory_block_store import MemoryBlockStore
from votenet.core.ledger.block import Block
from votenet.core.ledger.chain import Chain
from votenet.core.log.merkle import GROUP_LEAVES, root_from_path
from votenet.errors import StorageCorrupt, StorageError
from votenet.protocol.node.events import SaveBlock
from votenet.protocol.node.proofs import ENTRY_BYTES, Proofs
from votenet.protocol.wire.limits import LEVELS_UNITS

ELECTION = make_election()


class Source(MemoryBlockStore):
    """Counts the records that are read, by block; gives others on demand."""

    def __init__(self) -> None:
        super().__init__(ELECTION)
        self.read: Counter[bytes] = Counter()
        self.damaged = False

    def records_of(self, block_hash: bytes, start: int, count: int) -> list[bytes]:
        found = super().records_of(block_hash, start, count)
        self.read[block_hash] += len(found)
        return [record + b" " for record in found] if self.damaged else found


def stored(source: MemoryBlockStore, votes: int, first: int = 1) -> Block:
    block = mine_block(ELECTION, votes=make_votes(ELECTION, votes, first=first))
    entry = Chain(ELECTION).add_header(block.header, block.header.time)
    source.apply([SaveBlock(entry, block.votes)])
    return block


def check(proofs: Proofs, block: Block, position: int) -> float:
    """A proof leads to the root; the units that it cost."""
    proven = proofs.prove(block.header.hash, block.header.merkle_root, position)
    vote = block.votes[position]
    assert (proven.record, proven.size) == (vote.record, len(block.votes))
    assert root_from_path(vote.id, position, proven.size, proven.path) == block.header.merkle_root
    return proven.units


@pytest.mark.parametrize(
    "votes", [1, 2, GROUP_LEAVES - 1, GROUP_LEAVES, GROUP_LEAVES + 1, 3 * GROUP_LEAVES + 7]
)
def test_every_vote_of_a_block_is_proven_and_the_block_is_read_once(votes: int) -> None:
    source = Source()
    block = stored(source, votes)
    proofs = Proofs(source)
    assert check(proofs, block, 0) == LEVELS_UNITS * votes
    before = source.read[block.header.hash]
    assert [check(proofs, block, position) for position in range(votes)] == [0.0] * votes
    assert source.read[block.header.hash] - before <= votes * min(votes, GROUP_LEAVES)


def test_kept_levels_are_bounded_and_the_last_block_stays() -> None:
    source = Source()
    blocks = [stored(source, 2 * GROUP_LEAVES, first=1000 * number) for number in range(1, 5)]
    proofs = Proofs(source, max_kept=2 * (ENTRY_BYTES + 3 * 32))
    costs = [check(proofs, blocks[number], 0) for number in (0, 1, 0, 2, 0, 1, 3)]
    assert [bool(cost) for cost in costs] == [True, True, False, True, False, True, True]


def test_votes_that_are_not_those_of_the_header_prove_nothing() -> None:
    source = Source()
    block = stored(source, 40)
    source.damaged = True
    with pytest.raises(StorageCorrupt):
        check(Proofs(source), block, 3)
    source.damaged, proofs = False, Proofs(source)
    check(proofs, block, 3)
    source.damaged = True
    with pytest.raises(StorageCorrupt):
        check(proofs, block, 3)
    with pytest.raises(StorageError):
        proofs.prove(bytes(32), bytes(32), 0)
    source.damaged = False
    with pytest.raises(StorageCorrupt):
        proofs.prove(block.header.hash, block.header.merkle_root, 40)

"""A chain of many votes in big blocks, stored as a node stores it: it makes questions expensive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from support.elections import CREATED, make_election, make_votes, mine_block
from votenet.core.election.definition import Election
from votenet.core.ledger.chain import Chain
from votenet.core.limits import MAX_BLOCK_VOTES
from votenet.pow import bits_for_zero_bits
from votenet.protocol.node.events import SaveBlock, SetBest
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.files import lock_data_dir

BLOCK_VOTES = 20_000
VOTERS = 100_000


def long_election(created: int = CREATED) -> Election:
    """At a difficulty that costs next to nothing, with blocks as large as the product's defaults allow."""
    return make_election(bits=bits_for_zero_bits(10), created=created, max_block_votes=MAX_BLOCK_VOTES)


def build_long_chain(
    data_dir: Path, election: Election, *, votes: int = VOTERS, block_votes: int = BLOCK_VOTES
) -> None:
    """The data folder of a node with so many votes, of voter-1, voter-2, …"""
    with lock_data_dir(data_dir):
        store = SqliteBlockStore(data_dir, election)
        try:
            for changes in _blocks(election, votes, block_votes):
                store.apply(changes)
        finally:
            store.close()


def _blocks(election: Election, votes: int, block_votes: int) -> Iterator[tuple[SaveBlock, SetBest]]:
    chain, interval = Chain(election), election.definition.chain.block_seconds
    for first in range(1, votes + 1, block_votes):
        batch = make_votes(election, min(block_votes, votes + 1 - first), first=first)
        tip = chain.tip
        time = tip.header.time + interval
        block = mine_block(election, tip.header, batch, time=time, bits=chain.next_bits(tip))
        entry = chain.add_header(block.header, block.header.time)
        chain.add_body(entry, lambda _, votes=block.votes: votes)
        yield SaveBlock(entry, block.votes), SetBest(tip.height, [(entry, block.votes)])

"""What a named node saves in the course of an election: from the first vote to the final result.

Recorded from a real core in a network in virtual time. Tests of storage take these steps one by one.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Final

from support.amendments import AUTHORITY, amendment
from support.elections import CREATED, keys_of_node, make_votes, mine_header
from support.memory_block_store import MemoryBlockStore
from support.named_network import NamedNetwork, named
from votenet.core.election.definition import Election
from votenet.core.ledger.block import votes_root
from votenet.core.ledger.extras import make_extras
from votenet.core.records.miner import sign_block
from votenet.protocol.node.events import Change, SaveBlock, SaveEvidence, SaveFinality, SetBest
from votenet.protocol.wire.client_messages import SubmitAmendment

CLOSES: Final = CREATED + 200
"""In force behind an amendment."""
LIE: Final = SaveEvidence(3, "two-lists", b'{"first":1}', "Node 3 (Node 3) signed two closing lists.")


class _Recorder(MemoryBlockStore):
    """Remembers every batch, as it was when it was saved."""

    def __init__(self, election: Election) -> None:
        super().__init__(election)
        self.batches: list[tuple[Change, ...]] = []

    def apply(self, changes: Sequence[Change]) -> None:
        self.batches.append(tuple(map(_frozen, changes)))
        super().apply(changes)


def _frozen(change: Change) -> Change:
    """Entries of blocks change later."""
    if isinstance(change, SaveBlock):
        return SaveBlock(copy.copy(change.entry), tuple(change.votes))
    if isinstance(change, SetBest):
        return SetBest(change.fork_height, [(copy.copy(entry), votes) for entry, votes in change.blocks])
    return change


@functools.cache
def named_history() -> tuple[Election, tuple[tuple[Change, ...], ...]]:
    """The election, and all batches that named node 0 of four saves.

    Among them is a proposed block that node 0 prevotes and that is not decided, an amendment, late votes, and
    evidence.
    """
    authority = AUTHORITY.public_hex
    net = NamedNetwork(4, seed=5, closes=CLOSES - 20, max_block_votes=5, authority_key=authority)
    recorder = net.nodes[named(0)].store = _Recorder(net.election)
    net.restart(named(0))
    net.run(5.0)
    # 1. Blocks are decided, with an amendment.
    later = SubmitAmendment(amendment=amendment(net.election, "extend", closes=CLOSES))
    net.client(named(0)).ask(later)
    for first in (1, 10):
        net.cast(make_votes(net.election, 6, first=first), named(first % 4))
        net.run(5.0)
    # 2. Just before the end, votes come that no block takes before the closing block.
    net.run(CLOSES - 0.5 - net.now)
    net.cast(make_votes(net.election, 7, first=30), named(1))
    net.run(60.0)
    assert net.run_until(lambda: all(_is_over(net, name) for name in net.names), 60.0)
    assert net.run_until(net.all_certified, 10.0)
    assert all(node.core.state.election.closes == CLOSES for node in net.nodes.values())
    recorder.apply([LIE])
    return net.election, tuple(_with_rivals(net.election, recorder.batches))


def _with_rivals(election: Election, batches: Sequence[tuple[Change, ...]]) -> Iterator[tuple[Change, ...]]:
    """Before each proposed block with votes another one that node 1 proposed, as in a round before."""
    for batch in batches:
        if isinstance(batch[-1], SaveFinality) and isinstance(batch[0], SaveBlock) and batch[0].votes:
            yield (_rival(election, batch[0]), batch[-1])
        yield batch


def _rival(election: Election, saved: SaveBlock) -> SaveBlock:
    votes, other = tuple(saved.votes[:1]), saved.entry
    header = other.header._replace(merkle_root=votes_root(votes, ()), time=other.header.time + 1)
    header = mine_header(header)
    miner = sign_block(keys_of_node(1).statement, election, 1, header.hash, other.height)
    extras = make_extras(miner, (), None)
    return SaveBlock(dataclasses.replace(other, hash=header.hash, header=header, extras=extras), votes)


def _is_over(net: NamedNetwork, name: str) -> bool:
    closing = net.core(name).closing
    return closing is not None and closing.end.over

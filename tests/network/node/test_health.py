"""What a node that catches up tells, and when."""

from __future__ import annotations

from support.elections import CREATED, TRIVIAL_BITS, make_election, make_votes, mine_block
from support.nodes import HandNode, headers_of
from votenet.core.ledger.block import Block, genesis_header
from votenet.network.node.health import PROGRESS_SECONDS, SyncProgress

ELECTION = make_election(bits=TRIVIAL_BITS)


def _chain() -> list[Block]:
    """Ten blocks, a vote in each."""
    parent, blocks = genesis_header(ELECTION), []
    for vote in make_votes(ELECTION, 10):
        blocks.append(mine_block(ELECTION, parent, [vote], time=CREATED + 60 * len(blocks) + 60))
        parent = blocks[-1].header
    return blocks


def test_a_node_that_is_behind_says_how_far_it_is_now_and_then() -> None:
    chain, node, progress = _chain(), HandNode(ELECTION, mining=False), SyncProgress()
    node.now = CREATED + 10_000
    node.meet(1)
    assert progress.look(node.state, 100.0) is None
    node.receive(1, headers_of(*chain))
    assert progress.look(node.state, 100.0) == "catching up: block 0 of 10 (0%), 0 votes checked"
    node.give(1, *chain[:7])
    assert progress.look(node.state, 100.0 + PROGRESS_SECONDS / 2) is None
    text = progress.look(node.state, 100.0 + PROGRESS_SECONDS)
    assert text == "catching up: block 7 of 10 (70%), 7 votes checked"


def test_a_node_that_follows_says_nothing() -> None:
    chain, node, progress = _chain(), HandNode(ELECTION, mining=False), SyncProgress()
    node.now = CREATED + 10_000
    node.meet(1)
    node.receive(1, headers_of(*chain))
    node.give(1, *chain[:9])
    assert progress.look(node.state, 0.0) is None
    node.give(1, chain[9])
    assert node.core.caught_up
    assert progress.look(node.state, 0.0) is None

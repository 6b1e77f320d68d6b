"""What a node that catches up tells, and when."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from support.elections import CREATED, TRIVIAL_BITS, make_election, make_votes, mine_block, named_nodes
from support.nodes import HandNode, headers_of
from votenet.core.ledger.block import Block, genesis_header
from votenet.network.link_faults import Faults
from votenet.network.node.discovery_io import DiscoveryIO
from votenet.network.node.health import PROGRESS_SECONDS, Health, SyncProgress
from votenet.protocol.node.node_core import NodeCore

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


def _said(core: object) -> set[str]:
    """Codes of the warnings of a named node with this core."""
    alone = SimpleNamespace(wrong=lambda: ())
    whole: Any = SimpleNamespace(failure=None)
    health = Health(lambda: cast(NodeCore, core), cast(DiscoveryIO, alone), whole, cast(Faults, None))
    return {warning.code for warning in health.warnings()}


def test_too_few_named_nodes_are_no_trouble_after_the_final_result() -> None:
    calm = SimpleNamespace(key_elsewhere=False, restored=SimpleNamespace(is_silent=False))
    election = make_election(nodes=named_nodes(4))
    state = SimpleNamespace(index=0, election=election, reachable_named=lambda: {0})
    assert _said(SimpleNamespace(finality=calm, state=state, is_final=False)) == {"no-quorum"}
    assert _said(SimpleNamespace(finality=calm, state=state, is_final=True)) == set()

"""A fast miner makes a burst of blocks and leaves: five slow nodes soon put votes into blocks again.

Nodes and chain are the real ones, in virtual time: a search takes as long as its difficulty asks of one core.
The fast miner is a node that is down while its blocks are found. Then it hands them out.
"""

from __future__ import annotations

import pytest

from support.elections import make_election, make_votes, mine_block
from support.wide_network import HALL, WideNetwork
from votenet.core.limits import MAX_CLOCK_AHEAD, MAX_RISE
from votenet.pow import bits_for_zero_bits, work_of
from votenet.protocol.node.events import SaveBlock, SetBest
from votenet.protocol.wire.client_messages import SubmitVotes

HONEST = tuple(f"node-{number}" for number in range(5))
FAST = "node-5"
SEARCH = 0.8
"""Seconds in which one core finds a nonce for 24 zero bits."""
BURST = 400
VOTES = 40
VOTE_EVERY = 10.0
"""Seconds."""


def burst(net: WideNetwork, ahead: int) -> None:
    """Blocks without votes on the tip of the fast miner, which is down, into its store: no time passes."""
    node = net.nodes[FAST]
    chain = node.core.state.chain
    for _ in range(BURST):
        parent = chain.tip
        time = max(parent.median, int(net.now) + ahead)
        block = mine_block(net.election, parent.header, time=time, bits=chain.next_bits(parent))
        entry = chain.add_header(block.header, int(net.now))
        chain.add_body(entry, lambda _: ())
        node.store.apply([SaveBlock(entry, ()), SetBest(parent.height, [(entry, ())])])


@pytest.mark.parametrize("ahead", [-MAX_CLOCK_AHEAD, MAX_CLOCK_AHEAD - 5], ids=["old", "ahead"])
def test_after_a_burst_of_blocks_five_nodes_make_blocks_again(ahead: int) -> None:
    election = make_election(bits=bits_for_zero_bits(2))
    net = WideNetwork(election, len(HONEST) + 1, HALL, seed=11, mine_seconds=SEARCH, miners=len(HONEST))
    net.keep_joined(net.nodes)
    net.run(3.0)
    states = [net.nodes[name].core.state for name in HONEST]
    # 1. The fast miner leaves, comes back with its blocks, and leaves for good. Honest nodes follow them.
    net.crash(FAST)
    burst(net, ahead)
    net.restart(FAST)
    assert net.run_until(lambda: all(state.chain.tip.height >= BURST for state in states), 60.0)
    net.crash(FAST)
    tip = states[0].chain.tip
    assert work_of(tip.header.bits) > 0.99 * MAX_RISE * work_of(election.bits)
    # 2. Votes go on. Each is soon in a block of all nodes, whatever times the burst has claimed.
    clients = [net.client(name) for name in HONEST]
    longest = 0.0
    for number, vote in enumerate(make_votes(election, VOTES)):
        cast, place = net.now, number + 1
        clients[number % len(clients)].ask(SubmitVotes(votes=(vote.vote,)))
        assert net.run_until(lambda votes=place: all(s.chain.tally.votes >= votes for s in states), 3600.0)
        longest = max(longest, net.now - cast)
        net.run(max(VOTE_EVERY - (net.now - cast), 0.0))
    # Five cores search in turn, from the fourth turn on all of them; seldom one needs five times as long.
    assert longest < 5 * SEARCH * MAX_RISE, f"{longest:.0f} s"

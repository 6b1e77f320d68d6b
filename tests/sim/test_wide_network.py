"""Sixty nodes, each linked to a few: every vote and block reaches every node soon and once.

Time is virtual, so what is soon can be asserted; `make propagation` prints the figures for 100 and 1,000.
"""

from __future__ import annotations

import os

import pytest

from support.elections import make_election
from support.wide_network import COUNTRY, HALL, WORLD, Surroundings, WideNetwork
from votenet.protocol.node.votes import ANNOUNCE_SECONDS

SIZE, VOTES, RATE = 60, 40, 20.0
AROUND = [(HALL, 1), (WORLD, 3), *([(COUNTRY, 2)] if "SIM_SEEDS" in os.environ else [])]
"""Where the nodes are, and the seed; `make sim` plays all."""
HOPS = 4
"""More than any two of sixty nodes with eight links each are apart."""


def spread_out(around: Surroundings, seed: int, size: int = SIZE) -> tuple[WideNetwork, list[bytes], float]:
    """A network in which all votes are counted, their ids, and bytes a node and vote, in sizes of it."""
    net = WideNetwork(make_election(), size, around, seed=seed, mine_seconds=size / 17)
    net.run(6.0)
    assert min(net.links()) >= 8
    before = sum(net.traffic())
    cast = net.cast(VOTES, RATE)
    net.run(VOTES / RATE)
    for _ in range(60):
        if net.settled(VOTES):
            break
        net.run(1.0)
    assert net.settled(VOTES)
    records = sum(len(vote.record) for vote in cast)
    return net, [vote.id for vote in cast], (sum(net.traffic()) - before) / size / records


@pytest.mark.parametrize(("around", "seed"), AROUND)
def test_votes_and_blocks_reach_all_nodes_within_the_waits_of_a_few_hops(
    around: Surroundings, seed: int
) -> None:
    net, votes, records = spread_out(around, seed)
    assert records <= 12
    assert all(len(net.had[vote]) == SIZE for vote in votes)
    _, _, most, _ = net.spread(votes)
    assert most[0] <= HOPS * ANNOUNCE_SECONDS
    best = [entry.hash for entry in net.nodes["node-0"].core.state.chain.best[1:]]
    _, _, most, _ = net.spread(best)
    assert most[0] <= 2.0
    assert net.refusals == [], "honest nodes refuse no peer"


def test_the_same_seed_is_the_same_history() -> None:
    one, _, records = spread_out(COUNTRY, 5, 20)
    other, _, again = spread_out(COUNTRY, 5, 20)
    assert (one.had, records) == (other.had, again)
    assert one.had != spread_out(COUNTRY, 6, 20)[0].had

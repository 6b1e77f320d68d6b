"""Where votes stand is read from the log's tiles, and no block is read twice."""

from __future__ import annotations

from collections import Counter

from support.elections import make_votes
from support.named_network import NamedNetwork, named
from votenet.protocol.node.vote_heights import VoteHeights


def test_votes_are_found_between_two_heights_and_each_block_is_read_once() -> None:
    net = NamedNetwork(1)
    core = net.core(named(0))
    votes = make_votes(net.election, 9)
    for at in range(0, 9, 3):
        net.cast(votes[at : at + 3], named(0))
        assert net.run_until(lambda at=at: net.all_count(at + 3), 60.0)  # type: ignore[misc]
    state, tip = core.state, core.state.chain.tip.height
    assert core.checkpoints is not None
    of = {hashed.id: entry.height for entry in state.chain.best[1:] for hashed in state.votes_of(entry.hash)}
    assert set(of) == {vote.id for vote in votes}
    assert len(set(of.values())) > 1

    reads: Counter[tuple[int, int]] = Counter()
    stored = state.source.tile

    def tile(level: int, number: int) -> bytes:
        reads[level, number] += 1
        return stored(level, number)

    state.source.tile = tile  # type: ignore[method-assign]
    heights = VoteHeights(state, core.checkpoints.sizes)
    for lowest in [*range(tip, -1, -1), *range(tip + 1)]:
        for height in range(lowest, tip + 2):
            found = heights.between(lowest, height)
            assert {vote.id for vote in votes if found(vote.id)} == {
                vote_id for vote_id, at in of.items() if lowest < at < height
            }
    assert sum(reads.values()) == tip, "the whole log is in one tile, read once for each block"
    header = state.chain.best[tip].header
    assert not any(heights.between(0, tip + 1)(other) for other in (bytes(32), header.hash))

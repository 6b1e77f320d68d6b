"""T12 without clocks: how often a vote goes over a link, counted on the wires of the in-memory network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from support.elections import CREATED, make_election, make_votes
from support.simulated_network import SimulatedLink, SimulatedNetwork
from votenet.core.ledger.mempool import short_id
from votenet.core.ledger.vote import HashedVote, hash_votes
from votenet.protocol.wire.client_messages import SubmitVotes
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message
from votenet.protocol.wire.peer_messages import CompactBlock, GetVotes, HaveVotes, Votes

ELECTION = make_election()
MESH, RING = "mesh", "ring"


class Wires:
    """A network of which every line between nodes is kept: (from, to, line)."""

    def __init__(
        self,
        size: int,
        shape: str,
        seed: int,
        monkeypatch: pytest.MonkeyPatch,
        mine_seconds: float = 2.0,
    ) -> None:
        self.lines: list[tuple[str, str, bytes]] = []
        self.names = [f"node-{number}" for number in range(size)]
        self.net = SimulatedNetwork(ELECTION, seed=seed, start=CREATED + 100.0, mine_seconds=mine_seconds)
        send_line = SimulatedLink.send_line

        def kept(link: SimulatedLink, line: bytes) -> None:
            if "client" not in (link.owner, link.other.owner):
                self.lines.append((link.owner, link.other.owner, line))
            send_line(link, line)

        monkeypatch.setattr(SimulatedLink, "send_line", kept)
        for name in self.names:
            self.net.add(name, mining=False)
        degree = 2 if shape == RING else size - 1
        if shape == MESH:
            self.net.keep_joined(self.names)
        else:
            for one, other in zip(self.names, self.names[1:] + self.names[:1], strict=True):
                self.net.keep_joined([one, other])
        nodes = self.net.nodes.values()
        assert self.net.run_until(lambda: all(len(node.peers()) == degree for node in nodes), 30.0)
        self.net.run(2.0)
        self.lines.clear()

    def submit(self, name: str, *votes: HashedVote) -> None:
        self.net.client(name).ask(SubmitVotes(votes=tuple(vote.vote for vote in votes), id=1))

    def spread(self, count: int) -> None:
        """Until every node has so many votes, and every announcement that is owed is made."""
        nodes = self.net.nodes.values()
        assert self.net.run_until(lambda: all(len(node.core.state.pool) == count for node in nodes), 60.0)
        self.net.run(5.0)

    def messages(self) -> list[tuple[str, str, Message]]:
        return [(one, other, decode_message(line)) for one, other, line in self.lines]

    def full(self) -> Counter[tuple[str, str, bytes]]:
        """How often each vote went in full from one node to another."""
        return Counter(
            (one, other, hashed.id)
            for one, other, message in self.messages()
            if isinstance(message, Votes)
            for hashed in hash_votes(message.votes)
        )

    def announced(self, votes: Sequence[HashedVote]) -> Counter[tuple[str, str, bytes]]:
        found: Counter[tuple[str, str, bytes]] = Counter()
        for one, other, message in self.messages():
            if isinstance(message, HaveVotes):
                seed = self.net.nodes[other].core.state.pool.seed
                names = {short_id(vote.id, seed): vote.id for vote in votes}
                for start in range(0, len(message.ids), 16):
                    found[one, other, names[message.ids[start : start + 8]]] += 1
        return found


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("size", "records_per_node"), [(5, 2.5), (9, 3.0)])
def test_a_vote_reaches_every_node_of_a_mesh_once_at_the_expected_cost(
    size: int, records_per_node: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = Wires(size, MESH, seed, monkeypatch)
    votes = make_votes(ELECTION, 60)
    for number, vote in enumerate(votes):
        wires.submit(wires.net.random.choice(wires.names), vote)
        if number % 10 == 9:
            wires.net.run(0.3)
    wires.spread(len(votes))
    full, announced = wires.full(), wires.announced(votes)
    assert set(full.values()) == {1}
    assert sum(full.values()) == len(votes) * (size - 1)
    assert max(announced.values(), default=0) <= 1
    # No node sends a vote back to its sender, or to a node that has announced it.
    assert all((other, one, vote) not in full for one, other, vote in announced)
    assert not [message for _, _, message in wires.messages() if isinstance(message, GetVotes)]
    records = sum(len(vote.record) for vote in votes)
    total = 2 * sum(len(line) + 1 for _, _, line in wires.lines)
    assert total / size <= records_per_node * records
    assert len(wires.lines) <= len(votes) * (size - 1) + 8 * size * size, "lines are not batched"


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("size", [5, 9])
def test_in_a_ring_every_node_gets_a_vote_in_full_once(
    size: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = Wires(size, RING, seed, monkeypatch)
    votes = make_votes(ELECTION, 20)
    wires.submit("node-0", *votes[:10])
    wires.submit("node-2", *votes[10:])
    wires.spread(len(votes))
    received = Counter((other, vote) for _, other, vote in wires.full().elements())
    assert set(received.values()) == {1}
    assert len(received) == len(votes) * (size - 1)
    assert set(wires.announced(votes).values()) == {1}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_votes_given_to_all_nodes_at_once_cross_on_the_wire_at_most(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = Wires(5, MESH, seed, monkeypatch)
    votes = make_votes(ELECTION, 20)
    for name in wires.names:
        wires.submit(name, *votes)
    wires.spread(len(votes))
    assert set(wires.full().values()) == {1}  # from one node to another: once
    assert wires.announced(votes) == {}
    assert not [message for _, _, message in wires.messages() if isinstance(message, GetVotes)]


def test_a_vote_that_is_submitted_again_and_again_costs_its_peers_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wires = Wires(5, MESH, 1, monkeypatch)
    votes = make_votes(ELECTION, 5)
    wires.submit("node-0", *votes)
    wires.spread(len(votes))
    wires.lines.clear()
    for _ in range(10):
        for name in wires.names:
            wires.submit(name, *votes)
        wires.net.run(0.5)
    kinds = {msgspec.json.decode(line)["type"] for _, _, line in wires.lines}
    assert kinds <= {"ping", "pong"}


def test_a_block_goes_compact_over_each_link_at_most_once_in_each_direction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wires = Wires(5, MESH, 1, monkeypatch, mine_seconds=60.0)
    votes = make_votes(ELECTION, 30)
    wires.submit("node-0", *votes)
    wires.spread(len(votes))
    wires.lines.clear()
    wires.net.add("miner")
    wires.net.keep_joined([*wires.names, "miner"])
    nodes = wires.net.nodes.values()
    assert wires.net.run_until(lambda: all(n.core.state.chain.tally.votes == 30 for n in nodes), 600.0)
    wires.net.run(2.0)
    blocks = Counter((one, other) for one, other, m in wires.messages() if isinstance(m, CompactBlock))
    assert max(blocks.values()) == 1
    assert not {"block", "get_blocks"} & {msgspec.json.decode(line)["type"] for _, _, line in wires.lines}
    assert not any(other == "miner" for _, other in blocks), "its miner knows it"

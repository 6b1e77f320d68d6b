"""A network of named nodes in virtual time: votes cast, nodes killed, restored, kept apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from support.elections import CREATED, TRIVIAL_BITS, keys_of_node, make_election, named_nodes
from support.simulated_network import SimulatedNetwork, SimulatedNode
from votenet.core.election.definition import Election
from votenet.core.election.roll import with_roll
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.node.node_core import NodeCore
from votenet.protocol.wire.client_messages import SubmitVotes
from votenet.protocol.wire.messages import encode_message


def named(index: int) -> str:
    return f"named-{index}"


class NamedNetwork(SimulatedNetwork):
    """`count` named nodes, all joined, and relays that are joined to all of them."""

    def __init__(
        self,
        count: int,
        *,
        seed: int = 1,
        relays: Sequence[str] = (),
        election: Election | None = None,
        **definition: Any,
    ) -> None:
        """`election`: with its roll; else it is made from `definition`."""
        fields = {"bits": TRIVIAL_BITS, "nodes": named_nodes(count), **definition}
        election = election or make_election(**fields)
        if "roll" in fields:
            election = with_roll(election, fields["roll"])
        super().__init__(election, seed=seed, start=CREATED + 100.0, mine_seconds=0.3)
        self.names = [named(index) for index in range(count)]
        for index, name in enumerate(self.names):
            self.add(name, key=keys_of_node(index).node)
        for name in relays:
            self.add(name, mining=False)
        self.keep_joined([*self.names, *relays])
        self.run_until(lambda: all(len(node.peers()) >= count - 1 for node in self.nodes.values()), 10.0)

    def cast(self, votes: Iterable[HashedVote], at: str) -> None:
        """Hand votes to a node, one line for all."""
        message = SubmitVotes(votes=tuple(hashed.vote for hashed in votes))
        self.client(at).send(encode_message(message))

    def core(self, name: str) -> NodeCore:
        return self.nodes[name].core

    def alive(self) -> list[SimulatedNode]:
        return [node for node in self.nodes.values() if node.alive]

    def all_count(self, votes: int) -> bool:
        """Whether every node that is up has so many votes on its chain."""
        return all(node.core.state.chain.tally.votes == votes for node in self.alive())

    def all_certified(self) -> bool:
        """Whether every node that is up has the certificate of its tip."""
        return all(_certified(node.core) == node.core.state.chain.tip.height for node in self.alive())

    def decided(self) -> dict[int, set[bytes]]:
        """The hashes of blocks on the chains of all nodes, by height."""
        found: dict[int, set[bytes]] = {}
        for node in self.nodes.values():
            for entry in node.core.state.chain.best:
                found.setdefault(entry.height, set()).add(entry.hash)
        return found

    def no_two_decisions(self) -> bool:
        return all(len(hashes) == 1 for hashes in self.decided().values())


def _certified(core: NodeCore) -> int:
    certified = None if core.checkpoints is None else core.checkpoints.certified
    return 0 if certified is None else certified.height

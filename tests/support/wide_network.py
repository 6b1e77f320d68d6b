"""Many nodes in virtual time, on wires with a length, a width and losses: when each node has a vote or block.

Used by `tests/sim/test_wide_network.py` and `bench/propagation.py`.

Each node dials OUTBOUND others, as `protocol/peers/outbound.py` has it, so that it has twice as many links on
average; whom is chosen here, since discovery has its own tests. A wire's length is drawn once; a node's lines
leave one after the other through its upload. The time that a node takes for a batch and for a check is that
of `tests/support/simulated_network.py`; the search for a nonce takes as long as its difficulty asks of
one miner.

"Has it" means that it is on the node's disk: a vote waiting or in a block, a block with all votes checked.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from support.elections import CREATED, make_vote
from support.memory_block_store import MemoryBlockStore
from support.simulated_network import (
    LOSS_SECONDS,
    SimulatedClient,
    SimulatedLink,
    SimulatedNetwork,
)
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import HashedVote
from votenet.pow import work_of
from votenet.protocol.node.events import Change, SaveBlock, SaveVotes, SetBest, Template
from votenet.protocol.peers.selection import OUTBOUND
from votenet.protocol.wire.client_messages import SubmitVotes

PACKET_BYTES: Final = 60
"""Of TCP and IP around a line."""
JITTER: Final = 0.1
"""A line may take so much longer than the wire is long."""
DIAL_SECONDS: Final = 2.0
"""All links are dialled within this time of the beginning."""
SHARES: Final = (0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the nodes stand. `wires`: shortest and longest way, seconds in one direction; `lost`: share of
    lines of which a packet is lost; `upload`: bytes a second of one node."""

    name: str
    wires: tuple[float, float]
    lost: float
    upload: float


HALL: Final = Surroundings("a hall", (0.0002, 0.001), 0.0, 12.5e6)
COUNTRY: Final = Surroundings("a country", (0.002, 0.03), 0.002, 2.5e6)
WORLD: Final = Surroundings("the world", (0.005, 0.15), 0.01, 1.25e6)


class _WatchedStore(MemoryBlockStore):
    """Tells what is saved, and how far back a switch of branches went."""

    def __init__(self, election: Election, had: Callable[[bytes], None], back: Callable[[int], None]) -> None:
        super().__init__(election)
        self._had, self._back, self._known = had, back, set[bytes]()

    def apply(self, changes: Sequence[Change]) -> None:
        height = len(self._best)
        super().apply(changes)
        for change in changes:
            if isinstance(change, SetBest):
                self._back(height - change.fork_height)
                height = change.fork_height + len(change.blocks)
            for record in _ids(change):
                if record not in self._known:
                    self._known.add(record)
                    self._had(record)


def _ids(change: Change) -> Iterator[bytes]:
    if isinstance(change, SaveVotes | SaveBlock):
        yield from (hashed.id for hashed in change.votes)
    if isinstance(change, SaveBlock):
        yield change.entry.hash


class WideNetwork(SimulatedNetwork):
    """`size` nodes, of which the first `miners` mine (all, without).

    Args:
        mine_seconds: of virtual time in which one miner finds a nonce of genesis difficulty.
    """

    def __init__(
        self,
        election: Election,
        size: int,
        around: Surroundings,
        *,
        seed: int,
        mine_seconds: float,
        miners: int | None = None,
    ) -> None:
        super().__init__(election, seed=seed, start=CREATED + 100.0, mine_seconds=mine_seconds)
        self.size, self.around = size, around
        self.had: dict[bytes, list[float]] = {}
        """When the first node had a vote or a block, when the second had it, …"""
        self.switches: Counter[int] = Counter()
        """How many blocks nodes gave up for another branch, each time."""
        self.sent: Counter[str] = Counter()
        """Bytes by kind of message, between nodes."""
        self._lengths: dict[int, float] = {}
        self._free: dict[str, float] = {}
        self._clients: dict[str, SimulatedClient] = {}
        for number in range(size):
            name = f"node-{number}"
            store = _WatchedStore(self.election, self._note, self._note_switch)
            self.add(name, mining=miners is None or number < miners, store=store)
        self._lay_wires()

    def _note(self, record: bytes) -> None:
        self.had.setdefault(record, []).append(self.now)

    def _note_switch(self, depth: int) -> None:
        if depth:
            self.switches[depth] += 1

    def _lay_wires(self) -> None:
        names = list(self.nodes)
        joined: set[frozenset[str]] = set()
        for name in names:
            free = [other for other in names if other != name and frozenset((name, other)) not in joined]
            for other in self.random.sample(free, min(OUTBOUND, len(free))):
                joined.add(frozenset((name, other)))
                self.later(
                    self.random.uniform(0, DIAL_SECONDS), lambda one=name, two=other: self.join(one, two)
                )

    # -- wires and searches --------------------------------------------------------------------

    def delay_on(self, link: SimulatedLink, line: bytes) -> float:
        if line and "client" not in (link.owner, link.other.owner):
            self.sent[line.split(b'"', 4)[3].decode()] += len(line) + 1
        wire = min(link.id, link.other.id)
        if wire not in self._lengths:
            self._lengths[wire] = self.random.uniform(*self.around.wires)
        begin = max(self.now, self._free.get(link.owner, 0.0))
        gone = self._free[link.owner] = begin + (len(line) + PACKET_BYTES) / self.around.upload
        delay = gone - self.now + self._lengths[wire] * self.random.uniform(1.0, 1.0 + JITTER)
        if self.around.lost and self.random.random() < self.around.lost:
            delay += self.random.uniform(*LOSS_SECONDS)
        return delay

    def search_seconds(self, template: Template) -> float:
        harder = work_of(template.header.bits) / work_of(self.election.bits)
        return self.random.expovariate(1.0 / (self.mine_seconds * harder))

    # -- a load --------------------------------------------------------------------------------

    def cast(self, votes: int, rate: float) -> list[HashedVote]:
        """So many votes by the clock from now on, each at a node of its own luck."""
        cast = [make_vote(self.election, f"voter-{number}", time=CREATED + 1) for number in range(votes)]
        for number, vote in enumerate(cast):
            name = self.random.choice(list(self.nodes))
            self.later(number / rate, lambda to=name, vote=vote: self._submit(to, vote))
        return cast

    def _submit(self, name: str, vote: HashedVote) -> None:
        if name not in self._clients:
            self._clients[name] = self.client(name)
        self._clients[name].ask(SubmitVotes(votes=(vote.vote,)))

    # -- what was seen -------------------------------------------------------------------------

    def traffic(self) -> list[int]:
        """Bytes sent to and received from peers, for each node."""
        return [sum(node.links.traffic()) for node in self.nodes.values()]

    def links(self) -> list[int]:
        return [len(node.peers()) for node in self.nodes.values()]

    def settled(self, votes: int) -> bool:
        """All nodes have so many votes in the same chain, and none wait."""
        states = [node.core.state for node in self.nodes.values()]
        tips = {state.chain.tip.hash for state in states}
        return len(tips) == 1 and all((s.chain.tally.votes, len(s.pool)) == (votes, 0) for s in states)

    def blocks(self) -> tuple[list[bytes], int]:
        """(every block that node-0 has heard of, height of the best branch)."""
        chain = self.nodes["node-0"].core.state.chain
        found = [record for record in self.had if record in chain.entries]
        return found, chain.tip.height

    def spread(self, records: Sequence[bytes]) -> list[tuple[float, float]]:
        """For each of SHARES: seconds from the first node to that share of the nodes (median of the records,
        worst). What never got so far counts as endless."""
        found = []
        for share in SHARES:
            count = math.ceil(share * self.size)
            times = [
                self.had[one][count - 1] - self.had[one][0] if len(self.had[one]) >= count else math.inf
                for one in records
            ]
            found.append((statistics.median(times), max(times)))
        return found

    def intervals(self) -> list[float]:
        """Seconds between blocks of the best branch, by when their miners had them."""
        best = self.nodes["node-0"].core.state.chain.best[1:]
        times = [self.had[entry.hash][0] for entry in best]
        return [later - earlier for earlier, later in pairwise(times)]

"""Whole nodes that are named by their election, in virtual time with faults: what is decided stays decided.

One seed is one history: votes everywhere, crashes around saves, partitions, silent wires, wrong clocks, old
disks, a node that runs twice. `NAMED_SEEDS=1000` plays many, `NAMED_SEED=n` one again.
"""

from __future__ import annotations

import copy
import random

import pytest

from support.elections import CREATED, keys_of_node, make_vote
from support.memory_block_store import MemoryBlockStore
from support.named_network import NamedNetwork
from support.seeds import seeds
from support.simulated_network import SimulatedClient
from votenet.core.election.quorum import faults_of
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.node.restored import RestoredMark
from votenet.protocol.wire.client_messages import SubmitVotes, VotesTaken

VOTES = 40
BUSY_SECONDS = 40.0
"""Votes and faults fall into this time."""
CALM_SECONDS = 300.0
"""Time to find back together: a silent wire is given up after 60 s."""
LOOK_SECONDS = 1.0

SEEDS = seeds("NAMED", 3)


class NamedStory:
    """One history of three to seven named nodes; at most f of them lose their memory or run twice."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(f"named {seed}")
        self.count = dice.choice((3, 4, 4, 5, 5, 7))
        self.net = NamedNetwork(self.count, seed=seed, relays=dice.choice(([], ["relay"])))
        self.net.lost = dice.choice((0.0, 0.02))
        self.net.repeated = dice.choice((0.0, 0.03))
        self.net.mine_seconds = dice.choice((0.1, 1.0, 4.0))
        self.spare = faults_of(self.count)
        self.faulty: set[str] = set()
        """Nodes that may break promises: old disks without a mark, keys that are used twice."""
        self.restored: set[str] = set()
        """A node with an old disk that is marked: it has lost votes, and contradicts nothing."""
        self.backups: dict[str, list[MemoryBlockStore]] = {name: [] for name in self.net.names}
        self.decided: dict[int, bytes] = {}
        self.cast: list[tuple[str, SimulatedClient, HashedVote]] = []
        for name in self.net.names:
            self.net.nodes[name].skew = dice.choice((0.0, 0.0, dice.uniform(-4.0, 4.0)))

    @property
    def honest(self) -> list[str]:
        return [name for name in self.net.names if name not in self.faulty]

    def play(self) -> None:
        net, dice = self.net, self.dice
        for number in range(VOTES):
            vote = make_vote(net.election, f"voter-{number}", "Alice", time=CREATED + number)
            net.later(dice.uniform(0.0, BUSY_SECONDS), lambda vote=vote: self.submit(vote))
        for _ in range(dice.choice((0, 3, 6, 10))):
            net.later(dice.uniform(0.0, BUSY_SECONDS), self.fault)
        if self.spare and dice.random() < 0.4:
            net.later(dice.uniform(0.0, BUSY_SECONDS / 2), lambda: self.run_twice(dice.choice(net.names)))
        self.look()
        net.run(BUSY_SECONDS + 20.0)
        net.heal()
        for name in net.names:
            net.nodes[name].crash_point = None
            self.restart(name)
        done = net.run_until(self.all_is_counted, CALM_SECONDS)
        self.check_decisions()
        assert done, self.picture()

    def submit(self, vote: HashedVote) -> None:
        name = self.dice.choice(self.net.names)
        client = self.net.client(name)
        client.ask(SubmitVotes(votes=(vote.vote,), id=1))
        self.cast.append((name, client, vote))

    # -- faults ------------------------------------------------------------------------------------

    def fault(self) -> None:
        dice, net = self.dice, self.net
        kind = dice.choice(("crash", "crash", "crash", "partition", "silence", "cut", "all", "disk"))
        name = dice.choice(net.names)
        if kind == "crash":
            net.crash(name, dice.choice(("now", "before save", "after save")))
            net.later(dice.uniform(0.5, 8.0), lambda: self.restart(name))
        elif kind == "all":
            for one in net.names:
                net.crash(one)
                net.later(dice.uniform(0.5, 4.0), lambda one=one: self.restart(one))
        elif kind == "cut":
            net.cut(*dice.sample(net.names, 2))
        elif kind == "disk":
            self.restore(name)
        else:
            alone = dice.sample(net.names, dice.randint(1, self.count - 1))
            others = [one for one in net.names if one not in alone]
            net.partition(alone, others, silent=kind == "silence")
            net.later(dice.uniform(1.0, 15.0), net.heal)

    def restart(self, name: str) -> None:
        if not self.net.nodes[name].alive:
            self.net.restart(name)

    def restore(self, name: str) -> None:
        """An older disk: with its mark the node stays honest, without it counts as a liar from now on."""
        if not self.backups[name]:
            return
        if name in self.restored or (not self.faulty | self.restored and self.dice.random() < 0.7):
            self.restored.add(name)
            self.spare = 0
            self.net.crash(name)
            store = self.net.nodes[name].store = copy.deepcopy(self.dice.choice(self.backups[name]))
            store.apply([RestoredMark().encode()])
            self.net.restart(name)
            return
        if name not in self.faulty:
            if not self.spare:
                return
            self.spare -= 1
            self.faulty.add(name)
        self.net.crash(name)
        self.net.nodes[name].store = copy.deepcopy(self.dice.choice(self.backups[name]))
        self.net.restart(name)

    def run_twice(self, name: str) -> None:
        """A second process with the same key and an empty disk; each other node is linked to one of them."""
        if not self.spare:
            return
        self.spare -= 1
        self.faulty.add(name)
        twin = f"{name} again"
        node = self.net.add(twin, key=keys_of_node(self.net.names.index(name)).node)
        node.skew = 0.0
        friends = [one for one in self.net.names if one != name and self.dice.random() < 0.5]
        for friend in friends:
            self.net.stop_joining(name, friend)
            self.net.cut(name, friend)
            self.net.keep_joined([twin, friend])

    # -- what must hold ----------------------------------------------------------------------------

    def look(self) -> None:
        self.check_decisions()
        for name in self.honest:
            if self.dice.random() < 0.2:
                self.backups[name].append(copy.deepcopy(self.net.nodes[name].store))
        self.net.later(LOOK_SECONDS, self.look)

    def check_decisions(self) -> None:
        for name in self.honest:
            core = self.net.nodes[name].core
            for entry in core.state.chain.best:
                first = self.decided.setdefault(entry.height, entry.hash)
                assert first == entry.hash, f"{name} has another block at height {entry.height}"
            assert core.finality is not None
            assert not core.finality.key_elsewhere, f"{name} finds its key elsewhere"
            accused = {lie.split(":")[0] for lie in core.state.lies}
            assert all(any(one in lie for one in self.faulty) for lie in core.state.lies), accused

    def promised(self) -> list[str]:
        """Voters who were told by an honest node that it has their vote."""
        return [
            vote.voter_id
            for name, client, vote in self.cast
            if name in self.honest and name not in self.restored
            for answer in client.answers()
            if isinstance(answer, VotesTaken) and answer.outcomes[0].error is None
        ]

    def all_is_counted(self) -> bool:
        nodes = [self.net.nodes[name] for name in self.honest]
        if any(len(node.core.state.pool) for node in nodes if node.alive):
            return False
        chains = [node.core.state.chain for node in nodes]
        promised = set(self.promised())
        return all(
            promised <= chain.voters.keys() and chain.tip.hash == chains[0].tip.hash for chain in chains
        )

    def picture(self) -> str:
        return f"faulty {self.faulty}\n" + "\n".join(map(self.picture_of, self.net.names))

    def picture_of(self, name: str) -> str:
        node = self.net.nodes[name]
        state, finality = node.core.state, node.core.finality
        assert finality is not None
        machine = finality.machine
        return (
            f"{name}: alive {node.alive}, height {state.chain.tip.height}, waiting {len(state.pool)}, "
            f"peers {sorted(node.peers())}, round {machine.round} {machine.step.name}, recovering "
            f"{machine.recovering}, stopped {machine.stopped}, decided {machine.decided is not None}"
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_what_named_nodes_decide_stays_and_every_promised_vote_is_counted(seed: int) -> None:
    try:
        NamedStory(seed).play()
    except AssertionError as error:
        error.add_note(f"To play this history again: NAMED_SEED={seed} pytest tests/sim/test_named_nodes.py")
        raise

"""Named nodes whose election is amended while they crash and are kept apart: all end with one result.

One seed is one history: voters added, keys replaced while the voters vote, hours moved near their end, nodes
that had stopped already. `AMENDED_SEEDS=1000` plays many, `AMENDED_SEED=n` one again.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from support.amendments import AUTHORITY, amendment, roll_of
from support.elections import CREATED, as_stored, key_of, make_vote
from support.named_network import NamedNetwork
from support.seeds import seeds
from support.simulated_network import SimulatedClient, SimulatedNode
from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.archive import ArchiveCheck, archive_lines
from votenet.protocol.wire.client_messages import AmendmentTaken, SubmitAmendment, SubmitVotes

VOTERS = 16
CLOSES = CREATED + 240
"""The network starts at CREATED + 100."""
CALM_SECONDS = 300.0
LOOK_SECONDS = 0.5
SURE_SECONDS = 100.0
"""An amendment that was taken so long before the end is in a block, if no rule is against it."""

SEEDS = seeds("AMENDED", 2)


class AmendedStory:
    """One history of four to seven honest nodes."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(f"amended {seed}")
        self.count = dice.choice((4, 5, 7))
        self.roll = roll_of(*(f"v{number}" for number in range(VOTERS)))
        self.net = net = NamedNetwork(
            self.count, seed=seed, relays=dice.choice(([], ["relay"])), closes=CLOSES, roll=self.roll,
            authority_key=AUTHORITY.public_hex,
        )  # fmt: skip
        net.lost, net.repeated = dice.choice((0.0, 0.02)), dice.choice((0.0, 0.03))
        net.mine_seconds = dice.choice((0.1, 1.0, 4.0))
        for name in net.names:
            net.nodes[name].skew = dice.choice((0.0, 0.0, dice.uniform(-4.0, 4.0)))
        self.decided: dict[int, bytes] = {}
        self.held: dict[bytes, tuple[HashedVote, int]] = {}
        """By vote id: how many nodes were seen to hold it at one time."""
        self.used: set[str] = set()
        self.signed: list[tuple[float, Amendment, SimulatedClient]] = []

    # -- what happens ------------------------------------------------------------------------------

    def play(self) -> None:
        net, dice, begin = self.net, self.dice, self.net.now
        for number in range(VOTERS):
            self.at(dice.uniform(begin, CLOSES + 20), self.vote, f"v{number}", f"v{number}")
        for number in range(dice.randint(2, 6)):
            self.at(dice.uniform(begin, CLOSES - 70), self.add_voter, f"late {number}")
        for number in dice.sample(range(VOTERS), dice.randint(1, 5)):
            self.at(dice.uniform(begin, CLOSES - 70), self.replace_key, f"v{number}")
        if dice.random() < 0.8:
            self.at(CLOSES - dice.uniform(61, 80), self.move_hour, "extend", CLOSES + dice.randint(30, 120))
        if dice.random() < 0.3:
            self.at(dice.uniform(begin, CLOSES - 140), self.move_hour, "close", CLOSES - dice.randint(1, 40))
        for _ in range(dice.choice((0, 3, 6))):
            self.at(dice.uniform(begin, CLOSES), self.fault)
        self.look()
        net.run(CLOSES - net.now + 60.0)
        net.heal()
        for name in net.names:
            net.nodes[name].crash_point = None
            self.restart(name)
        done = net.run_until(self.all_over, CALM_SECONDS)
        self.check_decisions()
        assert done, "the election does not end"
        assert net.run_until(net.all_certified, 30.0)
        self.check_end()

    def at(self, time: float, act: Any, *given: Any) -> None:
        self.net.later(max(time - self.net.now, 0.0), lambda: act(*given))

    def vote(self, voter: str, key: str) -> None:
        """Each key signs one vote: of two, each could be held by some nodes."""
        if key in self.used:
            return
        self.used.add(key)
        vote = make_vote(self.net.election, voter, time=int(self.net.now), key=key_of(key))
        self.held[vote.id] = vote, 0
        self.net.client(self.dice.choice(self.net.names)).ask(SubmitVotes(votes=(vote.vote,), id=1))

    def add_voter(self, voter: str) -> None:
        self.amend("add-voter", voter, key=voter)
        self.net.later(self.dice.uniform(0.0, 60.0), lambda: self.vote(voter, voter))

    def replace_key(self, voter: str) -> None:
        """The voter votes with both keys about now."""
        self.amend("replace-key", voter)
        self.net.later(self.dice.uniform(0.0, 2.0), lambda: self.vote(voter, voter))
        self.net.later(self.dice.uniform(0.0, 60.0), lambda: self.vote(voter, f"new key of {voter}"))

    def move_hour(self, action: Any, closes: int) -> None:
        self.amend(action, closes=closes)
        self.net.later(self.dice.uniform(0.0, 60.0), lambda: self.amend(action, closes=closes + 5))

    def amend(self, action: Any, voter: str | None = None, **members: Any) -> None:
        """The authority signs the number that is next at the node that it asks, or behind what it signed."""
        name = self.dice.choice(self.net.names)
        election: Election = self.net.core(name).state.election
        waiting = [one for _, one, _ in self.signed[-3:] if one.number >= election.next_number]
        number = max([one.number + 1 for one in waiting] or [election.next_number])
        if self.dice.random() < 0.2:
            number = election.next_number
        one = amendment(election, action, voter, number=number, **members)
        client = self.net.client(name)
        client.ask(SubmitAmendment(amendment=one, id=1))
        self.signed.append((self.net.now, one, client))

    def fault(self) -> None:
        dice, net = self.dice, self.net
        kind, name = dice.choice(("crash", "crash", "partition", "silence", "all")), dice.choice(net.names)
        if kind == "crash":
            net.crash(name, dice.choice(("now", "before save", "after save")))
            net.later(dice.uniform(0.5, 8.0), lambda: self.restart(name))
        elif kind == "all":
            for one in net.names:
                net.crash(one)
                net.later(dice.uniform(0.5, 4.0), lambda one=one: self.restart(one))
        else:
            alone = dice.sample(net.names, dice.randint(1, self.count - 1))
            net.partition(alone, [one for one in net.names if one not in alone], silent=kind == "silence")
            net.later(dice.uniform(1.0, 30.0), net.heal)

    def restart(self, name: str) -> None:
        if not self.net.nodes[name].alive:
            self.net.restart(name)

    # -- what must hold ----------------------------------------------------------------------------

    def nodes(self) -> list[SimulatedNode]:
        return [node for node in self.net.alive() if node.name in self.net.names]

    def look(self) -> None:
        self.check_decisions()
        for vote_id, (vote, most) in self.held.items():
            holders = sum(self.holds(node, vote) for node in self.nodes())
            self.held[vote_id] = vote, max(most, holders)
        self.net.later(LOOK_SECONDS, self.look)

    @staticmethod
    def holds(node: SimulatedNode, vote: HashedVote) -> bool:
        state = node.core.state
        if vote.voter_id in state.chain.voters:
            return state.vote_location(vote.voter_id).vote_id == vote.id
        return state.pool.of_voter(vote.voter_id) == vote

    def check_decisions(self) -> None:
        for node in self.nodes():
            for entry in node.core.state.chain.best:
                first = self.decided.setdefault(entry.height, entry.hash)
                assert first == entry.hash, f"{node.name} has another block at height {entry.height}"
            assert not node.core.state.lies, node.core.state.lies

    def all_over(self) -> bool:
        tips = {node.core.state.chain.tip.hash for node in self.net.alive()}
        closings = [node.core.closing for node in self.net.alive()]
        return len(tips) == 1 and all(closing is not None and closing.end.over for closing in closings)

    def check_end(self) -> None:
        node = self.nodes()[0]
        state = node.core.state
        election = state.election
        # 1. A reader of the archive, with the roll, comes to the same election and the same count.
        blocks = [
            as_stored(Block(entry.header, tuple(node.store.votes_of(entry.hash)), entry.extras))
            for entry in state.chain.best[1:]
        ]
        certified = node.core.checkpoints.certified if node.core.checkpoints else None
        assert certified is not None
        lines = archive_lines(self.net.election, blocks, str(certified.certificate.note))
        report = ArchiveCheck(lines, int(self.net.now), roll=self.roll).run()
        assert (report.final, report.votes) == (True, state.chain.tally.votes)
        assert (report.amendments, report.closes) == (election.amendments, election.closes)
        # 2. A vote that enough nodes held to be in each closing block is counted, whatever was amended.
        enough = self.count - election.quorum + election.faults + 1
        for vote, most in self.held.values():
            assert most < enough or self.holds(node, vote), f"{vote.voter_id}: held by {most}, not counted"
        # 3. What was taken in good time is in a block, unless a rule stands against one that was signed with
        #    a smaller number, or with the same.
        closes = election.closes or 0
        for when, one, client in self.signed:
            taken = any(isinstance(answer, AmendmentTaken) for answer in client.answers())
            before = [other for _, other, _ in self.signed if other.number <= one.number and other != one]
            void = any(other not in election.amendments for other in before)
            there = void or one in election.amendments
            if taken and one.action == "add-voter" and when < closes - SURE_SECONDS and not there:
                raise AssertionError(f"amendment {one.number} was taken and is in no block")


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_of_an_amended_election_end_with_one_result_and_every_held_vote(seed: int) -> None:
    try:
        AmendedStory(seed).play()
    except AssertionError as error:
        error.add_note(
            f"To play this history again: AMENDED_SEED={seed} pytest tests/sim/test_amended_nodes.py"
        )
        raise

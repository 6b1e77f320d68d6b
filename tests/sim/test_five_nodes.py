"""Five nodes, hundreds of votes, ten faults, in virtual time: the count stays true.

One seed is one history: who votes what and where, how long each line takes, which are lost or repeated,
how wrong each clock is, who crashes when, who is cut off from whom. Every tenth has 1,000 votes, the
others 200. A failure prints the command that plays its seed again; `make sim SEEDS=1000` hunts longer.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from support.elections import CREATED, make_election, make_vote, votes_in_order
from support.seeds import seeds
from support.simulated_network import SimulatedClient, SimulatedNetwork
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.wire.client_messages import GetResults, Results, SubmitVotes, VotesTaken

NAMES = ("node-1", "node-2", "node-3", "node-4", "node-5")
VOTES, MANY_VOTES = 200, 1000
FAULTS = 10
LOST, REPEATED = 0.01, 0.03
"""Shares of lines on the wires of every second history."""
SKEW_SECONDS = (0.0, 0.0, 2.0, 60.0, 1800.0)
"""How far clocks may be from the truth, in either direction; one of these for each history."""
LOOK_SECONDS = 0.5
"""Between two looks at whether every promise is still kept."""
BUSY_SECONDS = 60.0
"""Votes and faults fall into this time."""
CALM_SECONDS = 600.0
"""Time to find back together: a silent wire is given up after 60 s, a peer that owes blocks after 20 s."""

SEEDS = seeds("SIM", 5)


class Story:
    """One history: who voted what where, what was promised, what broke."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.votes = VOTES if seed % 10 else MANY_VOTES
        self.election = make_election()
        bad_wires = seed % 2
        self.net = SimulatedNetwork(
            self.election,
            seed=seed,
            start=CREATED + 10_000.0,
            mine_seconds=2.0,
            lost=LOST * bad_wires,
            repeated=REPEATED * bad_wires,
        )
        skew = self.dice.choice(SKEW_SECONDS)
        for name in NAMES:
            self.net.add(name, skew=self.dice.uniform(-skew, skew))
        self.net.keep_joined(NAMES)
        self.promises: dict[str, set[str]] = {name: set() for name in NAMES}
        """Voters whose vote each node has accepted, as far as their clients have heard."""
        self.unheard: list[tuple[str, SimulatedClient, list[HashedVote]]] = []
        self.cast: list[tuple[str, SimulatedClient, list[HashedVote]]] = []
        self.down: set[str] = set()

    # -- what voters do ------------------------------------------------------------------------

    def plan_votes(self) -> None:
        """Some voters come twice, some with another choice, some to another node at the same moment."""
        for number in range(self.votes):
            when = self.dice.uniform(5.0, BUSY_SECONDS)
            kind = self.dice.choices(("once", "again", "conflict"), (6, 1, 1))[0]
            vote = self.vote(f"voter-{number}", "Alice", "Bob", "Charlie")
            self.plan_submission(when, vote)
            if kind == "again":
                self.plan_submission(self.dice.uniform(5.0, BUSY_SECONDS), vote)
            elif kind == "conflict":
                for _ in range(self.dice.randint(1, 3)):
                    other = self.vote(f"voter-{number}", "Alice", "Bob", "Charlie")
                    self.plan_submission(when + self.dice.uniform(0.0, 0.5), other)

    def vote(self, voter: str, *names: str) -> HashedVote:
        time = CREATED + self.dice.randrange(100)
        return make_vote(self.election, voter, self.dice.choice(names), time=time)

    def plan_submission(self, when: float, vote: HashedVote) -> None:
        self.net.later(when, lambda: self.submit(self.dice.choice(NAMES), vote))

    def submit(self, name: str, vote: HashedVote) -> None:
        client = self.net.client(name)
        client.ask(SubmitVotes(votes=(vote.vote,), id=1))
        self.cast.append((name, client, [vote]))
        self.unheard.append((name, client, [vote]))

    # -- what breaks ---------------------------------------------------------------------------

    def plan_faults(self) -> None:
        for _ in range(FAULTS):
            self.net.later(self.dice.uniform(5.0, BUSY_SECONDS), self.fault)

    def fault(self) -> None:
        kind = self.dice.choice(("crash", "crash", "partition", "silence", "cut"))
        if kind == "crash":
            name = self.dice.choice(NAMES)
            self.net.crash(name, self.dice.choice(("now", "before save", "after save")))
            self.net.later(self.dice.uniform(0.5, 10.0), lambda: self.net.restart(name))
        elif kind == "cut":
            one, other = self.dice.sample(NAMES, 2)
            self.net.cut(one, other)
        else:
            alone = self.dice.sample(NAMES, self.dice.randint(1, 2))
            rest = [name for name in NAMES if name not in alone]
            self.net.partition(alone, rest, silent=kind == "silence")
            self.net.later(self.dice.uniform(1.0, 15.0), self.net.heal)

    # -- what must come of it ------------------------------------------------------------------

    def play(self) -> None:
        self.plan_votes()
        self.plan_faults()
        self.look()
        self.net.run(BUSY_SECONDS + 20.0)
        self.net.heal()
        for name in NAMES:  # a crash that was to come with the next save may still be pending
            if not self.net.nodes[name].alive:
                self.net.restart(name)
            self.net.nodes[name].crash_point = None
        assert self.net.run_until(self.agreed, CALM_SECONDS), self.picture()

    def agreed(self) -> bool:
        """All joined, nothing waiting, one tip, and no other branch that could still win."""
        nodes = self.net.nodes.values()
        joined = all(node.peers() == set(NAMES) - {node.name} for node in nodes)
        quiet = not any(len(node.core.state.pool) or node.core.state.chain.tied_tips() for node in nodes)
        return joined and quiet and len({node.core.state.chain.tip.hash for node in nodes}) == 1

    def picture(self) -> str:
        return "\n".join(
            f"{n.name}: alive {n.alive}, height {c.tip.height}, tip {c.tip.hash.hex()[:8]}, "
            f"rivals {len(c.tied_tips())}, waiting {len(n.core.state.pool)}, "
            f"peers {sorted(n.peers())}, synced {n.core.caught_up}"
            for n in self.net.nodes.values()
            for c in [n.core.state.chain]
        )

    # -- what must hold at every moment --------------------------------------------------------

    def look(self) -> None:
        """What a voter was told holds now at the node that told it, and nothing is counted twice."""
        unheard = []
        for name, client, votes in self.unheard:
            if not client.lines and not client.closed:
                unheard.append((name, client, votes))
            for answer in client.answers():
                if isinstance(answer, VotesTaken) and answer.outcomes[0].error is None:
                    self.promises[name].add(votes[0].voter_id)
        self.unheard = unheard
        for name, voters in self.promises.items():
            node = self.net.nodes[name]
            chain, pool = node.core.state.chain, node.core.state.pool
            lost = [v for v in voters if v not in chain.voters and pool.of_voter(v) is None]
            assert not lost, f"{name} has lost {lost} at {self.net.now - CREATED:.1f}"
            stored = node.store.load()
            kept = set(stored.voters) | {hashed.voter_id for hashed in stored.waiting}
            assert voters <= kept, f"{name} has lost {voters - kept} from its disk"
            assert chain.tally.votes == len(chain.voters), f"{name} counts {chain.tally.votes} votes"
            assert not any(hashed.voter_id in chain.voters for hashed in pool), "a vote waits that is counted"
        self.net.later(LOOK_SECONDS, self.look)

    def promised(self) -> list[HashedVote]:
        """Votes whose acceptance reached their voter."""
        return [
            vote
            for _, client, votes in self.cast
            for answer in client.answers()
            if isinstance(answer, VotesTaken)
            for vote, outcome in zip(votes, answer.outcomes, strict=True)
            if outcome.error is None
        ]

    def results(self, name: str) -> Results:
        client = self.net.client(name)
        client.ask(GetResults(id=1))
        assert self.net.run_until(lambda: bool(client.lines), 10.0)
        (answer,) = client.answers()
        assert isinstance(answer, Results)
        return answer


@pytest.mark.parametrize("seed", SEEDS)
def test_no_vote_is_lost_or_counted_twice_and_all_nodes_agree(seed: int) -> None:
    story = Story(seed)
    try:
        story.play()
        check_the_end(story)
    except AssertionError as error:
        error.add_note(f"To play this history again: SIM_SEED={seed} pytest tests/sim")
        raise


def check_the_end(story: Story) -> None:
    counted = [hashed for _, hashed in votes_in_order(story.net.nodes["node-1"].store)]
    voters = Counter(hashed.voter_id for hashed in counted)
    assert set(voters.values()) == {1}, "a voter is counted twice"
    promised = story.promised()
    assert len(promised) > story.votes / 2, "too few votes were accepted: the story tests nothing"
    assert {vote.voter_id for vote in promised} <= set(voters), "an acknowledged vote is lost"
    sent = {vote.id for _, _, votes in story.cast for vote in votes}
    assert {vote.id for vote in counted} <= sent, "a vote that was never cast is counted"

    recount = Counter(hashed.vote.choices[0][0] for hashed in counted)
    for name in NAMES:
        results = story.results(name)
        assert dict(results.contests[0].counts) == {
            candidate: recount[candidate] for candidate in story.election.names
        }
        assert results.votes == len(counted)

    refusals = {refusal.code for refusal in story.net.refusals if refusal.by in NAMES}
    assert refusals <= {"duplicate-connection", "key-twice"}, f"honest nodes refused each other: {refusals}"


def test_the_same_seed_gives_the_same_history() -> None:
    tips = []
    for _ in range(2):
        story = Story(4711)
        story.play()
        tips.append([node.core.state.chain.tip.hash for node in story.net.nodes.values()])
    assert tips[0] == tips[1]

"""Every short run of the real machine: all orders of messages, time-outs and restarts, with f liars.

The state of an honest node is what it saves, so every move is a restart: the machine starts from its saved
state, gets the messages that one rule needs, and saves again. Messages of honest nodes may be as late as the
order of moves says, or never come. Liars may say anything to each node at each move, and something else to
the same node at the next: more than real liars can, since a real machine remembers what they said. A rule
gets no more messages than it needs; a run with more in the log makes the same statements, or fewer.

States are equal if they differ only by the names of the two values, or of honest nodes that propose in none
of the rounds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from votenet.core.election.quorum import faults_of, quorum_of
from votenet.protocol.consensus.outputs import (
    NO_BLOCK,
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    PROPOSAL,
    CheckValue,
    Conflict,
    Output,
    OwnKeyElsewhere,
    RoundStatement,
    SavedState,
    Send,
)
from votenet.protocol.consensus.tendermint import Tendermint

VALUES = (b"A" * 32, b"B" * 32)
OTHER = {VALUES[0]: VALUES[1], VALUES[1]: VALUES[0], NO_BLOCK: NO_BLOCK, None: None}
LATER = 1e9
"""A time at which every time-out has passed."""

Said = tuple[str, int, bytes, int]
"""Kind, round, value and valid round of an own statement."""


class NodeView(NamedTuple):
    """What one honest node has saved; `decided` is the value, if any."""

    round: int
    said: tuple[Said, ...]
    valid_value: bytes | None
    valid_round: int
    decided: bytes | None


START = NodeView(0, (), None, NO_ROUND, None)


class Known:
    """A view with its number, and what is looked up in it again and again."""

    def __init__(self, number: int, view: NodeView) -> None:
        self.number, self.view = number, view
        self.votes = {said[:2]: said[2] for said in view.said}
        self.furthest = max((said[1] for said in view.said), default=0)
        self.swapped = number


State = tuple[int, ...]
"""The number of each honest node's view."""


class Move(NamedTuple):
    """What one node gets: a proposal, votes, a skipped round, a time-out or a found block."""

    kind: str
    round: int
    value: bytes = NO_BLOCK
    valid_round: int = NO_ROUND


class Violation(AssertionError):
    """An invariant does not hold; the message is the run."""


class Checker:
    """All reachable states of `nodes` nodes, of which the last f in `liars` lie, up to a number of rounds."""

    def __init__(
        self, liars: set[int], rounds: int, machine_type: type[Tendermint] = Tendermint, nodes: int = 4
    ) -> None:
        self.nodes, self.liars, self.rounds, self.machine_type = nodes, liars, rounds, machine_type
        self.height = nodes  # so that node r proposes in round r
        self.faults = faults_of(nodes)
        self.quorum = machine_type(nodes, 0, 1.0).quorum
        self.honest = [index for index in range(nodes) if index not in liars]
        self.fixed = sum(index < rounds for index in self.honest)
        """So many honest nodes propose in one of the rounds: they are not interchangeable."""
        self.known: list[Known] = []
        self.numbers: dict[NodeView, int] = {}
        self.results: dict[tuple[int, int, Move], int | None] = {}
        self.decisions = 0
        """In how many of the states looked at any node has decided."""

    # -- all states --------------------------------------------------------------------------------

    def run(self, first: NodeView = START) -> int:
        """The number of different states after all honest nodes were in the first one.

        Raises:
            Violation: with the run that leads to it.
        """
        start = self.canonical((self.number(first),) * len(self.honest))
        came_from: dict[State, tuple[State, str] | None] = {start: None}
        frontier = [start]
        while frontier:
            ahead = []
            for state in frontier:
                for place, move, number in self.moves(state):
                    after = self.after(state, place, number)
                    if self.disagrees(after):
                        raise Violation("\n".join(self.story(came_from, state, place, move, number)))
                    after = self.canonical(after)
                    if after not in came_from:
                        came_from[after] = (state, self.text(place, move, number))
                        ahead.append(after)
            frontier = ahead
        return len(came_from)

    def walk(self, dice: random.Random, steps: int) -> None:
        """One random run; raises Violation."""
        state, run = (self.number(START),) * len(self.honest), []
        for _ in range(steps):
            moves = list(self.moves(state))
            if not moves:
                return
            place, move, number = dice.choice(moves)
            run.append(self.text(place, move, number))
            state = self.after(state, place, number)
            if self.disagrees(state):
                raise Violation("\n".join(run))

    @staticmethod
    def after(state: State, place: int, number: int) -> State:
        return (*state[:place], number, *state[place + 1 :])

    def disagrees(self, state: State) -> bool:
        decided = {self.known[number].view.decided for number in state} - {None}
        self.decisions += len(decided) > 0
        return len(decided) > 1

    def text(self, place: int, move: Move, number: int) -> str:
        return f"node {self.honest[place]}: {move} -> {self.known[number].view}"

    def story(
        self,
        came_from: dict[State, tuple[State, str] | None],
        state: State,
        place: int,
        move: Move,
        number: int,
    ) -> list[str]:
        lines = [self.text(place, move, number)]
        while (before := came_from[state]) is not None:
            state, text = before
            lines.append(text)
        return lines[::-1]

    # -- equal states ------------------------------------------------------------------------------

    def number(self, view: NodeView) -> int:
        if view not in self.numbers:
            number = self.numbers[view] = len(self.known)
            self.known.append(Known(number, view))
            said = tuple(sorted((kind, r, OTHER[value], vr) for kind, r, value, vr in view.said))
            twin = view._replace(said=said, valid_value=OTHER[view.valid_value], decided=OTHER[view.decided])
            self.known[number].swapped = self.number(twin)
        return self.numbers[view]

    def canonical(self, state: State) -> State:
        return min(self.ordered(state), self.ordered([self.known[number].swapped for number in state]))

    def ordered(self, state: Sequence[int]) -> State:
        return (*state[: self.fixed], *sorted(state[self.fixed :]))

    # -- what may happen next ------------------------------------------------------------------------

    def moves(self, state: State) -> Iterator[tuple[int, Move, int]]:
        """Places of nodes in the state, what they get, and the number of their next view."""
        views = [self.known[number] for number in state]
        for place, known in enumerate(views):
            if known.view.decided is None:
                index = self.honest[place]
                for move in self.possible(index, known, views[:place] + views[place + 1 :]):
                    after = self.result(index, known, move)
                    if after is not None:
                        yield place, move, after

    def possible(self, index: int, known: Known, others: list[Known]) -> Iterator[Move]:
        """Moves whose messages honest nodes have sent, or liars can send."""
        here = known.view.round
        if (PREVOTE, here) not in known.votes:
            yield Move("time-out", here)
            if here % self.nodes == index:
                yield from (Move("build", here, value) for value in VALUES)
            for value, valid_round in self.proposals(here, others):
                yield Move("bare proposal", here, value, valid_round)
                if valid_round != NO_ROUND and self.have(PREVOTE, valid_round, value, known, others):
                    yield Move(PROPOSAL, here, value, valid_round)
        else:
            yield from self.quorums(PREVOTE, here, known, others)
            if (PRECOMMIT, here) not in known.votes and self.have(PREVOTE, here, None, known, others):
                yield Move("any prevotes", here)
        if here + 1 < self.rounds and self.have(PRECOMMIT, here, None, known, others):
            yield Move("any precommits", here)
        for number in range(self.rounds):
            yield from self.quorums(PRECOMMIT, number, known, others)
        # f liars and one honest node are enough to skip to its round.
        furthest = max(other.furthest for other in others)
        yield from (Move("skip", number) for number in range(here + 1, furthest + 1))

    def proposals(self, here: int, others: list[Known]) -> Iterator[tuple[bytes, int]]:
        """Values and valid rounds that the proposer of a round has sent, or can invent."""
        proposer = here % self.nodes
        if proposer in self.liars:
            yield from ((value, number) for value in VALUES for number in range(NO_ROUND, here))
        else:
            said = (said for other in others for said in other.view.said)
            yield from ((value, vr) for kind, number, value, vr in said if (kind, number) == (PROPOSAL, here))

    def quorums(self, kind: str, number: int, known: Known, others: list[Known]) -> Iterator[Move]:
        for value in VALUES:
            if self.have(kind, number, value, known, others):
                yield Move(kind, number, value)

    def have(self, kind: str, number: int, value: bytes | None, known: Known, others: list[Known]) -> bool:
        """Whether others can send what is missing for a quorum; value None: votes for anything."""
        what = (kind, number)
        if value is None:
            votes = sum(what in other.votes for other in others)
        else:
            votes = sum(other.votes.get(what) == value for other in others)
        return votes + len(self.liars) >= self.missing(what, value, known)

    def missing(self, what: tuple[str, int], value: bytes | None, known: Known) -> int:
        own = known.votes.get(what)
        return self.quorum - (own is not None and value in (None, own))

    # -- one move of the real machine ------------------------------------------------------------------

    def result(self, index: int, known: Known, move: Move) -> int | None:
        """The number of what the node has saved after a move; None if that changes nothing."""
        key = (index, known.number, move)
        if key not in self.results:
            after = self.number(self.play(index, known, move))
            self.results[key] = after if after != known.number else None
        return self.results[key]

    def play(self, index: int, known: Known, move: Move) -> NodeView:
        view, here = known.view, move.round
        machine = self.machine_type(self.nodes, index, 1.0)
        outputs: list[Output] = []

        def take(new: list[Output]) -> None:
            outputs.extend(new)
            for output in new:
                if isinstance(output, CheckValue):
                    take(machine.judged(output, True, 0.0))

        others = [node for node in range(self.nodes) if node != index]

        def vote(kind: str, number: int, value: bytes, votes: int) -> None:
            for node in others[:votes]:
                take(machine.receive(RoundStatement(kind, self.height, number, node, value), 0.0))

        take(machine.start(self.height, 0.0, self.saved(index, view)))
        for node in others:
            take(machine.own_statements_from(node, self.height, [], 0.0))
        if move.kind == "time-out":
            take(machine.set_wanted(True, 0.0))
            take(machine.tick(LATER))
        elif move.kind == "build":
            take(machine.set_wanted(True, 0.0))
            take(machine.built(here, move.value, 0.0))
        elif move.kind in (PROPOSAL, "bare proposal"):
            if move.kind == PROPOSAL:
                needed = self.missing((PREVOTE, move.valid_round), move.value, known)
                vote(PREVOTE, move.valid_round, move.value, needed)
            made = RoundStatement(
                PROPOSAL, self.height, here, here % self.nodes, move.value, move.valid_round
            )
            take(machine.receive(made, 0.0))
        elif move.kind == "skip":
            vote(PREVOTE, here, NO_BLOCK, self.faults + 1)
        elif move.kind in (PREVOTE, PRECOMMIT):
            vote(move.kind, here, move.value, self.missing((move.kind, here), move.value, known))
        else:
            kind = PREVOTE if move.kind == "any prevotes" else PRECOMMIT
            vote(kind, here, NO_BLOCK, self.missing((kind, here), None, known))
            take(machine.tick(LATER))
        self.check_outputs(view, move, outputs)
        self.check_restart(index, machine)
        return self.view_of(machine)

    def check_restart(self, index: int, machine: Tendermint) -> None:
        """A restart changes nothing: this is why every move may begin with one."""
        again = self.machine_type(self.nodes, index, 1.0)
        again.start(self.height, 0.0, machine.saved_state())
        for name in ("round", "step", "locked_value", "locked_round", "valid_value", "valid_round"):
            before, after = getattr(machine, name), getattr(again, name)
            if before != after:
                raise Violation(f"a restart of node {index} changes {name}: {before} {after}")

    def saved(self, index: int, view: NodeView) -> SavedState:
        own = tuple(
            RoundStatement(kind, self.height, r, index, value, vr) for kind, r, value, vr in view.said
        )
        proof = () if view.valid_value is None else range(quorum_of(self.nodes))
        valid = (RoundStatement(PREVOTE, self.height, view.valid_round, n, view.valid_value) for n in proof)
        return SavedState(self.height, view.round, tuple(valid), own)

    @staticmethod
    def view_of(machine: Tendermint) -> NodeView:
        state = machine.saved_state()
        said = tuple(sorted((made.kind, made.round, made.value, made.valid_round) for made in state.own))
        decided = machine.decided.value if machine.decided else None
        return NodeView(state.round, said, machine.valid_value, machine.valid_round, decided)

    def check_outputs(self, view: NodeView, move: Move, outputs: list[Output]) -> None:
        said = {(kind, number): value for kind, number, value, _ in view.said}
        for output in outputs:
            if isinstance(output, (Conflict, OwnKeyElsewhere)):
                raise Violation(f"an honest node is accused: {view} {move} {output}")
            if isinstance(output, Send):
                made = output.statement
                if said.setdefault((made.kind, made.round), made.value) != made.value:
                    raise Violation(f"a node contradicts itself: {view} {move} {made}")

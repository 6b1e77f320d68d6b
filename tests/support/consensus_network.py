"""Consensus machines of named nodes in virtual time: delays, broken links, crashes, restored disks, liars.

Each `Process` is a caller of one machine as a node is: it saves before it sends, says its height on every
link that comes up and at every height, and hands on blocks that are decided. Two processes with one index
are a liar that says different things to different nodes.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from votenet.core.election.quorum import faults_of, quorum_of
from votenet.protocol.consensus.outputs import (
    NO_BLOCK,
    PRECOMMIT,
    PREVOTE,
    PROPOSAL,
    BuildBlock,
    CheckValue,
    Conflict,
    Decided,
    Forward,
    Output,
    OwnKeyElsewhere,
    Refresh,
    RoundStatement,
    Save,
    SavedState,
    Send,
)
from votenet.protocol.consensus.silence import Silence
from votenet.protocol.consensus.tendermint import Tendermint

BAD, GOOD, LATE = b"bad", b"good", b"late"
"""How values begin: no honest node takes a bad one; a late one is taken in time, or once it is proven."""
LATE_SECONDS = 20.0
"""Up to this time a late value is in time."""


class BrokenPromise(AssertionError):
    """An invariant does not hold."""


class Process:
    """One machine with its disk, clock and links."""

    def __init__(self, net: ConsensusNetwork, name: int, index: int, honest: bool) -> None:
        self.net, self.name, self.index, self.honest = net, name, index, honest
        self.up = False
        self.life = 0
        """Grows with every crash: what was begun in an earlier life never ends."""
        self.chain: list[Decided] = []
        self.saved: SavedState | None = None
        self.backups: list[tuple[list[Decided], SavedState | None]] = []
        self.clock_offset, self.clock_rate = net.dice.uniform(0, 1e6), 1.0
        self.search_factor = 1.0
        self.outputs_to_crash: int | None = None
        """After how many outputs the process ends in the middle of its work."""
        self.wanted = False
        self.restored = False
        """Its disk is marked as an old one: it says nothing before it may."""
        self.was_silent = False
        self.tick_at: float | None = None
        self.machine = self.new_machine()

    def new_machine(self) -> Tendermint:
        return self.net.machine_type(self.net.nodes, self.index, self.net.search_seconds)

    @property
    def now(self) -> float:
        return self.clock_offset + self.net.now * self.clock_rate

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        self.up = True
        self.machine = self.new_machine()
        self.machine.set_reachable(self.linked(), self.now)
        silence, self.was_silent = Silence(self.net.nodes) if self.restored else None, self.restored
        self.carry_out(self.machine.start(len(self.chain) + 1, self.now, self.saved, silence))
        if self.up:
            self.carry_out(self.machine.set_wanted(self.wanted, self.now))
        for other in self.net.processes:
            self.net.link_up(self, other)

    def crash(self) -> None:
        self.up, self.tick_at, self.outputs_to_crash = False, None, None
        self.life += 1
        for other in self.net.processes:
            self.net.link_down(self, other)

    def restore(self, dice: random.Random) -> None:
        """Put back the disk of an earlier height, or an empty one."""
        chain, self.saved = dice.choice([([], None), *self.backups])
        self.chain = list(chain)

    def linked(self) -> list[int]:
        return [other.index for other in self.net.processes if self.net.linked(self, other)]

    # -- what a caller does with outputs ---------------------------------------------------------

    def carry_out(self, outputs: list[Output]) -> None:
        life = self.life
        if self.was_silent and self.machine.silence is None:
            self.was_silent = False  # it answers now: a node that recovers asks every second
            for other in self.net.processes:
                self.net.send(other, self, Process.hear_height, other, other.machine.height)
        for output in outputs:
            if self.outputs_to_crash is not None:
                self.outputs_to_crash -= 1
                if self.outputs_to_crash < 0:
                    self.crash()
            if self.life != life:
                return
            self.carry_out_one(output)
        if self.life == life:
            self.plan_tick()

    def carry_out_one(self, output: Output) -> None:
        net = self.net
        if isinstance(output, Save):
            self.saved, self.restored = output.state, self.machine.silence is not None
        elif isinstance(output, Send):
            net.note_sent(self, output.statement)
            for other in net.processes:
                net.send(self, other, Process.hear, output.statement)
        elif isinstance(output, Forward):
            for other in net.processes:
                net.send(self, other, Process.hear_quorum, *output.prevotes)
        elif isinstance(output, Refresh):
            for other in net.processes:
                if net.linked(self, other):
                    self.tell_all_of_height(other)
                    net.send(self, other, Process.hear_height, self, self.machine.height)
        elif isinstance(output, BuildBlock):
            seconds = net.dice.expovariate(1.0) * net.search_seconds * self.search_factor
            net.later(seconds, self.in_this_life(self.found_block), output.round)
        elif isinstance(output, CheckValue):
            net.later(net.dice.uniform(0.0, net.judge_seconds), self.in_this_life(self.judge), output)
        elif isinstance(output, Decided):
            net.note_decided(self, output)
            net.later(0.0, self.in_this_life(self.next_height), output)
        elif isinstance(output, Conflict):
            net.note_conflict(self, output)
        else:
            net.note_own_key(self, output)

    def in_this_life(self, action: Callable[..., None]) -> Callable[..., None]:
        life = self.life

        def guarded(*args: Any) -> None:
            if self.life == life:
                action(*args)

        return guarded

    def plan_tick(self) -> None:
        deadline = self.machine.deadline
        if deadline is not None:
            seconds = max(0.0, (deadline - self.now) / self.clock_rate)
            when = self.net.now + seconds
            if self.tick_at is None or when < self.tick_at:
                self.tick_at = when
                self.net.later(seconds, self.in_this_life(self.tick), when)

    def tick(self, when: float) -> None:
        if self.tick_at != when:
            return
        self.tick_at = None
        # A clock with another rate is rounded: without a hair more the deadline may lie in front of us.
        self.carry_out(self.machine.tick(self.now + 1e-6))

    def found_block(self, round_number: int) -> None:
        if self.machine.building and self.machine.round == round_number:
            value = self.net.new_value(GOOD if self.net.dice.random() < 0.8 else LATE)
            self.carry_out(self.machine.built(round_number, value, self.now))

    def judge(self, check: CheckValue) -> None:
        in_time = check.proven or self.net.now < LATE_SECONDS
        ok = check.value.startswith(GOOD) or (check.value.startswith(LATE) and in_time)
        self.carry_out(self.machine.judged(check, ok, self.now))

    def next_height(self, decided: Decided) -> None:
        self.backups.append((list(self.chain), self.saved))
        self.chain.append(decided)
        if len(self.chain) < self.net.enough:
            self.carry_out(self.machine.start_height(len(self.chain) + 1, self.now))
        for other in self.net.processes:
            self.net.send(self, other, Process.hear_height, self, len(self.chain) + 1)

    def set_wanted(self, wanted: bool) -> None:
        self.wanted = wanted
        if self.up:
            self.carry_out(self.machine.set_wanted(wanted, self.now))

    def set_reachable(self) -> None:
        if self.up:
            self.carry_out(self.machine.set_reachable(self.linked(), self.now))

    # -- lines of other nodes --------------------------------------------------------------------

    def hear(self, *statements: RoundStatement) -> None:
        for statement in statements:
            if self.up and (self.honest or statement.node != self.index):
                self.carry_out(self.machine.receive(statement, self.now))

    def hear_quorum(self, *votes: RoundStatement) -> None:
        if self.honest or self.index not in {vote.node for vote in votes}:
            self.carry_out(self.machine.receive_quorum(votes, self.now))

    def hear_height(self, other: Process, height: int) -> None:
        """Say what a node at that height needs of us."""
        machine, net = self.machine, self.net
        if other.machine.silence is None:
            self.carry_out(machine.height_told(other.index, height, self.now))
        if height > machine.height:
            net.send(self, other, Process.hear_height, self, machine.height)
        if height < machine.height or machine.decided is not None:
            for decided in self.chain[height - 1 : height]:
                net.send(self, other, Process.hear_quorum, *decided.precommits)
        if height == machine.height:
            self.tell_all_of_height(other)
        own = machine.statements_of(other.index, height)
        if own is not None and machine.silence is None:
            net.send(self, other, Process.hear_own_statements, self.index, height, own)

    def tell_all_of_height(self, other: Process) -> None:
        self.net.send(self, other, Process.hear, *self.machine.statements())
        for votes in self.machine.quorums():
            self.net.send(self, other, Process.hear_quorum, *votes)

    def hear_own_statements(self, node: int, height: int, statements: Iterable[RoundStatement]) -> None:
        if self.honest:
            self.carry_out(self.machine.own_statements_from(node, height, statements, self.now))
        else:
            self.carry_out(self.machine.own_statements_from(node, height, [], self.now))


class RandomLiar(Process):
    """Says anything to anyone, in the rounds that it hears of."""

    patience = 60

    def hear(self, *statements: RoundStatement) -> None:
        dice = self.net.dice
        for heard in statements:
            for other in self.net.processes:
                if other.honest and self.patience > 0 and dice.random() < 0.3:
                    self.patience -= 1
                    self.net.send(self, other, Process.hear, self.lie(heard))

    def lie(self, heard: RoundStatement) -> RoundStatement:
        dice = self.net.dice
        kind = dice.choice((PROPOSAL, PREVOTE, PREVOTE, PRECOMMIT, PRECOMMIT))
        round_number = max(0, heard.round + dice.choice((-1, 0, 0, 0, 1, 1, 30)))
        value = dice.choice((heard.value, NO_BLOCK, *self.net.values[-3:]))
        if kind == PROPOSAL and (value == NO_BLOCK or dice.random() < 0.5):
            value = self.net.new_value(dice.choice((GOOD, BAD, LATE)))
        valid_round = dice.randint(-1, round_number - 1) if kind == PROPOSAL and round_number else -1
        return RoundStatement(kind, heard.height, round_number, self.index, value, valid_round)

    def start(self) -> None:
        self.up = True

    def hear_quorum(self, *votes: RoundStatement) -> None:
        """It needs no proof."""

    def hear_height(self, other: Process, height: int) -> None:
        """It keeps to itself what it holds."""

    def hear_own_statements(self, node: int, height: int, statements: Iterable[RoundStatement]) -> None:
        """It has no memory."""


class ConsensusNetwork:
    """Processes, the links between them, and what must hold."""

    def __init__(
        self, nodes: int, seed: int, enough: int = 3, machine_type: type[Tendermint] = Tendermint
    ) -> None:
        self.dice = random.Random(seed)
        self.nodes, self.enough, self.machine_type = nodes, enough, machine_type
        self.quorum, self.faults = quorum_of(nodes), faults_of(nodes)
        self.search_seconds, self.judge_seconds = 0.5, 0.02
        self.delays = (0.001, 0.05)
        self.now = 0.0
        self.queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.serial = count()
        self.processes: list[Process] = []
        self.cut: set[tuple[int, int]] = set()
        self.epochs: defaultdict[tuple[int, int], int] = defaultdict(int)
        self.values: list[bytes] = []
        self.sent: dict[tuple[int, str, int, int], bytes] = {}
        """What each honest process has ever sent of each kind, height and round."""
        self.disagreements: list[tuple[Decided, Decided]] = []
        self.first_decided: dict[int, Decided] = {}
        self.liars: set[int] = set()
        self.accused: set[int] = set()
        self.own_keys: list[tuple[int, OwnKeyElsewhere]] = []
        self.may_disagree = False
        self.on_first_decision: Callable[[Process], None] = lambda process: None
        self.steps = 0

    def add(self, index: int, kind: type[Process] = Process, honest: bool = True) -> Process:
        process = kind(self, len(self.processes), index, honest)
        self.processes.append(process)
        if not honest:
            self.liars.add(index)
        return process

    @property
    def honest(self) -> list[Process]:
        return [process for process in self.processes if process.honest]

    # -- time ------------------------------------------------------------------------------------

    def later(self, seconds: float, action: Callable[..., None], *args: Any) -> None:
        heappush(self.queue, (self.now + seconds, next(self.serial), action, args))

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        """Play events up to a time; ends early when `done`."""
        while self.queue and self.queue[0][0] <= until:
            if done():
                return
            self.now, _, action, args = heappop(self.queue)
            self.steps += 1
            action(*args)
        if not done():
            self.now = until

    # -- links -----------------------------------------------------------------------------------

    def linked(self, one: Process, other: Process) -> bool:
        pair = (one.name, other.name)
        return one.up and other.up and one is not other and pair not in self.cut and one.index != other.index

    def link_up(self, one: Process, other: Process) -> None:
        if self.linked(one, other):
            for near, far in ((one, other), (other, one)):
                near.set_reachable()
                self.send(near, far, Process.hear_height, near, near.machine.height)

    def link_down(self, one: Process, other: Process) -> None:
        self.epochs[one.name, other.name] += 1
        self.epochs[other.name, one.name] += 1
        other.set_reachable()
        one.set_reachable()

    def send(self, one: Process, other: Process, action: Callable[..., None], *args: Any) -> None:
        if not self.linked(one, other):
            return
        pair = (one.name, other.name)
        self.later(self.dice.uniform(*self.delays), self.deliver, pair, self.epochs[pair], action, args)

    def deliver(self, pair: tuple[int, int], epoch: int, action: Callable[..., None], args: Any) -> None:
        if self.epochs[pair] == epoch:
            receiver = self.processes[pair[1]]
            getattr(receiver, action.__name__)(*args)

    def set_cut(self, pairs: set[tuple[int, int]]) -> None:
        """Only these pairs have no link, in both directions, from now on."""
        pairs = pairs | {(other, one) for one, other in pairs}
        before, self.cut = self.cut, pairs
        for one, other in sorted(pairs ^ before):
            if one < other:
                change = self.link_down if (one, other) in pairs else self.link_up
                change(self.processes[one], self.processes[other])

    def partition(self, *groups: Iterable[int]) -> None:
        """Processes of different groups have no link; those in no group have all."""
        place = {name: number for number, group in enumerate(groups) for name in group}
        self.set_cut({(a, b) for a in place for b in place if place[a] != place[b]})

    # -- what must hold --------------------------------------------------------------------------

    def new_value(self, beginning: bytes) -> bytes:
        self.values.append(beginning.ljust(24, b".") + b"%08d" % len(self.values))
        return self.values[-1]

    def note_sent(self, process: Process, statement: RoundStatement) -> None:
        if not process.honest:
            return
        key = (process.index, statement.kind, statement.height, statement.round)
        if self.sent.setdefault(key, statement.value) != statement.value:
            raise BrokenPromise(f"{self.now:.3f}: node {process.index} contradicts itself: {statement}")

    def note_decided(self, process: Process, decided: Decided) -> None:
        if not process.honest:
            return
        for_it = {made.node for made in decided.precommits if made.value == decided.value}
        if len(for_it) < self.quorum:
            raise BrokenPromise(f"decided without a quorum: {decided}")
        if decided.value.startswith(BAD) or decided.value not in self.values:
            raise BrokenPromise(f"decided a bad value: {decided}")
        if decided.height not in self.first_decided:
            self.on_first_decision(process)
        first = self.first_decided.setdefault(decided.height, decided)
        if first.value != decided.value:
            self.disagreements.append((first, decided))
            if not self.may_disagree:
                raise BrokenPromise(f"{self.now:.3f}: two decisions at one height: {first} {decided}")

    def note_conflict(self, process: Process, conflict: Conflict) -> None:
        if not process.honest:
            return
        if conflict.first.node not in self.liars:
            raise BrokenPromise(f"an honest node is accused: {conflict}")
        self.accused.add(conflict.first.node)

    def note_own_key(self, process: Process, output: OwnKeyElsewhere) -> None:
        if process.honest:
            raise BrokenPromise(f"node {process.index} finds its key elsewhere: {output}")

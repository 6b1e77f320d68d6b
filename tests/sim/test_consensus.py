"""Machines of one to seven named nodes against broken networks, crashes, old backups and liars.

One seed is one history. `CONSENSUS_SEEDS=10000` plays many, `CONSENSUS_SEED=n` one again; a failure names it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from support.consensus_network import BrokenPromise, ConsensusNetwork, Process, RandomLiar
from support.seeds import seeds
from votenet.protocol.consensus.outputs import Decided, RoundStatement
from votenet.protocol.consensus.tendermint import Tendermint

BUSY_SECONDS = 30.0
"""Faults fall into this time."""
CALM_SECONDS = 400.0
"""Within so many seconds after the last fault every honest node has decided every height."""
HEIGHTS = 3
PARTITIONS = {3: ((2, 1), (1, 1, 1)), 4: ((2, 2), (3, 1)), 5: ((2, 2, 1), (3, 2), (4, 1)), 6: ((3, 3),)}

SEEDS = seeds("CONSENSUS", 100)


class ConsensusStory:
    """One history, drawn from its seed."""

    def __init__(self, seed: int, machine_type: type[Tendermint] = Tendermint, nodes: int = 0) -> None:
        self.dice = dice = random.Random(f"story {seed}")
        self.nodes = nodes or dice.choice((1, 2, 3, 4, 4, 4, 5, 5, 6, 7))
        self.net = net = ConsensusNetwork(self.nodes, seed, HEIGHTS, machine_type)
        net.delays = dice.choice(((0.001, 0.05), (0.001, 0.05), (0.001, 0.5), (0.0, 3.0)))
        net.search_seconds = dice.choice((0.05, 0.5, 2.0))
        net.judge_seconds = dice.choice((0.0, 0.02, 1.0))
        lying = dice.sample(range(self.nodes), dice.choice((0, 0, net.faults, dice.randint(0, net.faults))))
        skew = dice.choice((0.0, 0.0, 0.1, 0.3))
        twins = []
        for index in range(self.nodes):
            if index not in lying:
                process = net.add(index)
                process.clock_rate = 1.0 + dice.uniform(-skew, skew)
            elif dice.random() < 0.5:
                net.add(index, RandomLiar, honest=False)
            else:
                twins += [net.add(index, honest=False), net.add(index, honest=False)]
        dice.choice(net.processes).search_factor = dice.choice((1.0, 1.0, 20.0))
        self.always_cut = self.split_twins(twins)
        if dice.random() < 0.3:
            net.on_first_decision = self.snatch
        self.spare = net.faults - len(lying)
        """How many honest nodes may lose their memory."""

    def split_twins(self, twins: list[Process]) -> set[tuple[int, int]]:
        """Pairs without a link: an honest node hears one of two processes with one key, or both."""
        cut = set()
        for honest in self.net.honest:
            side = self.dice.choice((0, 1, 2))
            cut |= {(honest.name, twin.name) for twin in twins[side::2] if side < 2}
        return cut

    def play(self) -> None:
        net, dice = self.net, self.dice
        net.set_cut(self.always_cut)
        for process in net.processes:
            net.later(dice.uniform(0.0, 1.0), process.start)
            net.later(dice.uniform(0.0, dice.choice((0.1, 20.0))), process.set_wanted, True)
        for _ in range(dice.choice((0, 2, 4, 8))):
            net.later(dice.uniform(0.0, BUSY_SECONDS), self.fault)
        net.run(BUSY_SECONDS, self.done)
        self.heal()
        net.run(net.now + CALM_SECONDS, self.done)
        late = [process.index for process in net.honest if len(process.chain) < HEIGHTS]
        if late:
            raise BrokenPromise(f"no progress at nodes {late} within {CALM_SECONDS} s")

    def done(self) -> bool:
        return all(len(process.chain) >= HEIGHTS for process in self.net.honest)

    # -- faults ------------------------------------------------------------------------------------

    def fault(self) -> None:
        dice = self.dice
        kind = dice.choice(("crash", "crash", "partition", "partition", "link", "backup", "all"))
        if kind == "crash":
            self.crash(dice.choice(self.net.honest), dice.choice((None, 0, 1, 1, 2, 3)))
        elif kind == "partition":
            sizes = dice.choice(PARTITIONS.get(self.nodes, ((1, self.nodes - 1),)))
            names = dice.sample(range(self.nodes), self.nodes)
            self.net.partition(*([names.pop() for _ in range(size)] for size in sizes))
            self.net.set_cut(self.net.cut | self.always_cut)
            self.net.later(dice.uniform(0.5, 10.0), self.heal_links)
        elif kind == "link" and len(self.net.processes) > 1:
            one, other = dice.sample(range(len(self.net.processes)), 2)
            self.net.set_cut(self.net.cut | {(one, other)})
            self.net.later(dice.uniform(0.0, 3.0), self.heal_links)
        elif kind == "backup" and self.spare > 0:
            self.spare -= 1
            self.restore(dice.choice(self.net.honest))
        elif kind == "all":
            for process in self.net.honest:
                self.crash(process, None)

    def crash(self, process: Process, outputs: int | None) -> None:
        """Now, or in the middle of its next work: before or after it saves, or between two sends."""
        if not process.up:
            return
        if outputs is None:
            process.crash()
        else:
            process.outputs_to_crash = outputs
        self.net.later(self.dice.uniform(0.1, 5.0), self.restart, process)

    def restart(self, process: Process) -> None:
        if not process.up:
            process.start()

    def restore(self, process: Process) -> None:
        """The disk of an earlier height, or an empty one: the node counts as a liar from now on."""
        if process.up:
            process.crash()
        self.net.liars.add(process.index)
        process.honest = False
        process.restore(self.dice)
        self.restart(process)

    def snatch(self, decider: Process) -> None:
        """Cut off the first node that decides, before it can tell the others."""
        self.net.set_cut(self.net.cut | {(decider.name, other.name) for other in self.net.processes})
        self.net.later(self.dice.uniform(1.0, 40.0), self.heal_links)

    def heal_links(self) -> None:
        self.net.set_cut(self.always_cut)

    def heal(self) -> None:
        self.heal_links()
        for process in self.net.processes:
            process.outputs_to_crash = None
            self.restart(process)
            process.set_wanted(True)


def check_seed(seed: int, play: Callable[[int], None]) -> None:
    try:
        play(seed)
    except BrokenPromise as broken:
        command = f"CONSENSUS_SEED={seed} pytest tests/sim/test_consensus.py"
        raise AssertionError(f"{command}: {broken}") from broken


@pytest.mark.parametrize("block", range(0, len(SEEDS), 100))
def test_named_nodes_agree_and_go_on(block: int) -> None:
    for seed in SEEDS[block : block + 100]:
        check_seed(seed, lambda seed: ConsensusStory(seed).play())


# -- an old backup while all others are within reach ------------------------------------------------


def play_backup(seed: int) -> None:
    """Its node keeps every promise: others tell it what it had said, whatever their number."""
    dice = random.Random(f"backup {seed}")
    net = ConsensusNetwork(dice.randint(2, 7), seed, enough=6)
    net.delays = dice.choice(((0.001, 0.05), (0.001, 0.3)))
    for process in net.processes or [net.add(index) for index in range(net.nodes)]:
        net.later(0.0, process.start)
        net.later(dice.uniform(0.0, 1.0), process.set_wanted, True)
    for _ in range(3):
        net.run(net.now + dice.uniform(1.0, 10.0))
        process = dice.choice(net.processes)
        process.crash()
        process.restore(dice)
        process.start()
        # Until it speaks again nothing else breaks.
        net.run(net.now + 60.0, lambda process=process: not process.machine.recovering)
    net.run(net.now + CALM_SECONDS, lambda: all(len(process.chain) >= 6 for process in net.processes))
    if any(len(process.chain) < 6 for process in net.processes):
        raise BrokenPromise("no progress")


def test_an_old_backup_breaks_no_promise_while_all_others_answer() -> None:
    for seed in SEEDS[:100]:
        check_seed(seed, play_backup)


# -- a disk that is marked as an old one, among liars --------------------------------------------------


class RestoredStory(ConsensusStory):
    """f liars, links that break, and one honest node that is restored again and again: it stays honest.

    `marked`: as `votenet restore` marks a disk. Without the mark it is a planted fault.
    """

    def __init__(self, seed: int, nodes: int = 0, marked: bool = True) -> None:
        super().__init__(seed, nodes=nodes or random.Random(f"size {seed}").choice((3, 4, 4, 5, 5, 6, 7)))
        self.net.enough = 8
        self.marked = marked
        self.victim = self.dice.choice(self.net.honest)
        for _ in range(self.dice.choice((1, 2, 4))):
            self.net.later(self.dice.uniform(0.5, BUSY_SECONDS), self.restore, self.victim)

    def restore(self, process: Process) -> None:
        if process is not self.victim:
            return  # the fault of the other stories
        if process.up:
            process.crash()
        process.restore(self.dice)
        process.restored = self.marked
        self.net.later(self.dice.uniform(0.0, 3.0), self.restart, process)

    def done(self) -> bool:
        return all(len(process.chain) >= self.net.enough for process in self.net.honest)

    def play(self) -> None:
        """Progress is promised where nobody lies and the others can go on without the restored node."""
        try:
            super().play()
        except BrokenPromise as broken:
            if "no progress" not in str(broken) or not self.net.liars:
                raise


def test_a_restored_node_contradicts_nothing_that_it_forgot_whatever_liars_hide() -> None:
    for seed in SEEDS[:100]:
        check_seed(seed, lambda seed: RestoredStory(seed).play())


def test_without_its_mark_a_restored_node_contradicts_itself() -> None:
    def broken(seed: int) -> bool:
        try:
            RestoredStory(seed, marked=False).play()
        except BrokenPromise as found:
            return "contradicts itself" in str(found)
        return False

    assert any(broken(seed) for seed in range(1000))


# -- more liars than the network bears ----------------------------------------------------------------


def play_too_many_liars(seed: int) -> ConsensusNetwork:
    """f + 1 nodes run two honest programs each, one for either half of the honest nodes."""
    dice = random.Random(f"liars {seed}")
    net = ConsensusNetwork(dice.choice((4, 5, 6, 7)), seed, enough=1)
    net.may_disagree = True
    net.delays = dice.choice(((0.001, 0.05), (0.0, 3.0)))
    lying = dice.sample(range(net.nodes), net.faults + 1)
    honest = [index for index in range(net.nodes) if index not in lying]
    dice.shuffle(honest)
    split = dice.randint(1, len(honest) - 1)
    sides = []
    for half in (honest[:split], honest[split:]):
        side = [net.add(index) for index in half] + [net.add(index, honest=False) for index in lying]
        sides.append([process.name for process in side])
    net.partition(*sides)
    for process in net.processes:
        net.later(dice.uniform(0.0, 1.0), process.start)
        net.later(dice.uniform(0.0, dice.choice((0.1, 10.0))), process.set_wanted, True)
    net.run(60.0)
    for process in net.processes:
        if not process.honest:
            process.crash()
    net.set_cut(set())  # now the honest nodes talk to each other
    net.run(net.now + 60.0)
    return net


def test_two_decisions_show_more_liars_than_the_network_bears() -> None:
    disagreements: Counter[bool] = Counter()
    for seed in SEEDS[:100]:
        net = play_too_many_liars(seed)
        for first, second in net.disagreements:
            disagreements[first.round == second.round] += 1
            assert len(net.accused) > net.faults, f"seed {seed}: {net.accused} {first} {second}"
    if len(SEEDS) >= 100:
        assert disagreements[True] > 0, "decided in one round"
        assert disagreements[False] > 0, "decided in different rounds"


# -- nothing to do ---------------------------------------------------------------------------------------


def test_without_records_no_clock_runs_and_no_line_is_sent() -> None:
    net = ConsensusNetwork(5, seed=1, enough=2)
    for index in range(5):
        net.later(0.0, net.add(index).start)
        net.later(1.0, net.processes[index].set_wanted, True)
    net.run(60.0, lambda: all(len(process.chain) == 1 for process in net.processes))
    for process in net.processes:
        process.set_wanted(False)
    net.run(net.now + 60.0)
    assert [process.machine.height for process in net.processes] == [2] * 5
    if not any(height == 2 for _, _, height, _ in net.sent):
        assert [process.machine.deadline for process in net.processes] == [None] * 5
    steps = net.steps
    net.run(net.now + 10_000.0)
    assert net.steps == steps


# -- planted faults: the simulation finds them -------------------------------------------------------------


class SmallQuorum(Tendermint):
    """A quorum is one node too small."""

    def __init__(self, nodes: int, index: int, search_seconds: float) -> None:
        super().__init__(nodes, index, search_seconds)
        self.quorum -= 1


class NoLock(Tendermint):
    """Line 23 and 29 forget the lock."""

    def _lock_allows(self, value: bytes, valid_round: int) -> bool:
        return True


class NoMemory(Tendermint):
    """A start forgets what was saved."""

    def start(self, height, now, saved=None, silence=None):  # type: ignore[no-untyped-def]
        self.recovering = False
        return self.start_height(height, now)


class NoQuorumsInOnePiece(Tendermint):
    """A liar's other vote hides a quorum."""

    def receive_quorum(self, votes, now):  # type: ignore[no-untyped-def]
        return [output for vote in votes for output in self.receive(vote, now)]


class NoRefresh(Tendermint):
    """Nodes that a liar has separated never meet again."""

    def _refresh(self, now: float, moved: bool) -> None:
        return


class LiarsWakeAll(Tendermint):
    """Decides for what f + 1 have precommitted."""

    def _count(self, statement: RoundStatement) -> None:
        precommits = self.log.of_round(statement.round).precommits
        if statement.value and precommits.counts[statement.value] > self.faults:
            self._decide(precommits.for_value(statement.value))
        super()._count(statement)


def broken_promises(machine_type: type[Tendermint], seeds: int) -> Iterator[str]:
    for seed in range(seeds):
        try:
            ConsensusStory(seed, machine_type, nodes=4).play()
        except BrokenPromise as broken:
            yield str(broken)


@pytest.mark.parametrize(
    ("machine_type", "promise"),
    [
        (SmallQuorum, "quorum"),
        (NoLock, "two decisions"),
        (NoMemory, "contradicts itself"),
        (NoQuorumsInOnePiece, "no progress"),
        (NoRefresh, "no progress"),
        (LiarsWakeAll, "quorum"),
    ],
)
def test_the_simulation_finds_a_planted_fault(machine_type: type[Tendermint], promise: str) -> None:
    assert any(promise in broken for broken in broken_promises(machine_type, 2000))


def test_a_quorum_is_counted_in_the_network_itself() -> None:
    net = ConsensusNetwork(4, seed=1)
    process = net.add(0)
    votes = tuple(RoundStatement("precommit", 1, 0, node, net.new_value(b"good")) for node in range(2))
    with pytest.raises(BrokenPromise, match="quorum"):
        net.note_decided(process, Decided(1, 0, votes[0].value, votes))

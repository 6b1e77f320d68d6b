"""A chaos run with real programs: every kind of step, and every fault of the network is found and named."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from votenet.client.failover import ask_each
from votenet.config import instance_dirs
from votenet.lab import chaos_checks, chaos_run
from votenet.lab.chaos_checks import Broken
from votenet.lab.chaos_plan import Step, StepKind
from votenet.lab.chaos_run import Chaos, ChaosResult, is_over
from votenet.processes.control import ask
from votenet.processes.identity import leftovers
from votenet.protocol.wire.address import parse_address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus

EVERY_KIND = [
    Step(StepKind.SLOW, ("node-2",), value=0.05),
    Step(StepKind.KILL, ("node-1", "node-2")),
    Step(StepKind.FAST, ("node-2",)),
    Step(StepKind.PARTITION, groups=(("node-1",), ("node-2", "node-3"))),
    Step(StepKind.KILL_SUPERVISOR),
    Step(StepKind.HEAL),
    Step(StepKind.PAUSE, ("node-3",)),
    Step(StepKind.KILL_BOOTSTRAP, ("bootstrap",)),
    Step(StepKind.RESUME, ("node-3",)),
    Step(StepKind.SCALE, value=4),
    Step(StepKind.ROLLING),
]

Script = list[Step | Callable[[], None]]


class Scripted:
    """A planner with a script; between two steps it may do something that no plan has."""

    def __init__(self, script: Script, finished: Callable[[], None]) -> None:
        self._script, self._finished = list(script), finished

    def next(self) -> Step:
        while not isinstance(entry := self._script.pop(0), Step):
            entry()
        if not self._script:
            self._finished()
        return entry

    def closing(self) -> list[Step]:
        return []


@pytest.fixture
def play(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ChaosResult]:
    home: Path = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    monkeypatch.setattr(chaos_run, "CHAOS_STEP_SECONDS", 0.0)

    def run(script: Script, **options: bool) -> ChaosResult:
        dirs = instance_dirs("c")

        def finished() -> None:
            chaos.seconds = 0.0

        planner = Scripted(script, finished)
        chaos = Chaos(home, dirs, 1, 1e9, 3, lambda text: None, planner, **options)  # type: ignore[arg-type]
        outcome = chaos.run()
        assert leftovers(dirs) == []
        return outcome

    return run


def test_every_kind_of_step_and_every_invariant(play: Callable[..., ChaosResult]) -> None:
    outcome = play(list(EVERY_KIND))
    assert outcome.broken is None
    assert [done.step for done in outcome.steps] == EVERY_KIND
    assert outcome.faults == 8
    assert outcome.votes > 0
    assert outcome.stop_seconds is not None
    agreed = {str(done.step): done.agreed is not None for done in outcome.steps}
    assert [step for step, yes in agreed.items() if not yes] == [
        "partition node-1 / node-2,node-3",
        "kill supervisor",
        "pause node-3",
        "kill bootstrap",
    ]


def test_a_death_that_was_not_planned_is_found(play: Callable[..., ChaosResult]) -> None:
    def sabotage() -> None:
        programs = ask(instance_dirs("c"), {"command": "status"})["programs"]
        os.kill(programs[1]["pid"], signal.SIGSEGV)

    outcome = play([Step(StepKind.SLOW, ("node-2",), value=0.0), sabotage, Step(StepKind.KILL, ("node-2",))])
    assert isinstance(outcome.broken, Broken)
    assert outcome.broken.invariant in (chaos_checks.NO_OTHER_RESTART, chaos_checks.ONE_CAUSE)


@pytest.mark.long
def test_votes_that_vanish_are_missed(
    play: Callable[..., ChaosResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = chaos_checks.no_vote_lost
    monkeypatch.setattr(
        chaos_checks, "no_vote_lost", lambda archive, told: real(archive, {**told, "nobody": "00" * 32})
    )
    outcome = play([Step(StepKind.KILL, ("node-3",))])
    assert isinstance(outcome.broken, Broken)
    assert outcome.broken.invariant == chaos_checks.NO_VOTE_LOST


@pytest.mark.long
def test_a_run_that_injected_nothing_fails(play: Callable[..., ChaosResult]) -> None:
    outcome = play([Step(StepKind.FAST, ("node-1",))])
    assert isinstance(outcome.broken, Broken)
    assert outcome.broken.invariant == chaos_checks.SOMETHING_DONE


def test_a_network_that_does_not_come_up_is_no_success(
    play: Callable[..., ChaosResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos_run, "DIFFICULTY", "none")
    outcome = play([Step(StepKind.ROLLING)])
    assert outcome.broken is not None
    assert "votenet up, exit 2" in outcome.broken.message


def test_a_slow_machine_gets_more_time_for_its_faults_but_not_for_ever() -> None:
    assert not is_over(120.0, 119.0, 50)
    assert not is_over(120.0, 121.0, 19)
    assert is_over(120.0, 121.0, 20)
    assert is_over(120.0, 361.0, 1)


@pytest.mark.long
def test_a_partition_without_named_nodes_is_recorded_with_its_fork(play: Callable[..., ChaosResult]) -> None:
    found: list[set[str | None]] = []

    def apart() -> None:
        """Until both sides have found a block of their own."""
        nodes = ask(instance_dirs("c"), {"command": "status"})["nodes"]
        addresses = [parse_address(text) for text in nodes]
        deadline = time.monotonic() + 60
        while True:
            answers = asyncio.run(ask_each(addresses, lambda node: node.ask(GetStatus(), NodeStatus)))
            tips = {(one.height, one.tip) for _, one in answers if isinstance(one, NodeStatus)}
            if len(tips) > 1 and min(height for height, _ in tips) > 0:
                found.append({tip for _, tip in tips})
                return
            assert time.monotonic() < deadline
            time.sleep(0.05)

    script = [
        Step(StepKind.PARTITION, groups=(("node-1",), ("node-2", "node-3"))),
        apart,
        Step(StepKind.WAIT),
        Step(StepKind.HEAL),
    ]
    outcome = play(script, named=False, record=True)
    assert outcome.broken is None
    assert outcome.recording is not None
    assert set(outcome.recording.stands) == {"node-1", "node-2", "node-3"}
    assert outcome.recording.blocks
    assert found, "both sides had a chain of their own"

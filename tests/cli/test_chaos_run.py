"""A chaos run with real programs: every kind of step, and that what goes wrong is found and named."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from votenet.cli import chaos_checks, chaos_run
from votenet.cli.chaos_checks import Broken
from votenet.cli.chaos_plan import Kind, Step
from votenet.cli.chaos_run import Chaos, Done, Outcome
from votenet.config import instance_dirs
from votenet.processes.control import ask
from votenet.processes.identity import leftovers

EVERY_KIND = [
    Step(Kind.SLOW, ("node-2",), value=0.05),
    Step(Kind.KILL, ("node-1", "node-2")),
    Step(Kind.FAST, ("node-2",)),
    Step(Kind.PARTITION, groups=(("node-1",), ("node-2", "node-3"))),
    Step(Kind.KILL_SUPERVISOR),
    Step(Kind.HEAL),
    Step(Kind.PAUSE, ("node-3",)),
    Step(Kind.KILL_BOOTSTRAP, ("bootstrap",)),
    Step(Kind.RESUME, ("node-3",)),
    Step(Kind.SCALE, value=4),
    Step(Kind.ROLLING),
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
def play(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    home: Path = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    monkeypatch.setattr(chaos_run, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(chaos_run, "RECOVERY_SECONDS", 20.0)

    def run(script: Script) -> Outcome:
        dirs = instance_dirs("c")
        chaos = Chaos(home, dirs, 1, 1e9, 3, lambda text: None)

        def finished() -> None:
            chaos._seconds = 0.0

        chaos._planner = Scripted(script, finished)  # type: ignore[assignment]
        outcome = chaos.run()
        assert leftovers(dirs) == []
        return outcome

    return run


def test_every_kind_of_step_and_every_invariant(play: Callable[..., Outcome]) -> None:
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


def test_a_death_that_was_not_planned_is_found(play: Callable[..., Outcome]) -> None:
    def sabotage() -> None:
        programs = ask(instance_dirs("c"), {"command": "status"})["programs"]
        os.kill(programs[1]["pid"], signal.SIGSEGV)

    outcome = play([Step(Kind.SLOW, ("node-2",), value=0.0), sabotage, Step(Kind.KILL, ("node-2",))])
    assert isinstance(outcome.broken, Broken)
    assert outcome.broken.invariant in (chaos_checks.NO_OTHER_RESTART, chaos_checks.ONE_CAUSE)


def test_votes_that_vanish_are_missed(play: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    real = chaos_checks.no_vote_lost
    monkeypatch.setattr(
        chaos_checks, "no_vote_lost", lambda archive, told: real(archive, {**told, "nobody": "00" * 32})
    )
    outcome = play([Step(Kind.KILL, ("node-3",))])
    assert isinstance(outcome.broken, Broken)
    assert outcome.broken.invariant == chaos_checks.NO_VOTE_LOST


def test_a_run_that_injected_nothing_fails(play: Callable[..., Outcome]) -> None:
    outcome = play([Step(Kind.FAST, ("node-1",))])
    assert isinstance(outcome.broken, Broken)
    assert outcome.broken.invariant == chaos_checks.SOMETHING_DONE


def test_a_network_that_does_not_come_up_is_no_success(
    play: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos_run, "DIFFICULTY", "none")
    outcome = play([Step(Kind.ROLLING)])
    assert outcome.broken is not None
    assert "votenet up, exit 2" in outcome.broken.message


def test_a_slow_machine_gets_more_time_for_its_faults_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chaos = Chaos(tmp_path, instance_dirs("c"), 1, 120.0, 3, lambda text: None)
    chaos._began = 1000.0

    def enough(passed: float, faults: int) -> bool:
        monkeypatch.setattr(chaos_run.time, "monotonic", lambda: 1000.0 + passed)
        chaos._outcome.steps[:] = [Done(0.0, Step(Kind.KILL, ("node-1",)), 0.1, 0.1)] * faults
        return chaos._enough()

    assert not enough(119.0, 50)
    assert not enough(121.0, 19)
    assert enough(121.0, 20)
    assert enough(361.0, 1)

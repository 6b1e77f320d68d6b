"""Events in, actions out, and waiting for a change, without any process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from votenet.config import InstanceDirs
from votenet.processes import logs, program_table
from votenet.processes.machine import (
    Action,
    Event,
    Launch,
    NotStarted,
    SetTimer,
    Started,
    StartRequested,
    State,
    StopRequested,
    Terminate,
    Unregister,
)
from votenet.processes.managed_program import ManagedProgram
from votenet.processes.program_table import CarryOut, ProgramTable
from votenet.processes.restart import RestartPolicy
from votenet.processes.spec import NetworkSpec

POLICY = RestartPolicy(first_delay=0.01, max_delay=0.02, limit=3, window=30.0, reset_after=20.0)


def make(dirs: InstanceDirs, carry_out: CarryOut, said: list[str] | None = None) -> ProgramTable:
    spec = NetworkSpec(instance="t", genesis="g", bootstrap_port=4000, node_ports=(3000, 3001), policy=POLICY)
    say = (lambda text: None) if said is None else said.append
    return ProgramTable(spec, dirs, carry_out, say=say, detached=False, rng=lambda: 0.0)


def nothing(program: ManagedProgram, action: Action) -> None:
    """A carrier that does no action."""


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(limited())


def test_an_event_that_follows_from_an_action_waits_until_all_actions_of_the_first_are_done(
    dirs: InstanceDirs,
) -> None:
    order: list[str] = []

    def carry_out(program: ManagedProgram, action: Action) -> Event | None:
        order.append(f"{type(action).__name__} of {program.name}")
        if isinstance(action, Launch) and program.name == "node-1":
            return NotStarted(action.incarnation, "no such file")
        return Started(action.incarnation) if isinstance(action, Launch) else None

    async def scenario() -> None:
        table = make(dirs, carry_out)
        first, second = table.programs["node-1"], table.programs["node-2"]
        table.dispatch(first, StartRequested())
        table.dispatch(second, StartRequested())
        assert second.state is State.STARTING
        await table.until(lambda: first.state is State.REMOVED)
        assert first.machine.starts == POLICY.limit

    play(scenario)
    launches = ["Launch of node-1"] * POLICY.limit
    assert [line for line in order if line.endswith("node-1")] == [*launches, "Unregister of node-1"]


def test_a_timer_fires_once_and_one_that_was_overtaken_never(dirs: InstanceDirs) -> None:
    actions: list[Action] = []

    def carry_out(program: ManagedProgram, action: Action) -> Event | None:
        actions.append(action)
        return Started(action.incarnation) if isinstance(action, Launch) else None

    async def scenario() -> None:
        table = make(dirs, carry_out)
        node = table.programs["node-1"]
        table.dispatch(node, StartRequested())
        table.dispatch(node, StopRequested(0.01))
        assert len(node.timers) == 1
        table.dispatch(node, StopRequested(0.001))
        assert len(node.timers) == 1
        while len(actions) < 3:
            await table.change()
        assert not node.timers

    play(scenario)
    assert [type(action).__name__ for action in actions] == ["Launch", "Terminate", "Kill"]
    assert not any(isinstance(action, SetTimer | Unregister) for action in actions)
    assert actions[1] == Terminate(1)


def test_an_unforeseen_error_fails_one_program_and_is_told_once(dirs: InstanceDirs) -> None:
    said: list[str] = []

    def broken(program: ManagedProgram, action: Action) -> Event | None:
        raise ZeroDivisionError("of ours")

    async def scenario() -> None:
        table = make(dirs, broken, said)
        node = table.programs["node-1"]
        for _ in range(2):
            table.dispatch(node, StartRequested())
            assert node.state is State.FAILED
        assert table.programs["node-2"].state is State.STOPPED

    play(scenario)
    assert sum("a mistake in votenet: ZeroDivisionError: of ours" in line for line in said) == 1


def test_who_waits_is_woken_by_the_event_that_makes_it_true(dirs: InstanceDirs) -> None:
    async def scenario() -> None:
        table = make(dirs, lambda program, action: None)
        node = table.programs["node-1"]
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(table.until(lambda: node.state is State.STARTING))
            await asyncio.sleep(0)
            table.wake()
            await asyncio.sleep(0)
            assert not waiting.done(), "it looked again, in vain"
            table.dispatch(node, StartRequested())

    play(scenario)


def test_a_late_kill_timer_starts_anew(dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything was paused: the program had no time to stop."""
    actions: list[str] = []

    def carry_out(program: ManagedProgram, action: Action) -> Event | None:
        actions.append(type(action).__name__)
        return Started(action.incarnation) if isinstance(action, Launch) else None

    async def scenario() -> None:
        monkeypatch.setattr(program_table, "LATE_KILL_SECONDS", -1.0)
        table = make(dirs, carry_out)
        node = table.programs["node-1"]
        table.dispatch(node, StartRequested())
        table.dispatch(node, StopRequested(0.01))
        _, first = node.timers[next(iter(node.timers))]
        while node.timers[next(iter(node.timers))][1] is first:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
        assert actions == ["Launch", "Terminate"]
        monkeypatch.undo()
        while "Kill" not in actions:
            await table.change()

    play(scenario)


def test_programs_that_come_later_count_on_from_their_logs(dirs: InstanceDirs) -> None:
    table = make(dirs, nothing)
    dirs.logs.mkdir(parents=True)
    logs.log_path(dirs.logs, "node-1", 7).touch()
    spec = table.programs.pop("node-1").spec
    (again,) = table.add([spec])
    assert again.machine.incarnation == 7
    assert table.programs["node-1"] is again

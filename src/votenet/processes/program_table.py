"""The programs of one network: events in, actions out, and waiting for a change."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from votenet import __version__
from votenet.config import InstanceDirs
from votenet.processes.cut_off import CutOffDetector, NodeReport
from votenet.processes.identity import last_incarnations
from votenet.processes.machine import (
    Action,
    Event,
    ProgramState,
    SetTimer,
    State,
    Timer,
    TimerFired,
    given_up,
    step,
)
from votenet.processes.managed_program import ManagedProgram
from votenet.processes.spec import NetworkSpec, ProgramSpec, expand, network_status

LATE_KILL_SECONDS: Final = 2.0
"""A KILL timer that fires this late was overtaken by a pause, ours or of everything: it starts anew."""

CarryOut = Callable[[ManagedProgram, Action], Event | None]
"""Does one action; returns the event that follows from it at once, if any."""


class ProgramTable:
    """All programs by name, the bootstrap server first, the page last.

    Args:
        carry_out: does the actions that the state machines ask for; timers are the table's own.
        say: gets one line per event, for people.
        detached: whether the programs outlive this process.
        rng: a number from 0 up to 1, for the jitter of restarts.
    """

    def __init__(
        self,
        network: NetworkSpec,
        dirs: InstanceDirs,
        carry_out: CarryOut,
        *,
        say: Callable[[str], None],
        detached: bool,
        rng: Callable[[], float],
    ) -> None:
        self.network, self.dirs, self.detached = network, dirs, detached
        self._carry_out, self._say, self._rng = carry_out, say, rng
        self.programs: dict[str, ManagedProgram] = {}
        self.add(expand(network, dirs))
        self.tasks = asyncio.TaskGroup()
        self._background: set[asyncio.Task[None]] = set()
        self.stopping = self.stopped = False
        self.rollout = ""
        """The rollout under way; '' if none."""
        self.cut_off = CutOffDetector()
        self._faults: deque[str] = deque(maxlen=64)
        self._began = time.monotonic()
        self._waiters: list[asyncio.Future[None]] = []

    def add(self, specs: Iterable[ProgramSpec]) -> list[ManagedProgram]:
        """Take in programs, at rest; the page stays the last.

        Incarnations go on from the highest number in records and logs.
        """
        numbers = last_incarnations(self.dirs)
        new = [ManagedProgram(spec, ProgramState(incarnation=numbers.get(spec.name, 0))) for spec in specs]
        self.programs.update((program.name, program) for program in new)
        for page in [program.name for program in self.programs.values() if program.is_page]:
            self.programs[page] = self.programs.pop(page)
        return new

    def in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` until it ends or the supervisor does. An unforeseen error ends it alone."""
        task = self.tasks.create_task(self._contained(work, name), name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def end_background(self) -> None:
        for task in list(self._background):
            task.cancel()

    async def _contained(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:
            self.report_fault(name, error)

    # -- events in, actions out ----------------------------------------------------------------

    def dispatch(self, program: ManagedProgram, event: Event) -> None:
        """Give an event to a program's state machine and carry out its actions.

        An event that follows from an action waits until all actions of the first are done. An unforeseen
        error fails this program; the others go on.
        """
        events = deque([event])
        while events:
            try:
                events.extend(self._handle(program, events.popleft()))
            except Exception as error:
                self._fail(program, error)
        self.wake()

    def _handle(self, program: ManagedProgram, event: Event) -> list[Event]:
        # 1. The machine decides.
        before = program.machine
        program.machine, actions = step(before, event, time.monotonic(), self.network.policy, self._rng)
        # 2. Timers that the new state does not name were overtaken.
        for timer, (sequence, handle) in list(program.timers.items()):
            if (timer, sequence) not in program.machine.timers:
                handle.cancel()
                del program.timers[timer]
        # 3. People hear of it before its actions take effect.
        self._report(program, before)
        # 4. The actions, in their order; what follows from them waits for the next round.
        follow: list[Event] = []
        for action in actions:
            if isinstance(action, SetTimer):
                self._arm(program, action)
            elif (event_of_action := self._carry_out(program, action)) is not None:
                follow.append(event_of_action)
        return follow

    def _arm(self, program: ManagedProgram, action: SetTimer) -> None:
        loop, timer = asyncio.get_running_loop(), action.timer
        due = loop.time() + action.delay

        def fire() -> None:
            if timer is Timer.KILL and loop.time() - due > LATE_KILL_SECONDS:
                self._arm(program, action)
            else:
                self.dispatch(program, TimerFired(timer, action.sequence))

        program.timers[timer] = action.sequence, loop.call_at(due, fire)

    def _fail(self, program: ManagedProgram, error: Exception) -> None:
        """End the process, whose death then comes as an event; without one the program is given up."""
        self.report_fault(program.name, error)
        if program.child is not None:
            program.child.kill()
        else:
            reason = f"a mistake in votenet: {type(error).__name__}: {error}"
            program.machine = given_up(program.machine, reason)

    def look(self, program: ManagedProgram) -> None:
        """Ask the kernel about a program now."""
        for event in program.look(time.monotonic()):
            self.dispatch(program, event)

    # -- what people are told ------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """Say one line. A failure of the output never stops the supervisor."""
        with contextlib.suppress(Exception):
            self._say(text)

    def report_fault(self, name: str, error: Exception) -> None:
        """Tell of an unforeseen error, each once; its stack goes to the log."""
        text = f"{name}: a mistake in votenet: {type(error).__name__}: {error}; please report it"
        if text not in self._faults:
            self._faults.append(text)
            with contextlib.suppress(Exception):
                traceback.print_exception(error)
            self.tell(text)

    def _report(self, program: ManagedProgram, before: ProgramState) -> None:
        now, state, exit_cause = time.monotonic(), program.state, program.machine.exit_cause
        if state is State.READY and before.state is not State.READY:
            program.sample.ready_at = now
        if exit_cause is not before.exit_cause and exit_cause and not exit_cause.requested:
            self.tell(f"{program.name}: {exit_cause}")
        if state is not before.state:
            self.tell(f"{program.name}: {state.value}{_detail(program, now)}")
            for line in program.sample.last_lines if state in (State.FAILED, State.REMOVED) else ():
                self.tell(f"  | {line}")

    def detect_cut_off(self) -> None:
        """Compare what all nodes report; tell which are cut off now and were not before."""
        before = self.cut_off.current
        self.cut_off.update(self._node_reports(), time.monotonic())
        for name, fault in self.cut_off.current.items():
            if name not in before and fault.code != "partition":  # a partition was told when it was made
                self.tell(f"{name} is cut off: {fault.message}")

    def _node_reports(self) -> list[NodeReport]:
        nodes = [program for program in self.programs.values() if program.is_node]
        names = {str(node.spec.address): node.name for node in nodes}
        reports = []
        for node in nodes:
            beat, runs = node.heartbeat, node.state in (State.READY, State.UNREADY)
            cut = (
                () if beat.links is None else tuple(names.get(address, address) for address in beat.links.cut)
            )
            reports.append(NodeReport(node.name, runs, beat.peers, beat.tip, beat.height, cut))
        return reports

    def status(self) -> dict[str, Any]:
        """The whole network as plain data; never waits."""
        for program in list(self.programs.values()):
            self.look(program)
        self.detect_cut_off()
        return {
            "instance": self.dirs.instance,
            "phase": "stopping" if self.stopping else "running" if self.all_settled else "starting",
            "version": __version__,
            "plan": self.rollout or None,
            "supervisor": {
                "pid": os.getpid(),
                "detached": self.detached,
                "uptime": round(time.monotonic() - self._began, 3),
            },
            **network_status(self.network),
            "programs": [self.program_status(program) for program in self.programs.values()],
        }

    def program_status(self, program: ManagedProgram) -> dict[str, Any]:
        """One program as plain data."""
        cut_off = self.cut_off.current.get(program.name)
        return {**program.status(time.monotonic()), "cut_off": None if cut_off is None else cut_off._asdict()}

    @property
    def all_settled(self) -> bool:
        """Every program is ready, or known to be out; nodes have found each other. The page may be late."""
        programs, now = self.programs.values(), time.monotonic()
        ready = sum(program.is_node and program.state is State.READY for program in programs)
        return not any(one.keeps_waiting(now) or (ready > 1 and one.alone(now)) for one in programs)

    def problems(self) -> list[str]:
        """One sentence for each program that left something behind."""
        programs = self.programs.values()
        return [f"{one.name}: {one.machine.problem}" for one in programs if one.machine.problem]

    # -- waiting for a change ------------------------------------------------------------------

    def wake(self) -> None:
        """Let every task that waits for a change look again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def change(self) -> None:
        """Wait for the next event."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that only events can bring about."""
        while not condition():
            await self.change()


def _detail(program: ManagedProgram, now: float) -> str:
    sample, machine = program.sample, program.machine
    if machine.state is State.READY and sample.started_at is not None:
        return f" after {now - sample.started_at:.2f} s, pid {sample.pid}, {program.spec.address}"
    if machine.state in (State.BACKOFF, State.REMOVED) and machine.retry_at is not None:
        return f", next try in {machine.retry_at - now:.1f} s"
    if machine.state is State.STOPPED and machine.problem:
        return f", but {machine.problem}"
    return ""

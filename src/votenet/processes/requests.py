"""The answers of a running supervisor to the requests on its control socket.

docs/supervisor.md lists the commands with their fields. Each command checks all its fields before it
changes anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from votenet import __version__
from votenet.config import MAX_NODES
from votenet.errors import Command, ConfigError, NextStep, NoSuchNode, NotRunning, Stopping, VotenetError
from votenet.processes.child import Child
from votenet.processes.control_server import Progress
from votenet.processes.links import Links
from votenet.processes.machine import Event, RestartRequested, StartRequested, State, StopRequested
from votenet.processes.managed_program import ManagedProgram
from votenet.processes.program_table import ProgramTable
from votenet.processes.restart import RestartPolicy
from votenet.processes.rollouts import Rollouts
from votenet.processes.spec import STOP_ORDER, WebSpec

_DONE: dict[str, tuple[State, ...]] = {
    "start": (State.READY, State.FAILED, State.REMOVED, State.PAUSED),
    "restart": (State.READY, State.FAILED, State.REMOVED),
    "stop": (State.STOPPED,),
}
_STOP_MARGIN = 10.0
"""Seconds that a stop may take beyond its grace: KILL, stragglers, teardown."""
_PAUSE_SECONDS = 10.0
"""For the kernel to show a process stopped or going on."""
_LOOK_SECONDS = 0.02
_END_SECONDS = 10.0
"""For the end of a program that got one of the signals that ask or make it end, and of all it had started."""
_ENDING = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT)
_SIGNAL_SECONDS = 2.0
"""For the end of a program that got another signal: it may also go on."""


class Requests:
    """Answers for one supervisor."""

    def __init__(self, table: ProgramTable, rollouts: Rollouts, request_stop: Callable[..., None]) -> None:
        self._table, self._rollouts, self._request_stop = table, rollouts, request_stop
        self._commands: dict[str, Callable[[dict[str, Any], Progress], Any]] = {
            "ping": self._ping,
            "status": self._status,
            "down": self._down,
            "start": self._command_programs,
            "stop": self._command_programs,
            "restart": self._command_programs,
            "signal": self._signal,
            "pause": self._pause,
            "resume": self._pause,
            "rolling": self._rolling,
            "change": self._change,
            "events": self._events,
            "partition": self._links,
            "heal": self._links,
            "slow": self._links,
        }

    async def handle(self, request: dict[str, Any], progress: Progress) -> Mapping[str, Any]:
        """The final answer to a request.

        Raises:
            NoSuchNode: it names a program that this network does not have.
            VotenetError: code unknown-type, bad-message, stopping, or what the command ran into.
        """
        command = self._commands.get(request["command"])
        if command is None:
            raise VotenetError(f"unknown command {request['command']!r}", code="unknown-type")
        answer: Mapping[str, Any] = await command(request, progress)
        return answer

    async def _ping(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        return {"pid": os.getpid(), "version": __version__}

    async def _status(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        return self._table.status()

    # -- the whole network ---------------------------------------------------------------------

    async def _down(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        table, grace = self._table, self._grace(request)
        if not table.stopping:
            table.tell("asked to stop; the bootstrap server last")
        self._request_stop(grace=grace, now=bool(request.get("now")))
        await self._follow(progress, lambda: table.stopped, {})
        return {"stopped": list(table.programs), "problems": table.problems()}

    async def _rolling(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        rollouts, grace = self._rollouts, self._grace(request)
        names = list(self._select(request)) if request.get("names") else rollouts.rollable()
        self._refuse_when_stopping()
        return await self._roll_out("restart --rolling", rollouts.roll(names, grace), progress)

    async def _change(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Another number of nodes, other settings."""
        nodes = request.get("nodes")
        if nodes is not None and (type(nodes) is not int or not 1 <= nodes <= MAX_NODES):
            raise VotenetError(f"`nodes` must be a number from 1 to {MAX_NODES}", code="bad-message")
        wanted, grace = _settings(request), self._grace(request)
        self._refuse_when_stopping()
        work = self._rollouts.change(wanted, nodes, grace)
        return await self._roll_out("a change of the network", work, progress)

    async def _roll_out(
        self, name: str, work: Coroutine[Any, Any, dict[str, Any]], progress: Progress
    ) -> dict[str, Any]:
        shown = {name: program.state.value for name, program in self._table.programs.items()}
        outcome = self._rollouts.begin(name, work)
        await self._follow(progress, outcome.done, shown)
        return {**outcome.result(), "problems": self._table.problems()}

    async def _events(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Every change of a state from now on, until the network has stopped."""
        await self._follow(progress, lambda: self._table.stopped, {})
        return {}

    async def _follow(self, progress: Progress, done: Callable[[], bool], shown: dict[str, str]) -> None:
        """Stream changes of state until something is done. `shown`: what the caller knows already."""
        table = self._table
        while True:
            programs = sorted(table.programs.items(), key=lambda one: STOP_ORDER.index(one[1].spec.role))
            for name, program in programs:
                if shown.get(name) != (state := program.state.value):
                    shown[name] = state
                    await progress(_state_event(program))
            if done():
                return
            if all(shown[name] == program.state.value for name, program in table.programs.items()):
                await table.change()

    # -- some programs -------------------------------------------------------------------------

    async def _command_programs(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Start, stop or restart programs; a later command about one of them ends the wait for it."""
        command = request["command"]
        programs, grace = list(self._select(request).values()), self._grace(request)
        wait = seconds_of(request, "wait", grace + _STOP_MARGIN if command == "stop" else 0.0)
        self._refuse_when_stopping()
        for program in programs:
            self._table.dispatch(program, _event(command, grace))
        epochs = [(program, program.machine.epoch) for program in programs]

        def done() -> bool:
            return all(one.machine.epoch != epoch or one.state in _DONE[command] for one, epoch in epochs)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._table.until(done)
        return self._answer(programs)

    async def _signal(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """A signal to each program's process, as from another program: its end is not a requested one."""
        programs, number = self._running(request), _signal_number(request)
        sent = []
        for program in programs:
            assert program.child is not None
            self._table.tell(f"{program.name}: {number.name}, as asked, to pid {program.child.pid}")
            sent.append((program, program.child, program.child.send(number)))

        def ended(program: ManagedProgram, child: Child) -> bool:
            return program.child is not child and program.state is not State.STOPPING

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS if number in _ENDING else _SIGNAL_SECONDS):
                await self._table.until(
                    lambda: all(ended(program, child) for program, child, reached in sent if reached)
                )
        for program in programs:
            self._table.look(program)
        signals = [
            {
                "name": program.name,
                "pid": child.pid,
                "sent": reached,
                "ended": program.child is not child,
                "cause": str(child.exit_cause) if child.exit_cause else None,  # of this process alone
            }
            for program, child, reached in sent
        ]
        return {**self._answer(programs), "signals": signals}

    async def _pause(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Stop or go on with all that a program runs, until the kernel shows it."""
        programs, paused = self._running(request), request["command"] == "pause"
        for program in programs:
            assert program.child is not None
            program.child.signal_group(signal.SIGSTOP if paused else signal.SIGCONT)
        deadline = time.monotonic() + _PAUSE_SECONDS
        while any(one.machine.paused != paused for one in programs) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)  # the kernel sends no event for this
            for program in programs:
                self._table.look(program)
        return self._answer(programs)

    async def _links(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        links = Links(self._table, self._select)
        work = {"partition": links.partition, "heal": links.heal, "slow": links.slow}
        return await work[request["command"]](request)

    def _answer(self, programs: list[ManagedProgram]) -> dict[str, Any]:
        return {"programs": [self._table.program_status(program) for program in programs]}

    # -- fields --------------------------------------------------------------------------------

    def _select(self, request: Mapping[str, Any]) -> dict[str, ManagedProgram]:
        """The programs that `names` means; a name may be a pattern as in a shell, e.g. `node-*`."""
        programs = self._table.programs
        selected: dict[str, ManagedProgram] = {}
        for name in names_of(request):
            matching = [name] if name in programs else fnmatch.filter(programs, name)
            if not matching:
                instance = self._table.dirs.instance
                raise NoSuchNode(f"no node {name!r} in {instance!r}: there are {', '.join(programs)}")
            selected.update((match, programs[match]) for match in matching)
        return selected

    def _running(self, request: Mapping[str, Any]) -> list[ManagedProgram]:
        programs = self._select(request)
        dead = {name: one.state.value for name, one in programs.items() if one.child is None}
        if dead:
            words = ", ".join(f"{name} is {state}" for name, state in dead.items())
            step = NextStep("{}", Command("start", *dead))
            raise NotRunning(f"{words}: no process to signal", next_step=step)
        return list(programs.values())

    def _grace(self, request: Mapping[str, Any]) -> float:
        return seconds_of(request, "grace", self._table.network.grace)

    def _refuse_when_stopping(self) -> None:
        if self._table.stopping:
            raise Stopping("the network is stopping")


def _state_event(program: ManagedProgram) -> dict[str, Any]:
    machine = program.machine
    return {
        "event": "state",
        "time": round(time.time(), 3),
        "name": program.name,
        "state": machine.state.value,
        "incarnation": machine.incarnation,
        "pid": program.sample.pid,
        "cause": str(machine.exit_cause) if machine.exit_cause else None,
    }


def _event(command: str, grace: float) -> Event:
    if command == "start":
        return StartRequested()
    return StopRequested(grace) if command == "stop" else RestartRequested(grace)


def names_of(request: Mapping[str, Any]) -> list[str]:
    names = request.get("names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise VotenetError("`names` must be a list of at least one program", code="bad-message")
    return list(dict.fromkeys(names))


def seconds_of(request: Mapping[str, Any], key: str, default: float) -> float:
    value = request.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        raise VotenetError(f"`{key}` must be a number of seconds", code="bad-message")
    return float(value)


def _signal_number(request: Mapping[str, Any]) -> signal.Signals:
    number = request.get("signal")
    if type(number) is not int or number not in list(signal.Signals):  # JSON can also say Infinity
        raise VotenetError("`signal` must be the number of a signal", code="bad-message")
    return signal.Signals(number)


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    """What of a network can change while it runs; None leaves it as it is."""

    node_args: tuple[str, ...] | None = None
    hang_seconds: float | None = None
    policy: RestartPolicy | None = None
    web: WebSpec | None = None


def _settings(request: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `NetworkSpec`. Raises ConfigError for a policy whose limit cannot fire."""
    try:
        settings = msgspec.convert(request.get("settings", {}), _Settings)
    except msgspec.ValidationError as error:
        raise VotenetError(f"`settings`: {error}", code="bad-message") from None
    if settings.hang_seconds is not None and not 1 <= settings.hang_seconds <= 86400:
        raise ConfigError(
            "the patience with a silent program must be from 1 to 86400 s",
            next_step="Give another --hang-timeout.",
        )
    return {key: value for key, value in msgspec.structs.asdict(settings).items() if value is not None}

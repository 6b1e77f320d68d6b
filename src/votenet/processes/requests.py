"""What a running supervisor does about the requests on its control socket.

What lives here: one method per command, and the checks of its fields. What must not: framing and
callers (`control_server.py`), decisions about one program (`machine.py`), planned work (`plans.py`).

docs/supervisor.md lists the commands with their fields. Each checks all it was given before it
changes anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from votenet import __version__
from votenet.config import MAX_NODES
from votenet.errors import ConfigError, NoSuchNode, NotRunning, Stopping, VotenetError
from votenet.processes.child import Child
from votenet.processes.control_server import Progress
from votenet.processes.links import Links
from votenet.processes.machine import Event, RestartRequested, StartRequested, State, StopRequested
from votenet.processes.restart import RestartPolicy
from votenet.processes.slot import Slot

if TYPE_CHECKING:
    from votenet.processes.supervisor import Supervisor

_DONE: dict[str, tuple[State, ...]] = {
    "start": (State.READY, State.FAILED, State.REMOVED, State.PAUSED),
    "restart": (State.READY, State.FAILED, State.REMOVED),
    "stop": (State.STOPPED,),
}
_STOP_MARGIN = 10.0
"""Seconds that a stop may take beyond its grace: KILL, stragglers, proof."""
_PAUSE_SECONDS = 5.0
"""For the kernel to show a process stopped or going on."""
_LOOK_SECONDS = 0.02
_KILL_SECONDS = 5.0
"""For the end of a program that was killed, and of all that it had started."""
_SIGNAL_SECONDS = 2.0
"""For that of one that got another signal: it may also go on."""


class Requests:
    """Answers for one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._commands: dict[str, Callable[[dict[str, Any], Progress], Any]] = {
            "ping": self._ping,
            "status": self._status,
            "down": self._down,
            "start": self._programs,
            "stop": self._programs,
            "restart": self._programs,
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
        return self._supervisor.status()

    # -- the whole network ---------------------------------------------------------------------

    async def _down(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        supervisor = self._supervisor
        grace = self._grace(request)
        if not supervisor.stopping:
            supervisor.tell("asked to stop; nodes first")
        supervisor.request_stop(grace=grace, now=bool(request.get("now")))
        await self._follow(progress, lambda: supervisor.stopped, {})
        return {"stopped": list(supervisor.slots), "problems": supervisor.problems()}

    async def _rolling(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        plans, grace = self._supervisor.plans, self._grace(request)
        names = list(self._slots(request)) if request.get("names") else plans.rollable()
        self._refuse_when_stopping()
        return await self._plan("restart --rolling", plans.roll(names, grace), progress)

    async def _change(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Another number of nodes, other settings."""
        nodes = request.get("nodes")
        if nodes is not None and (type(nodes) is not int or not 1 <= nodes <= MAX_NODES):
            raise VotenetError(f"`nodes` must be a number from 1 to {MAX_NODES}", code="bad-message")
        wanted, grace = _settings(request), self._grace(request)
        self._refuse_when_stopping()
        plan = self._supervisor.plans.change(wanted, nodes, grace)
        return await self._plan("a change of the network", plan, progress)

    async def _plan(self, name: str, plan: Any, progress: Progress) -> dict[str, Any]:
        shown = {name: slot.program.state.value for name, slot in self._supervisor.slots.items()}
        outcome = self._supervisor.plans.begin(name, plan)
        await self._follow(progress, outcome.done, shown)
        return {**outcome.result(), "problems": self._supervisor.problems()}

    async def _events(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Every change of a state from now on, until the network has stopped."""
        await self._follow(progress, lambda: self._supervisor.stopped, {})
        return {}

    async def _follow(self, progress: Progress, done: Callable[[], bool], shown: dict[str, str]) -> None:
        """Stream changes of state until something is done. `shown`: what the caller knows already."""
        supervisor = self._supervisor
        while True:
            bootstrap, *nodes = supervisor.slots.items()
            for name, slot in (*nodes, bootstrap):  # in the order in which they stop
                if shown.get(name) != (state := slot.program.state.value):
                    shown[name] = state
                    await progress(_state_event(slot))
            if done():
                return
            if all(shown[name] == slot.program.state.value for name, slot in supervisor.slots.items()):
                await supervisor.change()

    # -- some programs -------------------------------------------------------------------------

    async def _programs(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Start, stop or restart programs; a later command about one of them ends the wait for it."""
        command = request["command"]
        slots, grace = list(self._slots(request).values()), self._grace(request)
        wait = _seconds(request, "wait", grace + _STOP_MARGIN if command == "stop" else 0.0)
        self._refuse_when_stopping()
        for slot in slots:
            self._supervisor.dispatch(slot, _event(command, grace))
        asked = [(slot, slot.program.epoch) for slot in slots]

        def done() -> bool:
            return all(
                slot.program.epoch != epoch or slot.program.state in _DONE[command] for slot, epoch in asked
            )

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._supervisor.until(done)
        return self._answer(slots)

    async def _signal(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """A signal to each program's process, as somebody else might send it: not a requested end."""
        slots, number = self._running(request), _signal_number(request)
        sent = []
        for slot in slots:
            assert slot.child is not None
            self._supervisor.tell(f"{slot.spec.name}: {number.name}, as asked, to pid {slot.child.pid}")
            sent.append((slot, slot.child, slot.child.send(number)))

        def ended(slot: Slot, child: Child) -> bool:
            return slot.child is not child and slot.program.state is not State.STOPPING

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS if number is signal.SIGKILL else _SIGNAL_SECONDS):
                await self._supervisor.until(
                    lambda: all(ended(slot, child) for slot, child, reached in sent if reached)
                )
        for slot in slots:
            self._supervisor.look(slot)
        told = [
            {
                "name": slot.spec.name,
                "pid": child.pid,
                "sent": reached,
                "ended": slot.child is not child,
                "cause": str(child.cause)
                if child.cause
                else None,  # of this process: others may have died since
            }
            for slot, child, reached in sent
        ]
        return {**self._answer(slots), "signals": told}

    async def _pause(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Stop or go on with all that a program runs, until the kernel shows it."""
        slots, paused = self._running(request), request["command"] == "pause"
        for slot in slots:
            assert slot.child is not None
            slot.child.signal_group(signal.SIGSTOP if paused else signal.SIGCONT)
        deadline = time.monotonic() + _PAUSE_SECONDS
        while any(slot.program.paused != paused for slot in slots) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)  # no event tells of it: we are told of ends only
            for slot in slots:
                self._supervisor.look(slot)
        return self._answer(slots)

    async def _links(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        links = Links(self._supervisor, self._slots)
        work = {"partition": links.partition, "heal": links.heal, "slow": links.slow}
        return await work[request["command"]](request)

    def _answer(self, slots: list[Slot]) -> dict[str, Any]:
        return {"programs": [self._supervisor.program_status(slot) for slot in slots]}

    # -- fields --------------------------------------------------------------------------------

    def _slots(self, request: Mapping[str, Any]) -> dict[str, Slot]:
        """The programs that `names` means; a name may be a pattern as in a shell, e.g. `node-*`."""
        slots = self._supervisor.slots
        found: dict[str, Slot] = {}
        for name in _names(request):
            matching = [name] if name in slots else fnmatch.filter(slots, name)
            if not matching:
                instance = self._supervisor.dirs.instance
                raise NoSuchNode(f"no node {name!r} in {instance!r}: there are {', '.join(slots)}")
            found.update((match, slots[match]) for match in matching)
        return found

    def _running(self, request: Mapping[str, Any]) -> list[Slot]:
        slots = self._slots(request)
        dead = {name: slot.program.state.value for name, slot in slots.items() if slot.child is None}
        if dead:
            words = ", ".join(f"{name} is {state}" for name, state in dead.items())
            raise NotRunning(f"{words}: no process to signal", next_step=f"votenet start {' '.join(dead)}")
        return list(slots.values())

    def _grace(self, request: Mapping[str, Any]) -> float:
        return _seconds(request, "grace", self._supervisor.network.grace)

    def _refuse_when_stopping(self) -> None:
        if self._supervisor.stopping:
            raise Stopping("the network is stopping")


def _state_event(slot: Slot) -> dict[str, Any]:
    program = slot.program
    return {
        "event": "state",
        "time": round(time.time(), 3),
        "name": slot.spec.name,
        "state": program.state.value,
        "incarnation": program.incarnation,
        "pid": slot.sight.pid,
        "cause": str(program.cause) if program.cause else None,
    }


def _event(command: str, grace: float) -> Event:
    if command == "start":
        return StartRequested()
    return StopRequested(grace) if command == "stop" else RestartRequested(grace)


def _names(request: Mapping[str, Any]) -> list[str]:
    names = request.get("names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise VotenetError("`names` must be a list of at least one program", code="bad-message")
    return list(dict.fromkeys(names))


def _seconds(request: Mapping[str, Any], key: str, default: float) -> float:
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


def _settings(request: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `NetworkSpec`. Raises ConfigError for a policy whose limit cannot fire."""
    try:
        found = msgspec.convert(request.get("settings", {}), _Settings)
    except msgspec.ValidationError as error:
        raise VotenetError(f"`settings`: {error}", code="bad-message") from None
    if found.hang_seconds is not None and not 1 <= found.hang_seconds <= 86400:
        raise ConfigError(
            "the patience with a silent program must be from 1 to 86400 s",
            next_step="Give another --hang-timeout.",
        )
    return {key: value for key, value in msgspec.structs.asdict(found).items() if value is not None}

"""What a running supervisor does about the requests on its control socket.

What lives here: one method per command, and the checks of its fields. What must not: framing and
callers (`control_server.py`), decisions about one program (`machine.py`).

Commands: `ping`, `status`, `down` (with `grace` and `now`; streams state changes), and `start`,
`stop`, `restart` (with `names`, `grace` and `wait`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from votenet import __version__
from votenet.errors import NoSuchNode, VotenetError
from votenet.processes.control_server import Progress
from votenet.processes.machine import Event, RestartRequested, StartRequested, State, StopRequested

if TYPE_CHECKING:
    from votenet.processes.supervisor import Slot, Supervisor

_DONE: dict[str, tuple[State, ...]] = {
    "start": (State.READY, State.FAILED, State.REMOVED),
    "restart": (State.READY, State.FAILED, State.REMOVED),
    "stop": (State.STOPPED,),
}
_STOP_MARGIN = 10.0
"""Seconds that a stop may take beyond its grace: KILL, stragglers, proof."""


class Requests:
    """Answers for one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def handle(self, request: dict[str, Any], progress: Progress) -> Mapping[str, Any]:
        """The final answer to a request.

        Raises:
            NoSuchNode: it names a program that this network does not have.
            VotenetError: code unknown-type, bad-message or stopping.
        """
        command = request["command"]
        if command == "ping":
            return {"pid": os.getpid(), "version": __version__}
        if command == "status":
            return self._supervisor.status()
        if command == "down":
            return await self._down(request, progress)
        if command in _DONE:
            return await self._programs(command, request)
        raise VotenetError(f"unknown command {command!r}", code="unknown-type")

    async def _down(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        supervisor = self._supervisor
        grace = _seconds(request, "grace", supervisor.network.grace)
        if not supervisor.stopping:
            supervisor.tell("asked to stop; nodes first")
        supervisor.request_stop(grace=grace, now=bool(request.get("now")))
        shown: dict[str, str] = {}
        bootstrap, *nodes = supervisor.slots.items()
        while True:
            for name, slot in (*nodes, bootstrap):  # in the order in which they stop
                if shown.get(name) != (state := slot.program.state.value):
                    shown[name] = state
                    await progress({"event": "state", "name": name, "state": state})
            if supervisor.stopped:
                return {"stopped": list(supervisor.slots), "problems": supervisor.problems()}
            if all(shown[name] == slot.program.state.value for name, slot in supervisor.slots.items()):
                await supervisor.change()

    async def _programs(self, command: str, request: dict[str, Any]) -> dict[str, Any]:
        """Start, stop or restart programs; a later command about one of them ends the wait for it."""
        supervisor = self._supervisor
        slots = [self._slot(name) for name in _names(request)]
        grace = _seconds(request, "grace", supervisor.network.grace)
        wait = _seconds(request, "wait", grace + _STOP_MARGIN if command == "stop" else 0.0)
        if supervisor.stopping:
            raise VotenetError("the network is stopping", code="stopping")
        for slot in slots:
            supervisor.dispatch(slot, _event(command, grace))
        asked = [(slot, slot.program.epoch) for slot in slots]

        def done() -> bool:
            return all(
                slot.program.epoch != epoch or slot.program.state in _DONE[command] for slot, epoch in asked
            )

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await supervisor.until(done)
        return {"programs": [supervisor.program_status(slot) for slot in slots]}

    def _slot(self, name: str) -> Slot:
        slots = self._supervisor.slots
        if name not in slots:
            instance = self._supervisor.dirs.instance
            raise NoSuchNode(f"no node {name!r} in {instance!r}: there are {', '.join(slots)}")
        return slots[name]


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

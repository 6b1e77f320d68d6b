"""The supervisor: carries out what the state machines ask for, in one thread of asyncio.

What lives here: the shell around `machine.py`: processes, timers, notifications, signals, the order
of start and stop. What must not: policy (`restart.py`), decisions about one program (`machine.py`),
answers to control requests (`requests.py`), keys, databases, chain code.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shlex
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from votenet import __version__
from votenet.config import InstanceDirs
from votenet.errors import Kind, Rejected, VotenetError
from votenet.processes import logs, procfs
from votenet.processes.child import Child
from votenet.processes.control_server import ControlServer
from votenet.processes.identity import TAG_VARIABLE, Identity, last_incarnations, tag, write_identity
from votenet.processes.lifeline import PARENT_VARIABLE
from votenet.processes.machine import (
    Action,
    Ended,
    Event,
    Gone,
    Kill,
    KillRequested,
    Launch,
    NotStarted,
    PauseChanged,
    Program,
    ReadyChanged,
    SetTimer,
    Started,
    StartRequested,
    State,
    StopRequested,
    Terminate,
    Timer,
    TimerFired,
    Unregister,
    step,
)
from votenet.processes.notify import NotifySocket
from votenet.processes.proof import wait_until_free
from votenet.processes.requests import Requests
from votenet.processes.restart import RestartPolicy
from votenet.processes.spec import NetworkSpec, ProgramSpec, Role, expand
from votenet.processes.status import LAST_LINES, Sight, Vitals, program_status

BOOTSTRAP_HEAD_START: Final = 1.0
"""Nodes wait this long for a bootstrap server that is slow: it helps them but they do not need it."""
TICK_SECONDS: Final = 1.0
UNREGISTER_TRIES: Final = 5

Remover = Callable[[ProgramSpec, NetworkSpec], Awaitable[None]]


@dataclass(slots=True)
class Slot:
    """One program: its plan, its record, and the process that now carries it."""

    spec: ProgramSpec
    program: Program
    child: Child | None = None
    sight: Sight = field(default_factory=Sight)
    vitals: Vitals = field(default_factory=Vitals)
    timers: dict[Timer, tuple[int, asyncio.TimerHandle]] = field(default_factory=dict)


async def remove_from_bootstrap(program: ProgramSpec, network: NetworkSpec) -> None:
    """Take a program's address out of the registry; peers are told by the bootstrap server."""
    from votenet.network.bootstrap_client import remove

    await remove(network.bootstrap, str(program.address))


class Supervisor:
    """Runs one network until it is told to stop. The caller holds the instance's lock and ports.

    Args:
        say: gets one line per event, for people.
        settled: called once, with the status, when every program is ready or known to be out.
        lifeline: whether the programs shall die with this process (a network in the foreground).
    """

    def __init__(
        self,
        network: NetworkSpec,
        dirs: InstanceDirs,
        *,
        say: Callable[[str], None],
        settled: Callable[[dict[str, Any]], None] | None = None,
        lifeline: bool = True,
        policy: RestartPolicy | None = None,
        remover: Remover = remove_from_bootstrap,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.network, self.dirs = network, dirs
        self.stop_signal: signal.Signals | None = None
        self._say, self._settled, self._lifeline = say, settled, lifeline
        self._policy = policy or RestartPolicy(retry_removed=None if network.give_up else 300.0)
        self._remover, self._rng = remover, rng
        numbers = last_incarnations(dirs)
        self.slots = {
            spec.name: Slot(spec, Program(incarnation=numbers.get(spec.name, 0)))
            for spec in expand(network, dirs)
        }
        self.stopping = self.stopped = False
        self._began = time.monotonic()
        self._waiters: list[asyncio.Future[None]] = []

    # -- life ----------------------------------------------------------------------------------

    async def run(self) -> list[str]:
        """Start everything, keep it running, stop it when asked.

        Returns:
            one sentence for each program that left something behind.
        """
        self._loop = asyncio.get_running_loop()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._loop.add_signal_handler(number, self._on_signal, number)
        notify = NotifySocket(self.dirs.notify_socket)
        self._loop.add_reader(notify.fileno(), self._on_notify, notify)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._serve()
        finally:
            for slot in self.slots.values():
                if slot.child is not None:
                    slot.child.kill_and_reap()
            self._loop.remove_reader(notify.fileno())
            notify.close()
        return self.problems()

    async def _serve(self) -> None:
        services = [
            self._tasks.create_task(self._start_all(), name="start"),
            self._tasks.create_task(self._tick(), name="tick"),
        ]
        self._services = services
        requests = Requests(self)
        async with ControlServer(self.dirs.control_socket, requests.handle, self._tasks):
            await self.until(lambda: self.stopped)
        for task in services:
            task.cancel()

    async def _start_all(self) -> None:
        bootstrap, *nodes = self.slots.values()
        self.dispatch(bootstrap, StartRequested())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BOOTSTRAP_HEAD_START):
                await self.until(lambda: bootstrap.program.state is State.READY or self.stopping)
        for slot in nodes:
            if slot.program.epoch == 0 and not self.stopping:
                self.dispatch(slot, StartRequested())

    def request_stop(self, *, grace: float | None = None, now: bool = False) -> None:
        """Stop everything: nodes first, then the bootstrap server. `now` kills. Never taken back."""
        if not self.stopping:
            self.stopping = True
            grace = self.network.grace if grace is None else grace
            self._tasks.create_task(self._stop_all(grace), name="stop")
        if now:
            for slot in self.slots.values():
                self.dispatch(slot, KillRequested())

    async def _stop_all(self, grace: float) -> None:
        for role in (Role.NODE, Role.BOOTSTRAP):
            slots = [slot for slot in self.slots.values() if slot.spec.role is role]
            for slot in slots:
                self.dispatch(slot, StopRequested(grace))
            await self.until(lambda slots=slots: all(slot.program.at_rest for slot in slots))  # type: ignore[misc]
        self.stopped = True
        self._wake()

    async def _tick(self) -> None:
        """Once a second: what nobody tells us."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for slot in self.slots.values():
                self._look(slot)
                if slot.sight.log is not None:
                    logs.trim(slot.sight.log)

    def _look(self, slot: Slot) -> None:
        if slot.child is not None and slot.child.paused != slot.program.paused:
            self.dispatch(slot, PauseChanged(slot.program.incarnation, slot.child.paused))

    # -- events in, actions out ----------------------------------------------------------------

    def dispatch(self, slot: Slot, event: Event) -> None:
        """Give one event to a program's state machine and do what it asks for."""
        before = slot.program
        slot.program, actions = step(before, event, time.monotonic(), self._policy, self._rng)
        for timer, (sequence, handle) in list(slot.timers.items()):
            if (timer, sequence) not in slot.program.timers:
                handle.cancel()
                del slot.timers[timer]
        self._report(slot, before)
        for action in actions:
            self._act(slot, action)
        self._wake()

    def _act(self, slot: Slot, action: Action) -> None:
        match action:
            case Launch(incarnation=incarnation):
                self._launch(slot, incarnation)
            case Terminate() if slot.child is not None:
                slot.child.terminate()
            case Kill() if slot.child is not None:
                self.tell(f"{slot.spec.name}: killing it (SIGKILL)")
                slot.child.kill()
            case SetTimer(timer=timer, delay=delay, sequence=sequence):
                fired = TimerFired(timer, sequence)
                slot.timers[timer] = sequence, self._loop.call_later(delay, self.dispatch, slot, fired)
            case Unregister() if slot.spec.role is Role.NODE and not self.stopping:
                task = self._tasks.create_task(self._unregister(slot, slot.program.epoch))
                self._services.append(task)

    def _launch(self, slot: Slot, incarnation: int) -> None:
        spec = slot.spec
        log = logs.log_path(self.dirs.logs, spec.name, incarnation)
        logs.prune(self.dirs.logs, spec.name, logs.KEEP_INCARNATIONS - 1)
        logs.note(log, f"{spec.name}, incarnation {incarnation}: {shlex.join(spec.argv)}")
        slot.sight, slot.vitals = Sight(log=log), Vitals()
        try:
            write_identity(self.dirs, self._identity(slot, "starting"))
            child = Child.start(spec.argv, self._environment(spec), log)
        except (OSError, VotenetError) as error:
            logs.note(log, f"not started: {error}")
            self.dispatch(slot, NotStarted(incarnation, str(error)))
            return
        slot.child = child
        slot.sight.pid, slot.sight.started_at = child.pid, time.monotonic()
        self._record(slot, "running")
        self.dispatch(slot, Started(incarnation))
        self._tasks.create_task(self._watch(slot, child, incarnation), name=f"{spec.name}.{incarnation}")

    async def _watch(self, slot: Slot, child: Child, incarnation: int) -> None:
        """Follow one process from its death to the proof that nothing of it is left."""
        cause = await child.died()
        logs.note(child.log, f"{slot.spec.name}, incarnation {incarnation}, pid {child.pid}: {cause}")
        self.dispatch(slot, Ended(incarnation, cause))
        problems = [await child.finish(), await wait_until_free(slot.spec)]
        slot.child = None
        slot.vitals = Vitals(height=slot.vitals.height, tip=slot.vitals.tip)  # its chain is still there
        slot.sight.pid = slot.sight.started_at = None
        slot.sight.last_lines = tuple(logs.tail(child.log, LAST_LINES))
        self._record(slot, "stopped")
        self.dispatch(slot, Gone(incarnation, "; ".join(filter(None, problems))))

    def _record(self, slot: Slot, intent: str) -> None:
        """Write the identity; a full disk must not cost a healthy process its life."""
        try:
            write_identity(self.dirs, self._identity(slot, intent))
        except VotenetError as error:
            self.tell(f"{slot.spec.name}: {error.message}")

    def _identity(self, slot: Slot, intent: str) -> Identity:
        child = slot.child
        return Identity(
            instance=self.dirs.instance,
            name=slot.spec.name,
            incarnation=slot.program.incarnation,
            intent=intent,
            address=str(slot.spec.address),
            pid=child.pid if child else 0,
            start_ticks=child.start_ticks if child else 0,
            boot_id=procfs.boot_id(),
            supervisor=os.getpid(),
        )

    def _environment(self, spec: ProgramSpec) -> dict[str, str]:
        env = {
            **os.environ,
            "NOTIFY_SOCKET": os.fspath(self.dirs.notify_socket),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            TAG_VARIABLE: tag(self.dirs, spec.name),
        }
        env.pop(PARENT_VARIABLE, None)
        if self._lifeline:
            env[PARENT_VARIABLE] = str(os.getpid())
        return env

    async def _unregister(self, slot: Slot, epoch: int) -> None:
        """Tell the bootstrap server; a bounded number of tries, none of them fatal."""
        name = slot.spec.name
        for attempt in range(UNREGISTER_TRIES):
            if slot.program.epoch != epoch or slot.program.state not in (State.REMOVED, State.FAILED):
                return
            try:
                async with asyncio.timeout(10.0):
                    await self._remover(slot.spec, self.network)
                self.tell(f"{name}: {slot.spec.address} removed from the bootstrap server")
                self._wake()
                return
            except (VotenetError, OSError, ImportError) as error:
                self.tell(f"{name}: could not be removed from the bootstrap server: {error}")
                self._wake()
                if isinstance(error, Rejected) and error.kind is not Kind.TEMPORARY:
                    return
            await asyncio.sleep(2.0**attempt)

    # -- what comes from outside ---------------------------------------------------------------

    def _on_signal(self, number: signal.Signals) -> None:
        again = number is signal.SIGINT and self.stop_signal is signal.SIGINT
        if not self.stopping:
            self.tell(f"{signal.Signals(number).name}: stopping; nodes first")
        elif again:
            self.tell("stopping now: killing what is left")
        self.stop_signal = self.stop_signal or number
        self.request_stop(now=again)

    def _on_notify(self, notify: NotifySocket) -> None:
        slots = {slot.child.pid: slot for slot in self.slots.values() if slot.child is not None}
        for pid, fields in notify.receive():
            slot = slots.get(pid)
            if slot is None or slot.child is None:
                continue
            slot.vitals.hear(fields, time.monotonic())
            if fields.get("READY") in ("0", "1"):
                self.dispatch(slot, ReadyChanged(slot.program.incarnation, fields["READY"] == "1"))

    # -- telling -------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """A line for people. That the terminal is gone must not stop the supervisor."""
        with contextlib.suppress(OSError, ValueError):
            self._say(text)

    def status(self) -> dict[str, Any]:
        """The whole network as plain data; never waits."""
        for slot in self.slots.values():
            self._look(slot)
        nodes = [str(slot.spec.address) for slot in self.slots.values() if slot.spec.role is Role.NODE]
        return {
            "instance": self.dirs.instance,
            "phase": "stopping" if self.stopping else "running" if self.all_settled else "starting",
            "version": __version__,
            "genesis": self.network.genesis,
            "bootstrap": str(self.network.bootstrap),
            "nodes": nodes,
            "supervisor": {
                "pid": os.getpid(),
                "detached": not self._lifeline,
                "uptime": round(time.monotonic() - self._began, 3),
            },
            "programs": [self.program_status(slot) for slot in self.slots.values()],
        }

    @property
    def all_settled(self) -> bool:
        """Every program is ready, or out and known to be out."""
        return all(
            slot.program.state in (State.READY, State.FAILED, State.REMOVED) for slot in self.slots.values()
        )

    def program_status(self, slot: Slot) -> dict[str, Any]:
        """One program as plain data."""
        return program_status(slot.spec, slot.program, slot.sight, slot.vitals, time.monotonic())

    def problems(self) -> list[str]:
        """One sentence for each program that left something behind."""
        found = ((slot.spec.name, slot.program.problem) for slot in self.slots.values())
        return [f"{name}: {problem}" for name, problem in found if problem]

    def _report(self, slot: Slot, before: Program) -> None:
        now, old, new = time.monotonic(), before.state, slot.program.state
        if new is State.READY and old is not State.READY:
            slot.sight.ready_at = now
        if slot.program.cause is not before.cause and slot.program.cause and not slot.program.cause.requested:
            self.tell(f"{slot.spec.name}: {slot.program.cause}")
        if new is not old:
            self.tell(f"{slot.spec.name}: {new.value}{self._detail(slot, new, now)}")
            for line in slot.sight.last_lines if new in (State.FAILED, State.REMOVED) else ():
                self.tell(f"  | {line}")
        if self._settled is not None and not self.stopping and self.all_settled:
            settled, self._settled = self._settled, None
            with contextlib.suppress(OSError, ValueError):
                settled(self.status())

    def _detail(self, slot: Slot, state: State, now: float) -> str:
        if state is State.READY and slot.sight.started_at is not None:
            return f" after {now - slot.sight.started_at:.2f} s, pid {slot.sight.pid}, {slot.spec.address}"
        if state in (State.BACKOFF, State.REMOVED) and slot.program.retry_at is not None:
            return f", next try in {slot.program.retry_at - now:.1f} s"
        if state is State.STOPPED and slot.program.problem:
            return f", but {slot.program.problem}"
        return ""

    # -- waiting for a change ------------------------------------------------------------------

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def change(self) -> None:
        """Wait for the next event."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that only events can bring about."""
        while not condition():
            await self.change()

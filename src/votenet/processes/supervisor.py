"""The supervisor: carries out what the state machines ask for, in one thread of asyncio.

What lives here: the shell around `machine.py`: processes, timers, notifications, signals, the order
of start and stop. What must not: policy (`restart.py`), decisions about one program (`machine.py`),
answers to control requests (`requests.py`), keys, databases, chain code.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import random
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from votenet import __version__
from votenet.config import InstanceDirs
from votenet.errors import ConfigError, VotenetError
from votenet.processes import links, logs, orphans
from votenet.processes.announce import Announcer
from votenet.processes.apart import Apart, reports
from votenet.processes.control_server import ControlServer
from votenet.processes.identity import last_incarnations
from votenet.processes.instance import Claim, make_dirs
from votenet.processes.launcher import Launcher
from votenet.processes.machine import (
    Action,
    Dump,
    Event,
    Kill,
    KillRequested,
    Launch,
    Program,
    ReadyChanged,
    SetTimer,
    StartRequested,
    State,
    StopRequested,
    Terminate,
    Timer,
    TimerFired,
    Unregister,
    given_up,
    step,
)
from votenet.processes.notify import NotifySocket
from votenet.processes.plans import Plans
from votenet.processes.reconcile import adoptable
from votenet.processes.requests import Requests
from votenet.processes.signals import reset_inherited
from votenet.processes.slot import Slot
from votenet.processes.spec import NetworkSpec, Role, expand
from votenet.processes.status import network_status, program_status
from votenet.processes.unregister import Remover, remove_from_bootstrap, unregister
from votenet.processes.watchdog import Pace

BOOTSTRAP_HEAD_START: Final = 1.0
"""Nodes wait this long for a bootstrap server that is slow: it helps them but they do not need it."""
TICK_SECONDS: Final = 1.0
LATE_SECONDS: Final = 2.0
"""A KILL timer that fires this late was overtaken by a pause, ours or that of everything: it starts anew."""


class Supervisor:
    """Runs one network until it is told to stop.

    Args:
        claim: the instance's lock and ports; the caller releases it in the end.
        say: gets one line per event, for people.
        settled: called once, with the status, when every program is ready or known to be out.
        lifeline: whether the programs shall die with this process (a network in the foreground). If
            not, those that a dead supervisor left are adopted where that is safe.
    """

    def __init__(
        self,
        network: NetworkSpec,
        dirs: InstanceDirs,
        claim: Claim,
        *,
        say: Callable[[str], None],
        settled: Callable[[dict[str, Any]], None] | None = None,
        lifeline: bool = True,
        remover: Remover = remove_from_bootstrap,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.network, self.dirs, self.claim = network, dirs, claim
        self.stop_signal: signal.Signals | None = None
        self._say, self._settled, self._lifeline = say, settled, lifeline
        self._remover, self._rng = remover, rng
        numbers = last_incarnations(dirs)
        self.slots = {
            spec.name: Slot(spec, Program(incarnation=numbers.get(spec.name, 0)))
            for spec in expand(network, dirs)
        }
        self.plans, self._launcher = Plans(self), Launcher(self, lifeline=lifeline)
        self.stopping = self.stopped = False
        self._events: deque[tuple[Slot, Event]] = deque()
        self._dispatching = False
        self._announcer = Announcer()
        self._mistakes: deque[str] = deque(maxlen=64)
        self.apart = Apart()
        self._began = time.monotonic()
        self._socket_trouble = ""
        self._waiters: list[asyncio.Future[None]] = []

    # -- life ----------------------------------------------------------------------------------

    async def run(self) -> list[str]:
        """Start everything, keep it running, stop it when asked.

        Returns:
            one sentence for each program that left something behind.
        """
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._loop.add_signal_handler(number, self._on_signal, number)
        reset_inherited()  # after the handlers: a signal that was blocked until now is heard, not lost
        try:
            self._notify = NotifySocket(self.dirs.notify_socket)
        except OSError as error:
            raise ConfigError(
                f"no socket can be made in {self.dirs.run}: {error.strerror or error}",
                code="bad-directory",
                next_step="Raise the limit of open files: ulimit -n"
                if error.errno in (errno.EMFILE, errno.ENFILE)
                else "Choose a folder on a local disk with VOTENET_HOME.",
            ) from error
        self._loop.add_reader(self._notify.fileno(), self._on_notify)
        try:
            async with asyncio.TaskGroup() as self.tasks:
                await self._serve()
        finally:
            for slot in self.slots.values():
                if slot.child is not None and self._lifeline:
                    slot.child.kill_and_reap()  # a detached network goes on: the next `up` adopts it
            self._loop.remove_reader(self._notify.fileno())
            self._notify.close()
            with contextlib.suppress(OSError):  # sockets were all that was in it
                self.dirs.run.rmdir()
        return self.problems()

    async def _serve(self) -> None:
        if not self._lifeline:
            self._adopt_all()
        if all(slot.child is None for slot in self.slots.values()):
            links.forget(slot.spec.data_dir for slot in self.slots.values())
        self._services = [
            self.tasks.create_task(self._start_all(), name="start"),
            self.tasks.create_task(self._tick(), name="tick"),
        ]
        requests = Requests(self)
        async with ControlServer(self.dirs.control_socket, requests.handle, self.tasks) as self._control:
            await self.until(lambda: self.stopped)
        for task in self._services:
            task.cancel()

    def in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something beside everything else, until it ends or the supervisor does."""
        under_way = [task for task in self._services if not task.done()]
        self._services = [*under_way, self.tasks.create_task(self._contained(work, name), name=name)]

    async def _contained(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A mistake of ours in work beside everything else ends that work alone."""
        try:
            await work
        except Exception as error:
            self.mistake(name, error)

    def _adopt_all(self) -> None:
        """Go on with what a dead supervisor left. The caller has ended what may not go on."""
        specs = [slot.spec for slot in self.slots.values()]
        for name, record in adoptable(self.dirs, specs).items():
            self._launcher.adopt(self.slots[name], record)

    async def _start_all(self) -> None:
        bootstrap, *nodes = self.slots.values()
        if bootstrap.program.epoch == 0:
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
            self._announcer.stopping()
            grace = self.network.grace if grace is None else grace
            self.tasks.create_task(self._stop_all(grace), name="stop")
        if now:
            for slot in list(self.slots.values()):
                self.dispatch(slot, KillRequested())

    async def _stop_all(self, grace: float) -> None:
        for role in (Role.NODE, Role.BOOTSTRAP):
            slots = [slot for slot in self.slots.values() if slot.spec.role is role]
            for slot in slots:
                self.dispatch(slot, StopRequested(grace))
            await self.until(lambda slots=slots: all(slot.program.at_rest for slot in slots))  # type: ignore[misc]
        self.stopped = True
        self.wake()

    async def _tick(self) -> None:
        """Once a second: what nobody tells us."""
        pace = Pace(TICK_SECONDS, time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self._look_around(pace.lost(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)))
            except Exception as error:
                self.mistake("supervisor", error)

    def _look_around(self, lost: float) -> None:
        if not self._keep_sockets():
            lost = math.inf
        self._on_notify()  # what came while we were away counts first
        for slot in list(self.slots.values()):
            try:
                self._inspect(slot, lost)
            except Exception as error:
                self.mistake(slot.spec.name, error)
        self._announce()
        orphans.reap(slot.child.pid for slot in self.slots.values() if slot.child is not None)
        self._tell_if_settled()

    def _inspect(self, slot: Slot, lost: float) -> None:
        self.look(slot)
        for event in slot.judge_silence(time.monotonic(), self.network.hang_seconds, lost):
            self.dispatch(slot, event)
        self._alert(slot)
        if slot.child is not None:
            logs.trim(slot.child.output)

    def _announce(self) -> None:
        states = {name: slot.program.state.value for name, slot in self.slots.items()}
        self._announcer.look(states, settled=self.all_settled)

    def _keep_sockets(self) -> bool:
        """Bind those again whose file somebody removed. Whether programs could reach us all the time."""
        if self._notify.there and self._control.there:
            self._socket_trouble = ""
            return True
        try:
            make_dirs(self.dirs)
            if not self._control.there:
                self._control.bind_again()
            if not self._notify.there:
                self._loop.remove_reader(self._notify.fileno())
                self._notify.bind_again()
                self._loop.add_reader(self._notify.fileno(), self._on_notify)
            found = "somebody removed our socket; it is there again"
        except (OSError, VotenetError) as error:  # no room, or no such folder: we try at every look
            found = f"somebody removed our socket, and it cannot be made again: {error}"
        if found != self._socket_trouble:
            self.tell(found)
        self._socket_trouble = found
        return False

    def look(self, slot: Slot) -> None:
        """Ask the kernel about a program now."""
        for event in slot.look(time.monotonic()):
            self.dispatch(slot, event)

    def _alert(self, slot: Slot) -> None:
        alert = slot.vitals.alert(time.monotonic())
        if alert and not slot.alerted:
            self.tell(f"{slot.spec.name}: {alert}")
        slot.alerted = bool(alert)

    # -- events in, actions out ----------------------------------------------------------------

    def dispatch(self, slot: Slot, event: Event) -> None:
        """Give one event to a program's state machine and do what it asks for.

        An event that comes up meanwhile waits for its turn, so that the actions of one are done before the
        next is looked at. A mistake of ours fails this program; the others go on.
        """
        self._events.append((slot, event))
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while self._events:
                slot, event = self._events.popleft()
                try:
                    self._handle(slot, event)
                except Exception as error:
                    self._fail(slot, error)
        finally:
            self._dispatching = False
        self._tell_if_settled()
        self.wake()

    def _fail(self, slot: Slot, error: Exception) -> None:
        """After a mistake of ours: a process that runs is ended, and its end told like any other."""
        self.mistake(slot.spec.name, error)
        if slot.child is not None:
            slot.child.kill()
        else:
            reason = f"a mistake in votenet: {type(error).__name__}: {error}"
            slot.program = given_up(slot.program, reason)

    def mistake(self, name: str, error: Exception) -> None:
        """Tell of one of our own, once; its stack goes to the log."""
        text = f"{name}: a mistake in votenet: {type(error).__name__}: {error}; please report it"
        if text in self._mistakes:  # made at every look
            return
        self._mistakes.append(text)
        with contextlib.suppress(Exception):
            traceback.print_exception(error)
        self.tell(text)

    def _handle(self, slot: Slot, event: Event) -> None:
        before = slot.program
        slot.program, actions = step(before, event, time.monotonic(), self.network.policy, self._rng)
        for timer, (sequence, handle) in list(slot.timers.items()):
            if (timer, sequence) not in slot.program.timers:
                handle.cancel()
                del slot.timers[timer]
        self._report(slot, before)
        for action in actions:
            self._act(slot, action)

    def _act(self, slot: Slot, action: Action) -> None:
        match action:
            case Launch(incarnation=incarnation):
                self._launcher.launch(slot, incarnation)
            case Terminate() if slot.child is not None:
                slot.child.terminate()
            case Dump() if slot.child is not None:
                self.tell(f"{slot.spec.name}: its main loop hangs; its stacks go to its log")
                slot.child.dump()
            case Kill() if slot.child is not None:
                self.tell(f"{slot.spec.name}: killing it (SIGKILL)")
                slot.child.kill()
            case SetTimer(timer=timer, delay=delay, sequence=sequence):
                self._arm(slot, timer, delay, sequence)
            case Unregister() if slot.spec.role is Role.NODE and not self.stopping:
                work = unregister(slot, self.network, self._remover, self.tell)
                self.in_background(work, f"unregister {slot.spec.name}")

    def _arm(self, slot: Slot, timer: Timer, delay: float, sequence: int) -> None:
        due = self._loop.time() + delay

        def fire() -> None:
            if timer is Timer.KILL and self._loop.time() - due > LATE_SECONDS:
                self._arm(slot, timer, delay, sequence)
            else:
                self.dispatch(slot, TimerFired(timer, sequence))

        slot.timers[timer] = sequence, self._loop.call_at(due, fire)

    # -- what comes from outside ---------------------------------------------------------------

    def _on_signal(self, number: signal.Signals) -> None:
        again = number is signal.SIGINT and self.stop_signal is signal.SIGINT
        if not self.stopping:
            self.tell(f"{signal.Signals(number).name}: stopping; nodes first")
        elif again:
            self.tell("stopping now: killing what is left")
        self.stop_signal = self.stop_signal or number
        self.request_stop(now=again)

    def _on_notify(self) -> None:
        slots = {slot.child.pid: slot for slot in self.slots.values() if slot.child is not None}
        for pid, fields in self._notify.receive():
            slot = slots.get(pid)
            if slot is None or slot.child is None:
                continue
            slot.vitals.hear(fields, time.monotonic())
            ready = fields.get("READY")
            if ready is None and "WATCHDOG" in fields and not slot.program.was_ready:
                ready = "1"  # heartbeats begin with readiness: told to an earlier supervisor, or not heard
            if ready in ("0", "1"):
                self.dispatch(slot, ReadyChanged(slot.program.incarnation, ready == "1"))
        self._tell_if_settled()
        self.wake()

    # -- telling -------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """A line for people. Whatever goes wrong with it must not stop the supervisor."""
        with contextlib.suppress(Exception):
            self._say(text)

    def status(self) -> dict[str, Any]:
        """The whole network as plain data; never waits."""
        for slot in list(self.slots.values()):
            self.look(slot)
        self.look_apart()
        return {
            "instance": self.dirs.instance,
            "phase": "stopping" if self.stopping else "running" if self.all_settled else "starting",
            "version": __version__,
            "plan": self.plans.name or None,
            "supervisor": {
                "pid": os.getpid(),
                "detached": not self._lifeline,
                "uptime": round(time.monotonic() - self._began, 3),
            },
            **network_status(self.network),
            "programs": [self.program_status(slot) for slot in self.slots.values()],
        }

    @property
    def all_settled(self) -> bool:
        """Every program is ready, or out and known to be out; nodes have found each other."""
        slots, now = self.slots.values(), time.monotonic()
        ready = sum(slot.spec.role is Role.NODE and slot.program.state is State.READY for slot in slots)
        return all(slot.settled and not (ready > 1 and slot.alone(now)) for slot in slots)

    def program_status(self, slot: Slot) -> dict[str, Any]:
        """One program as plain data."""
        known = program_status(slot.spec, slot.program, slot.sight, slot.vitals, time.monotonic())
        cut_off = self.apart.found.get(slot.spec.name)
        return {**known, "cut_off": None if cut_off is None else cut_off._asdict()}

    def look_apart(self) -> None:
        """Compare what all nodes report; say who is cut off now and was not before."""
        before = self.apart.found
        self.apart.look(reports(self.slots.values()), time.monotonic())
        for name, fault in self.apart.found.items():
            if name not in before and fault.code != "partition":  # of that whoever asked for it was told
                self.tell(f"{name} is cut off: {fault.message}")

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

    def _tell_if_settled(self) -> None:
        if self._settled is not None and not self.stopping and self.all_settled:
            settled, self._settled = self._settled, None
            self._announce()
            with contextlib.suppress(Exception):
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

    def wake(self) -> None:
        """Let everybody who waits for a change look again."""
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

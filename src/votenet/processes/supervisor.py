"""The supervisor of one network: one thread of asyncio that starts programs, keeps them running, stops them.

Decisions about one program are in `machine.py`, the events between them in `program_table.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import random
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from votenet.config import InstanceDirs
from votenet.errors import ConfigError, VotenetError
from votenet.processes import links, logs
from votenet.processes.child import reap_orphans
from votenet.processes.control_server import ControlServer
from votenet.processes.heartbeat import LatenessMeter
from votenet.processes.instance import Claim, make_dirs
from votenet.processes.launcher import Launcher
from votenet.processes.machine import (
    Action,
    Dump,
    Event,
    Kill,
    KillRequested,
    Launch,
    ReadyChanged,
    StartRequested,
    State,
    StopRequested,
    Terminate,
    Unregister,
)
from votenet.processes.managed_program import ManagedProgram
from votenet.processes.notify import NotifySocket, ServiceNotifier
from votenet.processes.program_table import ProgramTable
from votenet.processes.reconcile import adoptable
from votenet.processes.requests import Requests
from votenet.processes.rollouts import Rollouts
from votenet.processes.signals import reset_inherited
from votenet.processes.spec import STOP_ORDER, NetworkSpec, ProgramRole
from votenet.processes.teardown import Unregistrar, remove_from_bootstrap, unregister

BOOTSTRAP_HEAD_START: Final = 1.0
"""Nodes wait this long for a slow bootstrap server: it helps them, but they do not need it."""
PAGE_STOP_SECONDS: Final = 1.0
"""For votes that the page is passing on; the nodes stop then."""
_TICK_SECONDS: Final = 1.0


class Supervisor:
    """Runs one network until it is told to stop.

    Args:
        claim: the instance's lock and ports; the caller releases it in the end.
        say: gets one line per event, for people.
        settled: called once, with the status, when every program is ready or known to be out.
        parent_death: whether the programs die with this process (a network in the foreground). If not,
            programs that a dead supervisor left are adopted where that is safe.
        unregistrar: takes a program that is out from the registry.
    """

    def __init__(
        self,
        network: NetworkSpec,
        dirs: InstanceDirs,
        claim: Claim,
        *,
        say: Callable[[str], None],
        settled: Callable[[dict[str, Any]], None] | None = None,
        parent_death: bool = True,
        unregistrar: Unregistrar = remove_from_bootstrap,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.table = ProgramTable(network, dirs, self._carry_out, say=say, detached=not parent_death, rng=rng)
        self.rollouts, self._launcher = Rollouts(self.table, claim), Launcher(self.table)
        self.requests = Requests(self.table, self.rollouts, self.request_stop)
        self.stop_signal: signal.Signals | None = None
        self._dirs, self._settled, self._unregistrar = dirs, settled, unregistrar
        self._service = ServiceNotifier()
        self._socket_trouble = ""

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
        self._notify = self._open_notify_socket()
        self._loop.add_reader(self._notify.fileno(), self._on_notify)
        try:
            async with self.table.tasks:
                await self._serve()
        finally:
            for program in self.table.programs.values():
                if program.child is not None and not self.table.detached:
                    program.child.kill_and_reap()  # a detached network goes on: the next `up` adopts it
            self._loop.remove_reader(self._notify.fileno())
            self._notify.close()
            with contextlib.suppress(OSError):  # sockets were all that was in it
                self._dirs.run.rmdir()
        return self.table.problems()

    def _open_notify_socket(self) -> NotifySocket:
        try:
            return NotifySocket(self._dirs.notify_socket)
        except OSError as error:
            raise ConfigError(
                f"no socket can be made in {self._dirs.run}: {error.strerror or error}",
                code="bad-directory",
                next_step="Raise the limit of open files: ulimit -n"
                if error.errno in (errno.EMFILE, errno.ENFILE)
                else "Choose a folder on a local disk with VOTENET_HOME.",
            ) from error

    async def _serve(self) -> None:
        table = self.table
        # 1. A detached supervisor goes on with what a dead one left; the caller has ended what may not go on.
        if table.detached:
            specs = [program.spec for program in table.programs.values()]
            for name, record in adoptable(self._dirs, specs).items():
                self._launcher.adopt(table.programs[name], record)
        # 2. A network that starts anew starts with whole links.
        if all(program.child is None for program in table.programs.values()):
            links.forget(program.spec.data_dir for program in table.programs.values())
        # 3. Start the rest, look around once a second, answer requests, until everything has stopped.
        table.in_background(self._start_all(), "start")
        table.in_background(self._tick(), "tick")
        table.in_background(self._tell_settled(), "settled")
        path, handle = self._dirs.control_socket, self.requests.handle
        async with ControlServer(path, handle, table.tasks) as self._control:
            await table.until(lambda: table.stopped)
            table.end_background()  # before the socket's file goes: a look around would make it anew

    async def _start_all(self) -> None:
        bootstrap, *nodes = self.table.programs.values()
        if bootstrap.machine.epoch == 0:
            self.table.dispatch(bootstrap, StartRequested())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BOOTSTRAP_HEAD_START):
                await self.table.until(lambda: bootstrap.state is State.READY or self.table.stopping)
        for node in nodes:
            if node.machine.epoch == 0 and not self.table.stopping:
                self.table.dispatch(node, StartRequested())

    async def _tell_settled(self) -> None:
        """Call `settled` and tell the service manager, once."""
        await self.table.until(lambda: self.table.all_settled or self.table.stopping)
        if not self.table.stopping:
            self._update_service()
            if self._settled is not None:
                with contextlib.suppress(Exception):
                    self._settled(self.table.status())

    def request_stop(self, *, grace: float | None = None, now: bool = False) -> None:
        """Stop everything: the page, the nodes, the bootstrap server. `now` kills. Never taken back."""
        table = self.table
        if not table.stopping:
            table.stopping = True
            self._service.stopping()
            grace = table.network.grace if grace is None else grace
            table.tasks.create_task(self._stop_all(grace), name="stop")
        if now:
            for program in list(table.programs.values()):
                table.dispatch(program, KillRequested())

    async def _stop_all(self, grace: float) -> None:
        for role in STOP_ORDER:
            programs = [one for one in self.table.programs.values() if one.spec.role is role]
            for program in programs:
                self.table.dispatch(program, StopRequested(grace))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAGE_STOP_SECONDS if role is ProgramRole.WEB else None):
                    await self._at_rest(programs)
        await self._at_rest(self.table.programs.values())
        self.table.stopped = True
        self.table.wake()

    async def _at_rest(self, programs: Iterable[ManagedProgram]) -> None:
        await self.table.until(lambda: all(program.machine.at_rest for program in programs))

    # -- once a second -------------------------------------------------------------------------

    async def _tick(self) -> None:
        """See what no event tells."""
        meter = LatenessMeter(_TICK_SECONDS, time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                self._look_around(meter.lost(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)))
            except Exception as error:
                self.table.report_fault("supervisor", error)

    def _look_around(self, lost: float) -> None:
        if not self._keep_sockets():
            lost = math.inf
        self._on_notify()  # what came while this process was away counts first
        programs = list(self.table.programs.values())
        for program in programs:
            try:
                self._inspect(program, lost)
            except Exception as error:
                self.table.report_fault(program.name, error)
        self._update_service()
        reap_orphans(program.child.pid for program in programs if program.child is not None)
        self.table.wake()

    def _inspect(self, program: ManagedProgram, lost: float) -> None:
        now = time.monotonic()
        self.table.look(program)
        for event in program.judge_silence(now, self.table.network.hang_seconds, lost):
            self.table.dispatch(program, event)
        alert = program.heartbeat.alert(now)
        if alert and not program.alerted:
            self.table.tell(f"{program.name}: {alert}")
        program.alerted = bool(alert)
        if program.child is not None:
            logs.trim(program.child.output)

    def _update_service(self) -> None:
        states = {name: program.state.value for name, program in self.table.programs.items()}
        self._service.update(states, settled=self.table.all_settled)

    def _keep_sockets(self) -> bool:
        """Bind sockets again whose file was removed. Returns whether programs could reach us all the time."""
        if self._notify.there and self._control.there:
            self._socket_trouble = ""
            return True
        try:
            make_dirs(self._dirs)
            if not self._control.there:
                self._control.bind_again()
            if not self._notify.there:
                self._loop.remove_reader(self._notify.fileno())
                self._notify.bind_again()
                self._loop.add_reader(self._notify.fileno(), self._on_notify)
            trouble = "our socket was removed; it is there again"
        except (OSError, VotenetError) as error:  # no room, or no such folder: the next look tries again
            trouble = f"our socket was removed, and cannot be made again: {error}"
        if trouble != self._socket_trouble:
            self.table.tell(trouble)
        self._socket_trouble = trouble
        return False

    # -- actions out, events in ----------------------------------------------------------------

    def _carry_out(self, program: ManagedProgram, action: Action) -> Event | None:
        match action:
            case Launch(incarnation=incarnation):
                return self._launcher.launch(program, incarnation)
            case Terminate() if program.child is not None:
                program.child.terminate()
            case Dump() if program.child is not None:
                self.table.tell(f"{program.name}: its main loop hangs; its stacks go to its log")
                program.child.dump()
            case Kill() if program.child is not None:
                self.table.tell(f"{program.name}: killing it (SIGKILL)")
                program.child.kill()
            case Unregister() if program.is_node and not self.table.stopping:
                work = unregister(program, self.table.network, self._unregistrar, self.table.tell)
                self.table.in_background(work, f"unregister {program.name}")
        return None

    def _on_signal(self, number: signal.Signals) -> None:
        again = number is signal.SIGINT and self.stop_signal is not None
        if not self.table.stopping:
            self.table.tell(f"{signal.Signals(number).name}: stopping; the bootstrap server last")
        elif again:
            self.table.tell("stopping now: killing what is left")
        self.stop_signal = self.stop_signal or number
        self.request_stop(now=again)

    def _on_notify(self) -> None:
        table = self.table
        by_pid = {one.child.pid: one for one in table.programs.values() if one.child is not None}
        for pid, fields in self._notify.receive():
            program = by_pid.get(pid)
            if program is None or program.child is None:
                continue
            program.heartbeat.update(fields, time.monotonic())
            ready = fields.get("READY")
            if ready is None and "WATCHDOG" in fields and not program.machine.was_ready:
                ready = "1"  # it was told to an earlier supervisor, or lost: only a ready one beats
            if ready in ("0", "1"):
                table.dispatch(program, ReadyChanged(program.machine.incarnation, ready == "1"))
        table.wake()

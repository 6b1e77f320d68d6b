"""The process of a program: started or adopted, followed to its end, recorded on disk."""

from __future__ import annotations

import asyncio
import shlex
import signal
import time
import traceback
from collections.abc import Callable
from typing import Final

from votenet.errors import Locked, VotenetError
from votenet.processes import logs, procfs
from votenet.processes.child import Child
from votenet.processes.environment import inherited, of_program
from votenet.processes.exit_cause import ExitCause, ExitKind
from votenet.processes.heartbeat import Heartbeat
from votenet.processes.identity import TAG_VARIABLE, IdentityRecord, leftovers, tag, write_identity
from votenet.processes.machine import Adopted, Ended, Event, Gone, NotStarted, Started
from votenet.processes.managed_program import LAST_LINES, ManagedProgram, ProcessSample
from votenet.processes.program_table import ProgramTable
from votenet.processes.signals import signal_exactly
from votenet.processes.teardown import wait_until_free

FAULT_DETAIL: Final = "a mistake in votenet, whose stack is in the supervisor's log"


class Launcher:
    """Starts, adopts and follows the processes of a table's programs."""

    def __init__(self, table: ProgramTable) -> None:
        self._table, self._dirs = table, table.dirs
        self._environment = inherited()  # now: the working folder may be gone when a program is started again

    def launch(self, program: ManagedProgram, incarnation: int) -> Event:
        """Start a process; returns whether that worked."""
        spec = program.spec
        log = logs.log_path(self._dirs.logs, spec.name, incarnation)
        logs.prune(self._dirs.logs, spec.name, logs.KEEP_INCARNATIONS - 1)
        logs.note(log, f"{spec.name}, incarnation {incarnation}: {shlex.join(spec.argv)}")
        program.sample, program.heartbeat = ProcessSample(log=log), Heartbeat()
        try:
            write_identity(self._dirs, program.identity(self._dirs, "starting"))
            env = of_program(self._environment, self._dirs, spec, parent_death=not self._table.detached)
            child = Child.start(spec.argv, env, log, self._dirs.state, self._is_tagged(spec.name))
        except Exception as error:  # an unforeseen error costs this start, not the supervisor
            if not isinstance(error, OSError | VotenetError):
                traceback.print_exc()
            logs.note(log, f"not started: {error}")
            return NotStarted(incarnation, str(error))
        program.sample.started_at = time.monotonic()
        program.launched = spec.argv
        self._watch(program, child, incarnation)
        return Started(incarnation)

    def adopt(self, program: ManagedProgram, record: IdentityRecord) -> None:
        """Go on with a process of a dead supervisor; if it has just ended, nothing happens."""
        name, number = program.name, record.incarnation
        log = logs.log_path(self._dirs.logs, name, number)
        try:
            child = Child.adopt(record.pid, record.start_ticks, log, self._is_tagged(name))
        except OSError:
            return
        self._table.tell(f"{name}: pid {child.pid} goes on; adopted from a supervisor that died")
        logs.note(log, f"{name}, incarnation {number}, pid {child.pid}: adopted")
        stat = procfs.read_stat(child.pid)
        program.sample = ProcessSample(log=log, started_at=time.monotonic() - (stat.age if stat else 0.0))
        program.launched = program.spec.argv  # or it would not be adopted
        self._table.dispatch(program, Adopted(number))
        self._watch(program, child, number)

    def _is_tagged(self, name: str) -> Callable[[int], bool]:
        ours = tag(self._dirs, name)
        return lambda pid: procfs.environment(pid).get(TAG_VARIABLE) == ours

    def _watch(self, program: ManagedProgram, child: Child, incarnation: int) -> None:
        program.child, program.sample.pid = child, child.pid
        self._record(program, "running")
        work = self._follow_safely(program, child, incarnation)
        self._table.tasks.create_task(work, name=f"{program.name}.{incarnation}")

    async def _follow_safely(self, program: ManagedProgram, child: Child, incarnation: int) -> None:
        """Follow a process to its end. An unforeseen error counts as a failure of this program alone."""
        try:
            await self._follow(program, child, incarnation)
        except Exception as error:
            self._table.report_fault(program.name, error)
            child.kill()
            await child.gone()
            child.reap()
            program.ended([])
            fault = ExitCause(ExitKind.UNKNOWN, detail=FAULT_DETAIL)
            self._table.dispatch(program, Ended(incarnation, fault))
            self._table.dispatch(program, Gone(incarnation))

    async def _follow(self, program: ManagedProgram, child: Child, incarnation: int) -> None:
        self._table.dispatch(program, Ended(incarnation, await child.died()))
        exit_cause = program.machine.exit_cause  # knows now whether this end was requested
        logs.note(child.log, f"{program.name}, incarnation {incarnation}, pid {child.pid}: {exit_cause}")
        await asyncio.sleep(
            0
        )  # those who follow events hear of the death before anything that comes after it
        problems = [await child.finish(), await wait_until_free(program.spec)]
        if exit_cause and (exit_cause.kind, exit_cause.code) == (ExitKind.EXITED, Locked.exit_code):
            self._end_strays(program)
        program.ended(logs.tail(child.log, LAST_LINES))
        self._record(program, "stopped")
        self._table.dispatch(program, Gone(incarnation, "; ".join(filter(None, problems))))

    def _end_strays(self, program: ManagedProgram) -> None:
        """Stop a process of this network that holds the program's data and that no supervisor knew of.

        A supervisor that was killed in the middle of a start leaves no record, and a process whose exec is
        under way has no environment yet: the first look of the next supervisor may miss it.
        """
        for left in leftovers(self._dirs):
            if left.name == program.name:
                self._table.tell(f"{left.name}: pid {left.pid}, of a dead supervisor, holds its data")
                for number in (signal.SIGTERM, signal.SIGCONT):
                    signal_exactly(left.pid, left.start_ticks, number)

    def _record(self, program: ManagedProgram, intent: str) -> None:
        """Write the identity. A full disk must not cost a healthy process its life."""
        try:
            write_identity(self._dirs, program.identity(self._dirs, intent))
        except VotenetError as error:
            self._table.tell(f"{program.name}: {error.message}")
        except Exception as error:
            self._table.report_fault(program.name, error)

"""From "launch this" to a watched process, and from its death to the proof that nothing of it is left.

What lives here: starting, adopting and following one program's process; its record on disk. What must
not: when to do so (`machine.py`), the other events of the network (`supervisor.py`).
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from votenet.config import CONFIG_VARIABLE
from votenet.errors import Locked, VotenetError
from votenet.processes import logs, procfs
from votenet.processes.announce import WATCHDOG_VARIABLES
from votenet.processes.cause import Cause, Kind
from votenet.processes.child import Child
from votenet.processes.identity import TAG_VARIABLE, Identity, leftovers, tag, write_identity
from votenet.processes.lifeline import PARENT_VARIABLE
from votenet.processes.machine import Adopted, Ended, Gone, NotStarted, Started
from votenet.processes.proof import wait_until_free
from votenet.processes.signals import signal_exactly
from votenet.processes.slot import Slot
from votenet.processes.spec import ProgramSpec
from votenet.processes.status import LAST_LINES, Sight, Vitals

if TYPE_CHECKING:
    from votenet.processes.supervisor import Supervisor

MISTAKE: Final = "a mistake in votenet, whose stack is in the supervisor's log"


class Launcher:
    """Processes of one supervisor.

    Args:
        lifeline: whether they shall die with this process.
    """

    def __init__(self, supervisor: Supervisor, *, lifeline: bool) -> None:
        self._supervisor, self._dirs, self._lifeline = supervisor, supervisor.dirs, lifeline

    def launch(self, slot: Slot, incarnation: int) -> None:
        """Start a process; whether that worked comes back as an event."""
        spec, supervisor = slot.spec, self._supervisor
        log = logs.log_path(self._dirs.logs, spec.name, incarnation)
        logs.prune(self._dirs.logs, spec.name, logs.KEEP_INCARNATIONS - 1)
        logs.note(log, f"{spec.name}, incarnation {incarnation}: {shlex.join(spec.argv)}")
        slot.sight, slot.vitals = Sight(log=log), Vitals()
        try:
            write_identity(self._dirs, slot.identity(self._dirs, "starting"))
            environment, is_ours = self.environment(spec), self._is_tagged(spec.name)
            child = Child.start(spec.argv, environment, log, self._dirs.state, is_ours)
        except Exception as error:  # what was not foreseen costs this start, not the supervisor
            if not isinstance(error, OSError | VotenetError):
                traceback.print_exc()
            logs.note(log, f"not started: {error}")
            supervisor.dispatch(slot, NotStarted(incarnation, str(error)))
            return
        slot.child = child
        slot.sight.pid, slot.sight.started_at = child.pid, time.monotonic()
        self._record(slot, "running")
        supervisor.dispatch(slot, Started(incarnation))
        supervisor.tasks.create_task(self._watch(slot, child, incarnation), name=f"{spec.name}.{incarnation}")

    def adopt(self, slot: Slot, record: Identity) -> None:
        """Go on with a process of a dead supervisor; if it has just ended, nothing happens."""
        name, number, supervisor = slot.spec.name, record.incarnation, self._supervisor
        log = logs.log_path(self._dirs.logs, name, number)
        try:
            child = Child.adopt(record.pid, record.start_ticks, log, self._is_tagged(name))
        except OSError:
            return
        supervisor.tell(f"{name}: pid {child.pid} goes on; adopted from a supervisor that died")
        logs.note(log, f"{name}, incarnation {number}, pid {child.pid}: adopted")
        stat = procfs.read_stat(child.pid)
        slot.child = child
        slot.sight = Sight(
            pid=child.pid, log=log, started_at=time.monotonic() - (procfs.age(stat) if stat else 0.0)
        )
        supervisor.dispatch(slot, Adopted(number))
        self._record(slot, "running")
        supervisor.tasks.create_task(self._watch(slot, child, number), name=f"{name}.{number}")

    def _is_tagged(self, name: str) -> Callable[[int], bool]:
        ours = tag(self._dirs, name)
        return lambda pid: procfs.environment(pid).get(TAG_VARIABLE) == ours

    async def _watch(self, slot: Slot, child: Child, incarnation: int) -> None:
        """Follow a process to its end. A mistake of ours counts as a failure of this program alone."""
        try:
            await self._follow(slot, child, incarnation)
        except Exception as error:
            self._supervisor.mistake(slot.spec.name, error)
            child.kill()
            await child.gone()
            child.reap()
            slot.ended([])
            self._supervisor.dispatch(slot, Ended(incarnation, Cause(Kind.UNKNOWN, detail=MISTAKE)))
            self._supervisor.dispatch(slot, Gone(incarnation))

    async def _follow(self, slot: Slot, child: Child, incarnation: int) -> None:
        self._supervisor.dispatch(slot, Ended(incarnation, await child.died()))
        cause = slot.program.cause  # now it says, too, whether this end was asked for
        logs.note(child.log, f"{slot.spec.name}, incarnation {incarnation}, pid {child.pid}: {cause}")
        await asyncio.sleep(0)  # those who follow events hear of the death before what comes after it is done
        problems = [await child.finish(), await wait_until_free(slot.spec)]
        if cause is not None and (cause.kind, cause.code) == (Kind.EXITED, Locked.exit_code):
            self._end_strays(slot)
        slot.ended(logs.tail(child.log, LAST_LINES))
        self._record(slot, "stopped")
        self._supervisor.dispatch(slot, Gone(incarnation, "; ".join(filter(None, problems))))

    def _end_strays(self, slot: Slot) -> None:
        """Stop what holds the data of a program if it is one of ours that nobody knew of.

        A supervisor that was killed in the middle of a start leaves no record, and a process whose exec is
        under way has no environment yet: the first look of the next supervisor may miss it.
        """
        for left in leftovers(self._dirs):
            if left.name == slot.spec.name:
                self._supervisor.tell(f"{left.name}: pid {left.pid}, of a dead supervisor, holds its data")
                for number in (signal.SIGTERM, signal.SIGCONT):
                    signal_exactly(left.pid, left.start_ticks, number)

    def _record(self, slot: Slot, intent: str) -> None:
        """Write the identity; a full disk must not cost a healthy process its life, nor a mistake of ours."""
        try:
            write_identity(self._dirs, slot.identity(self._dirs, intent))
        except VotenetError as error:
            self._supervisor.tell(f"{slot.spec.name}: {error.message}")
        except Exception as error:
            self._supervisor.mistake(slot.spec.name, error)

    def environment(self, spec: ProgramSpec) -> dict[str, str]:
        """What a program is started with: its argument list says all, so no configuration file."""
        env = {
            **os.environ,
            "NOTIFY_SOCKET": os.fspath(self._dirs.notify_socket),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            TAG_VARIABLE: tag(self._dirs, spec.name),
        }
        for name in (PARENT_VARIABLE, CONFIG_VARIABLE, *WATCHDOG_VARIABLES):
            env.pop(name, None)
        if self._lifeline:
            env[PARENT_VARIABLE] = str(os.getpid())
        return env

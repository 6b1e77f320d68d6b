"""One process: started, watched by its pidfd, signalled, ended with its whole group.

What lives here: `Child`. What must not: any decision whether to start, stop or restart.

The order is what makes it safe. A child leads its own session, so that its pid is also the group's
number. While the dead leader is not reaped the kernel gives that number to nobody else; so first
the cause is read (waitid with WNOWAIT), then the rest of the group is killed, and only then the
leader is reaped. Signals go through the pidfd or to the group of an unreaped leader, never to a
bare pid. `start` must run in the main thread: a child's PDEATHSIG means the thread it came from.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from votenet.processes import procfs
from votenet.processes.cause import Cause, Kind
from votenet.processes.signals import signal_exactly

STRAGGLER_SECONDS: Final = 2.0
"""How long killed stragglers may take to disappear before they are reported instead."""
_POLL_SECONDS: Final = 0.005


class Child:
    """One incarnation of one program."""

    def __init__(self, process: subprocess.Popen[bytes], pidfd: int, log: Path) -> None:
        self._process, self._pidfd, self.log = process, pidfd, log
        self.pid = process.pid
        stat = procfs.read_stat(self.pid)
        self.start_ticks = stat.start_ticks if stat else 0
        self._loop = asyncio.get_running_loop()
        self._died: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(pidfd, self._on_readable)

    @classmethod
    def start(cls, argv: Sequence[str], env: Mapping[str, str], log: Path) -> Child:
        """Start a process in its own session, its output appended to `log`.

        Raises:
            OSError: the program cannot be executed, or the machine has no room for it.
        """
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                close_fds=True,
                start_new_session=True,
            )
        finally:
            os.close(output)
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError:  # no descriptor left: a child we could not watch must not live
            process.kill()
            process.wait()
            raise
        return cls(process, pidfd, log)

    async def died(self) -> Cause:
        """Wait for the process to end and read why. It stays unreaped until `finish`."""
        await asyncio.shield(self._died)
        return self._cause()

    def _cause(self) -> Cause:
        found = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        assert found is not None
        if found.si_code == os.CLD_EXITED:
            return Cause(Kind.EXITED, found.si_status)
        return Cause(Kind.SIGNALLED, found.si_status, core=found.si_code == os.CLD_DUMPED)

    async def finish(self) -> str:
        """End what is left of its group, then reap it.

        Returns:
            '' or a sentence that names the processes which even KILL did not end.
        """
        deadline = self._loop.time() + STRAGGLER_SECONDS
        while stragglers := procfs.members(self.pid):
            if self._loop.time() > deadline:
                break
            for found in stragglers:
                signal_exactly(found.pid, found.start_ticks, signal.SIGKILL)
            await asyncio.sleep(_POLL_SECONDS)
        self.reap()
        pids = ", ".join(str(found.pid) for found in stragglers)
        return f"processes {pids} of its group do not end" if pids else ""

    def reap(self) -> None:
        """Give the pid back. Only after the process died; safe to call twice."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            self._process.wait()
            os.close(self._pidfd)
            self._pidfd = -1

    def terminate(self) -> None:
        """TERM, and CONT so that a stopped process can hear it."""
        self._signal_group(signal.SIGTERM)
        self._signal_group(signal.SIGCONT)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def kill_and_reap(self) -> None:
        """The way out when the event loop is no longer there: nothing may survive us."""
        if self._pidfd >= 0:
            self.kill()
            with contextlib.suppress(RuntimeError):
                self.reap()

    @property
    def paused(self) -> bool:
        """Stopped by SIGSTOP or a debugger."""
        stat = procfs.read_stat(self.pid) if self._pidfd >= 0 else None
        return stat is not None and stat.paused

    def _signal_group(self, number: signal.Signals) -> None:
        if self._pidfd < 0:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self._pidfd, number)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _on_readable(self) -> None:
        self._loop.remove_reader(self._pidfd)
        if not self._died.done():
            self._died.set_result(None)

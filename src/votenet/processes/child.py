"""One process: started or adopted, watched by its pidfd, signalled, ended with its whole group.

What lives here: `Child`. What must not: any decision whether to start, stop or restart.

The order is what makes it safe. A child leads its own session, so that its pid is also the group's
number. While the dead leader is not reaped the kernel gives that number to nobody else; so first
the cause is read (waitid with WNOWAIT), then the rest of the group is killed, and only then the
leader is reaped. Signals go through the pidfd or to the group of an unreaped leader, never to a
bare pid. `start` must run in the main thread: a child's PDEATHSIG means the thread it came from.

A process that an earlier supervisor started is not our child: nobody tells us how it ended, and once
it is dead its number may pass to a stranger. So its group is known by our tag in the environment, and
every signal to a member goes through a pidfd. The tag also finds what left the group: a grandchild that
made itself a session of its own (a daemon) is one of its processes all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from votenet.processes import logs, procfs
from votenet.processes.cause import Cause, Kind
from votenet.processes.signals import signal_exactly

STRAGGLER_SECONDS: Final = 2.0
"""How long killed stragglers may take to disappear before they are reported instead."""
_POLL_SECONDS: Final = 0.005
NO_MEMORY: Final = "perhaps out of memory, for which the kernel has killed while it ran"
"""Only perhaps: the kernel's count is that of the whole machine. Never said of our own KILL."""


class Child:
    """One incarnation of one program."""

    def __init__(
        self,
        process: subprocess.Popen[bytes] | None,
        pid: int,
        pidfd: int,
        log: Path,
        is_ours: Callable[[int], bool] | None = None,
    ) -> None:
        self._process, self._pidfd, self.log, self._is_ours = process, pidfd, log, is_ours
        self.pid = pid
        self.cause: Cause | None = None
        """Why it ended; None while it runs."""
        stat = procfs.read_stat(pid)
        self.start_ticks = stat.start_ticks if stat else 0
        self._oom_kills, self._killed = procfs.oom_kills(), False
        self._loop = asyncio.get_running_loop()
        self._died: asyncio.Future[None] = self._loop.create_future()
        try:
            self._loop.add_reader(pidfd, self._on_readable)
        except BaseException:
            os.close(pidfd)
            raise

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
        is_ours: Callable[[int], bool] | None = None,
    ) -> Child:
        """Start a process in its own session, its output appended to `log`.

        Args:
            folder: where it works; None: where we do.
            is_ours: whether a pid belongs to this program, by its tag; None: only its group does.

        Raises:
            OSError: the program cannot be executed, or the machine has no room for it.
        """
        output = logs.open_for_append(log)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=folder,
                close_fds=True,
                start_new_session=True,
            )
        finally:
            os.close(output)
        try:
            return cls(process, process.pid, os.pidfd_open(process.pid), log, is_ours)
        except BaseException:  # no descriptor left: a child that we cannot watch must not live
            process.kill()
            process.wait()
            raise

    @classmethod
    def adopt(cls, pid: int, start_ticks: int, log: Path, is_ours: Callable[[int], bool]) -> Child:
        """Go on with a process that an earlier supervisor started.

        Args:
            is_ours: whether a pid belongs to this program, by its tag.

        Raises:
            OSError: it is gone, or the pid has passed to another process.
        """
        pidfd = os.pidfd_open(pid)
        stat = procfs.read_stat(pid)
        if stat is None or stat.dead or stat.start_ticks != start_ticks:
            os.close(pidfd)
            raise ProcessLookupError(errno.ESRCH, f"pid {pid} is not the process that was recorded")
        return cls(None, pid, pidfd, log, is_ours)

    @property
    def adopted(self) -> bool:
        return self._process is None

    @property
    def output(self) -> Path:
        """What it writes to: its log, also when somebody has renamed or removed that file.

        By its pid only while that is reserved: that of an adopted process may pass to a stranger.
        """
        return self.log if self.adopted else Path(f"/proc/{self.pid}/fd/1")

    async def died(self) -> Cause:
        """Wait for the process to end and read why. It stays unreaped until `finish`."""
        await self.gone()
        self.cause = self._cause()
        return self.cause

    async def gone(self) -> None:
        """Wait for the process to end, and no more."""
        await asyncio.shield(self._died)

    def _cause(self) -> Cause:
        if self.adopted:
            return Cause(Kind.UNKNOWN)
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return Cause(Kind.UNKNOWN, detail="somebody else took its exit code")
        assert found is not None
        if found.si_code == os.CLD_EXITED:
            return Cause(Kind.EXITED, found.si_status)
        strangers = found.si_status == signal.SIGKILL and not self._killed
        detail = NO_MEMORY if strangers and procfs.oom_kills() > self._oom_kills else ""
        return Cause(Kind.SIGNALLED, found.si_status, core=found.si_code == os.CLD_DUMPED, detail=detail)

    async def finish(self) -> str:
        """End what is left of its group, then reap it.

        Returns:
            '' or a sentence that names the processes which even KILL did not end.
        """
        deadline = self._loop.time() + STRAGGLER_SECONDS
        while stragglers := self._members():
            for found in stragglers:
                signal_exactly(found.pid, found.start_ticks, signal.SIGKILL)
            if self._loop.time() > deadline:
                break
            await asyncio.sleep(_POLL_SECONDS)
        if not self.adopted:  # also those that we had no descriptor left to look for
            self.signal_group(signal.SIGKILL)
        self.reap()
        pids = ", ".join(str(found.pid) for found in stragglers)
        return f"processes {pids} of its group do not end" if pids else ""

    def reap(self) -> None:
        """Give the pid back. Only after the process died; safe to call twice."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            if self._process is not None:
                self._process.wait()
            os.close(self._pidfd)
            self._pidfd = -1

    def terminate(self) -> None:
        """TERM, and CONT so that a stopped process can hear it."""
        self.signal_group(signal.SIGTERM)
        self.signal_group(signal.SIGCONT)

    def dump(self) -> None:
        """ABRT, and CONT: faulthandler, on in every child, writes all stacks to the log and dies of it.

        No TERM: the kernel would carry out its default before the dump is written.
        """
        self.send(signal.SIGABRT)
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        self.signal_group(signal.SIGKILL)

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

    def send(self, number: signal.Signals) -> bool:
        """A signal to the leader alone. Returns whether it was there to get it."""
        self._killed |= number == signal.SIGKILL
        if self._pidfd < 0:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def signal_group(self, number: signal.Signals) -> None:
        """A signal to the leader and all that it started, once to each.

        A second TERM could come when a program has put its handler away at the end of a clean stop.
        """
        self._killed |= number == signal.SIGKILL
        if self._pidfd < 0:
            return
        if self.adopted:
            self.send(number)
            for found in self._members():
                if found.pid != self.pid:
                    signal_exactly(found.pid, found.start_ticks, number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _members(self) -> list[procfs.ProcessStat]:
        return [stat for stat in procfs.all_processes() if stat.pid != self.pid and self._is_member(stat)]

    def _is_member(self, stat: procfs.ProcessStat) -> bool:
        if stat.dead or stat.start_ticks < self.start_ticks:
            return False
        in_group = self.pid in (stat.session, stat.group)
        if in_group and not self.adopted:
            return True
        return self._is_ours is not None and self._is_ours(stat.pid)

    def _on_readable(self) -> None:
        self._loop.remove_reader(self._pidfd)
        if not self._died.done():
            self._died.set_result(None)

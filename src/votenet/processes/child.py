"""One process: started or adopted, watched by its pidfd, signalled, ended with its whole group.

The order is what makes it safe. A child leads its own session, so that its pid is also the number of its
group. While the dead leader is not reaped the kernel gives that number to no other process; so first the
cause is read (waitid with WNOWAIT), then the rest of the group is killed, and only then the leader is
reaped. Signals go through the pidfd or to the group of an unreaped leader, never to a bare pid.

A process that an earlier supervisor started is not our child: we do not learn how it ended, and once it is
dead its number may pass to a stranger. So its group is known by our tag in the environment, and every
signal to a member goes through a pidfd. The tag also finds what left the group: a grandchild that made
itself a session of its own (a daemon) is one of its processes all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from votenet.processes import logs, procfs
from votenet.processes.exit_cause import ExitCause, ExitKind
from votenet.processes.signals import signal_exactly

STRAGGLER_SECONDS: Final = 2.0
"""How long killed stragglers may take to disappear before they are reported."""
_POLL_SECONDS: Final = 0.005
NO_MEMORY: Final = "perhaps out of memory, for which the kernel has killed while it ran"
"""Only perhaps: the kernel counts for the whole machine. Never said of our own KILL."""


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
        self._process, self.pidfd, self.log, self._is_ours = process, pidfd, log, is_ours
        self.pid = pid
        self.exit_cause: ExitCause | None = None
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

        Only in the main thread: a child's PDEATHSIG means the thread that it came from.

        Args:
            folder: its working folder; None: ours.
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
        """What it writes to: its log, also when that file was renamed or removed.

        By its pid only while that is reserved: that of an adopted process may pass to a stranger.
        """
        return self.log if self.adopted else Path(f"/proc/{self.pid}/fd/1")

    async def died(self) -> ExitCause:
        """Wait for the process to end and read why. It stays unreaped until `finish`."""
        await self.gone()
        self.exit_cause = self._read_exit_cause()
        return self.exit_cause

    async def gone(self) -> None:
        """Wait for the process to end, and no more."""
        await asyncio.shield(self._died)

    def _read_exit_cause(self) -> ExitCause:
        if self.adopted:
            return ExitCause(ExitKind.UNKNOWN)
        try:
            status = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return ExitCause(ExitKind.UNKNOWN, detail="another process took its exit code")
        assert status is not None
        if status.si_code == os.CLD_EXITED:
            return ExitCause(ExitKind.EXITED, status.si_status)
        not_ours = status.si_status == signal.SIGKILL and not self._killed
        detail = NO_MEMORY if not_ours and procfs.oom_kills() > self._oom_kills else ""
        return ExitCause(
            ExitKind.SIGNALLED, status.si_status, core=status.si_code == os.CLD_DUMPED, detail=detail
        )

    async def finish(self) -> str:
        """End the rest of its group, then reap it.

        Returns:
            '' or a sentence that names the processes which even KILL did not end.
        """
        deadline = self._loop.time() + STRAGGLER_SECONDS
        while stragglers := self.members():
            for stat in stragglers:
                signal_exactly(stat.pid, stat.start_ticks, signal.SIGKILL)
            if self._loop.time() > deadline:
                break
            await asyncio.sleep(_POLL_SECONDS)
        if not self.adopted:  # also processes that there was no descriptor left to look for
            self.signal_group(signal.SIGKILL)
        self.reap()
        pids = ", ".join(str(stat.pid) for stat in stragglers)
        return f"processes {pids} of its group do not end" if pids else ""

    def reap(self) -> None:
        """Give the pid back. Only after the process died; safe to call twice."""
        if self.pidfd >= 0:
            self._loop.remove_reader(self.pidfd)
            if self._process is not None:
                self._process.wait()
            os.close(self.pidfd)
            self.pidfd = -1

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
        """End the program when the event loop is closed already: none may survive us."""
        if self.pidfd >= 0:
            self.kill()
            with contextlib.suppress(RuntimeError):
                self.reap()

    def send(self, number: signal.Signals) -> bool:
        """A signal to the leader alone. Returns whether it was there to get it."""
        self._killed |= number == signal.SIGKILL
        if self.pidfd < 0:
            return False
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def signal_group(self, number: signal.Signals) -> None:
        """A signal to the leader and all that it started, once to each.

        A second TERM could come when a program has put its handler away at the end of a clean stop.
        """
        self._killed |= number == signal.SIGKILL
        if self.pidfd < 0:
            return
        if self.adopted:
            self.send(number)
            for stat in self.members():
                signal_exactly(stat.pid, stat.start_ticks, number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def members(self) -> list[procfs.ProcessStat]:
        """Live processes that it started, itself not among them."""
        return [stat for stat in procfs.all_processes() if stat.pid != self.pid and self._is_member(stat)]

    def _is_member(self, stat: procfs.ProcessStat) -> bool:
        if stat.dead or stat.start_ticks < self.start_ticks:
            return False
        in_group = self.pid in (stat.session, stat.group)
        if in_group and not self.adopted:
            return True
        return self._is_ours is not None and self._is_ours(stat.pid)

    def _on_readable(self) -> None:
        self._loop.remove_reader(self.pidfd)
        if not self._died.done():
            self._died.set_result(None)


def reap_orphans(ours: Iterable[int]) -> list[int]:
    """Reap dead children that we never started; does nothing unless we are process 1.

    In a container the supervisor may be process 1. The kernel gives it every orphan of its pid namespace,
    and each stays a zombie, with its pid, until process 1 asks for its exit code.

    Args:
        ours: pids of the children that we did start.

    Returns:
        the pids that were given back.
    """
    me = os.getpid()
    if me != 1:
        return []
    keep, reaped = set(ours), []
    for stat in procfs.all_processes():
        if stat.parent == me and stat.dead and stat.pid not in keep:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(stat.pid, os.WNOHANG)
                reaped.append(stat.pid)
    return reaped

"""Processes as Linux shows them under /proc.

A process is known by pid, start time in clock ticks since boot, and the boot's id: a pid alone may have
been given to another process. psutil reads what needs no such identity; its own start time moves with the
wall clock, so the ticks are read here.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
"""The unit of `start_ticks` and `cpu_ticks`."""


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The fields of /proc/PID/stat that votenet uses (proc_pid_stat(5))."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_ticks: int
    cpu_ticks: int
    rss_pages: int

    @property
    def dead(self) -> bool:
        """A zombie, too, runs no more: it waits for its parent to look."""
        return self.state in "ZX"

    @property
    def paused(self) -> bool:
        return self.state in "Tt"

    @property
    def waits_for_disk(self) -> bool:
        """In the kernel, where no signal reaches it: as a rule for a disk or a network filesystem."""
        return self.state == "D"

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return self.rss_pages * _PAGE

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - self.start_ticks / TICKS_PER_SECOND, 0.0)


def read_stat(pid: int) -> ProcessStat | None:
    """The process with this pid; None when there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name stands in parentheses and may itself hold spaces and parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    numbers = [int(fields[index]) for index in (1, 2, 3, 19, 11, 12, 21)]
    parent, group, session, start_ticks, user, system, rss = numbers
    return ProcessStat(pid, fields[0], parent, group, session, start_ticks, user + system, rss)


def all_processes() -> list[ProcessStat]:
    """Every process that can be seen now; [] when no descriptor is left."""
    import psutil  # here and below: most commands look at no process, and start sooner

    try:
        pids = psutil.pids()
    except OSError:
        return []
    return [stat for stat in map(read_stat, pids) if stat is not None]


def members(session: int) -> list[ProcessStat]:
    """Live processes of a session or group other than its leader. Each child leads its own session."""
    return [
        stat
        for stat in all_processes()
        if session in (stat.session, stat.group) and stat.pid != session and not stat.dead
    ]


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments a process was started with; () when they may not be read."""
    import psutil

    try:
        return tuple(psutil.Process(pid).cmdline())
    except (psutil.Error, OSError):
        return ()


def environment(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty when it may not be read."""
    import psutil

    try:
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return {}


@functools.cache
def boot_id() -> str:
    """Changes with every boot; '' where the kernel does not tell."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def pid_namespace() -> int:
    """Tells pid namespaces apart: in each of them a pid is another process; 0 where the kernel has none."""
    try:
        return os.stat(_PROC / "self/ns/pid").st_ino
    except OSError:
        return 0


def ephemeral_range() -> tuple[int, int]:
    """First and last port that the kernel gives to outgoing connections; servers stay out of it."""
    try:
        first, last = (_PROC / "sys/net/ipv4/ip_local_port_range").read_text().split()
        return int(first), int(last)
    except (OSError, ValueError):
        return 32768, 60999


def oom_kills() -> int:
    """Processes killed since boot for lack of memory, of the machine or a control group; 0 if not known."""
    with contextlib.suppress(OSError, ValueError):
        for line in (_PROC / "vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0

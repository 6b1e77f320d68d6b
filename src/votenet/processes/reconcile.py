"""Ending what a dead supervisor left behind.

What lives here: `end_leftovers`, for a new supervisor and for `votenet down`. What must not: anything
while a supervisor lives; the caller holds the lock of the instance.

Today every leftover is stopped. Adopting them instead is a decision per record to be made here.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

from votenet.config import InstanceDirs
from votenet.processes import procfs
from votenet.processes.identity import Leftover, leftovers
from votenet.processes.signals import signal_exactly

_POLL_SECONDS: Final = 0.02
_KILL_SECONDS: Final = 5.0


def end_leftovers(dirs: InstanceDirs, grace: float, say: Callable[[str], None]) -> tuple[int, list[str]]:
    """TERM and CONT, after `grace` seconds KILL, then look again.

    Returns:
        how many there were, and one sentence for each that would not end.
    """
    first = leftovers(dirs)
    for left in first:
        say(f"{left.name}: pid {left.pid} is left from a supervisor that died; stopping it")
        _signal(left, signal.SIGTERM)
        _signal(left, signal.SIGCONT)
    # The bootstrap server outlives the nodes by as long as they need: they say goodbye to it.
    if first and not _wait(dirs, grace):
        for left in leftovers(dirs):
            say(f"{left.name}: pid {left.pid} did not stop within {grace:g} s; killing it")
            _signal(left, signal.SIGKILL)
        _wait(dirs, _KILL_SECONDS)
    problems = [f"{left.name}: pid {left.pid} does not end" for left in leftovers(dirs)]
    return len(first), problems


def _wait(dirs: InstanceDirs, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while leftovers(dirs):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _signal(left: Leftover, number: signal.Signals) -> None:
    """Signal the process and what it started, only while it is the one that was found."""
    group = procfs.members(left.pid)
    if signal_exactly(left.pid, left.start_ticks, number):
        for found in group:
            signal_exactly(found.pid, found.start_ticks, number)

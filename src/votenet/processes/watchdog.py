"""Whether a program that says nothing any more hangs, or has an excuse.

What lives here: the judgement about one silent program, and noticing that it is we who were late.
What must not: reading /proc, clocks, signals; the caller passes what it saw.

Programs send `WATCHDOG=1` from their main loop once a second. A silence has innocent reasons: the
process was paused, it waits in the kernel for a disk, this supervisor itself got no processor, the
machine slept. Only what is left is a hang.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

from votenet.processes.procfs import ProcessStat

HANG_SECONDS: Final = 20.0
"""Silence that is a hang: the longest step of a node's main loop takes well under a second."""
STALL_SECONDS: Final = 120.0
"""Votes wait and the chain does not grow for this long: told to people, never a reason to restart."""


class Verdict(Enum):
    """What to make of a silence."""

    FINE = "fine"
    EXCUSED = "excused"
    """Silent for a reason that is no fault of its main loop: the patience starts anew."""
    HUNG = "hung"


def judge(silence: float, limit: float, stat: ProcessStat | None) -> Verdict:
    """What a program's silence means.

    Args:
        silence: seconds since its last heartbeat.
        limit: seconds that are too long.
        stat: the process as the kernel sees it now; None when it is gone (its death is told elsewhere).
    """
    if stat is None or stat.dead or stat.paused:
        return Verdict.EXCUSED
    if silence < limit:
        return Verdict.FINE
    return Verdict.EXCUSED if stat.waits_for_disk else Verdict.HUNG


class Pace:
    """Notices that this process was late itself, so that silence of others proves nothing.

    Args:
        period: seconds between two calls of `lost`, as planned.
    """

    def __init__(self, period: float, now: float, since_boot: float) -> None:
        self._period, self._now, self._asleep = period, now, since_boot - now

    def lost(self, now: float, since_boot: float) -> float:
        """Seconds since the last call in which nobody could be heard, because we did not run.

        Infinite when we were kept from running for more than a period, or the machine slept: then whatever
        was silent gets its whole patience again.

        Args:
            now: CLOCK_MONOTONIC, which stands still while the machine sleeps.
            since_boot: CLOCK_BOOTTIME, which does not.
        """
        asleep = since_boot - now
        surplus = max(now - self._now - self._period, 0.0)
        slept = asleep - self._asleep > self._period
        self._now, self._asleep = now, asleep
        return math.inf if slept or surplus > self._period else surplus

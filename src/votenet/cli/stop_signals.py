"""The signals that ask a program to stop, and what process 1 of a container owes its orphans."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def stop_signals() -> list[signal.Signals]:
    """TERM, INT, and HUP (the terminal is gone) unless this program was started with HUP ignored: nohup."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if ignored else [signal.SIGHUP])]


def hear_as_process_1() -> None:
    """TERM and HUP end this process as they end any other; the first thing that process 1 must do.

    The kernel gives process 1 of a container no signal that it has no handler for: one that came before the
    supervisor had its own was lost, and the container was killed ten seconds later.
    """
    if os.getpid() == 1:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)


def stop_in_order() -> None:
    """TERM and HUP unwind this program as Ctrl-C does, so that it stops the network that it started."""
    for number in stop_signals():
        if number != signal.SIGINT:
            signal.signal(number, _end)


def leave_orphans_to_the_kernel() -> None:
    """For a program that starts no other: as process 1 it gets the orphans of `docker exec`.

    With SIGCHLD ignored the kernel reaps them itself; else each stays a zombie. (A supervisor has children
    of its own, whose ends it must hear: `processes/orphans.py`.)
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)

"""Signals that reach the process that was meant, or nobody.

What lives here: `signal_exactly`. What must not: deciding whom to signal.
"""

from __future__ import annotations

import os
import signal

from votenet.processes import procfs


def signal_exactly(pid: int, start_ticks: int, number: signal.Signals) -> bool:
    """Signal a process that may not be our child. Returns whether it got the signal.

    A pidfd pins the process first; only then its start time is compared: between look and signal
    the pid cannot pass to a stranger.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        stat = procfs.read_stat(pid)
        if stat is None or stat.start_ticks != start_ticks:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True

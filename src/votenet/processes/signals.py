"""Signals that reach the process that was meant, or nobody; and what a process inherits about them.

What lives here: `signal_exactly`, `reset_inherited`. What must not: deciding whom to signal.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from votenet.processes import procfs

_RESET: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGABRT)
"""Ignored SIGCHLD: the kernel reaps our children itself and tells nobody how they ended. Ignored SIGTERM and
SIGABRT: programs that we start would inherit that and not hear us."""


def reset_inherited() -> None:
    """Undo what the process that started us did to its own signals: it holds for us and all we start.

    An ignored SIGHUP stays so (nohup). Programs that we start get SIGPIPE back from `subprocess`.
    """
    for number in _RESET:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


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

"""Signals that reach exactly the process that was meant, and what a process inherits about signals."""

from __future__ import annotations

import errno
import os
import signal
from typing import Final

from votenet.errors import ConfigError, VotenetError
from votenet.processes import procfs

_REFUSED: Final = (errno.ENOSYS, errno.EPERM, errno.EACCES)
"""Not about one process: these calls are not available here."""
_RESET: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGABRT)
"""Ignored SIGCHLD: the kernel reaps our children itself, and how they ended is lost. Ignored SIGTERM and
SIGABRT: programs that we start would inherit that and not hear us."""


def reset_inherited() -> None:
    """Undo what the process that started us did to its own signals: it holds for us and all we start.

    An ignored SIGHUP stays so (nohup). Programs that we start get SIGPIPE back from `subprocess`.
    """
    for number in _RESET:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def need_pidfds() -> None:
    """Find out before anything is started whether processes can be watched and signalled at all.

    Raises:
        ConfigError: an old kernel, or a container's filter for system calls.
        VotenetError: no descriptor is left.
    """
    try:
        pidfd = os.pidfd_open(os.getpid())
        try:
            signal.pidfd_send_signal(pidfd, 0)
        finally:
            os.close(pidfd)
    except OSError as error:
        if error.errno in _REFUSED:
            raise _no_pidfds(error) from error
        raise VotenetError(
            f"no process can be watched: {error.strerror}",
            code="no-descriptors",
            next_step="Raise the limit of open files: ulimit -n",
        ) from error


def _no_pidfds(error: OSError) -> ConfigError:
    return ConfigError(
        f"the kernel refuses pidfd_open or pidfd_send_signal ({error.strerror}): no process can be watched "
        "or signalled safely",
        code="no-pidfd",
        next_step="Linux 5.3 or newer is needed; in a container, a seccomp profile that permits both calls.",
    )


def signal_exactly(pid: int, start_ticks: int, number: signal.Signals) -> bool:
    """Signal a process that may not be our child. Returns whether it got the signal.

    A pidfd pins the process first; only then its start time is compared: between look and signal
    the pid cannot pass to a stranger.

    Raises:
        ConfigError: the kernel refuses pidfds: nothing can be signalled.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _REFUSED:
            raise _no_pidfds(error) from error
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

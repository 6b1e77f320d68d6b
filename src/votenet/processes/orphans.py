"""The duty of process 1: reaping the dead whose parents are gone.

What lives here: `reap`. What must not: our own programs, whose ends `child.py` follows.

In a container the supervisor may be process 1. The kernel gives it every orphan of its pid namespace, and
each stays a zombie, with its pid, until process 1 asks for its exit code.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from votenet.processes import procfs


def reap(ours: Iterable[int]) -> list[int]:
    """Reap dead children that we never started; does nothing unless we are process 1.

    Args:
        ours: pids of those that we did start.

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

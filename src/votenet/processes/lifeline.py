"""A program of a foreground network ends when its supervisor dies, even by kill -9.

What lives here: `arm`, called first thing by `votenet node` and `votenet bootstrap`. What must not:
anything the supervisor runs; this is the child's half.

The kernel is asked for a TERM at the parent's death (PR_SET_PDEATHSIG, prctl(2)). The supervisor
starts children from its main thread only: the kernel means the *thread* that started us.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PARENT_VARIABLE: Final = "VOTENET_PARENT"
"""Pid of the supervisor; unset for a detached network, whose programs outlive it."""
_PR_SET_PDEATHSIG: Final = 1


def arm() -> bool:
    """Tie our life to the supervisor's, if it asked for that. Returns whether it did.

    If the supervisor died before we got here we end at once: nobody would ever stop us.
    """
    value = os.environ.get(PARENT_VARIABLE, "")
    if not value.isdigit() or not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        return False
    if os.getppid() != int(value):
        os.kill(os.getpid(), signal.SIGTERM)
    return True

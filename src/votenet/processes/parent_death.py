"""How a program of a foreground network ends when its supervisor dies, even by kill -9: the child's half.

The kernel is asked for a TERM at the parent's death (PR_SET_PDEATHSIG, prctl(2)). It means the *thread*
that started the child, so the supervisor starts children from its main thread only.
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
    """End with the supervisor, if it asked for that; at once if it is dead. Returns whether it asked."""
    value = os.environ.get(PARENT_VARIABLE, "")
    if not value.isdigit() or not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        return False
    if os.getppid() != int(value):
        os.kill(os.getpid(), signal.SIGTERM)
    return True

"""Ports of loopback for the programs of a test: each process that asks has a share of its own.

A port that the kernel names lies where those of outgoing connections lie, too: before the program listens
there, a connection of another test can have it. And a port that is free now is no longer free when the
program of another test process comes first: two nodes of one election would answer for each other.
"""

from __future__ import annotations

import random
import socket
from typing import Final

FIRST: Final = 10_000
SUPERVISED: Final = 20_000
"""From here on: blocks of ports for whole networks."""
END: Final = 30_000
"""Outgoing connections have theirs above it."""
_SHARES: Final = 40


def share(first: int, end: int, index: int) -> range:
    """What the process with this index has of the ports from `first` to `end`, its mark left out."""
    size = (end - first) // _SHARES
    start = first + index * size
    return range(start + 1, start + size)


def _bound(port: int) -> socket.socket | None:
    """A socket that has this port, or None where another one has it."""
    probe = socket.socket()  # SO_REUSEADDR would pass over one that is bound already
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        return None
    return probe


def _claim() -> tuple[int, socket.socket]:
    """The first share that no living process has, and the socket whose port marks it as taken.

    Raises:
        RuntimeError: so many processes have a share already.
    """
    for index in range(_SHARES):
        if mark := _bound(share(FIRST, SUPERVISED, index).start - 1):
            return index, mark
    raise RuntimeError(f"{_SHARES} test processes share the ports of this machine: end some of them")


_index, _mark = _claim()
_own = share(FIRST, SUPERVISED, _index)
_next = random.randrange(len(_own))


def free_port() -> int:
    """A port on which no program listens; another one at each call, until the share has been used up."""
    global _next
    while True:
        _next = (_next + 1) % len(_own)
        if probe := _bound(_own[_next]):
            probe.close()
            return _own[_next]


def first_of_block(ports: int) -> int:
    """The first of some ports in a row, for a network; they need not be free."""
    own = share(SUPERVISED, END, _index)
    return random.randrange(own.start, own.stop - ports)

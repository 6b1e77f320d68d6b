"""Ports of loopback for the programs of a test, of which each test process has a share.

A port that the kernel names lies where those of outgoing connections lie, too: before the program listens
there, a connection of another test can have it.
"""

from __future__ import annotations

import os
import random
import socket
from typing import Final

FIRST: Final = 10_000
SUPERVISED: Final = 20_000
"""From here on: blocks of ports for whole networks."""
END: Final = 30_000
"""Outgoing connections have theirs above it."""
_SHARES: Final = 20


def share(first: int, end: int) -> range:
    """What this test process has of the ports from `first` to `end`."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    size = (end - first) // _SHARES
    start = first + int(worker) % _SHARES * size
    return range(start, start + size)


_own = share(FIRST, SUPERVISED)
_next = random.randrange(len(_own))


def free_port() -> int:
    """A port on which no program listens; another one at each call, until the share has been used up."""
    global _next
    while True:
        _next = (_next + 1) % len(_own)
        try:
            with socket.socket() as probe:  # SO_REUSEADDR would pass over one that is bound already
                probe.bind(("127.0.0.1", _own[_next]))
        except OSError:
            continue
        return _own[_next]


def first_of_block(ports: int) -> int:
    """The first of some ports in a row, for a network; they need not be free."""
    own = share(SUPERVISED, END)
    return random.randrange(own.start, own.stop - ports)

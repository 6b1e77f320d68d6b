"""What one connection may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

READ_AT_ONCE: Final = 256 * 1024
"""Bytes that asyncio reads of a link in one turn of its loop."""


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What one connection may cost. Times are in seconds, sizes in bytes."""

    max_line: int
    first_line: float = 10.0
    """Time to the first whole line: a client that connects has something to say."""
    partial_line: float = 15.0
    """Time for the rest of a line once it has begun: stops senders of one byte a minute."""
    idle: float = 600.0
    """Time without any line: peers ping more often than this."""
    max_unsent: int = 64 * 1024 * 1024
    """Answers waiting for a slow reader; four of the largest peer lines."""
    at_once: int = READ_AT_ONCE
    """Bytes read in one turn of the event loop: in each turn all links that have sent something are read."""
    unread: int | None = None
    """Answers waiting for a reader before no more of its requests are read; None where two sides that
    both send could wait for each other."""
    unread_seconds: float = 60.0
    """Time to read half of `unread`."""

"""The answer to a batch check of headers: how many hold, their hashes, and what is wrong with the next.

What lives here: the two types. What must not: the checks themselves (reference.py, native.py), or rules
of the chain about time and difficulty.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from votenet.pow.target import HASH_SIZE


class HeaderFault(Enum):
    """Why a header does not hold. For each header they are looked for in this order."""

    LINK = "link"
    """It does not name the hash of the header before it."""
    BITS = "bits"
    """Its bits stand for no target."""
    WORK = "work"
    """Its hash does not meet the target in its bits."""


@dataclass(frozen=True, slots=True)
class HeaderCheck:
    """What `verify_headers` found in headers that should follow each other."""

    hashes: bytes
    """32 bytes for each header that holds, in order, joined."""
    fault: HeaderFault | None
    """What is wrong with the first header that does not hold; None if all do."""

    @property
    def ok(self) -> bool:
        """Whether every header holds."""
        return self.fault is None

    @property
    def good(self) -> int:
        """How many headers hold, from the start: the index of the bad one, if there is one."""
        return len(self.hashes) // HASH_SIZE

    def hash_at(self, index: int) -> bytes:
        """The hash of a header that holds, 32 bytes; negative counts from the end. Raises IndexError."""
        at = range(self.good)[index] * HASH_SIZE
        return self.hashes[at : at + HASH_SIZE]

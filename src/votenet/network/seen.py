"""Lines seen before: recognised by a seeded hash, so that they are dropped before they are parsed.

What lives here: SeenLines. What must not: the meaning of a line.
"""

from __future__ import annotations

from typing import Final

import xxhash

REMEMBERED: Final = 4096
"""Lines remembered: at 450 KB of votes a line far more than is in flight; 0.5 MB of memory."""


class SeenLines:
    """Remembers the latest lines by XXH3 with a secret seed, so that nobody can aim a collision."""

    def __init__(self, seed: int, size: int = REMEMBERED) -> None:
        self._seed, self._size = seed, size
        self._hashes: dict[int, None] = {}

    def seen(self, line: bytes) -> bool:
        """Whether this very line came before; it is remembered now."""
        digest = xxhash.xxh3_64_intdigest(line, seed=self._seed)
        if digest in self._hashes:
            return True
        self._hashes[digest] = None
        if len(self._hashes) > self._size:
            del self._hashes[next(iter(self._hashes))]
        return False

"""Lines seen before: recognised by a seeded hash, so that they are dropped before they are parsed.

Only votes that a node sends unasked are looked up here: several nodes may have accepted the same ones. What
is an answer must get through however often it comes: it is asked again only if it was lost or refused.
Announcements and compact blocks are made for one reader and one link, and tell who has what.
"""

from __future__ import annotations

from typing import Final

import xxhash

REMEMBERED: Final = 4096
"""Lines remembered: at 450 KB of votes a line far more than is in flight; 0.5 MB of memory."""


class DuplicateFilter:
    """Remembers the latest lines by XXH3 with a secret seed, so that no sender can aim a collision."""

    def __init__(self, seed: int, size: int = REMEMBERED) -> None:
        self._seed, self._size = seed, size
        self._hashes: dict[int, int] = {}

    def seen(self, line: bytes, link: int) -> bool:
        """Whether this very line came before, on any link; it is remembered now."""
        digest = xxhash.xxh3_64_intdigest(line, seed=self._seed)
        if digest in self._hashes:
            return True
        self._hashes[digest] = link
        if len(self._hashes) > self._size:
            del self._hashes[next(iter(self._hashes))]
        return False

    def forget(self, link: int) -> None:
        """A link was refused: its last lines were not read, so they are news when others send them."""
        for digest in [digest for digest, source in self._hashes.items() if source == link]:
            del self._hashes[digest]

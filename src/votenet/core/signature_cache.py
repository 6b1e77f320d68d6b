"""Votes whose signature was found good lately: none is checked twice, whichever way it comes again.

What lives here: SignatureCache. What must not: votes that wait (`mempool.py`), threads.

A vote comes alone, in a block, and again in the block of a rival miner, sometimes while the first check
still runs. Bitcoin's nodes keep such a cache for the same reason. A vote id is the hash of the whole
record, key and signature included, so what was good under an id stays good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from votenet.core.vote import SealedVote, signatures_hold

MAX_REMEMBERED: Final = 131_072
"""Vote ids in one cache, 15 MB at most: three full blocks at least, as rival branches have them in common."""


class SignatureCache:
    """Checks signatures and remembers the good ones, the newest MAX_REMEMBERED of them at most.

    Threads may share one: when two change it at once an id may be forgotten, never made up.
    """

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()

    def __contains__(self, vote_id: bytes) -> bool:
        return vote_id in self._newer or vote_id in self._older

    def check(self, votes: Sequence[SealedVote]) -> list[bool]:
        """Whether each vote was signed by the key that it names; see `signatures_hold`."""
        known = [sealed.id in self for sealed in votes]
        unknown = [sealed for sealed, is_known in zip(votes, known, strict=True) if not is_known]
        found = signatures_hold(unknown)
        self._remember([sealed.id for sealed, holds in zip(unknown, found, strict=True) if holds])
        answers = iter(found)
        return [is_known or next(answers) for is_known in known]

    def _remember(self, vote_ids: Sequence[bytes]) -> None:
        """Two generations: when the newer one is full, the older one goes."""
        for vote_id in vote_ids:
            if len(self._newer) >= self._limit // 2:
                self._older, self._newer = self._newer, set()
            self._newer.add(vote_id)

"""Votes whose signature, and ballot where it is secret, was found good lately: none is checked twice.

A vote comes alone, in a block, and again in the block of a rival miner, sometimes while the first check
still runs. Bitcoin's nodes keep such a cache for the same reason. A vote id is the hash of the whole
record, key and signature included, so what was good under an id stays good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from votenet.core.election.definition import Election
from votenet.core.ledger.secret_vote import ForgedVote
from votenet.core.ledger.vote import HashedVote, forgeries

MAX_REMEMBERED: Final = 131_072
"""Vote ids in one cache, 15 MB at most: three full blocks at least, as rival branches have them in common."""


class SignatureCache:
    """Checks signatures and proofs, and remembers the good ones, the newest MAX_REMEMBERED of them at most.

    Threads may share one: when two change it at once an id may be forgotten, never made up.
    """

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()

    def __contains__(self, vote_id: bytes) -> bool:
        return vote_id in self._newer or vote_id in self._older

    def check(self, votes: Sequence[HashedVote], election: Election) -> list[ForgedVote | None]:
        """`forgeries` of these votes. A cache is for one election, whose amendments change no verdict."""
        newer, older = self._newer, self._older
        known = [hashed.id in newer or hashed.id in older for hashed in votes]
        unknown = [hashed for hashed, is_known in zip(votes, known, strict=True) if not is_known]
        checked = forgeries(unknown, election)
        self._remember([hashed.id for hashed, wrong in zip(unknown, checked, strict=True) if wrong is None])
        answers = iter(checked)
        return [None if is_known else next(answers) for is_known in known]

    def _remember(self, vote_ids: Sequence[bytes]) -> None:
        """Two generations: when the newer one is full, the older one goes."""
        half = max(self._limit // 2, 1)
        for start in range(0, len(vote_ids), half):
            piece = vote_ids[start : start + half]
            if len(self._newer) + len(piece) > half:
                self._older, self._newer = self._newer, set()
            self._newer.update(piece)

"""Waiting votes: accepted, on disk, not yet in a block.

What lives here: the pool's rules, in memory, and the short ids by which nodes name a vote to each
other. What must not: the disk (`storage/block_store.py` keeps the same votes there), signatures
(checked before a vote gets here).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice
from typing import Final

import xxhash

from votenet.core.vote import SealedVote
from votenet.errors import Rejected

MAX_WAITING: Final = 200_000
"""Votes in one pool: the whole record of a large city twice over, about 200 MB of memory."""

SHORT_ID: Final = 8
"""Bytes of a short id, which stands for a vote in announcements and compact blocks."""


def short_id(vote_id: bytes, seed: int) -> bytes:
    """XXH3-64 of a vote id with a node's seed (0 to 2**64 - 1), most significant byte first.

    Each node draws its seed anew at every start: two votes that collide at one node do at no other.
    """
    return xxhash.xxh3_64_digest(vote_id, seed)


def short_ids(vote_ids: Iterable[bytes], seed: int) -> list[bytes]:
    """`short_id` of each."""
    digest = xxhash.xxh3_64_digest
    return [digest(vote_id, seed) for vote_id in vote_ids]


Named = tuple[bytes, SealedVote]
"""A vote behind its short id with our own seed, which is computed once."""


class Mempool:
    """Votes in order of arrival, at most one for each voter: the first one stands.

    `seed` is this node's, for short ids.
    """

    def __init__(self, seed: int, limit: int = MAX_WAITING) -> None:
        self.seed, self._limit = seed, limit
        self._votes: dict[bytes, SealedVote] = {}
        self._voters: dict[str, Named] = {}
        self._short: dict[bytes, SealedVote] = {}

    def __len__(self) -> int:
        return len(self._votes)

    def __contains__(self, vote_id: bytes) -> bool:
        return vote_id in self._votes

    def __iter__(self) -> Iterator[SealedVote]:
        return iter(self._votes.values())

    def get(self, vote_id: bytes) -> SealedVote | None:
        return self._votes.get(vote_id)

    def by_short_id(self, short_id: bytes) -> SealedVote | None:
        """The waiting vote with this short id by our own seed (the latest, if two have it)."""
        return self._short.get(short_id)

    def by_short_ids(self, short_ids: Iterable[bytes]) -> list[SealedVote | None]:
        """`by_short_id` of each."""
        return list(map(self._short.get, short_ids))

    @property
    def shorts(self) -> Set[bytes]:
        """The short ids of all waiting votes."""
        return self._short.keys()

    @property
    def voters(self) -> Set[str]:
        """The voters whose votes wait."""
        return self._voters.keys()

    @property
    def room(self) -> int:
        """How many more votes may wait."""
        return self._limit - len(self._votes)

    def of_voter(self, voter_id: str) -> SealedVote | None:
        """The waiting vote of a voter, if there is one."""
        named = self._voters.get(voter_id)
        return None if named is None else named[1]

    def of_voters(self, voter_ids: Iterable[str]) -> list[SealedVote]:
        """The waiting votes of these voters, as far as they have one."""
        return [named[1] for named in map(self._voters.get, voter_ids) if named is not None]

    def check(self, sealed: SealedVote) -> None:
        """Whether `add` would take it.

        Raises:
            Rejected: duplicate-vote, already-voted, pool-full.
        """
        if sealed.id in self._votes:
            raise Rejected("duplicate-vote", "this vote is waiting for its block")
        earlier = self.of_voter(sealed.voter_id)
        if earlier is not None:
            raise Rejected(
                "already-voted",
                f"{sealed.voter_id!r} has already voted; that vote waits for its block",
                vote_id=earlier.id.hex(),
                time=earlier.vote.time,
            )
        if self.room <= 0:
            raise Rejected("pool-full", f"{self._limit} votes are waiting already")

    def add(self, sealed: SealedVote) -> None:
        """Take a vote that `check` allows."""
        self.add_all([(short_id(sealed.id, self.seed), sealed)])

    def add_all(self, votes: Sequence[Named]) -> None:
        """Take votes of different voters that `check` allows, each behind its short id with our seed."""
        self._votes.update([(sealed.id, sealed) for _, sealed in votes])
        self._voters.update([(named[1].vote.voter_id, named) for named in votes])
        self._short.update(votes)

    def remove_voters(self, voter_ids: Iterable[str]) -> list[bytes]:
        """Drop the waiting votes of voters whose vote is now in a block; returns their vote ids.

        A waiting vote that differs from the one in the block goes too: it can never be counted.
        """
        forget, votes, shorts = self._voters.pop, self._votes, self._short
        removed = [named for voter_id in voter_ids if (named := forget(voter_id, None)) is not None]
        for short, sealed in removed:
            del votes[sealed.id]
            if shorts.get(short) is sealed:
                del shorts[short]
        return [sealed.id for _, sealed in removed]

    def first(self, count: int, max_bytes: int) -> list[SealedVote]:
        """The oldest votes, as many as fit into one block."""
        chosen, size = [], 0
        for sealed in islice(self._votes.values(), count):
            size += len(sealed.record)
            if size > max_bytes:
                break
            chosen.append(sealed)
        return chosen

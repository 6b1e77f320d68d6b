"""Waiting votes: accepted, on disk, not yet in a block.

What lives here: the pool's rules, in memory, and the short ids by which nodes name a vote to each
other. What must not: the disk (`storage/block_store.py` keeps the same votes there), signatures
(checked before a vote gets here).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice
from typing import Final, NamedTuple

import xxhash

from votenet.core.vote import SealedVote
from votenet.errors import Rejected

MAX_POOL_BYTES: Final = 112 * 1024 * 1024
"""Memory of one pool, as `weight` counts it: some 70,000 votes with one choice."""
ENOUGH_ROOM: Final = 128 * 1024
"""Room in which any vote fits."""

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


class Origin(NamedTuple):
    """Where votes come from: its votes may take `share` times as much of the pool as is left for others.

    So one that floods leaves room, and n of them leave 1 / (1 + n * share) of the pool.
    """

    name: str
    share: int


OURS: Final = Origin("", 0)
"""Of votes that were acknowledged before, on the disk or on a branch that lost: they stay."""


def weight(sealed: SealedVote) -> int:
    """Bytes of memory that a waiting vote takes, measured: as a record, taken apart, and in all indexes."""
    return 900 + 2 * len(sealed.record) + 64 * len(sealed.vote.choices)


class _Waiting(NamedTuple):
    """`origin`: the name of one. `size`: bytes, see `weight`."""

    short: bytes
    sealed: SealedVote
    origin: str
    size: int


class Mempool:
    """Votes in order of arrival, at most one for each voter: the first one stands.

    `seed` is this node's, for short ids. `limit` is in bytes, see `weight`.
    """

    def __init__(self, seed: int, limit: int = MAX_POOL_BYTES) -> None:
        self.seed, self._limit = seed, limit
        self._votes: dict[bytes, SealedVote] = {}
        self._voters: dict[str, _Waiting] = {}
        self._short: dict[bytes, SealedVote] = {}
        self._used = 0
        self._used_of: Counter[str] = Counter()
        """Bytes that wait, and those of each origin."""

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
    def used(self) -> int:
        """Bytes of all waiting votes."""
        return self._used

    def room(self, origin: Origin) -> int:
        """How many bytes more of this origin may wait: fewer than none where others came meanwhile."""
        left = self._limit - self._used
        if origin.share == 0:
            return left
        return (origin.share * left - self._used_of[origin.name]) // (1 + origin.share)

    def of_voter(self, voter_id: str) -> SealedVote | None:
        """The waiting vote of a voter, if there is one."""
        waiting = self._voters.get(voter_id)
        return None if waiting is None else waiting.sealed

    def of_voters(self, voter_ids: Iterable[str]) -> list[SealedVote]:
        """The waiting votes of these voters, as far as they have one."""
        found = map(self._voters.get, voter_ids)
        return [waiting.sealed for waiting in found if waiting is not None]

    def check(self, sealed: SealedVote, origin: Origin = OURS) -> None:
        """Whether this vote may wait, too.

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
        if weight(sealed) > self.room(origin):
            whose = "the pool is full" if origin.share == 0 else "your address has its share of the pool"
            raise Rejected("pool-full", f"{whose}: {len(self._votes)} votes are waiting for their block")

    def add_fitting(self, votes: Iterable[Named], origin: Origin) -> list[Named]:
        """Take those of these votes for which there is room; none of the others would fit beside them.

        Like `add_all` for votes of different voters that have none. Returns those that were taken.
        """
        room, taken, sizes = self.room(origin), [], []
        for named in votes:
            size = weight(named[1])
            if size <= room:
                room -= size
                taken.append(named)
                sizes.append(size)
        self._put(taken, sizes, origin.name)
        return taken

    def add(self, sealed: SealedVote, origin: Origin = OURS) -> None:
        """Take a vote of a voter that has none."""
        self.add_all([(short_id(sealed.id, self.seed), sealed)], origin)

    def add_all(self, votes: Sequence[Named], origin: Origin = OURS) -> None:
        """Take votes of different voters that have none, each behind its short id with our seed."""
        self._put(votes, [weight(sealed) for _, sealed in votes], origin.name)

    def _put(self, votes: Sequence[Named], sizes: Sequence[int], origin: str) -> None:
        self._votes.update([(sealed.id, sealed) for _, sealed in votes])
        self._voters.update(
            [
                (sealed.vote.voter_id, _Waiting(short, sealed, origin, size))
                for (short, sealed), size in zip(votes, sizes, strict=True)
            ]
        )
        self._short.update(votes)
        self._used += sum(sizes)
        self._used_of[origin] += sum(sizes)

    def remove_voters(self, voter_ids: Iterable[str]) -> list[bytes]:
        """Drop the waiting votes of voters whose vote is now in a block; returns their vote ids.

        A waiting vote that differs from the one in the block goes too: it can never be counted.
        """
        forget, votes, shorts = self._voters.pop, self._votes, self._short
        removed = [gone for voter_id in voter_ids if (gone := forget(voter_id, None)) is not None]
        used_of = self._used_of
        for short, sealed, origin, size in removed:
            del votes[sealed.id]
            if shorts.get(short) is sealed:
                del shorts[short]
            used_of[origin] -= size
            self._used -= size
        for origin in {gone.origin for gone in removed if not used_of[gone.origin]}:
            del used_of[origin]
        return [gone.sealed.id for gone in removed]

    def first(self, count: int, max_bytes: int) -> list[SealedVote]:
        """The oldest votes, as many as fit into one block."""
        chosen, size = [], 0
        for sealed in islice(self._votes.values(), count):
            size += len(sealed.record)
            if size > max_bytes:
                break
            chosen.append(sealed)
        return chosen

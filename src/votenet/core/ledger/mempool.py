"""Waiting votes, accepted and on disk but in no block yet, and their short ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice
from typing import Final, NamedTuple

import msgspec
import xxhash

from votenet.core.ledger.vote import HashedVote
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
    digest = xxhash.xxh3_64_digest
    return [digest(vote_id, seed) for vote_id in vote_ids]


class ShortVote(msgspec.Struct, frozen=True, gc=False):
    """A vote, and its short id with our own seed, which is computed once. Made as fast as a pair."""

    short: bytes
    hashed: HashedVote


class PoolFull(Rejected):
    """No room for a vote of this origin now."""


class Origin(NamedTuple):
    """A source of votes. They may take `share` times as much of the pool as is left for others.

    So one flooding source leaves room, and n of them leave 1 / (1 + n * share) of the pool.
    """

    name: str
    share: int


OURS: Final = Origin("", 0)
"""The origin of votes that were acknowledged before, on the disk or on a branch that lost: they stay."""


def weight(hashed: HashedVote) -> int:
    """Bytes of memory that a waiting vote takes, measured with all indexes."""
    return _weights([hashed])[0]


def _weights(votes: Iterable[HashedVote]) -> list[int]:
    return [900 + 2 * len(hashed.record) + 64 * sum(map(len, hashed.vote.choices)) for hashed in votes]


_Waiting = tuple[bytes, HashedVote, str, int]
"""Short id, vote, name of its origin, `weight`. A named tuple costs three times as much to make."""


class Mempool:
    """Votes in order of arrival, at most one for each voter: the first one stands.

    `seed` is this node's, for short ids. `limit` is in bytes, see `weight`.
    """

    def __init__(self, seed: int, limit: int = MAX_POOL_BYTES) -> None:
        self.seed, self._limit = seed, limit
        self._voters: dict[str, _Waiting] = {}
        """In order of arrival."""
        self._short: dict[bytes, HashedVote] = {}
        self.used = 0
        """Bytes of all waiting votes, as `weight` counts them."""
        self._used_of: Counter[str] = Counter()
        """The same for each origin."""

    def __len__(self) -> int:
        return len(self._voters)

    def __iter__(self) -> Iterator[HashedVote]:
        return (hashed for _, hashed, _, _ in self._voters.values())

    def by_short_ids(self, short_ids: Iterable[bytes]) -> list[HashedVote | None]:
        """The waiting votes with these short ids by our own seed (the latest, if two have one)."""
        return list(map(self._short.get, short_ids))

    @property
    def shorts(self) -> Set[bytes]:
        """The short ids of all waiting votes."""
        return self._short.keys()

    @property
    def voters(self) -> Set[str]:
        """The voters whose votes wait."""
        return self._voters.keys()

    def room(self, origin: Origin) -> int:
        """How many more bytes of this origin may wait; negative where others came meanwhile."""
        left = self._limit - self.used
        if origin.share == 0:
            return left
        return (origin.share * left - self._used_of[origin.name]) // (1 + origin.share)

    def of_voter(self, voter_id: str) -> HashedVote | None:
        waiting = self._voters.get(voter_id)
        return None if waiting is None else waiting[1]

    def of_voters(self, voter_ids: Iterable[str]) -> list[HashedVote]:
        waiting_votes = map(self._voters.get, voter_ids)
        return [waiting[1] for waiting in waiting_votes if waiting is not None]

    def check(self, hashed: HashedVote, origin: Origin = OURS) -> None:
        """Check whether this vote may wait, too.

        Raises:
            Rejected: duplicate-vote, already-voted, pool-full.
        """
        earlier = self.of_voter(hashed.voter_id)
        if earlier is not None and earlier.id == hashed.id:
            raise Rejected("duplicate-vote", "this vote is waiting for its block")
        if earlier is not None:
            raise Rejected(
                "already-voted",
                f"{hashed.voter_id!r} has already voted; that vote waits for its block",
                vote_id=earlier.id.hex(),
                time=earlier.vote.time,
            )
        if weight(hashed) > self.room(origin):
            whose = "the pool is full" if origin.share == 0 else "your address has its share of the pool"
            raise PoolFull("pool-full", f"{whose}: {len(self)} votes are waiting for their block")

    def add_fitting(self, votes: Iterable[ShortVote], origin: Origin) -> list[ShortVote]:
        """Take the votes that fit, of different voters that have none waiting; returns those taken."""
        taken = list(votes)
        sizes, room = _weights([vote.hashed for vote in taken]), self.room(origin)
        if sum(sizes) > room:
            offered, taken, sizes = zip(taken, sizes, strict=True), [], []
            for vote, size in offered:
                if size <= room:
                    room -= size
                    taken.append(vote)
                    sizes.append(size)
        self._put(taken, sizes, origin.name)
        return taken

    def add(self, hashed: HashedVote, origin: Origin = OURS) -> None:
        """Take a vote of a voter that has none waiting."""
        self._put([ShortVote(short_id(hashed.id, self.seed), hashed)], [weight(hashed)], origin.name)

    def _put(self, votes: Sequence[ShortVote], sizes: Sequence[int], origin: str) -> None:
        self._voters.update(
            [
                ((hashed := vote.hashed).vote.voter_id, (vote.short, hashed, origin, size))
                for vote, size in zip(votes, sizes, strict=True)
            ]
        )
        self._short.update([(vote.short, vote.hashed) for vote in votes])
        added = sum(sizes)
        self.used += added
        self._used_of[origin] += added

    def remove_voters(self, voter_ids: Iterable[str]) -> list[bytes]:
        """Drop the waiting votes of voters who have a vote in a block now; returns the vote ids.

        A waiting vote that differs from the one in the block goes too: it can never be counted.
        """
        forget, shorts = self._voters.pop, self._short
        removed = [gone for voter_id in voter_ids if (gone := forget(voter_id, None)) is not None]
        freed: dict[str, int] = {}
        for short, hashed, origin, size in removed:
            other = shorts.pop(short, hashed)
            if other is not hashed:  # a later vote has the same short id
                shorts[short] = other
            freed[origin] = freed.get(origin, 0) + size
        for origin, size in freed.items():
            self.used -= size
            self._used_of[origin] -= size
            if not self._used_of[origin]:
                del self._used_of[origin]
        return [hashed.id for _, hashed, _, _ in removed]

    def first(self, count: int, max_bytes: int) -> list[HashedVote]:
        """The oldest votes, `count` and `max_bytes` at most."""
        chosen, size = [], 0
        for hashed in islice(self, count):
            size += len(hashed.record)
            if size > max_bytes:
                break
            chosen.append(hashed)
        return chosen

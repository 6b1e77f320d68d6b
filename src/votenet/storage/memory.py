"""A block store in memory: the twin of `block_store.py` for tests and simulations.

What lives here: MemoryStore. What must not: files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from votenet.core.block import Header
from votenet.core.chain import Entry, place_at
from votenet.core.tally import Tally
from votenet.core.vote import SealedVote
from votenet.errors import StorageError
from votenet.protocol.address_book import CachedPeer
from votenet.protocol.blame import Ban
from votenet.protocol.events import Change, DropVotes, SaveBlock, SaveVotes, SetBest
from votenet.storage.interface import StoredChain


class MemoryStore:
    """Keeps what a disk would keep; a test that "kills" its node starts another on the same store."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, tuple[Entry, tuple[SealedVote, ...]]] = {}
        self._best: list[bytes] = []
        self._waiting: dict[bytes, SealedVote] = {}
        self._peers: list[CachedPeer] = []
        self._bans: list[Ban] = []

    def load(self) -> StoredChain:
        blocks = sorted(self._blocks.values(), key=lambda pair: pair[0].height)
        best = set(self._best)
        tally, voters = Tally(), dict[str, int]()
        for entry, votes in (self._blocks[block_hash] for block_hash in self._best):
            tally.add(sealed.vote.choices for sealed in votes)
            voters.update((vote.voter_id, place_at(entry.height, at)) for at, vote in enumerate(votes))
        return StoredChain(
            headers=[(entry.header, entry.hash in best) for entry, _ in blocks],
            voters=voters,
            tally=tally,
            waiting=list(self._waiting.values()),
        )

    def apply(self, changes: Sequence[Change]) -> None:
        before = dict(self._blocks), list(self._best), dict(self._waiting)
        try:
            self._apply(changes)
        except BaseException:
            self._blocks, self._best, self._waiting = before
            raise

    def _apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, SaveVotes):
                self._waiting.update((sealed.id, sealed) for sealed in change.votes)
            elif isinstance(change, DropVotes):
                for vote_id in change.ids:
                    self._waiting.pop(vote_id, None)
            elif isinstance(change, SaveBlock):
                self._blocks.setdefault(change.entry.hash, (change.entry, tuple(change.votes)))
            else:
                self._set_best(change)

    def _set_best(self, change: SetBest) -> None:
        del self._best[change.fork_height :]
        for entry, _ in change.blocks:
            if entry.hash not in self._blocks:
                raise StorageError(f"block {entry.hash.hex()} is on the best branch but not stored")
            self._best.append(entry.hash)

    def votes_of(self, block_hash: bytes) -> Sequence[SealedVote]:
        found = self._blocks.get(block_hash)
        if found is None:
            raise StorageError(f"block {block_hash.hex()} is not stored")
        return found[1]

    def vote_at(self, block_hash: bytes, position: int, voter_id: str) -> SealedVote:
        votes = self.votes_of(block_hash)
        if position >= len(votes) or votes[position].voter_id != voter_id:
            raise StorageError(f"the vote of {voter_id!r} is not in block {block_hash.hex()}")
        return votes[position]

    def votes_at(self, places: Sequence[tuple[bytes, int, str]]) -> list[SealedVote]:
        return [self.vote_at(*place) for place in places]

    def records_of(self, block_hash: bytes, start: int, count: int) -> list[bytes]:
        return [sealed.record for sealed in self.votes_of(block_hash)[start : start + count]]

    def block_line(self, block_hash: bytes) -> bytes | None:
        found = self._blocks.get(block_hash)
        if found is None:
            return None
        entry, votes = found
        return join_block_line(entry.header.pack(), b",".join(sealed.record for sealed in votes))

    def votes_in_order(self) -> Iterator[tuple[int, SealedVote]]:
        for height, (_, votes) in enumerate(self.blocks_in_order(), start=1):
            for sealed in votes:
                yield height, sealed

    def blocks_in_order(self) -> Iterator[tuple[Header, Sequence[SealedVote]]]:
        for entry, votes in [self._blocks[block_hash] for block_hash in self._best]:
            yield entry.header, votes

    def known_peers(self) -> list[CachedPeer]:
        return list(self._peers)

    def remember_peers(self, peers: Sequence[CachedPeer]) -> None:
        self._peers = sorted({peer.address: peer for peer in peers}.values())

    def try_writing(self) -> None:
        """Memory can always be written."""

    def known_bans(self) -> list[Ban]:
        return list(self._bans)

    def remember_bans(self, bans: Sequence[Ban]) -> None:
        self._bans = sorted(bans)

    def close(self) -> None:
        """Nothing to close."""


def join_block_line(header: bytes, *rows: bytes) -> bytes:
    """The `block` message out of a packed header and rows of comma-separated vote records, copied once."""
    head = b'{"type":"block","header":"%s","votes":[' % header.hex().encode()
    first, *rest = rows or (b"",)
    if not rest:
        return b"".join((head, first, b"]}"))
    return b",".join((head + first, *rest[:-1], rest[-1] + b"]}"))

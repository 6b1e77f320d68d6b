"""A block store in memory, for tests and simulations."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Header, log_leaves
from votenet.core.ledger.chain import BlockIndexEntry, pack_location
from votenet.core.ledger.extras import amendments_in, encode_extras
from votenet.core.ledger.vote import HashedVote, ballots
from votenet.core.log.tiles import LogFrontier
from votenet.errors import StorageCorrupt, StorageError
from votenet.protocol.node.events import (
    Change,
    DropAmendments,
    DropVotes,
    SaveAccepted,
    SaveAmendment,
    SaveBlock,
    SaveCertificate,
    SaveEvidence,
    SaveFinality,
    SaveHours,
    SaveRestored,
    SaveShare,
    SaveTiles,
    SaveVotes,
    SetBest,
)
from votenet.protocol.peers.address_manager import CachedPeer
from votenet.protocol.peers.misbehavior import Ban
from votenet.storage.blocks.block_store import BlockStore, StoredChain
from votenet.storage.blocks.sqlite_block_store import join_block_line


class MemoryBlockStore(BlockStore):
    """Keeps what a disk would keep; a test that "kills" its node starts another on the same store."""

    def __init__(self, election: Election) -> None:
        self._election = election
        self._blocks: dict[bytes, tuple[BlockIndexEntry, tuple[HashedVote, ...]]] = {}
        self._best: list[bytes] = []
        self._waiting: dict[bytes, HashedVote] = {}
        self._peers: list[CachedPeer] = []
        self._bans: list[Ban] = []
        self._finality = b""
        self._certificate = 0, ""
        self._accepted = 0
        self._evidence: dict[tuple[int, str], SaveEvidence] = {}
        self._hours = self._restored = b""
        self._amendments: dict[int, Amendment] = {}
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._shares: dict[int, str] = {}

    def load(self) -> StoredChain:
        blocks = sorted(self._blocks.values(), key=lambda pair: pair[0].height)
        best = set(self._best)
        election = self._election
        tally, voters = election.new_tally(), dict[str, int]()
        for entry, votes in (self._blocks[block_hash] for block_hash in self._best):
            tally.add(ballots(votes), election.weights_of(vote.voter_id for vote in votes))
            election = election.amended(amendments_in(entry.extras.records))
            voters.update((vote.voter_id, pack_location(entry.height, at)) for at, vote in enumerate(votes))
        frontier, log_sizes = self._log()
        return StoredChain(
            election=election,
            headers=[(entry.header, entry.hash in best) for entry, _ in blocks],
            voters=voters,
            tally=tally,
            waiting=list(self._waiting.values()),
            beside={entry.hash: (entry.extras, entry.commit) for entry, _ in blocks},
            finality=self._finality,
            certificate=self._certificate,
            accepted=self._accepted,
            evidence=list(self._evidence.values()),
            hours=self._hours,
            restored=self._restored,
            frontier=frontier,
            log_sizes=log_sizes,
            amendments=list(self._amendments.values()),
            shares=[share for _, share in sorted(self._shares.items())],
        )

    def _log(self) -> tuple[LogFrontier, list[int]]:
        hashes = self._tiles.get((0, 0), b"")
        if not hashes:
            return LogFrontier(), []
        frontier, _ = LogFrontier().append([hashes[:32]])
        sizes = [frontier.size]
        for entry, votes in (self._blocks[block_hash] for block_hash in self._best):
            frontier, _ = frontier.append(log_leaves(entry.header, votes, entry.extras.records))
            sizes.append(frontier.size)
        return frontier, sizes

    def damaged(self, cause: object) -> StorageCorrupt:
        return StorageCorrupt(f"the store in memory is damaged: {cause}", next_step="Start with a new one.")

    def apply(self, changes: Sequence[Change]) -> None:
        before = dict(self._blocks), list(self._best), dict(self._waiting), dict(self._tiles)
        statements = self._finality, self._certificate, self._accepted, self._hours, dict(self._evidence)
        restored = self._restored
        amendments, shares = dict(self._amendments), dict(self._shares)
        try:
            self._apply(changes)
        except BaseException:
            self._blocks, self._best, self._waiting, self._tiles = before
            self._finality, self._certificate, self._accepted, self._hours, self._evidence = statements
            self._amendments, self._shares, self._restored = amendments, shares, restored
            raise

    def _apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, SaveVotes):
                self._waiting.update((hashed.id, hashed) for hashed in change.votes)
            elif isinstance(change, DropVotes):
                for vote_id in change.ids:
                    self._waiting.pop(vote_id, None)
            elif isinstance(change, SaveBlock):
                self._blocks.setdefault(change.entry.hash, (copy.copy(change.entry), tuple(change.votes)))
            elif isinstance(change, SaveFinality):
                self._finality = change.state
            elif isinstance(change, SaveAccepted):
                self._accepted = change.time
            elif isinstance(change, SaveHours):
                self._hours = change.state
            elif isinstance(change, SaveRestored):
                self._restored = change.state
            elif isinstance(change, SaveAmendment):
                self._amendments[change.amendment.number] = change.amendment
            elif isinstance(change, DropAmendments):
                for number in change.numbers:
                    self._amendments.pop(number, None)
            elif isinstance(change, SaveTiles):
                self._tiles.update(((tile.level, tile.number), tile.hashes) for tile in change.tiles)
            elif isinstance(change, SaveCertificate):
                self._certificate = change.height, change.note
            elif isinstance(change, SaveShare):
                self._shares[change.place] = change.share
            elif isinstance(change, SaveEvidence):
                self._evidence[change.node, change.kind] = change
            else:
                self._set_best(change)

    def _set_best(self, change: SetBest) -> None:
        del self._best[change.fork_height :]
        for entry, _ in change.blocks:
            if entry.hash not in self._blocks:
                raise StorageError(f"block {entry.hash.hex()} is on the best branch but not stored")
            self._blocks[entry.hash] = copy.copy(entry), self._blocks[entry.hash][1]
            self._best.append(entry.hash)
            if entry.extras.miner is not None:  # named nodes have decided: what else was proposed goes
                at_height = [made.hash for made, _ in self._blocks.values() if made.height == entry.height]
                for rival in set(at_height) - {entry.hash}:
                    del self._blocks[rival]

    def votes_of(self, block_hash: bytes) -> Sequence[HashedVote]:
        block = self._blocks.get(block_hash)
        if block is None:
            raise StorageError(f"block {block_hash.hex()} is not stored")
        return block[1]

    def vote_at(self, block_hash: bytes, position: int, voter_id: str) -> HashedVote:
        votes = self.votes_of(block_hash)
        if position >= len(votes) or votes[position].voter_id != voter_id:
            raise StorageError(f"the vote of {voter_id!r} is not in block {block_hash.hex()}")
        return votes[position]

    def votes_at(self, locations: Sequence[tuple[bytes, int, str]]) -> list[HashedVote]:
        return [self.vote_at(*location) for location in locations]

    def records_of(self, block_hash: bytes, start: int, count: int) -> list[bytes]:
        return [hashed.record for hashed in self.votes_of(block_hash)[start : start + count]]

    def tile(self, level: int, number: int) -> bytes:
        return self._tiles.get((level, number), b"")

    def block_line(self, block_hash: bytes) -> bytes | None:
        block = self._blocks.get(block_hash)
        if block is None:
            return None
        entry, votes = block
        records = b",".join(hashed.record for hashed in votes)
        return join_block_line(entry.header.pack(), records, extras=encode_extras(entry.extras))

    def blocks_in_order(self) -> Iterator[tuple[Header, Sequence[HashedVote]]]:
        for entry, votes in [self._blocks[block_hash] for block_hash in self._best]:
            yield entry.header, votes

    def known_peers(self) -> list[CachedPeer]:
        return list(self._peers)

    def remember_peers(self, peers: Sequence[CachedPeer]) -> None:
        self._peers = sorted({peer.address: peer for peer in peers}.values())

    def try_writing(self) -> None:
        return None

    def known_bans(self) -> list[Ban]:
        return list(self._bans)

    def remember_bans(self, bans: Sequence[Ban]) -> None:
        self._bans = sorted(bans)

    def close(self) -> None:
        return None

"""What a node needs of its storage. The stores in SQLite and in memory both pass the tests of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Header
from votenet.core.ledger.extras import BlockExtras
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.tiles import LogFrontier
from votenet.core.methods.tally import ElectionTally
from votenet.errors import StorageCorrupt
from votenet.protocol.node.events import BlockSource, Change, SaveEvidence
from votenet.protocol.peers.address_manager import CachedPeer
from votenet.protocol.peers.misbehavior import Ban


@dataclass(slots=True)
class StoredChain:
    """What a starting node gets from its store, so that it need not read a vote twice.

    `election`: as it is in force behind the tip.
    `headers` are all blocks by height, with whether each is on the best branch; `voters` maps a
    voter id to the location of its vote (`core/ledger/chain.py`); `waiting` is the pool in order of arrival.
    `beside`: extras and commit of the blocks that have some, by hash; `finality`: what was last saved of the
    consensus, empty if nothing was; `certificate`: the newest, and the height of its block;
    `accepted`: the time of its latest acceptance;
    `hours`: what it has signed about the end of the election; `restored`: of its restore from a backup;
    `frontier`: of the election's log behind the tip, made of the records (empty without named nodes), and
    `log_sizes`: of the log behind each block of the best branch, genesis first; `evidence`: against named
    nodes; `amendments`: that wait for a block; `shares`: of trustees, by place.
    """

    election: Election
    tally: ElectionTally
    headers: list[tuple[Header, bool]] = field(default_factory=list)
    voters: dict[str, int] = field(default_factory=dict)
    waiting: list[HashedVote] = field(default_factory=list)
    beside: dict[bytes, tuple[BlockExtras, bytes]] = field(default_factory=dict)
    finality: bytes = b""
    certificate: tuple[int, str] = (0, "")
    accepted: int = 0
    evidence: list[SaveEvidence] = field(default_factory=list)
    hours: bytes = b""
    restored: bytes = b""
    frontier: LogFrontier = field(default_factory=LogFrontier)
    log_sizes: list[int] = field(default_factory=list)
    amendments: list[Amendment] = field(default_factory=list)
    shares: list[str] = field(default_factory=list)


class BlockStore(BlockSource, Protocol):
    """The chain and the pool of one node."""

    def load(self) -> StoredChain:
        """Raises StorageCorrupt: what is stored contradicts itself."""

    def damaged(self, cause: object) -> StorageCorrupt:
        """The error for stored data that cannot be what was saved, with the operator's next step."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Save changes in their order, all or none. When it returns they survive a power cut.

        Raises:
            StorageError: with the cause; nothing of the batch was kept.
        """

    def block_line(self, block_hash: bytes) -> bytes | None:
        """A saved block as the line that carries it to a peer; None if it is not here. From any thread.

        Raises:
            StorageCorrupt: what is stored is not what was saved.
        """

    def blocks_in_order(self) -> Iterator[tuple[Header, Sequence[HashedVote]]]:
        """The best branch as it is when this begins, after genesis."""

    def known_peers(self) -> list[CachedPeer]:
        """The cache of peers as it was last kept, each address once, sorted."""

    def remember_peers(self, peers: Sequence[CachedPeer]) -> None:
        """Replace the cache of peers."""

    def known_bans(self) -> list[Ban]:
        """The bans that were last kept, in order of their subjects."""

    def remember_bans(self, bans: Sequence[Ban]) -> None:
        """Replace the bans that are kept."""

    def try_writing(self) -> None:
        """Raises StorageError where votes cannot be saved."""

    def close(self) -> None: ...

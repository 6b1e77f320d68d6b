"""What a node needs of its storage, before any database: the shapes and the promises.

What lives here: typing.Protocol classes and the record of what was stored. What must not: SQL.
`memory.py` and `block_store.py` both pass the tests of this interface.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from votenet.core.block import Header
from votenet.core.tally import Tally
from votenet.core.vote import SealedVote
from votenet.protocol.address_book import CachedPeer
from votenet.protocol.blame import Ban
from votenet.protocol.events import BlockSource, Change


@dataclass(slots=True)
class StoredChain:
    """What a store gives a starting node: enough to go on without reading a vote twice.

    `headers` are all blocks by height, with whether each is on the best branch; `voters` maps a
    voter id to the place of its vote (`core/chain.py`); `waiting` is the pool in order of arrival.
    """

    headers: list[tuple[Header, bool]] = field(default_factory=list)
    voters: dict[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    waiting: list[SealedVote] = field(default_factory=list)


class BlockStore(BlockSource, Protocol):
    """The chain and the pool of one node."""

    def load(self) -> StoredChain:
        """Everything a starting node needs.

        Raises:
            StorageCorrupt: what is stored contradicts itself.
        """
        ...

    def apply(self, changes: Sequence[Change]) -> None:
        """Save changes in their order, all or none. When it returns they survive a power cut.

        Raises:
            StorageError: with the cause; nothing of the batch was kept.
        """
        ...

    def block_line(self, block_hash: bytes) -> bytes | None:
        """A saved block as the line that carries it to a peer; None if it is not here. From any thread.

        Raises:
            StorageCorrupt: what is stored is not what was saved.
        """
        ...

    def blocks_in_order(self) -> Iterator[tuple[Header, Sequence[SealedVote]]]:
        """The best branch as it is when this begins, after genesis."""
        ...

    def votes_in_order(self) -> Iterator[tuple[int, SealedVote]]:
        """(height, vote) of the best branch, in chain order."""
        ...

    def known_peers(self) -> list[CachedPeer]:
        """The cache of peers as it was last kept, each address once, sorted."""
        ...

    def remember_peers(self, peers: Sequence[CachedPeer]) -> None:
        """Replace the cache of peers."""
        ...

    def known_bans(self) -> list[Ban]:
        """The bans that were last kept, in order of their subjects."""
        ...

    def remember_bans(self, bans: Sequence[Ban]) -> None:
        """Replace the bans that are kept."""
        ...

    def try_writing(self) -> None:
        """Nothing, where votes can be saved again. Raises StorageError where they cannot."""
        ...

    def close(self) -> None: ...

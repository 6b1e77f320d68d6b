"""The chain in the reference client's form, made once for a tip however many clients ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from votenet.core.election.definition import Election
from votenet.core.ledger.chain import Chain
from votenet.errors import RemoteProtocolError
from votenet.protocol.node.events import Served
from votenet.protocol.reference_go import MAX_REFERENCE_VOTES, reference_chain
from votenet.protocol.wire.limits import CHAIN_UNITS
from votenet.storage.blocks.block_store import BlockStore

KEPT_SECONDS: Final = 10.0
"""How long the line is kept after the last request: up to 13 MB."""


class ReferenceChain:
    """The line that answers `request_blockchain`."""

    def __init__(self, election: Election, store: BlockStore) -> None:
        self._election, self._store = election, store
        self._made: tuple[bytes, bytes, float] | None = None
        """Hash of the tip, line, when a client last asked for it."""

    def begin(self, chain: Chain) -> Callable[[], Served]:
        """The work that makes the line; it may run in another thread.

        Raises:
            RemoteProtocolError: response-too-large.
        """
        tip, votes = chain.tip.hash, chain.tally.votes
        if votes > MAX_REFERENCE_VOTES:
            raise RemoteProtocolError(
                "response-too-large", f"the chain holds {votes} votes, too many for one line"
            )
        if self._made is not None and self._made[0] == tip:
            line = self._made[1]
            self._made = tip, line, time.monotonic()
            return lambda: Served(line)

        def build() -> Served:
            line = reference_chain(self._election, chain.genesis.header, self._store.blocks_in_order())
            self._made = tip, line, time.monotonic()
            return Served(line, CHAIN_UNITS * votes)

        return build

    def forget(self) -> None:
        """Free the line when no client has asked for it lately."""
        if self._made is not None and self._made[2] < time.monotonic() - KEPT_SECONDS:
            self._made = None

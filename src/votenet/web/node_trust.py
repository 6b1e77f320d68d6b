"""How far a page believes each node: who gave its address, and the proof of its key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec

from votenet.client.node_probe import prove_key
from votenet.core.election.definition import Election
from votenet.errors import Unreachable, VotenetError
from votenet.protocol.wire.address import parse_address
from votenet.protocol.wire.client_messages import NodeStatus
from votenet.web.snapshot import NodeView

KEY_SECONDS: Final = 30.0
"""Between two questions to a node for the proof of its key, while it has not proved that of a named node."""
KEY_AGAIN_SECONDS: Final = 5.0
"""The same after a question without an answer: the node, or this machine, may have been busy for a moment."""


class Trust(IntEnum):
    """How far a node is believed: `GIVEN` by who runs the page; `NAMED`, with a proven key."""

    GIVEN = 0
    NAMED = 1
    UNPROVEN = 2


class NodeTrust:
    """The trust in each node, by its address as text.

    Args:
        given: addresses that the page was started with.
        proof_timeout: seconds for the proof of a key.
    """

    def __init__(self, given: Iterable[str], *, proof_timeout: float) -> None:
        self._proof_timeout = proof_timeout
        self._ranks = dict.fromkeys(given, Trust.GIVEN)
        """A node that is not here is a stranger."""
        self._proved: dict[str, int] = {}
        """Which named node each node is, by the key that it has proved."""
        self._asks_key_at: dict[str, float] = {}

    def rank(self, address: str) -> Trust:
        return self._ranks.get(address, Trust.UNPROVEN)

    def is_trusted(self, address: str, election: Election | None) -> bool:
        """Whether the counts of a node may be shown. `election`: None while it is not known."""
        is_named = election is not None and election.named > 0
        return not is_named or self.rank(address) is not Trust.UNPROVEN

    @property
    def named_found(self) -> int:
        """How many named nodes have proved their keys, and answer."""
        return len(set(self._proved.values()))

    def away(self, address: str) -> None:
        """Forget what a node proved, as another program may be there when it is back."""
        self._proved.pop(address, None)
        self._asks_key_at.pop(address, None)
        if self.rank(address) is not Trust.GIVEN:
            self._ranks.pop(address, None)

    def forget(self, address: str) -> None:
        """Forget a node, even that it was given."""
        for by_address in (self._ranks, self._proved, self._asks_key_at):
            by_address.pop(address, None)

    async def ask_key(self, address: str, election: Election) -> None:
        """Ask a node for the proof of its key, unless it has proved one or was asked lately.

        A given node may be dialled at an address that it does not know as its own. For a found one that is no
        proof: it may pass on the lines of a named node.
        """
        now = time.monotonic()
        if not election.named or address in self._proved or now < self._asks_key_at.get(address, now):
            return
        self._asks_key_at[address] = now + KEY_SECONDS
        try:
            async with asyncio.timeout(self._proof_timeout):
                proof = await prove_key(parse_address(address), election.network_hex)
        except (TimeoutError, Unreachable):
            self._asks_key_at[address] = time.monotonic() + KEY_AGAIN_SECONDS
            return
        except VotenetError:  # it refuses, or what it answers proves nothing
            return
        index, is_given = election.node_index(proof.node_key), self.rank(address) is Trust.GIVEN
        if index is not None and (proof.proven or is_given):
            self._proved[address] = index
            self._ranks.setdefault(address, Trust.NAMED)

    def view_of(self, address: str, status: NodeStatus, election: Election) -> NodeView:
        """A node by its status: only the proof of a key makes it a named node, whatever it calls itself."""
        node, named = NodeView.of(address, status), election.definition.nodes
        node = msgspec.structs.replace(node, given=self.rank(address) is Trust.GIVEN)
        if self.rank(address) is Trust.UNPROVEN:  # a stranger proves no lie by saying so
            node = msgspec.structs.replace(node, lies=())
        if (index := self._proved.get(address)) is not None:
            return msgspec.structs.replace(node, name=named[index].name, signs=True)
        says_so = any(one.name == status.name or one.node_key == status.node_key for one in named)
        return msgspec.structs.replace(node, unproven=says_so)

"""Following the logs of several nodes: they must be one."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from votenet.client.answers import fetch_election
from votenet.client.connection import NodeConnection
from votenet.client.failover import NODE_DIAL_SECONDS, ask_each
from votenet.client.log_view import LogView, ShownLog
from votenet.core.election.quorum import NEVER_FINAL
from votenet.core.faults import fault
from votenet.errors import Unreachable, VotenetError
from votenet.protocol.wire.address import Address
from votenet.storage.known_elections import KnownElections

Shown = ShownLog | VotenetError | None


class LogWatch:
    """The logs of some nodes of one election, compared with each other and with what was seen before."""

    def __init__(
        self, addresses: Sequence[Address], known: KnownElections, network_id: str | None = None
    ) -> None:
        """Without `network_id` the election is that of the first node that answers."""
        self._addresses, self._known, self._network_id = addresses, known, network_id
        self.view: LogView | None = None
        self.not_compared: dict[Address, int] = {}
        """Nodes whose log was not compared in the last look, and the records of the larger log in question.

        No node showed the largest log that was seen, or the one that did would not prove that it continues
        theirs.
        """

    async def look(self) -> list[tuple[Address, Shown]]:
        """What each node shows now, or why it shows nothing; None: no certificate yet.

        Raises:
            NotProven: split-view; not-final, for an election without named nodes.
        """
        # 1. Each is compared with the largest log that was seen before.
        self.not_compared = {}
        found = await ask_each(self._addresses, self._look_at)
        for _, answer in found:
            if isinstance(answer, VotenetError) and answer.code in ("split-view", "not-final"):
                raise answer
        # 2. Those that differ from the largest one now are compared with it, where that was shown.
        logs = [(address, shown) for address, shown in found if isinstance(shown, ShownLog)]
        if logs and self.view is not None:
            best, largest = max(logs, key=lambda pair: pair[1].certificate.size)
            others = [pair for pair in logs if pair[1].certificate[:2] != largest.certificate[:2]]
            left = await self._compare(self.view, best, others) if others else []
            self.not_compared = dict.fromkeys(left, largest.certificate.size)
        # 3. No node shows the largest log that was seen any more.
        seen = None if self.view is None else self.view.newest
        if seen is not None and seen.size > max((shown.certificate.size for _, shown in logs), default=0):
            answering = [address for address, shown in found if not isinstance(shown, VotenetError)]
            self.not_compared = dict.fromkeys(answering, seen.size)
        return found

    async def _look_at(self, node: NodeConnection) -> ShownLog | None:
        election = await fetch_election(node, self._network_id)
        if not election.named:
            raise fault("not-final", f"there is no log to watch: this election is {NEVER_FINAL}")
        if self.view is None:
            self.view, self._network_id = LogView(election, self._known), election.network_hex
        return await self.view.look(node)

    async def _compare(
        self, view: LogView, best: Address, others: Sequence[tuple[Address, ShownLog]]
    ) -> list[Address]:
        """Compare logs with that of the node at `best`. Returns those for which it does not answer."""
        left = dict(others)
        with contextlib.suppress(Unreachable):  # they are compared in the next round
            async with NodeConnection(best, dial_timeout=NODE_DIAL_SECONDS) as node:
                for address, shown in others:
                    await view.check(node, shown.certificate)
                    del left[address]
        return list(left)

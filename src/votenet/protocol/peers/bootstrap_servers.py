"""The bootstrap servers of one node: when to ask each, what each has listed, which ones peers have named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from votenet.protocol.bootstrap.peer_record import DEFAULT_LIFETIME
from votenet.protocol.wire.address import Address

LIST_SECONDS: Final = 30.0
"""Between two requests for the list of a server."""
POLL_WHEN_CUT_OFF_SECONDS: Final = 5.0
"""The same while no link counts: others may have come, or have left for good."""
SERVER_RETRY_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between tries of a server that does not answer."""
RENEW_SECONDS: Final = DEFAULT_LIFETIME / 4
MAX_LEARNT: Final = 4
"""Servers that peers have named, beside the configured ones."""
FORGET_LEARNT_AFTER: Final = 20
"""Failures in a row of such a server."""


class AskBootstrap(NamedTuple):
    """Fetch the list of a server, and register first if so."""

    address: Address
    register: bool


@dataclass(slots=True)
class _Server:
    address: Address
    learnt: bool
    tried_at: float | None = None
    """When its first answer came, or its first failure."""
    asking: bool = False
    failures: int = 0
    answered: bool = False
    listed: frozenset[str] = frozenset()
    last_ask: float = 0.0
    next_ask: float = 0.0
    renew_at: float = 0.0


class BootstrapServers:
    """`now` is monotonic seconds. `polls`: lists are fetched again and again, not only at a renewal."""

    def __init__(self, configured: Iterable[Address], *, polls: bool) -> None:
        self._servers = {str(address): _Server(address, learnt=False) for address in configured}
        self._polls = polls

    def learn(self, address: Address) -> None:
        """Add a server that a peer has named, if there is room."""
        if sum(server.learnt for server in self._servers.values()) < MAX_LEARNT:
            self._servers.setdefault(str(address), _Server(address, learnt=True))

    def due(self, now: float, *, cut_off: bool) -> list[AskBootstrap]:
        """Servers to ask now; each is being asked from then on, until `answered` or `failed`."""
        due: list[AskBootstrap] = []
        for server in self._servers.values():
            soon = (
                cut_off
                and self._polls
                and not server.failures
                and server.last_ask + POLL_WHEN_CUT_OFF_SECONDS <= now
            )
            if not server.asking and (soon or server.next_ask <= now):
                server.asking, server.last_ask = True, now
                due.append(AskBootstrap(server.address, register=server.renew_at <= now))
        return due

    def answered(self, address: Address, registered: bool, nodes: Iterable[str], now: float) -> bool:
        """Note a server's list; whether this is the first answer of a configured server.

        Args:
            registered: the server took our record.
            nodes: listed peers with a key of their own, of this network.
        """
        server = self._servers.get(str(address))
        if server is None:
            return False
        if registered:
            server.renew_at = now + RENEW_SECONDS
        elif server.renew_at <= now:  # it refused our record
            server.renew_at = now + LIST_SECONDS
        first = server.tried_at is None and not server.learnt
        server.tried_at = now if server.tried_at is None else server.tried_at
        server.asking, server.failures, server.answered = False, 0, True
        server.listed = frozenset(nodes)
        server.next_ask = min(now + LIST_SECONDS, server.renew_at) if self._polls else server.renew_at
        return first

    def failed(self, address: Address, now: float) -> bool:
        """Note that a server gave no list; whether this is its first failure in a row."""
        server = self._servers.get(str(address))
        if server is None:
            return False
        server.tried_at = now if server.tried_at is None else server.tried_at
        server.asking = False
        server.failures += 1
        server.renew_at = 0.0  # it may have been set up anew meanwhile
        waits = SERVER_RETRY_SECONDS
        server.next_ask = now + waits[min(server.failures, len(waits)) - 1]
        if server.learnt and server.failures >= FORGET_LEARNT_AFTER:
            del self._servers[str(address)]
        return server.failures == 1

    def is_learnt(self, address: Address) -> bool:
        """Whether only peers have named this server: nobody vouches for it."""
        server = self._servers.get(str(address))
        return server is None or server.learnt

    def known(self) -> list[Address]:
        return [server.address for server in self._servers.values()]

    def answering(self) -> list[Address]:
        """Servers that answered last time: worth telling others."""
        return [s.address for s in self._servers.values() if s.tried_at and not s.failures]

    def all_tried_at(self) -> float | None:
        """When the last configured server was tried first, 0 without any; None before that."""
        times = [server.tried_at for server in self._configured()]
        return None if None in times else max((at for at in times if at is not None), default=0.0)

    def silent(self) -> bool:
        """Whether servers are configured and none has ever answered."""
        configured = self._configured()
        return bool(configured) and not any(server.answered for server in configured)

    def listed(self) -> frozenset[str]:
        """Nodes that the configured servers listed last."""
        return frozenset[str]().union(*(server.listed for server in self._configured()))

    def up_to_date(self) -> bool:
        """Whether a configured server answered when it was last asked."""
        return any(server.answered and not server.failures for server in self._configured())

    def _configured(self) -> list[_Server]:
        return [server for server in self._servers.values() if not server.learnt]

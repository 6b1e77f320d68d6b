"""Facts the bootstrap server must find out before it answers: whose address it is, who is alive.

What lives here: OwnerCheck, AliveCheck (dialling a peer because a stranger asked), bounded in number and
for each address, so that no stranger can make this server wait, or dial others on his behalf. What
must not: what follows from a fact (`protocol/bootstrap.py`), how a peer is dialled (`dialback.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from typing import Final

from votenet.errors import Rejected
from votenet.network.dialback import DialBack
from votenet.network.names import Names
from votenet.protocol.address import Address, network_group, plain_ip
from votenet.protocol.token_bucket import Buckets, TokenBucket

LOOK_UPS_OF_NETWORK: Final = 2
"""Names looked up at one time for clients of one network: whoever names hosts whose DNS servers hang must not
take all look-ups from the others."""
MAX_PROBING: Final = 32
"""Peers dialled at one time."""
PROBES_PER_SECOND: Final = 5.0
"""Probes on strangers' behalf in all, so that this server cannot be used to flood third parties."""
PROBE_BURST: Final = 20.0
PROBES_OF_NETWORK: Final = (0.5, 5.0)
"""Of them for clients of one network, a second and at once."""
PROBE_AGAIN_SECONDS: Final = 5.0
"""One address is not dialled again sooner: at most 0.2 connections a second for any peer."""


class OwnerCheck:
    """Whether a host name resolves to a client's address."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._running: Counter[str] = Counter()

    async def owns(self, client: str, host: str) -> bool:
        """False also when `host` does not resolve in time.

        Raises:
            Rejected: busy, as `Names.look_up`, or when the client's network has us look up others.
        """
        lane = network_group(client) or client
        if self._running[lane] >= LOOK_UPS_OF_NETWORK:
            raise Rejected("busy", "names for your network are being looked up: try again in a few seconds")
        self._running[lane] += 1
        try:
            return plain_ip(client) in map(plain_ip, await self._names.look_up(host))
        finally:
            self._running[lane] -= 1
            if not self._running[lane]:
                del self._running[lane]

    async def exists(self, host: str) -> bool:
        """Whether a host resolves at all, for the operator. Raises Rejected: busy, as `Names.look_up`."""
        return bool(await self._names.look_up(host))


class AliveCheck:
    """Whether a peer answers, or a key does at its address; a bounded number of times."""

    def __init__(
        self,
        dialback: DialBack,
        *,
        again_seconds: float = PROBE_AGAIN_SECONDS,
        bucket: TokenBucket | None = None,
    ) -> None:
        self._dialback, self._again = dialback, again_seconds
        self._bucket = bucket or TokenBucket(PROBES_PER_SECOND, PROBE_BURST)
        self._networks = Buckets(*PROBES_OF_NETWORK)
        self._last: OrderedDict[str, float] = OrderedDict()
        self._running = 0

    async def alive(
        self,
        target: Address,
        *,
        node_key: str | None = None,
        network_id: str | None = None,
        client: str | None = None,
    ) -> bool:
        """Dial, ping, wait for a line of any kind; or, with a key and a network, see them proved.

        Args:
            client: on whose behalf; None for this machine's operator, whom only the number at one time
                holds back.

        Raises:
            Rejected: busy, when this address or too many others were dialled a moment ago.
        """
        now = asyncio.get_running_loop().time()
        name = str(target).lower()
        if client is not None:
            if now - self._last.get(name, -self._again) < self._again:
                raise Rejected("busy", f"{target} was checked a moment ago: try again in a few seconds")
            lane = self._networks.of(network_group(client) or client)
            if lane.wait(now) > 0.0 or not self._bucket.take(now):
                raise Rejected("busy", "too many peers are being checked")
            lane.take(now)
        if self._running >= MAX_PROBING:
            raise Rejected("busy", "too many peers are being checked")
        self._remember(name, now)
        self._running += 1
        try:
            if node_key is None or network_id is None:
                return await self._dialback.answers(target)
            return await self._dialback.holds(target, node_key, network_id)
        finally:
            self._running -= 1

    async def refuses(self, target: Address) -> bool:
        """Whether the machine there says that nobody listens at a port."""
        return await self._dialback.refuses(target)

    def _remember(self, name: str, now: float) -> None:
        self._last[name] = now
        self._last.move_to_end(name)
        while self._last and next(iter(self._last.values())) < now - self._again:
            self._last.popitem(last=False)

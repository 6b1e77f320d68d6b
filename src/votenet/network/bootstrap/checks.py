"""Facts that the bootstrap server finds out before it answers: who owns an address, whether a peer is there.

Every check is bounded in number, in all and for each address and network, so that no client can make this
server wait, or dial others on its behalf.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from cachetools import TTLCache

from votenet.errors import Rejected
from votenet.network.dialback import DialBack
from votenet.network.resolver import LookUpLimit, Names
from votenet.protocol.bootstrap.server_core import AdmissionPolicy, Call, NeedsOwner, NeedsProbe, Probed
from votenet.protocol.wire.address import Address, network_group, plain_ip
from votenet.protocol.wire.token_bucket import Buckets, TokenBucket

LOOK_UPS_OF_NETWORK: Final = 2
"""Names looked up at one time for clients of one network: names whose DNS servers hang must not take all
look-ups from the others."""
MAX_PROBING: Final = 32
"""Peers dialled at one time."""
PROBES_PER_SECOND: Final = 5.0
"""Dials for clients in all, so that this server cannot be used to flood third parties."""
PROBE_BURST: Final = 20.0
PROBES_OF_NETWORK: Final = (0.5, 5.0)
"""Of them for clients of one network, a second and at once."""
MAX_PROBED: Final = 4096
"""Addresses whose last dial is remembered: more than PROBES_PER_SECOND allows in that time."""
MAX_SILENCE_CHECKS: Final = 64
"""At one time: each is one connection."""


class SilenceCheck:
    """Pings keyed peers whose removal a client without the key wants: a busy node is not a dead one.

    A peer is gone when it has not answered in any of `gaps`.

    Args:
        answers: whether anything answers a ping at an address within so many seconds.
        gone: called with the address and the sequence of an entry whose peer was silent all the time.
        answered: called with the address of a peer that was not.
    """

    def __init__(
        self,
        answers: Callable[[Address, float], Awaitable[bool]],
        gone: Callable[[str, int], None],
        answered: Callable[[str], None],
        gaps: Sequence[float],
    ) -> None:
        self._answers, self._gone, self._answered, self._gaps = answers, gone, answered, gaps
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def refusal(self, address: str) -> Rejected | None:
        """The answer to a removal of this address while it is being checked; None if it is not."""
        return self._refusal(address) if address in self._tasks else None

    def begin(self, address: str, target: Address, sequence: int) -> Rejected:
        """Ping on after a first ping in vain; the answer to the removal.

        Raises:
            Rejected: busy, when too many peers are being checked.
        """
        if address not in self._tasks:
            if len(self._tasks) >= MAX_SILENCE_CHECKS:
                raise Rejected("busy", "too many peers are being checked")
            task = asyncio.get_running_loop().create_task(self._ping_on(address, target, sequence))
            self._tasks[address] = task
            task.add_done_callback(lambda _: self._tasks.pop(address, None))
        return self._refusal(address)

    def end(self) -> None:
        """Stop without a result: the server stops."""
        for task in list(self._tasks.values()):
            task.cancel()

    def _refusal(self, address: str) -> Rejected:
        return Rejected(
            "being-checked",
            f"{address} has a key and does not answer now: it is asked for {sum(self._gaps):.0f} s"
            " and removed if it stays silent",
        )

    async def _ping_on(self, address: str, target: Address, sequence: int) -> None:
        loop = asyncio.get_running_loop()
        for gap in self._gaps:
            until = loop.time() + gap
            try:
                if await self._answers(target, gap):
                    self._answered(address)
                    return
            except Rejected:  # this server is busy: that says nothing about the peer
                self._answered(address)
                return
            await asyncio.sleep(max(until - loop.time(), 0.0))
        self._gone(address, sequence)


class FactFinder:
    """Finds out the facts that calls need. `gone` and `answered` are as in SilenceCheck."""

    def __init__(
        self,
        names: Names,
        dialback: DialBack,
        policy: AdmissionPolicy,
        *,
        gone: Callable[[str, int], None],
        answered: Callable[[str], None],
    ) -> None:
        self._names, self._dialback, self._trusts = names, dialback, policy.trusts
        self.silence = SilenceCheck(dialback.answers, gone, answered, policy.silence_gaps)
        self._bucket = TokenBucket(PROBES_PER_SECOND, PROBE_BURST)
        self._networks = Buckets(*PROBES_OF_NETWORK)
        self._recent: TTLCache[str, None] = TTLCache(MAX_PROBED, policy.check_again_seconds)
        self._probing = 0

    async def find_out(self, call: Call, need: NeedsOwner | NeedsProbe) -> Call:
        """The call with the fact. Raises Rejected: being-checked, or busy."""
        if isinstance(need, NeedsProbe):
            return call._replace(probed=Probed(need.sequence, await self._is_alive(call, need)))
        if self._trusts(call.client):  # the operator's host only has to exist
            return call._replace(owner=bool(await self._names.look_up(need.host)))
        return call._replace(owner=await self._owns(call.client, need.host))

    async def _owns(self, client: str, host: str) -> bool:
        """Whether a host name resolves to a client's address, in time."""
        limit = LookUpLimit(network_group(client) or client, LOOK_UPS_OF_NETWORK)
        return plain_ip(client) in map(plain_ip, await self._names.look_up(host, (limit,)))

    async def _is_alive(self, call: Call, need: NeedsProbe) -> bool:
        """Whether a peer answers, or a key does. A silent one to be removed may be busy: it is pinged on."""
        trusted, address, removal = self._trusts(call.client), call.request.address, need.node_key is None
        refusal = self.silence.refusal(address) if removal else None
        if refusal is not None:
            raise refusal
        alive = await self._probe(need, None if trusted else call.client)
        if removal and not alive and not (trusted and await self._dialback.refuses(need.target)):
            raise self.silence.begin(address, need.target, need.sequence)
        return alive

    async def _probe(self, need: NeedsProbe, client: str | None) -> bool:
        """Whether a ping is answered with a line; with a key and a network: whether they are proved.

        The operator, None, is only bound by MAX_PROBING.
        """
        if client is not None:
            self._charge(need.target, client)
        if self._probing >= MAX_PROBING:
            raise Rejected("busy", "too many peers are being checked")
        self._recent[str(need.target).lower()] = None
        self._probing += 1
        try:
            if need.node_key is None or need.network_id is None:
                return await self._dialback.answers(need.target)
            return await self._dialback.holds(need.target, need.node_key, need.network_id)
        finally:
            self._probing -= 1

    def _charge(self, target: Address, client: str) -> None:
        now = asyncio.get_running_loop().time()
        if str(target).lower() in self._recent:
            raise Rejected("busy", f"{target} was checked a moment ago: try again in a few seconds")
        lane = self._networks.of(network_group(client) or client)
        if lane.wait(now) > 0.0 or not self._bucket.take(now):
            raise Rejected("busy", "too many peers are being checked")
        lane.take(now)

"""Facts the bootstrap server must find out before it answers: whose address it is, who is alive.

What lives here: Names (resolution), OwnerCheck, AliveCheck (dialling a peer), each bounded in time, in
number and per address, so that no stranger can make this server wait, or dial others on his behalf.
What must not: what follows from a fact (`protocol/bootstrap.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.network.transport import Link, LinkHandler, LinkLimits, connect
from votenet.protocol.address import Address
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.token_bucket import TokenBucket

RESOLVE_SECONDS: Final = 3.0
"""Time for a name; a client waits 10 s for its answer."""
MAX_RESOLVING: Final = 16
"""Names looked up at one time, each in a thread of its own (the system's resolver blocks)."""
NAME_CACHE_SECONDS: Final = 30.0
"""How long a name's addresses are believed: spares the DNS server the renewals of one peer."""
NAME_CACHE_ENTRIES: Final = 4096

PROBE_DIAL_SECONDS: Final = 2.0
PROBE_ANSWER_SECONDS: Final = 1.0
"""A healthy node answers a ping within milliseconds, even while it mines."""
MAX_PROBING: Final = 32
"""Peers dialled at one time."""
PROBES_PER_SECOND: Final = 5.0
"""Probes on strangers' behalf in all, so that this server cannot be used to flood third parties."""
PROBE_BURST: Final = 20.0
PROBE_AGAIN_SECONDS: Final = 5.0
"""One address is not dialled again sooner: at most 0.2 connections a second for any peer."""

PING: Final = b'{"type":"ping"}'


Resolve = Callable[[str], list[str]]


def resolve_host(host: str) -> list[str]:
    """The IP addresses of a name, from the system's resolver. Blocks. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Names:
    """Name resolution that can neither block the loop nor hold up the end of the program."""

    def __init__(self, resolve: Resolve = resolve_host, *, seconds: float = RESOLVE_SECONDS) -> None:
        self._resolve, self._seconds = resolve, seconds
        self._known: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()
        self._running = 0

    async def look_up(self, host: str) -> tuple[str, ...]:
        """IP addresses of a host name (or of an IP address: itself); none when it has none, or in time.

        Raises:
            Rejected: busy, when too many look-ups hang already.
        """
        if plain_ip(host) is not None:
            return (host,)
        name = host.lower()
        now = asyncio.get_running_loop().time()
        known = self._known.get(name)
        if known is not None and known[0] > now:
            return known[1]
        found = await self._ask(host)
        self._known[name] = (now + NAME_CACHE_SECONDS, found)
        self._known.move_to_end(name)
        if len(self._known) > NAME_CACHE_ENTRIES:
            self._known.popitem(last=False)
        return found

    async def _ask(self, host: str) -> tuple[str, ...]:
        if self._running >= MAX_RESOLVING:
            raise Rejected("busy", "too many names are being looked up")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        # A daemon thread, not the executor: a resolver that hangs must not hold up the end of the program.
        try:
            threading.Thread(target=self._work, args=(loop, answer, host), daemon=True, name="names").start()
        except RuntimeError as error:  # the system has no thread left
            raise Rejected("busy", "no name can be looked up now") from error
        self._running += 1
        try:
            async with asyncio.timeout(self._seconds):
                return tuple(dict.fromkeys(await answer))
        except TimeoutError:
            return ()

    def _work(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[str]], host: str) -> None:
        try:
            found = self._resolve(host)
        except (OSError, UnicodeError):
            found = []

        def hand_over() -> None:
            self._running -= 1
            if not answer.done():
                answer.set_result(found)

        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(hand_over)


async def dial(
    names: Names, handler: LinkHandler, address: Address, limits: LinkLimits, *, timeout: float
) -> Link:
    """Connect to the first of a peer's IP addresses that takes the connection; `timeout` is for all.

    Raises:
        Unreachable: none did, or it has none.
        Rejected: busy, as `Names.look_up`.
    """
    try:
        async with asyncio.timeout(timeout):
            for host in await names.look_up(address.host):
                with contextlib.suppress(Unreachable):
                    return await connect(handler, Address(host, address.port), limits, timeout=timeout)
    except TimeoutError as error:
        raise Unreachable(f"{address} did not answer within {timeout:g} s") from error
    raise Unreachable(f"{address} cannot be reached")


class OwnerCheck:
    """Whether a host name resolves to a client's address."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def owns(self, client: str, host: str) -> bool:
        """False also when `host` does not resolve in time. Raises Rejected: busy, as `Names.look_up`."""
        found = await self._names.look_up(host)
        return plain_ip(client) in map(plain_ip, found)


class AliveCheck:
    """Whether a peer answers a ping on a fresh connection."""

    def __init__(
        self,
        names: Names,
        *,
        dial_seconds: float = PROBE_DIAL_SECONDS,
        answer_seconds: float = PROBE_ANSWER_SECONDS,
        again_seconds: float = PROBE_AGAIN_SECONDS,
        bucket: TokenBucket | None = None,
    ) -> None:
        self._names = names
        self._dial, self._answer, self._again = dial_seconds, answer_seconds, again_seconds
        self._bucket = bucket or TokenBucket(PROBES_PER_SECOND, PROBE_BURST)
        self._last: OrderedDict[str, float] = OrderedDict()
        self._running = 0

    async def alive(self, address: Address, *, trusted: bool = False) -> bool:
        """Dial, send a ping, wait for a line of any kind.

        Args:
            trusted: asked for by this machine's operator, whom only the limit per address and the
                number at one time hold back.

        Raises:
            Rejected: busy, when this address or too many others were dialled a moment ago.
        """
        now = asyncio.get_running_loop().time()
        name = str(address).lower()
        if not trusted:
            if now - self._last.get(name, -self._again) < self._again:
                raise Rejected("busy", f"{address} was checked a moment ago: try again in a few seconds")
            if not self._bucket.take(now):
                raise Rejected("busy", "too many peers are being checked")
        if self._running >= MAX_PROBING:
            raise Rejected("busy", "too many peers are being checked")
        self._remember(name, now)
        self._running += 1
        try:
            return await self._ping(address)
        finally:
            self._running -= 1

    def _remember(self, name: str, now: float) -> None:
        self._last[name] = now
        self._last.move_to_end(name)
        while self._last and next(iter(self._last.values())) < now - self._again:
            self._last.popitem(last=False)

    async def _ping(self, address: Address) -> bool:
        first = _FirstLine()
        limits = LinkLimits(max_line=MAX_PEER_LINE, idle=self._answer + 1.0)
        try:
            link = await dial(self._names, first, address, limits, timeout=self._dial)
        except Unreachable:
            return False
        try:
            link.send_line(PING)
            async with asyncio.timeout(self._answer):
                return await first.came
        except TimeoutError:
            return False
        finally:
            link.abort()


class _FirstLine:
    """LinkHandler: `came` is True with the first line, False when the link ends without one."""

    def __init__(self) -> None:
        self.came: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        if not self.came.done():
            self.came.set_result(True)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        if not self.came.done():
            self.came.set_result(False)


def plain_ip(text: str) -> str | None:
    """One spelling for an IP address (no zone, no IPv4 in IPv6 clothes); None for a name."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)

"""Names into addresses, connections by name, and the lines that come over them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cachetools import TTLCache

from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.network.link_limits import LinkLimits
from votenet.network.transport import Link, LinkHandler, connect
from votenet.protocol.wire.address import Address, plain_ip

RESOLVE_SECONDS: Final = 3.0
"""Time for a name; a client waits 10 s for its answer."""
MAX_RESOLVING: Final = 32
"""Names looked up at one time, each in a thread of its own (the system's resolver blocks)."""
NAME_CACHE_SECONDS: Final = 30.0
"""How long a name's addresses are reused: spares the DNS server the renewals of one peer."""
NAME_CACHE_ENTRIES: Final = 4096


class LookUpLimit(NamedTuple):
    """At most `most` look-ups at one time count for `lane`.

    One counts until its thread ends: the system's resolver may go on long after the caller has given up.
    """

    lane: str
    most: int


Resolve = Callable[[str], list[str]]


def resolve_host(host: str) -> list[str]:
    """The IP addresses of a name, from the system's resolver. Blocks. Raises OSError."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Names:
    """Name resolution that can neither block the loop nor hold up the end of the program."""

    def __init__(self, resolve: Resolve = resolve_host, *, seconds: float = RESOLVE_SECONDS) -> None:
        self._resolve, self._seconds = resolve, seconds
        self._known: TTLCache[str, tuple[str, ...]] = TTLCache(NAME_CACHE_ENTRIES, NAME_CACHE_SECONDS)
        self._running = 0
        self._lanes: Counter[str] = Counter()
        """Of the look-ups that run, those that count for a lane."""

    async def look_up(self, host: str, limits: Sequence[LookUpLimit] = ()) -> tuple[str, ...]:
        """IP addresses of a host name (or of an IP address: itself); empty without one, or after a timeout.

        Args:
            limits: of the lanes that this look-up counts for.

        Raises:
            Rejected: busy, when too many look-ups hang already, in all or in a lane.
        """
        if plain_ip(host) is not None:
            return (host,)
        addresses = self._known.get(host.lower())
        if addresses is None:
            addresses = self._known[host.lower()] = await self._ask(host, limits)
        return addresses

    async def _ask(self, host: str, limits: Sequence[LookUpLimit]) -> tuple[str, ...]:
        if self._running >= MAX_RESOLVING or any(self._lanes[lane] >= most for lane, most in limits):
            raise Rejected("busy", "too many names are being looked up")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        # A daemon thread, not the executor: a resolver that hangs must not hold up the end of the program.
        try:
            threading.Thread(
                target=self._work, args=(loop, answer, host, limits), daemon=True, name="names"
            ).start()
        except RuntimeError as error:  # the system has no thread left
            raise Rejected("busy", "no name can be looked up now") from error
        self._running += 1
        self._lanes.update(lane for lane, _ in limits)
        try:
            async with asyncio.timeout(self._seconds):
                return tuple(dict.fromkeys(await answer))
        except TimeoutError:
            return ()

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        answer: asyncio.Future[list[str]],
        host: str,
        limits: Sequence[LookUpLimit],
    ) -> None:
        try:
            addresses = self._resolve(host)
        except (OSError, UnicodeError):
            addresses = []

        def hand_over() -> None:
            self._running -= 1
            for lane, _ in limits:
                self._lanes[lane] -= 1
                if not self._lanes[lane]:
                    del self._lanes[lane]
            if not answer.done():
                answer.set_result(addresses)

        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(hand_over)


async def dial(
    names: Names,
    handler: LinkHandler,
    address: Address,
    limits: LinkLimits,
    *,
    timeout: float,
    look_up_limits: Sequence[LookUpLimit] = (),
) -> Link:
    """Connect to the first of a peer's IP addresses that takes the connection; `timeout` is for all.

    Raises:
        Unreachable: none did, or it has none.
        Rejected: busy, as `Names.look_up`.
    """
    try:
        async with asyncio.timeout(timeout):
            for host in await names.look_up(address.host, look_up_limits):
                with contextlib.suppress(Unreachable):
                    there = Address(host, address.port)
                    return await connect(handler, there, limits, timeout=timeout, asked=address)
    except TimeoutError as error:
        raise Unreachable(f"{address} did not answer within {timeout:g} s") from error
    raise Unreachable(f"{address} cannot be reached")


class LineQueue:
    """LinkHandler whose lines are awaited one by one. `reason`: the error that ended the link."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.reason: VotenetError | None = None
        self.closed = asyncio.Event()

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        self._lines.put_nowait(line)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self.reason = reason
        self._lines.put_nowait(None)
        self.closed.set()

    async def next(self, timeout: float) -> bytes | None:
        """The next line; None at the end of the link. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            return await self._lines.get()

    async def abort(self, link: Link) -> None:
        """Close the link at once, and wait until it is closed."""
        link.abort()
        await self.closed.wait()

"""Names into addresses, and connections by name, bounded in time and number.

What lives here: Names (resolution beside the event loop, with a cache), `dial`. What must not: what is
said on a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from votenet.errors import Rejected, Unreachable
from votenet.network.transport import Link, LinkHandler, LinkLimits, connect
from votenet.protocol.address import Address, plain_ip

RESOLVE_SECONDS: Final = 3.0
"""Time for a name; a client waits 10 s for its answer."""
MAX_RESOLVING: Final = 32
"""Names looked up at one time, each in a thread of its own (the system's resolver blocks)."""
NAME_CACHE_SECONDS: Final = 30.0
"""How long a name's addresses are believed: spares the DNS server the renewals of one peer."""
NAME_CACHE_ENTRIES: Final = 4096

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
                    there = Address(host, address.port)
                    return await connect(handler, there, limits, timeout=timeout, asked=address)
    except TimeoutError as error:
        raise Unreachable(f"{address} did not answer within {timeout:g} s") from error
    raise Unreachable(f"{address} cannot be reached")

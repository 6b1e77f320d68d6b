"""Telling registered peers who joined and who left, without ever waiting for a dead one.

What lives here: a bounded queue, a fixed number of workers, the line of the chapter on a fresh
connection to each peer. What must not: who is to be told (`BootstrapCore.audience`).

A notice is a hint: peers check it, and find out by polling and from each other what they missed. So
under a flood of joins notices are dropped and counted, never the registrations themselves.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.network.checks import Names, dial
from votenet.network.transport import Link, LinkLimits
from votenet.protocol.address import parse_address
from votenet.protocol.bootstrap import Notice
from votenet.protocol.bootstrap_messages import encode_notice
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.token_bucket import TokenBucket

WORKERS: Final = 32
"""Connections for notices at one time: 32 dead peers stop the others for one DIAL_SECONDS at most."""
MAX_QUEUED: Final = 4096
"""Lines waiting to be told, under 1 MB: 64 peers that join at once all hear of each other (2,016)."""
DIAL_SECONDS: Final = 2.0
"""A peer that does not take a connection in this time is dead or too far away to be told."""
FAREWELL_SECONDS: Final = 2.0
"""Time a peer has to take the line and close, before the connection is cut."""
DIALS_PER_SECOND: Final = 500.0
"""Keeps a flood of joins from taking the processor away from the registrations themselves."""
DIAL_BURST: Final = 1000.0
AVOID_SECONDS: Final = 60.0
"""A peer whose dial timed out is passed over for this long: it holds a worker for 2 s each time."""
MAX_AVOIDED: Final = 10_000

Audience = Callable[[Notice], list[str]]


class Announcer:
    """Queue and workers. `told`, `failed`, `dropped` count lines."""

    def __init__(
        self,
        audience: Audience,
        names: Names,
        *,
        max_queued: int = MAX_QUEUED,
        dial_seconds: float = DIAL_SECONDS,
    ) -> None:
        self._audience, self._names, self._dial = audience, names, dial_seconds
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(max_queued)
        self._bucket = TokenBucket(DIALS_PER_SECOND, DIAL_BURST)
        self._avoid: OrderedDict[str, float] = OrderedDict()
        self.told = self.failed = self.dropped = 0

    def announce(self, notice: Notice) -> None:
        """Queue one notice for all who should hear it; returns at once."""
        if self._queue.full():  # do not even ask for the audience: a flood costs nothing more
            self.dropped += 1
            return
        line = encode_notice(notice.kind, notice.address)
        for address in self._audience(notice):
            if self._queue.full():
                self.dropped += 1
                return
            self._queue.put_nowait((address, line))

    async def work(self) -> None:
        """One worker; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            address, line = await self._queue.get()
            await asyncio.sleep(self._bucket.reserve(loop.time()))
            if self._avoid.get(address, 0.0) > loop.time():
                self.failed += 1
                continue
            if await self._tell(address, line):
                self.told += 1
                self._avoid.pop(address, None)
            else:
                self.failed += 1

    async def _tell(self, address: str, line: bytes) -> bool:
        loop = asyncio.get_running_loop()
        goodbye = _Goodbye()
        started = loop.time()
        limits = LinkLimits(max_line=MAX_PEER_LINE, idle=FAREWELL_SECONDS)
        try:
            link = await dial(self._names, goodbye, parse_address(address), limits, timeout=self._dial)
        except (Unreachable, Rejected):
            if loop.time() - started >= self._dial / 2:  # refused at once costs nothing: only silence does
                self._avoid_for_a_while(address, loop.time())
            return False
        link.close(line)
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await goodbye.gone.wait()
        except TimeoutError:
            self._avoid_for_a_while(address, loop.time())
        finally:
            link.abort()
        return True

    def _avoid_for_a_while(self, address: str, now: float) -> None:
        self._avoid[address] = now + AVOID_SECONDS
        while len(self._avoid) > MAX_AVOIDED:
            self._avoid.popitem(last=False)


class _Goodbye:
    """LinkHandler of a link on which nothing is awaited but its end."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        return None

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self.gone.set()

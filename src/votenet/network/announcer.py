"""Telling registered peers who joined and who left, without ever waiting for a dead one.

What lives here: a bounded queue, a fixed number of workers, the lines of the chapter on a connection to
each peer, tries again with back-off. What must not: who is to be told (`BootstrapCore.audience`).

A notice is a hint: peers check it, and find out by polling and from each other what they missed. So
under a flood of joins notices are dropped and counted, never the registrations themselves. A keyed
peer is sent all that waits for it on one connection; the chapter's peers read one line of each.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.network.names import Names, dial
from votenet.network.transport import Link, LinkLimits
from votenet.protocol.bootstrap_messages import encode_notice
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.registry import Notice, PeerEntry
from votenet.protocol.token_bucket import TokenBucket

WORKERS: Final = 32
"""Connections for notices at one time: 32 dead peers stop the others for one DIAL_SECONDS at most."""
MAX_QUEUED: Final = 4096
"""Lines waiting to be told, under 1 MB: 64 peers that join at once all hear of each other (2,016)."""
MAX_QUEUED_EACH: Final = 64
"""Of them for one peer: who is behind by more finds out by polling."""
DIAL_SECONDS: Final = 2.0
"""A peer that does not take a connection in this time is dead or too far away to be told."""
FAREWELL_SECONDS: Final = 2.0
"""Time a peer has to take the lines and close, before the connection is cut."""
DIALS_PER_SECOND: Final = 200.0
"""Keeps a flood of joins from taking the processor away from the registrations themselves."""
DIAL_BURST: Final = 2.0
"""Each dial takes some 0.3 ms of the loop: answers must not wait behind many of them."""
RETRY_SECONDS: Final = (1.0, 4.0)
"""Waits between tries. The chapter's peer registers before it listens: the first may come too early."""
AVOID_SECONDS: Final = 60.0
"""A peer that took no connection in all tries is passed over for this long; upkeep looks after it."""
MAX_AVOIDED: Final = 10_000

Audience = Callable[[Notice], list[PeerEntry]]


@dataclass(slots=True)
class _Post:
    """What waits for one peer."""

    entry: PeerEntry
    lines: list[bytes] = field(default_factory=list)
    tries: int = 0


class Announcer:
    """Queue and workers. `lines` counts them as `told`, `failed`, `dropped`.

    Args:
        unreachable: called with the address of a peer that took no connection in all tries.
    """

    def __init__(
        self,
        audience: Audience,
        names: Names,
        *,
        unreachable: Callable[[str], None] = lambda address: None,
        max_queued: int = MAX_QUEUED,
        dial_seconds: float = DIAL_SECONDS,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        lines: Counter[str] | None = None,
    ) -> None:
        self._audience, self._names, self._unreachable = audience, names, unreachable
        self._max_queued, self._dial, self._retry = max_queued, dial_seconds, retry_seconds
        self._posts: dict[str, _Post] = {}
        self._queued = 0
        self._ready: deque[_Post] = deque()
        self._wake = asyncio.Semaphore(0)
        self._bucket = TokenBucket(DIALS_PER_SECOND, DIAL_BURST)
        self._avoid: OrderedDict[str, float] = OrderedDict()
        self.lines: Counter[str] = Counter() if lines is None else lines

    def announce(self, notice: Notice) -> None:
        """Queue one notice for all who should hear it; returns at once."""
        if self._queued >= self._max_queued:  # do not even ask for the audience: a flood costs nothing more
            self.lines["dropped"] += 1
            return
        line = encode_notice(notice.kind, notice.address)
        for entry in self._audience(notice):
            if self._queued >= self._max_queued:
                self.lines["dropped"] += 1
                return
            self._queue(entry, line)

    def _queue(self, entry: PeerEntry, line: bytes) -> None:
        post = self._posts.get(entry.address)
        if post is None:
            post = self._posts[entry.address] = _Post(entry)
            self._make_ready(post)
        if len(post.lines) >= MAX_QUEUED_EACH:
            self.lines["dropped"] += 1
            return
        post.lines.append(line)
        self._queued += 1

    def _make_ready(self, post: _Post) -> None:
        self._ready.append(post)
        self._wake.release()

    async def work(self) -> None:
        """One worker; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.acquire()
            post = self._ready.popleft()
            if self._avoid.get(post.entry.address, 0.0) > loop.time():
                self._give_up(post)
                continue
            await asyncio.sleep(self._bucket.reserve(loop.time()))
            some = len(post.lines) if post.entry.node_key is not None else 1
            if await self._tell(post.entry, b"\n".join(post.lines[:some])):
                self._told(post, some)
            elif post.tries < len(self._retry):
                loop.call_later(self._retry[post.tries], self._make_ready, post)
                post.tries += 1
            else:
                self._avoid_for_a_while(post.entry.address, loop.time())
                self._give_up(post)
                self._unreachable(post.entry.address)

    def _told(self, post: _Post, number: int) -> None:
        del post.lines[:number]
        post.tries = 0
        self.lines["told"] += number
        self._queued -= number
        if post.lines:
            self._make_ready(post)
        else:
            del self._posts[post.entry.address]

    def _give_up(self, post: _Post) -> None:
        self.lines["failed"] += len(post.lines)
        self._queued -= len(post.lines)
        del self._posts[post.entry.address]

    async def _tell(self, entry: PeerEntry, lines: bytes) -> bool:
        goodbye = _Goodbye()
        limits = LinkLimits(max_line=MAX_PEER_LINE, idle=FAREWELL_SECONDS)
        try:
            link = await dial(self._names, goodbye, entry.target, limits, timeout=self._dial)
        except (Unreachable, Rejected):
            return False
        link.close(lines)
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await goodbye.gone.wait()
        except TimeoutError:
            pass  # it has the lines, or it is very slow: either way it costs no more time
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

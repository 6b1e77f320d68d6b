"""Tells registered peers who joined and who left: a bounded queue, and workers that try again with back-off.

A notice is a hint: peers check it, and learn of missed ones by polling and from each other. So under a flood
of joins notices are dropped and counted, never the registrations themselves. A keyed peer is sent all
that waits for it on one connection; reference nodes read one line of each connection.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cachetools import TTLCache

from votenet.errors import Rejected, Unreachable
from votenet.network.link_limits import LinkLimits
from votenet.network.resolver import LineQueue, Names, dial
from votenet.protocol.bootstrap.bootstrap_messages import encode_notice
from votenet.protocol.bootstrap.registry import Notice, PeerEntry
from votenet.protocol.wire.framing import MAX_PEER_LINE
from votenet.protocol.wire.token_bucket import TokenBucket

NOTICE_WORKERS: Final = 32
"""Connections at one time: 32 dead peers stop the others for one NOTICE_DIAL_SECONDS at most."""
MAX_QUEUED: Final = 4096
"""Lines that wait, under 1 MB: 64 peers that join at once all learn of each other (2,016)."""
MAX_QUEUED_EACH: Final = 64
"""Of them for one peer: a peer that is behind by more finds out by polling."""
NOTICE_DIAL_SECONDS: Final = 2.0
"""A peer that does not take a connection in this time is dead or too far away."""
FAREWELL_SECONDS: Final = 2.0
"""Time a peer has to take the lines and close, before the connection is cut."""
DIALS_PER_SECOND: Final = 200.0
"""Keeps a flood of joins from taking the processor away from the registrations themselves."""
DIAL_BURST: Final = 2.0
"""Each dial takes some 0.3 ms of the loop: answers must not wait behind many of them."""
NOTICE_RETRY_SECONDS: Final = (1.0, 4.0)
"""Waits between tries. A reference node registers before it listens: the first may come too early."""
AVOID_SECONDS: Final = 60.0
"""A peer that took no connection in all tries is skipped for this long; the liveness checker looks at it."""
MAX_AVOIDED: Final = 10_000

Audience = Callable[[Notice], list[PeerEntry]]


@dataclass(slots=True)
class _Mailbox:
    """Lines that wait for one peer."""

    entry: PeerEntry
    lines: list[bytes] = field(default_factory=list)
    tries: int = 0


class NoticeSender:
    """Queue and workers. `lines` counts them as `told`, `failed`, `dropped`.

    Args:
        audience: the peers that a notice is for.
        unreachable: called with the address of a peer that took no connection in all tries.
    """

    def __init__(
        self,
        audience: Audience,
        names: Names,
        *,
        unreachable: Callable[[str], None] = lambda address: None,
        max_queued: int = MAX_QUEUED,
        dial_seconds: float = NOTICE_DIAL_SECONDS,
        retry_seconds: tuple[float, ...] = NOTICE_RETRY_SECONDS,
        lines: Counter[str] | None = None,
    ) -> None:
        self._audience, self._names, self._unreachable = audience, names, unreachable
        self._max_queued, self._dial, self._retry = max_queued, dial_seconds, retry_seconds
        self._mailboxes: dict[str, _Mailbox] = {}
        self._queued = 0
        self._ready: asyncio.Queue[_Mailbox] = asyncio.Queue()
        self._bucket = TokenBucket(DIALS_PER_SECOND, DIAL_BURST)
        self._avoided: TTLCache[str, None] = TTLCache(MAX_AVOIDED, AVOID_SECONDS)
        self.lines: Counter[str] = Counter() if lines is None else lines

    def announce(self, notice: Notice) -> None:
        """Queue a notice for its audience; returns at once."""
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
        mailbox = self._mailboxes.get(entry.address)
        if mailbox is None:
            mailbox = self._mailboxes[entry.address] = _Mailbox(entry)
            self._ready.put_nowait(mailbox)
        if len(mailbox.lines) >= MAX_QUEUED_EACH:
            self.lines["dropped"] += 1
            return
        mailbox.lines.append(line)
        self._queued += 1

    async def work(self) -> None:
        """One worker; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            mailbox = await self._ready.get()
            address = mailbox.entry.address
            if address in self._avoided:
                self._give_up(mailbox)
                continue
            await asyncio.sleep(self._bucket.reserve(loop.time()))
            some = len(mailbox.lines) if mailbox.entry.node_key is not None else 1
            if await self._send(mailbox.entry, b"\n".join(mailbox.lines[:some])):
                self._told(mailbox, some)
            elif mailbox.tries < len(self._retry):
                loop.call_later(self._retry[mailbox.tries], self._ready.put_nowait, mailbox)
                mailbox.tries += 1
            else:
                self._avoided[address] = None
                self._give_up(mailbox)
                self._unreachable(address)

    def _told(self, mailbox: _Mailbox, number: int) -> None:
        del mailbox.lines[:number]
        mailbox.tries = 0
        self.lines["told"] += number
        self._queued -= number
        if mailbox.lines:
            self._ready.put_nowait(mailbox)
        else:
            del self._mailboxes[mailbox.entry.address]

    def _give_up(self, mailbox: _Mailbox) -> None:
        self.lines["failed"] += len(mailbox.lines)
        self._queued -= len(mailbox.lines)
        del self._mailboxes[mailbox.entry.address]

    async def _send(self, entry: PeerEntry, lines: bytes) -> bool:
        lines_back = LineQueue()
        limits = LinkLimits(max_line=MAX_PEER_LINE, idle=FAREWELL_SECONDS)
        try:
            link = await dial(self._names, lines_back, entry.target, limits, timeout=self._dial)
        except (Unreachable, Rejected):
            return False
        link.close(lines)
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await lines_back.closed.wait()
        except TimeoutError:
            pass  # it has the lines, or it is very slow: either way it costs no more time
        finally:
            link.abort()
        return True

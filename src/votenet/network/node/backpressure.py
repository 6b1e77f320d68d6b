"""When a link is read: its lines must be judged before it may send more.

A link is paused while too many of its lines wait for the core or are being checked, or while it, or its
address, has sent more than its share. The links of one address take turns at being read.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from votenet.network.transport import Link
from votenet.protocol.wire.connection import Connection
from votenet.protocol.wire.framing import MAX_CLIENT_LINE, MAX_PEER_LINE
from votenet.protocol.wire.message import LinkRole
from votenet.protocol.wire.token_bucket import TokenBucket

MAX_HELD: Final = 2 * MAX_CLIENT_LINE
MAX_HELD_OF_PEER: Final = 2 * MAX_PEER_LINE
"""Bytes of lines of one link that wait for the core or are being checked, before it is paused."""
MAX_HELD_OF_ADDRESS: Final = 8 * MAX_CLIENT_LINE
"""The same of all links of an address, closed ones too."""
MEMORY_FACTOR: Final = 3
"""Bytes of memory for each byte of a line that waits or is being checked: its votes are objects."""
MAX_PENDING: Final = 64
"""Messages of a peer's link that wait for the core before the link is paused."""
MAX_PENDING_OF_STRANGER: Final = 8
"""The same for a client's link."""
MAX_PENDING_OF_ADDRESS: Final = 64
"""Messages of all links of an address that wait for the core, before its links take turns at being read."""
MAX_JOBS: Final = 4
"""Lines of one link that are being checked: each may hold 1,000 votes, 60 ms of work."""


@dataclass(slots=True)
class OpenLink:
    """One open link and what it has sent that is not judged yet."""

    link: Link
    connection: Connection
    heard: float
    units: TokenBucket
    bytes: TokenBucket
    crowd: str
    """Its address; on this machine the link itself."""
    dialled: str = ""
    confirmed: str = ""
    """Where its key was seen to answer when the address in its hello was dialled back."""
    since: float = 0.0
    """When it became a peer."""
    pending: deque[int] = field(default_factory=deque)
    """Sizes of the lines whose messages wait for the core, in order."""
    jobs: int = 0
    held: int = 0
    """Bytes of lines that wait for the core or are being checked."""
    idle_until: float = 0.0
    """The link is not read before: it has sent more than its share."""
    doubted_until: float | None = None
    """It is said to have left: it must be heard of by then. None once it was."""
    max_pending: int = MAX_PENDING_OF_STRANGER
    max_held: int = MAX_HELD
    paused: bool = False
    misbehaved: bool = False

    @property
    def is_peer(self) -> bool:
        return self.connection.role is LinkRole.PEER

    @property
    def memory(self) -> int:
        """Bytes, roughly."""
        return MEMORY_FACTOR * self.held + self.link.held


class Backpressure:
    """Pauses and resumes the links of one node. `links` are the open ones, by id."""

    def __init__(self, links: dict[int, OpenLink], clock: Callable[[], float]) -> None:
        self._open, self._clock = links, clock
        self._closed: dict[int, OpenLink] = {}
        """Links that closed while lines of theirs wait, or are being checked."""
        self._held: Counter[str] = Counter()
        """Bytes of such lines by crowd."""
        self._pending: Counter[str] = Counter()
        """Messages that wait for the core by crowd."""
        self._turns: dict[str, dict[int, OpenLink]] = {}
        """Links that are paused, by crowd, in the order in which they are next."""
        self.some_wait = False
        """Whether a link may be paused: it must be looked at soon."""

    @property
    def is_idle(self) -> bool:
        """Whether no line waits and none is being checked."""
        return not (self._closed or self._held or self._pending)

    def of(self, link_id: int) -> OpenLink | None:
        """A link that is open, or has closed with something unjudged."""
        return self._open.get(link_id) or self._closed.get(link_id)

    def received(self, link: OpenLink, size: int) -> None:
        """A message in a line of `size` bytes waits for the core."""
        link.pending.append(size)
        self._pending[link.crowd] += 1
        self._hold(link, size)

    def stepped(self, link_id: int, jobs: int = 0) -> int:
        """The core has taken one message of this link, or left it: the bytes of its line.

        `jobs`: how many checks of this link's lines came of it. Each holds that many bytes until `job_done`.
        """
        link = self.of(link_id)
        if link is None or not link.pending:
            return 0
        size = link.pending.popleft()
        self._pending[link.crowd] -= 1
        if not self._pending[link.crowd]:
            del self._pending[link.crowd]
        link.jobs += jobs
        if jobs:
            self._hold(link, size * (jobs - 1))
        else:
            self._release(link, size)
        self._next_turn(link.crowd)
        return size

    def job_started(self, link_id: int, size: int = 0) -> None:
        """A line of `size` bytes is being checked."""
        link = self.of(link_id)
        if link is not None:
            link.jobs += 1
            self._hold(link, size)

    def job_done(self, link_id: int, size: int = 0) -> None:
        link = self.of(link_id)
        if link is not None:
            link.jobs -= 1
            self._release(link, size)

    def wait(self, link: OpenLink, *seconds: float) -> None:
        """Read no more of a link for the longest of these times."""
        longest = max(seconds)
        if longest > 0.0:
            link.idle_until = max(link.idle_until, self._clock() + longest)
            self._pause(link)

    def closed(self, link: OpenLink) -> bool:
        """A link has closed; whether something that it sent is not judged yet."""
        self._forget_turn(link)
        unjudged = bool(link.pending or link.jobs)
        if unjudged:
            self._closed[link.link.id] = link
        return unjudged

    def clear(self) -> None:
        """The core starts over: nothing that waited for it waits any more."""
        for link in self._open.values():
            link.pending.clear()
            link.held = link.jobs = 0
        self._closed.clear()
        self._held.clear()
        self._pending.clear()
        self._turns.clear()

    def resume(self, link: OpenLink) -> None:
        """Read a paused link again if it may be: half of every limit is free, so that it does not flutter."""
        if (
            link.paused
            and len(link.pending) <= link.max_pending // 2
            and link.jobs < MAX_JOBS
            and link.held <= link.max_held // 2
            and self._held[link.crowd] <= MAX_HELD_OF_ADDRESS // 2
            and link.idle_until <= self._clock()
        ):
            if self._pending[link.crowd] > MAX_PENDING_OF_ADDRESS // 2:
                self._turns.setdefault(link.crowd, {}).setdefault(link.link.id, link)
                return
            link.paused = False
            link.link.resume()

    def _pause(self, link: OpenLink) -> None:
        if not link.paused and (
            len(link.pending) > link.max_pending
            or link.jobs >= MAX_JOBS
            or link.held > link.max_held
            or self._held[link.crowd] > MAX_HELD_OF_ADDRESS
            or link.idle_until > self._clock()
            or self._pending[link.crowd] > MAX_PENDING_OF_ADDRESS
        ):
            link.paused = self.some_wait = True
            link.link.pause()
            self._turns.setdefault(link.crowd, {})[link.link.id] = link

    def _hold(self, link: OpenLink, size: int) -> None:
        """A line waits: for the core, or for its check. Its link, or all of its address, may have to wait."""
        link.held += size
        before = self._held[link.crowd]
        self._held[link.crowd] = before + size
        self._pause(link)
        if before <= MAX_HELD_OF_ADDRESS < before + size:
            for other in self._of_crowd(link.crowd):
                self._pause(other)

    def _release(self, link: OpenLink, size: int) -> None:
        link.held -= size
        before = self._held[link.crowd]
        left = self._held[link.crowd] = before - size
        if not left:
            del self._held[link.crowd]
        if not link.pending and not link.jobs:
            self._closed.pop(link.link.id, None)
        self.resume(link)
        if left <= MAX_HELD_OF_ADDRESS // 2 < before:
            for other in self._of_crowd(link.crowd):
                self.resume(other)

    def _of_crowd(self, crowd: str) -> list[OpenLink]:
        return [link for link in self._open.values() if link.crowd == crowd]

    def _next_turn(self, crowd: str) -> None:
        """Of the paused links of an address, the next is read again."""
        turns = self._turns.get(crowd)
        if not turns or self._pending[crowd] > MAX_PENDING_OF_ADDRESS // 2:
            return
        link = next(iter(turns.values()))
        self._forget_turn(link)
        self.resume(link)

    def _forget_turn(self, link: OpenLink) -> None:
        turns = self._turns.get(link.crowd, {})
        turns.pop(link.link.id, None)
        if not turns:
            self._turns.pop(link.crowd, None)

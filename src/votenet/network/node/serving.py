"""Questions whose answers are read from the disk: addresses take turns, closed links get none.

A turn is one dear answer, or many cheap ones: a node that catches up gets more than one small block for each
long chain that another address asks for. One answer is worked out at a time. A link whose last long line is
not handed to its socket yet has no turn, so that at most one long answer of a link is in memory; nor has a
link of an address with READERS such links.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from votenet.errors import RemoteProtocolError, StorageError
from votenet.network.node.links import LinkTable
from votenet.protocol.node.events import Served
from votenet.protocol.wire.fair_queue import FairQueue
from votenet.protocol.wire.limits import BLOCK_UNITS, BYTES_READ_IN_UNIT, sent_units
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import MAX_BLOCKS_ASKED, NoBlock
from votenet.storage.blocks.block_store import BlockStore

MAX_QUESTIONS: Final = 8 * MAX_BLOCKS_ASKED
"""Questions of one link that wait: twice what a node that catches up asks one other for."""
TURN_UNITS: Final = 100.0
"""An address has its turn until its answers have cost this much: a hundredth of a second."""
READERS: Final = 4
"""Links of one address that may have a long line under way at one time."""

log = logging.getLogger("votenet.serving")

Work = Callable[[], Served]


@dataclass(slots=True, eq=False)
class _Asked:
    link: int
    lane: str
    begin: Callable[[], Work]
    key: Hashable
    last: bool
    counted: bool
    """Whether the link is not read while too many of these wait. Not a peer's: two nodes that answer each
    other would wait for each other. What keeps votes counts always: no node sends that to a peer."""
    size: int


class Serving:
    """Made and called in the event loop; `executor` has one thread."""

    def __init__(self, links: LinkTable, executor: Executor) -> None:
        self._links, self._executor = links, executor
        self._queue: FairQueue[_Asked] = FairQueue()
        self._held: dict[int, deque[_Asked]] = {}
        """Questions of links that have a line to read first."""
        self._waiting: Counter[int] = Counter()
        self._keys: set[tuple[int, Hashable]] = set()
        self._reading: dict[int, str] = {}
        """Links with a long line under way, and their lanes."""
        self._busy = False
        self._turn, self._spent = "", 0.0
        """The lane whose turn it is, and what its answers have cost in this turn."""
        self._generation = 0
        links.drained = self._drained

    def ask(
        self, link: int, begin: Callable[[], Work], key: Hashable = None, *, last: bool = False, size: int = 0
    ) -> None:
        """Answer a link when it is its turn.

        Args:
            key: of two questions of one link with the same key, only the first is answered if it still waits.
            last: the link is closed behind the answer.
            size: bytes of votes that are kept until then. They count as a line that is being checked.
        """
        if not self._links.is_open(link) or (key is not None and (link, key) in self._keys):
            return
        if self._waiting[link] >= MAX_QUESTIONS:
            self._links.refuse(
                link, RemoteProtocolError("rate-limited", "too many questions wait for answers")
            )
            return
        self._waiting[link] += 1
        if key is not None:
            self._keys.add((link, key))
        counted = size > 0 or not self._links.is_peer(link)
        asked = _Asked(link, self._links.crowd(link), begin, key, last, counted, size)
        if counted:
            self._links.backpressure.job_started(link, size)
        self._queue.put(asked.lane, asked)
        self._go_on()

    def clear(self) -> None:
        """The core starts over: nothing that was asked of it is answered."""
        self._queue.clear()
        self._held.clear()
        self._waiting.clear()
        self._keys.clear()
        self._generation += 1

    @property
    def reading(self) -> bool:
        """Whether an answer is being worked out, or the next one has its turn."""
        return self._busy or bool(self._queue)

    @property
    def idle(self) -> bool:
        """Whether no question waits and none is being read."""
        return not (self._busy or self._waiting or self._keys)

    # -- inside --------------------------------------------------------------------------------

    def _go_on(self) -> None:
        while self._queue and not self._busy:
            asked = self._queue.get()
            if not self._links.is_open(asked.link):
                self._done(asked)
            elif asked.link in self._reading:
                self._held.setdefault(asked.link, deque()).append(asked)
            elif sum(lane == asked.lane for lane in self._reading.values()) >= READERS:
                self._queue.hold(asked.lane, asked)
            else:
                self._begin(asked)

    def _begin(self, asked: _Asked) -> None:
        try:
            work = asked.begin()
        except RemoteProtocolError as error:
            self._done(asked)
            self._links.refuse(asked.link, error)
            return
        if asked.lane != self._turn:
            self._turn, self._spent = asked.lane, 0.0
        self._busy = True
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        generation = self._generation
        future.add_done_callback(lambda done: self._finish(asked, generation, done))

    def _finish(self, asked: _Asked, generation: int, future: asyncio.Future[Served]) -> None:
        try:
            if generation == self._generation:
                self._done(asked)  # may take further questions of the link: they wait
                self._answer(asked, future)
        finally:  # not at once: a link that turned out to be gone is heard of first
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._busy = False
        self._go_on()

    def _answer(self, asked: _Asked, future: asyncio.Future[Served]) -> None:
        try:
            served = future.result()
        except StorageError as error:
            log.error("cannot answer: %s", error.message)
            self._links.refuse(asked.link, RemoteProtocolError("storage-failed", error.message))
            return
        if asked.last:
            self._links.send_last(asked.link, served.line)
        else:
            self._links.send(asked.link, served.line)
        units = served.units + sent_units(len(served.line))
        self._links.charge(asked.link, units)
        self._go_on_with(asked.lane, units)
        if self._links.is_sending(asked.link):
            self._reading[asked.link] = asked.lane

    def _go_on_with(self, lane: str, units: float) -> None:
        """Give a lane the next turn, too, until its answers have cost TURN_UNITS."""
        self._spent += max(units, BLOCK_UNITS)
        if self._spent < TURN_UNITS:
            self._queue.stay(lane)
        else:
            self._spent = 0.0

    def _done(self, asked: _Asked) -> None:
        if asked.counted:
            self._links.backpressure.job_done(asked.link, asked.size)
        self._waiting[asked.link] -= 1
        if not self._waiting[asked.link]:
            del self._waiting[asked.link]
        self._keys.discard((asked.link, asked.key))

    def _drained(self, link: int) -> None:
        """The link has handed its lines to the socket, or is gone: it and its address have turns again."""
        lane = self._reading.pop(link, None)
        if lane is None:
            return
        for asked in self._held.pop(link, ()):
            self._queue.put(asked.lane, asked)
        self._queue.release(lane)
        self._go_on()


def read_block(store: BlockStore, block_hash: bytes) -> Served:
    """The line that carries a saved block, or the answer that it is not here. Raises StorageCorrupt."""
    line = store.block_line(block_hash)
    if line is None:
        return Served(encode_message(NoBlock(hash=block_hash.hex())))
    return Served(line, len(line) / BYTES_READ_IN_UNIT)

"""Faults on a node's links, made on purpose: cut off from some peers, slow to all.

A cut is a pulled cable, not a lost message. TCP keeps sending what was not acknowledged, so bytes wait on
both sides and arrive in order when the cable is back, unless one side has given the other up meanwhile.
Neither side is told of the cut; a dial gets no answer. A user who can write into the data folder has the
node's key already: the file needs no other protection.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from votenet.errors import Unreachable
from votenet.network.transport import Link
from votenet.protocol.wire.address import Address

LINK_FAULTS_FILE: Final = "link-faults.json"
MAX_FILE: Final = 64 * 1024
"""The addresses of 64 nodes are below 4 KiB."""
MAX_DELAY: Final = 60.0
"""Seconds; a longer one is a cut, since silent peers are given up."""
MAX_DELAYED: Final = 1024 * 1024
"""Bytes that are on their way in before no more are read."""
CUT_POLL_SECONDS: Final = 0.05

log = logging.getLogger("votenet.links")


class LinkFaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with a node's links: the addresses it is cut off from; seconds each way for a line."""

    cut: tuple[str, ...] = ()
    delay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.delay <= MAX_DELAY:
            raise ValueError(f"`delay` must be from 0 to {MAX_DELAY:g} s")

    def __bool__(self) -> bool:
        return bool(self.cut or self.delay)

    def __str__(self) -> str:
        cut = f"cut off from {', '.join(self.cut)}" if self.cut else ""
        slow = f"slowed by {self.delay * 1000:g} ms" if self.delay else ""
        return "; ".join(filter(None, (cut, slow))) or "whole"


def encode(faults: LinkFaults) -> bytes:
    """The content of the file; the same faults give the same bytes."""
    return msgspec.json.encode(faults)


def decode(data: bytes) -> LinkFaults:
    """Raises ValueError."""
    return msgspec.json.decode(data, type=LinkFaults)


def read(path: Path) -> LinkFaults:
    """The faults that a file asks for; none if there is no file. Raises ValueError, OSError."""
    try:
        with path.open("rb") as file:
            return decode(file.read(MAX_FILE))
    except FileNotFoundError:
        return LinkFaults()


class Wire(asyncio.Transport, asyncio.Protocol):
    """Between a link and its socket: to the link it is the transport, to the socket the protocol."""

    def __init__(self, socket: asyncio.Transport, link: asyncio.Protocol) -> None:
        super().__init__()
        self._socket, self._link = socket, link
        self._loop = asyncio.get_running_loop()
        self._cut, self._delay = False, 0.0
        self._outward, self._inward = _Pipe(), _Pipe()
        self._wants_input = socket.is_reading()
        self._timer: asyncio.TimerHandle | None = None
        socket.set_protocol(self)

    def set(self, *, cut: bool, delay: float) -> None:
        """Set the faults from now on, also for lines under way."""
        self._cut, self._delay = cut, delay
        for pipe in (self._outward, self._inward):
            pipe.hasten(self._loop.time() + delay)
        self._flow()

    # -- what the link calls -------------------------------------------------------------------

    def write(self, data: Any) -> None:
        self._pass(self._outward, functools.partial(self._socket.write, bytes(data)), len(data))

    def write_eof(self) -> None:
        self._pass(self._outward, self._socket.write_eof)

    def can_write_eof(self) -> bool:
        return self._socket.can_write_eof()

    def close(self) -> None:
        self._pass(self._outward, self._socket.close)

    def abort(self) -> None:
        self._drop()
        self._socket.abort()

    def is_closing(self) -> bool:
        return self._socket.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._socket.get_write_buffer_size() + self._outward.size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def is_reading(self) -> bool:
        return self._wants_input

    def pause_reading(self) -> None:
        self._wants_input = False
        self._set_reading()

    def resume_reading(self) -> None:
        self._wants_input = True
        self._set_reading()

    # -- what the socket calls -----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._pass(self._inward, functools.partial(self._link.data_received, data), len(data))
        self._set_reading()

    def eof_received(self) -> bool:
        self._pass(self._inward, self._end_of_input)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop()
        self._link.connection_lost(exc)

    def pause_writing(self) -> None:
        self._link.pause_writing()

    def resume_writing(self) -> None:
        self._link.resume_writing()

    # -- inside --------------------------------------------------------------------------------

    def _pass(self, pipe: _Pipe, deliver: Callable[[], object], size: int = 0) -> None:
        pipe.put(self._loop.time() + self._delay, deliver, size)
        self._flow()

    def _flow(self) -> None:
        """Deliver lines that are due, unless the wire is cut; call again for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._cut:
            self._set_reading()
            return
        for pipe in (self._outward, self._inward):
            pipe.flow(self._loop.time())
        self._set_reading()
        dues = [pipe.due for pipe in (self._outward, self._inward) if pipe.due is not None]
        if dues and self._timer is None:
            self._timer = self._loop.call_at(min(dues), self._flow)

    def _set_reading(self) -> None:
        if self._wants_input and not self._cut and self._inward.size < MAX_DELAYED:
            self._socket.resume_reading()
        else:
            self._socket.pause_reading()

    def _end_of_input(self) -> None:
        if not self._link.eof_received():
            self.close()

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._outward.clear()
        self._inward.clear()


class _Pipe:
    """Lines under way in one direction, in order."""

    def __init__(self) -> None:
        self._queue: deque[tuple[float, Callable[[], object], int]] = deque()
        self._flowing = False
        self.size = 0

    @property
    def due(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def put(self, due: float, deliver: Callable[[], object], size: int) -> None:
        self._queue.append((due, deliver, size))
        self.size += size

    def hasten(self, limit: float) -> None:
        """Nothing is due later than this."""
        self._queue = deque((min(due, limit), deliver, size) for due, deliver, size in self._queue)

    def clear(self) -> None:
        self._queue.clear()
        self.size = 0

    def flow(self, now: float) -> None:
        """Deliver lines that are due. Lines that these cause wait for their turn."""
        if self._flowing:
            return
        self._flowing = True
        try:
            while self._queue and self._queue[0][0] <= now:
                _, deliver, size = self._queue.popleft()
                self.size -= size
                deliver()
        finally:
            self._flowing = False


class Faults:
    """The faults of one node as its file says now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._wires: dict[int, Wire] = {}
        self.now = LinkFaults()

    def look(self) -> bool:
        """Read the file if it is another one; whether that changed anything. A broken one changes nothing."""
        try:
            stat = os.stat(self._path)
        except OSError:
            seen = None
        else:
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return False
        self._seen, before = seen, self.now
        try:
            self.now = read(self._path)
        except (OSError, ValueError, RecursionError) as error:
            log.error("%s is not followed: %s", self._path, error)
        if self.now == before:
            return False
        log.warning("links, as asked: %s", self.now)
        return True

    def apply(self, peers: Iterable[tuple[Link, set[str]]]) -> None:
        """Make the links as the file says.

        Args:
            peers: every link to a peer, with the known addresses of that peer.
        """
        if not self.now and not self._wires:
            return
        cut, wires = set(self.now.cut), {}
        for link, addresses in peers:
            is_cut = bool(addresses & cut)
            wire = self._wires.get(link.id)
            if wire is None and (is_cut or self.now.delay):
                wire = link.insert(Wire)
            if wire is not None:
                wire.set(cut=is_cut, delay=self.now.delay)
                wires[link.id] = wire
        self._wires = wires

    async def passable(self, address: Address, seconds: float) -> None:
        """Wait while a cut keeps a dial from being answered.

        Raises:
            Unreachable: it was not healed in so many seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while str(address) in self.now.cut:
            if loop.time() >= deadline:
                raise Unreachable(f"{address} did not answer within {seconds:g} s")
            await asyncio.sleep(CUT_POLL_SECONDS)

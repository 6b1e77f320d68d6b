"""TCP connections that carry lines, with every limit on a stranger's socket in one place.

A Link never raises into the event loop and never holds more than its limits allow: whatever
breaks it ends in one error line, a bounded farewell and `LinkHandler.link_closed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from votenet.errors import RemoteProtocolError, Unreachable, VotenetError
from votenet.network.link_limits import READ_AT_ONCE, LinkLimits
from votenet.protocol.wire.address import Address, plain_ip
from votenet.protocol.wire.framing import LineReader

LINGER_SECONDS: Final = 1.0
"""How long a closed link still reads (and drops) input, so that the last answer is not cut by a reset."""
LINGER_BYTES: Final = 1024 * 1024
"""How much it reads meanwhile; a flood is cut off."""
PIECE: Final = 256 * 1024
"""Bytes of a line that are handed to the socket at a time: asyncio copies what the socket does not take. The
rest of a long line stays as it is, once for all links that it is sent to."""
PIECES_AT_ONCE: Final = 2
"""Pieces before the loop does something else: copying a megabyte to the kernel takes nearly a millisecond."""


class LinkHandler(Protocol):
    """What the owner of links is told, always from the event loop."""

    def link_opened(self, link: Link) -> None: ...

    def line_received(self, link: Link, line: bytes) -> None: ...

    def link_closed(self, link: Link, reason: VotenetError | None) -> None: ...


W = TypeVar("W", bound=asyncio.Transport)

_link_ids = itertools.count(1)


class Link(asyncio.Protocol):
    """One TCP connection. `id` is unique in this process; `host`, `port` are the other side's.

    `local` is our own end, `host:port`; `dialled` how the other one was dialled: as it is written, and the IP
    address that this led to (empty where we were dialled). `bytes_sent` and `bytes_received` count everything
    that goes through it.
    """

    def __init__(
        self,
        handler: LinkHandler,
        limits: LinkLimits,
        *,
        outbound: bool = False,
        asked: Address | None = None,
        admit: Callable[[Link], VotenetError | None] | None = None,
        released: Callable[[Link], None] | None = None,
        moved: Callable[[int], None] | None = None,
    ) -> None:
        self.id = next(_link_ids)
        self.handler = handler
        self.limits = limits
        self.outbound = outbound
        self.host, self.port = "", 0
        self.local = ""
        self.dialled: tuple[str, ...] = () if asked is None else (str(asked),)
        self.bytes_sent = self.bytes_received = 0
        self._admit, self._released, self._moved = admit, released, moved
        self._reader = LineReader(limits.max_line)
        self._reason: VotenetError | None = None
        self._opened = self._closing = self._paused = self._ended = False
        self._unread_since: float | None = None
        self._patience_ends = 0.0
        """With the reader of a long line that is the last one."""
        self._lines = 0
        self._owed = 0
        self._lingered = 0
        self._queued: deque[memoryview] = deque()
        """What is to be sent and was not handed to the socket, because that has enough."""
        self._queued_bytes = 0
        self._socket_full = self._goes_on = False
        self._unread = limits.unread
        self.drained: Callable[[], None] | None = None
        """Called when all of a line that had to wait is handed to the socket."""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._loop: asyncio.AbstractEventLoop

    # -- what the owner calls ------------------------------------------------------------------

    def send_line(self, line: bytes) -> None:
        """Send one line (without its newline). Silently dropped once the link is closing."""
        if self._closing or not self._opened:
            return
        self.bytes_sent += len(line) + 1
        if not self._queued and len(line) < PIECE:
            self._transport.write(line + b"\n")
        else:
            self._queued += (memoryview(line), memoryview(b"\n"))
            self._queued_bytes += len(line) + 1
            self._pump()
        if self.unsent > self.limits.max_unsent:
            self._reason = RemoteProtocolError("slow-reader", "answers are not being read")
            self.abort()
            return
        self._look_at_reader()
        if self._moved is not None:
            self._moved(len(line))

    def expect_answer(self) -> None:
        """A request was taken whose answer comes later: a half-closed link waits for it."""
        self._owed += 1

    def answer(self, line: bytes) -> None:
        """Send the answer to a request that `expect_answer` announced."""
        self._owed -= 1
        self.send_line(line)
        if self._ended and self._owed <= 0:
            self.close()

    def close(self, final_line: bytes | None = None) -> None:
        """Send the queue and `final_line`, say goodbye, close. Safe to call twice."""
        if self._closing or not self._opened:
            return
        if final_line is not None:
            self.send_line(final_line)
        if self._closing:  # the final line was one too many for a slow reader
            return
        self._closing = True
        self._cancel_timer()
        if self._queued:  # a long line: its reader has as long as others have to read theirs
            self._patience_ends = self._loop.time() + self.limits.unread_seconds
            self._timer = self._loop.call_later(self.limits.unread_seconds, self.abort)
        else:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Everything is handed to the socket: end our half."""
        self._cancel_timer()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._end_farewell)
        if self._ended:
            self._transport.close()
        else:
            if self._transport.can_write_eof():
                with contextlib.suppress(OSError):  # reset by a client that never waits for its answer
                    self._transport.write_eof()
            self._transport.resume_reading()

    def _end_farewell(self) -> None:
        """Close, unless a slow reader has yet to take the end of a long line, which asyncio holds."""
        if self._transport.get_write_buffer_size() and self._loop.time() < self._patience_ends:
            self._timer = self._loop.call_later(LINGER_SECONDS, self._end_farewell)
        else:
            self.abort()

    def refuse(self, error: VotenetError) -> None:
        """Close with the one error line that the protocol promises."""
        if self._reason is None:
            self._reason = _without_frames(error)
        self.close(error_line(error))

    def evict(self, error: VotenetError) -> None:
        """As `refuse`, but the socket and all memory are free at once; the error line may get lost."""
        if self._reason is None:
            self._reason = _without_frames(error)
        self.send_line(error_line(error))
        self.abort()

    def abort(self) -> None:
        """Close at once; unsent lines are lost."""
        self._closing = True
        self._cancel_timer()
        self._forget()  # frees the memory now: an unfinished line may be long
        if self._opened:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading and handing out lines until `resume`: back-pressure on the sender."""
        if not self._paused and not self._closing:
            self._paused = True
            self._transport.pause_reading()  # may be paused already: asyncio does not mind

    def resume(self) -> None:
        """Go on, first with lines that had already arrived."""
        if self._paused and not self._closing:
            self._paused = False
            self._go_on()

    def allow_lines_of(self, max_line: int) -> None:
        """Raise the line limit, once the other side has shown who it is: a peer, that both asks and tells."""
        self._reader.max_line = max_line
        _read_at_once(self._transport, READ_AT_ONCE)
        self._unread = None
        self._look_at_reader()

    def insert(self, wire: Callable[[asyncio.Transport, Link], W]) -> W:
        """Put something between this link and its socket (`link_faults.py`)."""
        self._transport = inserted = wire(self._transport, self)
        return inserted

    @property
    def closing(self) -> bool:
        # A write may have found that the other side is gone.
        return self._closing or (self._opened and self._transport.is_closing())

    @property
    def unsent(self) -> int:
        """Bytes of lines that were sent, but not yet taken by the kernel."""
        return self._queued_bytes + self._transport.get_write_buffer_size() if self._opened else 0

    @property
    def sending(self) -> bool:
        """Whether part of a line was not handed to the socket yet."""
        return bool(self._queued)

    @property
    def held(self) -> int:
        """Bytes that wait here: of a line that is not whole, or was not handed out, and unsent ones."""
        return self._reader.pending + self.unsent

    @property
    def owes(self) -> bool:
        """Whether an answer that was announced is still to come."""
        return self._owed > 0

    # -- what asyncio calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        peer = transport.get_extra_info("peername") or ("", 0)
        host = str(peer[0])
        self.host, self.port = (plain_ip(host) or host if host.startswith("::ffff:") else host), int(peer[1])
        own = transport.get_extra_info("sockname") or ("", 0)
        self.local = str(Address(plain_ip(str(own[0])) or str(own[0]), int(own[1])))
        if self.dialled:
            there = str(Address(plain_ip(self.host) or self.host, self.port))
            self.dialled = tuple(dict.fromkeys((*self.dialled, there)))
        self._opened = True
        self._last_activity = self._loop.time()
        refusal = None if self._admit is None else self._admit(self)
        if refusal is not None:
            self._released = None
            self.handler = _NoHandler()
            self.refuse(refusal)
            return
        _read_at_once(transport, self.limits.at_once)
        enough = PIECE if self._unread is None else min(PIECE, self._unread)
        transport.set_write_buffer_limits(high=enough, low=enough // 2)
        self._watch()
        self.handler.link_opened(self)

    def data_received(self, data: bytes) -> None:
        self.bytes_received += len(data)
        if self._closing:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self.abort()
            return
        if self._reader.pending == 0:
            self._last_activity = self._loop.time()
        self._reader.feed(data)
        self._hand_out()
        if self._moved is not None:
            self._moved(len(data))

    def pause_writing(self) -> None:
        self._socket_full = True

    def resume_writing(self) -> None:
        self._socket_full = False
        self._write_soon()  # not from inside asyncio's writing: what is handed out may be answered at once

    def _write_soon(self) -> None:
        if not self._goes_on:
            self._goes_on = True
            self._loop.call_soon(self._write_on)

    def _write_on(self) -> None:
        self._goes_on = False
        self._pump()
        self._look_at_reader()

    def _pump(self) -> None:
        """Hand to the socket what waits, until it has enough; a part of it now, the rest soon."""
        if not self._queued:
            return
        for _ in range(PIECES_AT_ONCE):
            if self._socket_full or not self._queued:
                break
            line = self._queued.popleft()
            if len(line) > PIECE:
                self._queued.appendleft(line[PIECE:])
                line = line[:PIECE]
            self._queued_bytes -= len(line)
            self._transport.write(line)
        if self._queued:
            if not self._socket_full:
                self._write_soon()
        elif self._closing:
            self._say_goodbye()
        elif self.drained is not None:
            self._loop.call_soon(self.drained)

    def _look_at_reader(self) -> None:
        """While the other side reads more slowly than it asks, what it asks waits until it has read."""
        slow = self._unread_since is not None
        if self._unread is not None and self.unsent > (self._unread // 2 if slow else self._unread):
            if not slow:
                self._unread_since = self._loop.time()
                if not self._closing:
                    self._transport.pause_reading()
                    self._watch()
        elif slow:
            self._unread_since = None
            if not self._paused and not self._closing:
                self._loop.call_soon(self._go_on)

    def _forget(self) -> None:
        self._reader.clear()
        self._queued.clear()
        self._queued_bytes = 0

    def eof_received(self) -> bool:
        """Keep our half open: a client that has sent its last request still wants the answer."""
        if self._closing:
            return False
        self._ended = True
        if not self._stopped:
            self._after_end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._cancel_timer()
        self._forget()
        if self._released is not None:
            self._released(self)
        if self._reason is None and exc is not None:
            self._reason = Unreachable(f"the connection to {self.host}:{self.port} broke: {exc}")
        self.handler.link_closed(self, self._reason)

    # -- inside --------------------------------------------------------------------------------

    @property
    def _stopped(self) -> bool:
        """No line is handed out now: the owner, or a reader that does not read, has us wait."""
        return self._paused or self._unread_since is not None

    def _go_on(self) -> None:
        if self._stopped or self._closing:
            return
        self._hand_out()
        if self._ended:
            self._after_end()
        elif not self._stopped and not self._closing:
            self._transport.resume_reading()

    def _hand_out(self) -> None:
        while not self._closing and not self._stopped:
            try:
                line = self._reader.next_line()
            except RemoteProtocolError as error:
                self.refuse(error)
                return
            if line is None:
                return
            self._lines += 1
            self._last_activity = self._loop.time()
            self.handler.line_received(self, line)

    def _after_end(self) -> None:
        """The other side has sent its last byte: answer its open questions, then close."""
        if self._stopped or self._closing:
            return
        try:
            self._reader.finish()
        except RemoteProtocolError as error:
            self.refuse(error)
            return
        if self._owed <= 0:
            self.close()
        else:
            self._watch(self.limits.partial_line)

    def _watch(self, delay: float | None = None) -> None:
        """One timer a link, re-armed lazily: activity only notes the time."""
        self._cancel_timer()
        due = self._deadline() - self._loop.time() if delay is None else delay
        self._timer = self._loop.call_later(max(due, 0.0), self._check_deadline)

    def _deadline(self) -> float:
        if self._unread_since is not None:
            return self._unread_since + self.limits.unread_seconds
        if self._lines == 0 and not self.outbound:
            return self._last_activity + self.limits.first_line
        if self._reader.pending and not self._paused:
            return self._last_activity + self.limits.partial_line
        return self._last_activity + self.limits.idle

    def _check_deadline(self) -> None:
        if self._closing:
            return
        if self._ended and self._unread_since is None:
            self.close()
        elif self._loop.time() >= self._deadline():
            if self._unread_since is not None:
                self.evict(RemoteProtocolError("slow-reader", "answers are not being read"))
                return
            self.refuse(RemoteProtocolError("idle-timeout", "nothing came for too long"))
        else:
            # Look again soon: a line that begins later has a nearer deadline than an idle link.
            self._watch(min(self._deadline() - self._loop.time(), self.limits.partial_line))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _read_at_once(transport: asyncio.Transport, size: int) -> None:
    """The limit is an attribute of asyncio's transports for sockets; others have none."""
    if hasattr(transport, "max_size"):
        transport.max_size = size


def _without_frames(error: VotenetError) -> VotenetError:
    """An error that is kept: its traceback would keep the line that was refused, and the link, in a cycle."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


class _NoHandler:
    """Handler of links that were never admitted."""

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        return None

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        return None


async def connect(
    handler: LinkHandler,
    address: Address,
    limits: LinkLimits,
    *,
    timeout: float = 10.0,
    asked: Address | None = None,
) -> Link:
    """Dial a peer. Raises Unreachable after `timeout` seconds or when it is refused.

    `asked`: the address that was asked for, where a name was looked up before.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            _, link = await loop.create_connection(
                lambda: Link(handler, limits, outbound=True, asked=asked or address),
                address.host,
                address.port,
            )
    except TimeoutError as error:
        raise Unreachable(f"{address} did not answer within {timeout:g} s") from error
    except OSError as error:
        raise Unreachable(f"{address} cannot be reached: {error.strerror or error}") from error
    except UnicodeError as error:
        raise Unreachable(f"{address} cannot be reached: {address.host!r} is no host's name") from error
    return link


def error_line(error: VotenetError) -> bytes:
    """`{"error":{"code":…,"message":…}}`, the only form in which a refusal leaves this process."""
    return json.dumps({"error": error.as_dict()}, separators=(",", ":"), ensure_ascii=False).encode()

"""What is left of a connection whose answer is a stream that stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from votenet.web.limits import MAX_HEAD_BYTES, UNREAD_SECONDS

END: Final = b"0\r\n\r\n"
"""The end of an answer in chunks."""


class OpenStream(asyncio.Protocol):
    """One connection, after the head of its answer: it takes the place of the HTTP protocol.

    That protocol with its tasks needs four times the memory, and processor time for each line.

    Args:
        chunked: as the head has told; else the end of the connection ends the answer.
        ended: called once, when the connection is gone.
    """

    __slots__ = ("_chunked", "_ended", "_read", "_unread", "transport")

    def __init__(
        self, transport: asyncio.Transport, *, chunked: bool, ended: Callable[[OpenStream], None]
    ) -> None:
        self.transport, self._chunked, self._ended = transport, chunked, [ended]
        self._read = 0
        self._unread: asyncio.TimerHandle | None = None
        transport.set_write_buffer_limits(1)  # with 0 the one for TLS takes an empty buffer for a full one
        transport.set_protocol(self)
        transport.resume_reading()  # to hear that the reader is gone; asyncio does not mind a second time

    @property
    def is_full(self) -> bool:
        """Whether the reader has not read all yet: it gets no more."""
        return self._unread is not None

    def when_ended(self, call: Callable[[OpenStream], None]) -> None:
        """Call this, too, when the connection is gone."""
        self._ended.append(call)

    def send(self, text: bytes) -> None:
        """Send a part of the answer; nothing happens while the stream is full."""
        if not self.is_full and not self.transport.is_closing():
            self.transport.write(b"%x\r\n%b\r\n" % (len(text), text) if self._chunked else text)

    def shutdown(self) -> None:
        """End the answer: the server stops."""
        if self._chunked and not self.is_full and not self.transport.is_closing():
            self.transport.write(END)
        self.transport.close()

    # -- what asyncio calls ------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Drop it: there is no second answer on this connection."""
        self._read += len(data)
        if self._read > MAX_HEAD_BYTES:
            self.transport.abort()

    def pause_writing(self) -> None:
        if self._unread is None:
            self._unread = asyncio.get_running_loop().call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.resume_writing()
        for call in self._ended:
            call(self)
        self._ended.clear()

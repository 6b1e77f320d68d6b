"""Lines out of bytes: the framing of both ports (one JSON message a line, ended by a newline)."""

from __future__ import annotations

from typing import Final

from votenet.errors import RemoteProtocolError

MAX_BOOTSTRAP_LINE: Final = 4 * 1024
"""Bootstrap requests: an address has at most 262 characters, a signed record about 500 bytes."""
MAX_CLIENT_LINE: Final = 1024 * 1024
"""Requests to a node without hello: 1,000 votes of one choice come to about 450 KB."""
MAX_PEER_LINE: Final = 16 * 1024 * 1024
"""Between peers after hello: the largest block (8 MiB of records) with its envelope, twice over."""


class LineReader:
    """Collects bytes and hands out whole lines; memory is bounded by `max_line` and one read.

    A line over the limit raises as soon as the limit is passed, without waiting for its end.
    """

    __slots__ = ("_buffer", "_searched", "max_line")

    def __init__(self, max_line: int) -> None:
        self.max_line = max_line
        self._buffer = bytearray()
        self._searched = 0  # bytes that are known to hold no newline

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_line(self) -> bytes | None:
        """The next line without its ending (LF or CRLF), or None when more bytes are needed.

        Raises:
            RemoteProtocolError: line-too-long.
        """
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched > self.max_line:
                raise self._too_long()
            return None
        if end > self.max_line:
            raise self._too_long()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line[:-1] if line.endswith(b"\r") else line

    def clear(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def finish(self) -> None:
        """The other side has closed its half.

        Raises:
            RemoteProtocolError: incomplete-line, when bytes without a newline are left.
        """
        if self._buffer:
            raise RemoteProtocolError("incomplete-line", "the connection ended in the middle of a line")

    @property
    def pending(self) -> int:
        """Bytes waiting for their newline."""
        return len(self._buffer)

    def _too_long(self) -> RemoteProtocolError:
        return RemoteProtocolError("line-too-long", f"a line here has at most {self.max_line} bytes")

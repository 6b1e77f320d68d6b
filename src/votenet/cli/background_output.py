"""Output that never waits for its reader, for a program that has something better to do: the supervisor.

A terminal that is stopped (Ctrl-S, a laptop asleep behind ssh) or a pipe that is not read blocks its
writer. A supervisor that waits there restarts nothing. So what is not read in time is left out, with a
line that says so; a reader that is gone (`votenet up | head -1`) is written to no more, and ends nothing:
only INT, TERM and HUP do.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

MAX_UNREAD_BYTES: Final = 256 * 1024
"""Held for a slow reader: some hundred refreshes of the table of a big network. A longer piece goes alone."""
DRAIN_SECONDS: Final = 2.0
"""For the last words, at the end."""


class Writer:
    """Writes to one open file in its own thread.

    Args:
        descriptor: stays open, and is the caller's.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting, self._left_out = bytearray(), 0
        self._changed = threading.Condition()
        self._busy = self._lost = self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"output {descriptor}", daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Take it to be written, or leave it out where too much waits. Never waits itself."""
        with self._changed:
            if self._lost:
                return
            if self._waiting and len(self._waiting) + len(data) > MAX_UNREAD_BYTES:
                self._left_out += data.count(b"\n")
                return
            self._waiting += data
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Give the reader so long for what still waits. Nothing is written once this returns but what the
        kernel has taken already."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while (self._waiting or self._busy or self._left_out) and not self._lost:
                if not self._changed.wait(deadline - time.monotonic()):
                    break
            self._lost = True
            self._waiting.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while data := self._next():
            try:
                self._write(data)
            except OSError:  # its reader is gone, or its disk is full
                self._lost = True
            with self._changed:
                self._busy = False
                if self._lost:
                    self._waiting.clear()
                self._changed.notify_all()

    def _next(self) -> bytes:
        with self._changed:
            while not (self._waiting or self._left_out or self._lost or self._closed):
                self._changed.wait()
            if self._lost:
                return b""
            data = bytes(self._waiting)
            if self._left_out:
                data += b"... %d lines were not shown: they were not read in time\n" % self._left_out
            self._waiting, self._left_out, self._busy = bytearray(), 0, bool(data)
            return data

    def _write(self, data: bytes) -> None:
        while data and not self._lost:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # another program made it non-blocking, for all that share it
                select.select((), (self._descriptor,), (), 1.0)


class BackgroundStream(io.TextIOBase):
    """A text stream in place of stdout or stderr; no call waits, none fails."""

    def __init__(self, stream: Any, writer: Writer) -> None:
        self._stream, self._writer = stream, writer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self._stream.encoding or "utf-8")

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def write(self, text: str, /) -> int:
        self._writer.put(text.encode(self.encoding, self.errors))
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        return int(self._stream.fileno())


@contextlib.contextmanager
def background_output(seconds: float = DRAIN_SECONDS) -> Iterator[None]:
    """While this holds, nothing that is printed can hold up the program."""
    real = sys.stdout, sys.stderr
    writers: list[tuple[os.stat_result, Writer]] = []
    try:
        sys.stdout, sys.stderr = (_in_background(stream, writers) for stream in real)
        yield
    finally:
        sys.stdout, sys.stderr = real
        for _, writer in writers:
            writer.close(seconds)


def _in_background(stream: Any, writers: list[tuple[os.stat_result, Writer]]) -> Any:
    """The same stream where no reader can hold us up: a file on a disk, a test's stream.

    One writer for stdout and stderr, where both are one terminal, keeps their order.
    """
    try:
        stream.flush()
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return stream
    if stat.S_ISREG(found.st_mode):
        return stream
    for status, writer in writers:
        if os.path.samestat(status, found):
            return BackgroundStream(stream, writer)
    try:
        writers.append((found, Writer(stream.fileno())))
    except RuntimeError:  # no thread can be started
        return stream
    return BackgroundStream(stream, writers[-1][1])

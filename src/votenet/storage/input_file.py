"""Files that a command reads: opened once, plain or compressed, a file or a pipe. `-` is standard input.

A pipe gives each byte once: a second opening would lose what the first one read. So the content of a pipe
that is read twice is kept in a temporary file without a name.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import os
import stat
import sys
import tempfile
import zlib
from pathlib import Path
from typing import IO, Final, cast

from votenet.errors import ConfigError

STDIN: Final = Path("-")
READ_ERRORS: Final = (EOFError, OSError, lzma.LZMAError, zlib.error)
"""Errors of reading a stream: a damaged disk, a damaged or cut compressed file."""
_BUFFER: Final = 128 * 1024
_PIECE: Final = 1024 * 1024
_XZ, _GZIP = b"\xfd7zXZ\x00", b"\x1f\x8b"
_UNKNOWN_KINDS: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"PK\x03\x04": "zip"}

_standard_input_taken = False


class InputFile:
    """One input of a command. `stream` gives it from its start, uncompressed, as often as it is called."""

    def __init__(
        self, path: Path, *, again: bool = True, code: str = "bad-file", next_step: str = ""
    ) -> None:
        """Open it.

        Args:
            again: it will be read more than once.
            code, next_step: of the errors raised.

        Raises:
            ConfigError: it cannot be opened.
        """
        self.path, self._code, self._next_step = path, code, next_step
        self.name = "standard input" if path == STDIN else str(path)
        self._fd = -1
        try:
            self._fd = _take_standard_input() if path == STDIN else _open(path)
            status = os.fstat(self._fd)
            self.size: int | None = status.st_size if stat.S_ISREG(status.st_mode) else None
            """Bytes as stored; None of a pipe or a device."""
            self._copy = _nameless() if self.size is None and again else None
        except OSError as error:
            raise self.unusable(f"cannot read {self.name}: {error.strerror or error}") from error
        self._first = os.lseek(self._fd, 0, os.SEEK_CUR) if self.size is not None else 0
        self._copied = self._taken = 0

    def stream(self) -> IO[bytes]:
        """The uncompressed content from its start; reading it may raise READ_ERRORS.

        Raises:
            ConfigError: it cannot be read, or is compressed in an unknown way.
        """
        part = _Part(self)
        raw = io.BufferedReader(part, _BUFFER)
        try:
            head = part.peek(8)
        except OSError as error:
            raise self.unusable(f"cannot read {self.name}: {error.strerror or error}") from error
        for magic, kind in _UNKNOWN_KINDS.items():
            if head.startswith(magic):
                raise self.unusable(f"{self.name} is packed with {kind}: unpack it first, or use xz or gzip")
        if head.startswith(_XZ) or self.path.suffix == ".xz":
            return lzma.LZMAFile(raw, format=lzma.FORMAT_XZ)
        if head.startswith(_GZIP) or self.path.suffix == ".gz":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
        return raw

    def read(self, limit: int) -> bytes:
        """All of it. Raises ConfigError: it cannot be read, or is longer than `limit` bytes."""
        try:
            data = _up_to(self.stream(), limit + 1)
        except READ_ERRORS as error:
            why = getattr(error, "strerror", None) or error
            raise self.unusable(f"cannot read {self.name}: {why}") from error
        if len(data) > limit:
            raise self.unusable(f"{self.name} is longer than {limit:,} bytes")
        return data

    @property
    def position(self) -> int:
        """Bytes taken from the file or the pipe by the stream that is furthest."""
        return self._taken

    @property
    def elsewhere(self) -> Path:
        """A path by which a child of this process, while it runs, reads the same content."""
        if self.size is not None and self.path != STDIN:
            return self.path
        fd = self._fd if self._copy is None else self._copy.fileno()
        return Path(f"/proc/{os.getpid()}/fd/{fd}")

    def unusable(self, message: str) -> ConfigError:
        return ConfigError(message, code=self._code, next_step=self._next_step)

    def close(self) -> None:
        """Safe to call twice."""
        if self._copy is not None:
            self._copy.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        if hasattr(self, "_copy"):
            self.close()

    def take(self, count: int, position: int) -> bytes:
        """Up to `count` bytes from `position` on; for the streams of this input."""
        if self.size is not None:
            data = os.pread(self._fd, count, self._first + position)
        elif self._copy is not None and position < self._copied:
            data = os.pread(self._copy.fileno(), min(count, self._copied - position), position)
        else:
            data = os.read(self._fd, count)
            if self._copy is not None:
                self._keep(data)
        self._taken = max(self._taken, position + len(data))
        return data

    def _keep(self, data: bytes) -> None:
        assert self._copy is not None
        while data:
            try:
                done = os.pwrite(self._copy.fileno(), data, self._copied)
            except OSError as error:
                raise OSError(error.errno, f"no room for a copy: {error.strerror}") from error
            self._copied += done
            data = data[done:]


def _up_to(stream: IO[bytes], most: int) -> bytes:
    """At most so many bytes, read in pieces: for one read Python would allocate them all first."""
    read, left = io.BytesIO(), most  # pieces that are joined would be there twice
    while left and (piece := stream.read(min(left, _PIECE))):
        read.write(piece)
        left -= len(piece)
    return read.getvalue()


class _Part(io.RawIOBase):
    """A stream over an InputFile, with a position of its own."""

    def __init__(self, source: InputFile) -> None:
        self._source, self._position, self._head = source, 0, b""

    def peek(self, count: int) -> bytes:
        """The first bytes, which are read again: a pipe may give them one by one."""
        while len(self._head) < count and (data := self._take(count - len(self._head))):
            self._head += data
        return self._head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)]
        self._head = self._head[len(data) :]
        data = data or self._take(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _take(self, count: int) -> bytes:
        data = self._source.take(count, self._position)
        self._position += len(data)
        return data


def read_input(path: Path, limit: int, *, code: str, next_step: str = "") -> bytes:
    """A small input as a whole. Raises ConfigError as `InputFile.read`."""
    with contextlib.closing(InputFile(path, again=False, code=code, next_step=next_step)) as source:
        return source.read(limit)


def _nameless() -> IO[bytes]:
    """A file without a name, on a disk if there is a folder for it, else in memory."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.memfd_create("input"), "w+b")


def _open(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise IsADirectoryError(0, "it is a folder")
    return fd


def _take_standard_input() -> int:
    global _standard_input_taken
    if _standard_input_taken:
        raise OSError(0, "another file of this command was read from there")
    fd = os.dup(sys.stdin.fileno())
    _standard_input_taken = True
    return fd

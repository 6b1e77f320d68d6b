"""The programs' log files: one per incarnation, a bounded number, each of bounded size.

What lives here: names, opening and closing lines, trimming, reading back. What must not: pipes; a
program writes to its file itself, so that no word is lost when the supervisor dies.

A live log cannot be renamed under its writer, so it is bounded from the other end: the oldest bytes
are given back to the disk (fallocate with a punched hole) while the program goes on appending.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import stat
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from votenet.text import visible

KEEP_INCARNATIONS: Final = 6
"""Enough to see a crash loop from its first crash to its removal."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of one incarnation: days of a node's normal talk; a flood keeps its end."""
SUPERVISOR: Final = "supervisor"
_BLOCK: Final = 64 * 1024
_PUNCH_HOLE: Final = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")


@dataclass(frozen=True, slots=True)
class LogFile:
    """One incarnation's log."""

    name: str
    incarnation: int
    path: Path


def log_path(folder: Path, name: str, incarnation: int) -> Path:
    return folder / f"{name}.{incarnation}.log"


def list_logs(folder: Path, name: str | None = None) -> list[LogFile]:
    """All logs, by program and oldest incarnation first."""
    found = []
    with contextlib.suppress(OSError):
        for path in folder.glob("*.*.log"):
            program, _, number = path.stem.rpartition(".")
            if number.isdecimal() and name in (None, program):
                found.append(LogFile(program, int(number), path))
    return sorted(found, key=lambda log: (_natural(log.name), log.incarnation))


def prune(folder: Path, name: str, keep: int = KEEP_INCARNATIONS) -> None:
    """Remove the oldest logs of a program beyond `keep`."""
    for log in list_logs(folder, name)[:-keep]:
        with contextlib.suppress(OSError):
            log.path.unlink()


def open_for_append(path: Path) -> int:
    """A log's descriptor; never through a link that somebody put in its place. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def note(path: Path, text: str) -> None:
    """Append a line of the supervisor's own to a program's log. A full disk is no reason to stop."""
    with contextlib.suppress(OSError):
        fd = open_for_append(path)
        try:
            os.write(fd, f"{supervisor_line(visible(text))}\n".encode())
        finally:
            os.close(fd)


def supervisor_line(text: str) -> str:
    """A line of the supervisor's own; its time is in UTC, as in all logs."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return f"{now}Z {SUPERVISOR}: {text}"


def trim(path: Path, limit: int = MAX_BYTES) -> None:
    """Give the oldest bytes of a log back to the disk when it holds more than `limit`."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_blocks * 512 <= limit:
            return
        spare = (found.st_size - limit // 2) // 4096 * 4096
        if spare > 0 and not _punch(fd, spare):
            os.ftruncate(fd, 0)  # a filesystem without holes: bounded comes before complete
    except OSError:
        return
    finally:
        os.close(fd)


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log, without their newlines; [] if it cannot be read."""
    try:
        follower = Follower(LogFile("", 0, path))
    except OSError:
        return []
    try:
        found = follower.skip_to_end(lines, None)
        rest = follower.rest()
        return ([*found, rest] if rest else found)[-lines:] if lines > 0 else []
    finally:
        follower.close()


class Follower:
    """Reads the lines that a log has and gets. Holds back a line that is not yet ended."""

    def __init__(self, log: LogFile) -> None:
        """Begin at the oldest line that is still there. Raises OSError."""
        self.log = log
        self._fd = os.open(log.path, os.O_RDONLY | os.O_CLOEXEC)
        self._offset = self._first = _data_start(self._fd)
        self._rest = b""

    def lines(self) -> Iterator[str]:
        """Whole lines that came since the last call."""
        while data := self._read():
            *whole, self._rest = (self._rest + data).split(b"\n")
            yield from map(_text, whole)
            if len(self._rest) > _BLOCK:  # no line is this long: hand it out in pieces
                yield _text(self._rest)
                self._rest = b""

    def skip_to_end(self, lines: int | None, since: float | None) -> list[str]:
        """Go to the end; returns the last `lines` lines before it that are not older than `since`.

        A line without a time of its own belongs to the line before it.
        """
        if since is None and lines is not None:
            self._back_up(lines)
        found: deque[str] = deque(maxlen=lines)
        seen = 0.0 if since is not None else float("inf")
        for line in self.lines():
            if since is not None:
                seen = line_time(line) or seen
            if since is None or seen >= since:
                found.append(line)
        return list(found)

    def rest(self) -> str:
        """A last line without its newline, once nobody writes any more."""
        text, self._rest = _text(self._rest), b""
        return text

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> bytes:
        if self._offset > os.fstat(self._fd).st_size:  # truncated under us
            self._offset = 0
        data = os.pread(self._fd, _BLOCK, self._offset)
        self._offset += len(data)
        return data

    def _back_up(self, lines: int) -> None:
        """Go to a place at least `lines` lines before the end, without reading all that is before."""
        start = end = os.fstat(self._fd).st_size
        newlines = 0
        while start > self._first and newlines <= lines:
            end, start = start, max(start - _BLOCK, self._first)
            newlines += os.pread(self._fd, end - start, start).count(b"\n")
        self._offset = start


def line_time(line: str) -> float | None:
    """Unix seconds of a line that begins with an ISO time, or None."""
    match = _TIME.match(line)
    if match is None:
        return None
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(match.group().replace(",", ".")).timestamp()
    return None


def in_local_time(line: str) -> str:
    """A line with its time in the zone of this machine, with the offset."""
    seconds, match = line_time(line), _TIME.match(line)
    if seconds is None or match is None:
        return line
    local = datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
    return local + line[match.end() :]


def parse_since(text: str, now: float | None = None) -> float:
    """`90s`, `10m`, `2h`, `1d` ago or an ISO time, to Unix seconds.

    Raises:
        ValueError: it is neither.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|d)", text.strip())
    if match:
        seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
        return (time.time() if now is None else now) - seconds
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise ValueError(f"{text!r} is neither like 10m nor like 2025-01-31T09:30") from None


def _natural(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition("-")
    return (stem, int(number)) if number.isdecimal() else (name, 0)


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace").replace("\0", "").rstrip("\r")


def _data_start(fd: int) -> int:
    """Where the first byte is that was not given back."""
    try:
        return os.lseek(fd, 0, os.SEEK_DATA)
    except OSError:  # ENXIO: empty; EINVAL: a filesystem that does not tell
        return 0


def _punch(fd: int, length: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if fallocate is None:
        return False
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
    return bool(fallocate(fd, _PUNCH_HOLE, 0, length) == 0)

"""The programs' log files: one for each incarnation, a bounded number, each of bounded size.

A program writes to its file itself, without a pipe, so that no word is lost when the supervisor dies. A live
log cannot be renamed under its writer, so it is bounded from the other end: the oldest bytes are given back
to the disk (fallocate with a punched hole) while the program goes on appending.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import os
import re
import stat
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from votenet.config import InstanceDirs
from votenet.errors import NoSuchNode, NotRunning
from votenet.processes.control import how_to_start
from votenet.text import visible

KEEP_INCARNATIONS: Final = 6
"""Enough to see a crash loop from its first crash to its removal."""
MAX_LOG_BYTES: Final = 16 * 1024 * 1024
"""Of one incarnation: days of a node's normal talk; a flood keeps its end."""
SUPERVISOR: Final = "supervisor"
_BLOCK: Final = 64 * 1024
_PUNCH_HOLE: Final = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")


@dataclass(frozen=True, slots=True)
class LogFile:
    name: str
    incarnation: int
    path: Path


def log_path(folder: Path, name: str, incarnation: int) -> Path:
    return folder / f"{name}.{incarnation}.log"


def list_logs(folder: Path, name: str | None = None) -> list[LogFile]:
    """All logs, by program and oldest incarnation first."""
    logs = []
    with contextlib.suppress(OSError):
        for path in folder.glob("*.*.log"):
            program, _, number = path.stem.rpartition(".")
            if number.isdecimal() and name in (None, program):
                logs.append(LogFile(program, int(number), path))
    return sorted(logs, key=lambda log: (_natural(log.name), log.incarnation))


def prune(folder: Path, name: str, keep: int = KEEP_INCARNATIONS) -> None:
    """Remove the oldest logs of a program beyond `keep`."""
    for log in list_logs(folder, name)[:-keep]:
        with contextlib.suppress(OSError):
            log.path.unlink()


def open_for_append(path: Path) -> int:
    """A log's descriptor; a link in its place is not followed. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def note(path: Path, text: str) -> None:
    """Append a line of the supervisor's own to a program's log. A full disk is no reason to stop."""
    with contextlib.suppress(OSError), open(open_for_append(path), "ab", buffering=0) as log:
        log.write(f"{supervisor_line(visible(text))}\n".encode())


def supervisor_line(text: str) -> str:
    """A line of the supervisor's own; its time is in UTC, as in all logs."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return f"{now}Z {SUPERVISOR}: {text}"


def trim(path: Path) -> None:
    """Give the oldest bytes of a log back to the disk when it holds more than MAX_LOG_BYTES."""
    with contextlib.suppress(OSError), open(path, "r+b", buffering=0) as log:
        status = os.fstat(log.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_blocks * 512 <= MAX_LOG_BYTES:
            return
        spare = (status.st_size - MAX_LOG_BYTES // 2) // 4096 * 4096
        if spare > 0 and not punch_hole(log.fileno(), spare):
            log.truncate(0)  # a filesystem without holes: bounded comes before complete


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log, without their newlines; [] if it cannot be read."""
    try:
        follower = Follower(LogFile("", 0, path))
    except OSError:
        return []
    try:
        last = follower.skip_to_end(lines, None)
        rest = follower.rest()
        return ([*last, rest] if rest else last)[-lines:] if lines > 0 else []
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
        last: deque[str] = deque(maxlen=lines)
        seen = 0.0 if since is not None else float("inf")
        for line in self.lines():
            if since is not None:
                seen = line_time(line) or seen
            if since is None or seen >= since:
                last.append(line)
        return list(last)

    def rest(self) -> str:
        """A last line without its newline, when no program writes any more."""
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


def select_logs(dirs: InstanceDirs, names: Sequence[str]) -> list[str]:
    """The programs whose logs are wanted, by name or pattern; all but the supervisor by default.

    Raises:
        NotRunning: there are no logs.
        NoSuchNode: a name has none.
    """
    known = list(dict.fromkeys(log.name for log in list_logs(dirs.logs)))
    if not known and not _files(dirs, SUPERVISOR):
        raise NotRunning(f"instance {dirs.instance!r} has no logs", next_step=how_to_start(dirs))
    chosen: list[str] = []
    for name in names:
        is_supervisor = name == SUPERVISOR and _files(dirs, name)
        matching = [name] if name in known or is_supervisor else fnmatch.filter(known, name)
        if not matching:
            raise NoSuchNode(f"no logs of {name!r}: there are {', '.join(known)}")
        chosen += matching
    return list(dict.fromkeys(chosen)) or known


class LogReader:
    """Past lines once, then news; no line is lost or repeated in between."""

    def __init__(self, dirs: InstanceDirs, names: Sequence[str]) -> None:
        self._dirs, self._names = dirs, names
        self._open: dict[str, Follower] = {}

    def past(self, lines: int | None, since: float | None) -> Iterator[tuple[str, str]]:
        """Per program the last `lines` lines over all its incarnations, not older than `since`."""
        for name in self._names:
            files = _files(self._dirs, name)
            past: list[str] = []
            for log in reversed(files):
                follower = Follower(log)
                text = follower.skip_to_end(None if lines is None else lines - len(past), since)
                past = text + past
                if log is files[-1]:
                    self._open[name] = follower
                else:
                    follower.close()
                if lines is not None and len(past) >= lines:
                    break
            yield from ((name, line) for line in past)

    def news(self) -> Iterator[tuple[str, str]]:
        """Lines that came since the last call; a restarted program's new log follows its old one."""
        for name in self._names:
            files = _files(self._dirs, name)  # before the lines: what an old log gets, it got by then
            follower = self._open.get(name)
            if follower is not None:
                yield from ((name, line) for line in follower.lines())
            for log in files:
                if follower is not None and log.incarnation <= follower.log.incarnation:
                    continue
                yield from self._leave(name)
                follower = self._open[name] = Follower(log)
                yield from ((name, line) for line in follower.lines())

    def rests(self) -> Iterator[tuple[str, str]]:
        """Last lines that have no newline yet; for a reader that does not go on."""
        for name in self._names:
            yield from self._leave(name)

    def close(self) -> None:
        for follower in self._open.values():
            follower.close()
        self._open.clear()

    def _leave(self, name: str) -> Iterator[tuple[str, str]]:
        follower = self._open.pop(name, None)
        if follower is not None:
            yield from ((name, line) for line in follower.lines())
            if rest := follower.rest():
                yield name, rest
            follower.close()


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
    """`90s`, `10m`, `2h`, `1d` ago or an ISO time, to Unix seconds. Raises ValueError: it is neither."""
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


def punch_hole(fd: int, length: int) -> bool:
    """Give the first bytes of a file back to the disk. Returns whether the filesystem could."""
    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if fallocate is None:
        return False
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
    return bool(fallocate(fd, _PUNCH_HOLE, 0, length) == 0)


def _files(dirs: InstanceDirs, name: str) -> list[LogFile]:
    if name == SUPERVISOR:
        path = dirs.logs / f"{name}.log"
        return [LogFile(name, 0, path)] if path.exists() else []
    return list_logs(dirs.logs, name)

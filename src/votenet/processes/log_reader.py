"""Reading the logs of several programs at once, past and to come.

What lives here: which programs have logs, their last lines, following them over restarts. What must
not: colours and prefixes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from votenet.config import InstanceDirs
from votenet.errors import NoSuchNode, NotRunning
from votenet.processes import logs
from votenet.processes.logs import Follower, LogFile


def select(dirs: InstanceDirs, names: Sequence[str]) -> list[str]:
    """The programs whose logs are wanted; all but the supervisor by default.

    Raises:
        NotRunning: there are no logs.
        NoSuchNode: a name has none.
    """
    known = list(dict.fromkeys(log.name for log in logs.list_logs(dirs.logs)))
    if not known and not _supervisor(dirs):
        raise NotRunning(f"instance {dirs.instance!r} has no logs")
    for name in names:
        if name not in known and not (name == logs.SUPERVISOR and _supervisor(dirs)):
            raise NoSuchNode(f"no logs of {name!r}: there are {', '.join(known)}")
    return list(dict.fromkeys(names)) or known


class Reader:
    """Past lines once, then news, without losing or repeating a line in between."""

    def __init__(self, dirs: InstanceDirs, names: Sequence[str]) -> None:
        self._dirs, self._names = dirs, names
        self._open: dict[str, Follower] = {}

    def past(self, lines: int | None, since: float | None) -> Iterator[tuple[str, str]]:
        """Per program the last `lines` lines over all its incarnations, not older than `since`."""
        for name in self._names:
            found: list[str] = []
            for log in self._files(name):
                with contextlib.suppress(OSError):
                    found += self._read(log, since)
                    if lines is not None:
                        found = found[-lines:] if lines else []
            yield from ((name, line) for line in found)

    def news(self) -> Iterator[tuple[str, str]]:
        """Lines that came since the last call; a restarted program's new log follows its old one."""
        for name in self._names:
            follower = self._open.get(name)
            files = self._files(name)
            newer = [log for log in files if follower is None or log.incarnation > follower.log.incarnation]
            if follower is not None:
                yield from ((name, line) for line in follower.lines())
            for log in newer:
                if follower is not None:
                    if rest := follower.rest():
                        yield name, rest
                    follower.close()
                follower = self._open[name] = Follower(log)
                yield from ((name, line) for line in follower.lines())

    def _read(self, log: LogFile, since: float | None) -> list[str]:
        """The lines of one file; its follower stays open where it ended."""
        if (before := self._open.pop(log.name, None)) is not None:
            before.close()
        follower = self._open[log.name] = Follower(log)
        lines = list(follower.lines())
        if since is None:
            return lines
        kept, last = [], log.path.stat().st_mtime if not lines else 0.0
        for line in lines:
            last = logs.line_time(line) or last
            if last >= since:
                kept.append(line)
        return kept

    def _files(self, name: str) -> list[LogFile]:
        if name == logs.SUPERVISOR:
            return [LogFile(name, 0, path) for path in _supervisor(self._dirs)]
        return logs.list_logs(self._dirs.logs, name)


def _supervisor(dirs: InstanceDirs) -> list[Path]:
    path = dirs.logs / f"{logs.SUPERVISOR}.log"
    return [path] if path.exists() else []

"""Reading the logs of several programs at once, past and to come.

What lives here: which programs have logs, their last lines, following them over restarts. What must
not: colours and prefixes.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

from votenet.config import InstanceDirs
from votenet.errors import NoSuchNode, NotRunning
from votenet.processes import logs
from votenet.processes.logs import Follower, LogFile


def select(dirs: InstanceDirs, names: Sequence[str]) -> list[str]:
    """The programs whose logs are wanted, by name or pattern; all but the supervisor by default.

    Raises:
        NotRunning: there are no logs.
        NoSuchNode: a name has none.
    """
    known = list(dict.fromkeys(log.name for log in logs.list_logs(dirs.logs)))
    if not known and not _files(dirs, logs.SUPERVISOR):
        raise NotRunning(f"instance {dirs.instance!r} has no logs")
    chosen: list[str] = []
    for name in names:
        is_supervisor = name == logs.SUPERVISOR and _files(dirs, name)
        matching = [name] if name in known or is_supervisor else fnmatch.filter(known, name)
        if not matching:
            raise NoSuchNode(f"no logs of {name!r}: there are {', '.join(known)}")
        chosen += matching
    return list(dict.fromkeys(chosen)) or known


class Reader:
    """Past lines once, then news; no line is lost or repeated in between."""

    def __init__(self, dirs: InstanceDirs, names: Sequence[str]) -> None:
        self._dirs, self._names = dirs, names
        self._open: dict[str, Follower] = {}

    def past(self, lines: int | None, since: float | None) -> Iterator[tuple[str, str]]:
        """Per program the last `lines` lines over all its incarnations, not older than `since`."""
        for name in self._names:
            files = _files(self._dirs, name)
            found: list[str] = []
            for log in reversed(files):
                follower = Follower(log)
                text = follower.skip_to_end(None if lines is None else lines - len(found), since)
                found = text + found
                if log is files[-1]:
                    self._open[name] = follower
                else:
                    follower.close()
                if lines is not None and len(found) >= lines:
                    break
            yield from ((name, line) for line in found)

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


def _files(dirs: InstanceDirs, name: str) -> list[LogFile]:
    if name == logs.SUPERVISOR:
        path = dirs.logs / f"{name}.log"
        return [LogFile(name, 0, path)] if path.exists() else []
    return logs.list_logs(dirs.logs, name)

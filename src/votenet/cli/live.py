"""What a person sees while a network runs in the foreground: a table that stays, lines that matter.

What lives here: `View`, plain lines on anything, and `LiveView`, which keeps a table below the lines on
a terminal. What must not: what is told (the supervisor), the table itself (`network_view.py`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from votenet.cli import output
from votenet.cli.network_view import clock, log_prefix, say, stamped, status_table
from votenet.config import InstanceDirs
from votenet.processes.log_reader import Reader
from votenet.processes.logs import in_local_time

if TYPE_CHECKING:
    from rich.live import Live

MAX_LINES: Final = 20
"""Log lines shown at one refresh: a flood stays in its file."""
_MATTERS: Final = re.compile(
    r"\b(WARNING|ERROR|CRITICAL)\b|^Traceback |^Fatal |^[A-Za-z_.]+(Error|Exception)\b"
)


def matters(line: str) -> bool:
    """Whether a log line is worth a person's look: warnings, errors, the ends of stack traces."""
    return _MATTERS.search(line) is not None


class View:
    """Plain lines on stderr."""

    is_live = False

    def __init__(self, dirs: InstanceDirs) -> None:
        self._names: list[str] = []
        self._reader = Reader(dirs, self._names)

    def say(self, text: str) -> None:
        """An event, with the time of day."""
        stamped(text)

    def talk(self, text: str) -> None:
        """A line without it."""
        say(text)

    def refresh(self, status: Mapping[str, Any]) -> None:
        """Now and then. That a log was just removed, or the terminal is gone, stops nothing."""
        with contextlib.suppress(OSError):
            self._refresh(status)

    def _refresh(self, status: Mapping[str, Any]) -> None:
        """New log lines that matter."""
        self._names[:] = [program["name"] for program in status["programs"]]
        lines = [(name, line) for name, line in self._reader.news() if matters(line)]
        for name, line in lines[:MAX_LINES]:
            self.talk(log_prefix(name, self._names, colour=False) + in_local_time(line))
        if len(lines) > MAX_LINES:
            self.talk(f"… and {len(lines) - MAX_LINES} more lines; see: votenet logs")

    def skip_old_logs(self, names: list[str]) -> None:
        """What earlier runs have logged is not news."""
        self._names[:] = names
        for _ in self._reader.past(0, None):
            pass

    def close(self) -> None:
        self._reader.close()


class LiveView(View):
    """The same lines, with the table of `votenet ps` kept below them."""

    is_live = True

    def __init__(self, dirs: InstanceDirs) -> None:
        from rich.live import Live

        super().__init__(dirs)
        self._live: Live = Live(console=output.console(), auto_refresh=False, transient=True)
        self._live.start()

    def say(self, text: str) -> None:
        self.talk(f"{clock()} {text}")

    def talk(self, text: str) -> None:
        self._live.console.print(text, soft_wrap=True)

    def _refresh(self, status: Mapping[str, Any]) -> None:
        super()._refresh(status)
        self._live.update(status_table(status, self._live.console.width), refresh=True)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()
        super().close()


@contextlib.contextmanager
def open_view(dirs: InstanceDirs, *, live: bool) -> Iterator[View]:
    """The view that fits: `live` needs a terminal."""
    from votenet.processes.logs import list_logs

    view = LiveView(dirs) if live else View(dirs)
    view.skip_old_logs(list({log.name for log in list_logs(dirs.logs)}))
    try:
        yield view
    finally:
        view.close()

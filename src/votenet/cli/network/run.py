"""Being the supervisor, in the foreground of a terminal or detached, and what a person sees of it there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from votenet.cli import ui
from votenet.cli.background_output import background_output
from votenet.cli.election.member_setup import cards_here
from votenet.cli.network.logs import log_prefix
from votenet.cli.network.page import page_url
from votenet.cli.network.prepare import clear_for
from votenet.cli.network.view import clock, how_to_vote, logged, show, stamped, status_table, troubles, where
from votenet.cli.options import FlagOnly, instance_option
from votenet.config import InstanceDirs, instance_dirs
from votenet.processes import instance
from votenet.processes.instance import Claim
from votenet.processes.logs import LogReader, in_local_time, list_logs
from votenet.processes.spec import NetworkSpec, network_status
from votenet.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from rich.live import Live

REFRESH_SECONDS: Final = 0.25
"""A look at each program under /proc; old enough to read, fresh enough to be true."""


@click.command(hidden=True)
@click.option(
    "--inherit",
    cls=FlagOnly,
    type=int,
    multiple=True,
    metavar="FD",
    help="Lock inherited from `up --detach`.",
)
@instance_option
def supervise(instance: str, inherit: tuple[int, ...]) -> None:
    """Run the supervisor of a detached network: what `up --detach` starts.

    Without inherited locks it starts the network of the last `up` again, e.g. from systemd.
    """
    with background_output():  # under systemd it writes to a socket, which may not be read
        code = run_supervisor(instance_dirs(instance), inherit)
    sys.exit(code)


def foreground(
    dirs: InstanceDirs, network: NetworkSpec, held: Claim, *, timeout: float, as_json: bool
) -> None:
    """Run a network until it is stopped; its programs die with this process.

    A reader that is slow or gone holds up and ends nothing. Exits with 1 when
    something was left, with 128 + signal when a signal stopped it.
    """
    with background_output():
        with open_view(dirs, live=sys.stdout.isatty() and not as_json) as view:
            supervisor = Supervisor(
                network, dirs, held, say=ui.say, settled=lambda status: _settled(view, status, as_json)
            )
            try:
                with asyncio.Runner() as runner:
                    loop = runner.get_loop()
                    loop.call_later(timeout, _say_late, supervisor, view, timeout)
                    loop.call_later(REFRESH_SECONDS, _refresh, loop, supervisor, view)
                    problems = runner.run(supervisor.run())
            finally:
                held.release()
        ui.say("stopped" if not problems else "stopped, but " + "; ".join(problems))
    if problems:
        sys.exit(1)
    if supervisor.stop_signal is not None:
        sys.exit(128 + supervisor.stop_signal)


def _settled(view: View, status: Mapping[str, Any], as_json: bool) -> None:
    """Everything is ready or known to be out."""
    if view.is_live:
        view.refresh(status)
    else:
        show(status, as_json)
    cards = cards_here(instance_dirs(status["instance"]), page_url(status))
    for line in (*how_to_vote(status), *cards):
        view.talk(line)


def _refresh(loop: asyncio.AbstractEventLoop, supervisor: Supervisor, view: View) -> None:
    if not supervisor.table.stopped:
        loop.call_later(REFRESH_SECONDS, _refresh, loop, supervisor, view)
        view.refresh(supervisor.table.status())


def _say_late(supervisor: Supervisor, view: View, timeout: float) -> None:
    """Once, when a network in the foreground takes longer than its user wanted to wait."""
    if not supervisor.table.all_settled:
        view.talk(f"not everything is ready after {timeout:g} s:")
        for line in troubles(supervisor.table.status()):
            view.talk(line)


def run_supervisor(dirs: InstanceDirs, inherit: tuple[int, ...]) -> int:
    """Supervise a detached network; returns the exit code. Without `inherit` it takes the locks itself."""
    instance.make_dirs(dirs)
    network = instance.load_network(dirs)
    if inherit:
        held = instance.adopt(dirs, network, inherit)
    else:
        held = instance.claim_again(dirs, network, lambda: clear_for(dirs, network, logged))
    supervisor = Supervisor(network, dirs, held, say=logged, parent_death=False)
    logged(f"supervisor of {dirs.instance!r}, pid {os.getpid()}; {where(network_status(network))}")
    try:
        with asyncio.Runner() as runner:
            problems = runner.run(supervisor.run())
    finally:
        held.release()
    logged("stopped" if not problems else "stopped, but " + "; ".join(problems))
    return 1 if problems else 0


# -- what a person sees ---------------------------------------------------------------------------

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
        self._reader = LogReader(dirs, self._names)

    def say(self, text: str) -> None:
        """An event, with the time of day."""
        stamped(text)

    def talk(self, text: str) -> None:
        """A line without it."""
        ui.say(text)

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


class RefreshedView(View):
    """The same lines, with the table of `votenet ps` kept below them."""

    is_live = True

    def __init__(self, dirs: InstanceDirs) -> None:
        from rich.live import Live

        super().__init__(dirs)
        self._live: Live = Live(console=ui.console(), auto_refresh=False, transient=True)
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
    view = RefreshedView(dirs) if live else View(dirs)
    view.skip_old_logs(list({log.name for log in list_logs(dirs.logs)}))
    try:
        yield view
    finally:
        view.close()

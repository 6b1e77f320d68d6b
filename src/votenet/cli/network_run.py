"""Being the supervisor: in the foreground of a terminal, or detached.

What lives here: joining `Supervisor` with what people see, and its exit code. What must not: preparing
(`network_prepare.py`), tables (`network_view.py`, `live.py`).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from votenet.cli.background_output import background_output
from votenet.cli.live import View, open_view
from votenet.cli.network_prepare import clear_for
from votenet.cli.network_view import how_to_vote, logged, say, show, troubles, where
from votenet.config import InstanceDirs
from votenet.processes import instance
from votenet.processes.instance import Claim
from votenet.processes.spec import NetworkSpec
from votenet.processes.status import network_status
from votenet.processes.supervisor import Supervisor

REFRESH_SECONDS: Final = 0.25
"""A look at each program under /proc; old enough to read, fresh enough to be true."""


def foreground(
    dirs: InstanceDirs, network: NetworkSpec, held: Claim, *, timeout: float, as_json: bool
) -> None:
    """Run a network until it is stopped; its programs die with this process.

    That nobody reads what it says, or the reader is gone, holds up and ends nothing. Exits with 1 when
    something was left, with 128 + signal when a signal stopped it.
    """
    with background_output():
        with open_view(dirs, live=sys.stdout.isatty() and not as_json) as view:
            supervisor = Supervisor(
                network, dirs, held, say=view.say, settled=lambda status: _settled(view, status, as_json)
            )
            try:
                with asyncio.Runner() as runner:
                    loop = runner.get_loop()
                    loop.call_later(timeout, _say_late, supervisor, view, timeout)
                    loop.call_later(REFRESH_SECONDS, _refresh, loop, supervisor, view)
                    problems = runner.run(supervisor.run())
            finally:
                held.release()
        say("stopped" if not problems else "stopped, but " + "; ".join(problems))
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
    for line in how_to_vote(status):
        view.talk(line)


def _refresh(loop: asyncio.AbstractEventLoop, supervisor: Supervisor, view: View) -> None:
    if not supervisor.stopped:
        loop.call_later(REFRESH_SECONDS, _refresh, loop, supervisor, view)
        view.refresh(supervisor.status())


def _say_late(supervisor: Supervisor, view: View, timeout: float) -> None:
    """Once, when a network in the foreground takes longer than its user wanted to wait."""
    if not supervisor.all_settled:
        view.talk(f"not everything is ready after {timeout:g} s:")
        for line in troubles(supervisor.status()):
            view.talk(line)


def run_supervisor(dirs: InstanceDirs, inherit: tuple[int, ...]) -> int:
    """Be the supervisor of a detached network; returns the exit code.

    Args:
        inherit: descriptors of the locks that `up --detach` took; without, they are taken here.
    """
    with background_output():  # under systemd it writes to a socket that somebody must read
        return _run_supervisor(dirs, inherit)


def _run_supervisor(dirs: InstanceDirs, inherit: tuple[int, ...]) -> int:
    instance.make_dirs(dirs)
    network = instance.load_network(dirs)
    if inherit:
        held = instance.adopt(dirs, network, inherit)
    else:
        held = instance.claim_again(dirs, network, lambda: clear_for(dirs, network, logged))
    supervisor = Supervisor(network, dirs, held, say=logged, lifeline=False)
    logged(f"supervisor of {dirs.instance!r}, pid {os.getpid()}; {where(network_status(network))}")
    try:
        with asyncio.Runner() as runner:
            problems = runner.run(supervisor.run())
    finally:
        held.release()
    logged("stopped" if not problems else "stopped, but " + "; ".join(problems))
    return 1 if problems else 0

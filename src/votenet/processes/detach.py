"""Putting a supervisor into the background, and watching it come up."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from votenet.config import InstanceDirs
from votenet.errors import Command, NextStep, NotRunning, Unreachable, VotenetError, WaitTimedOut
from votenet.processes import logs
from votenet.processes.control import ask, up_again
from votenet.processes.environment import inherited
from votenet.processes.exit_cause import signal_name
from votenet.processes.instance import Claim
from votenet.processes.spec import votenet_program

_POLL_SECONDS: Final = 0.05
_KEEP_LOG_BYTES: Final = 1024 * 1024
"""A supervisor writes a line per event: a megabyte is years of calm, or one bad day."""
_detached: list[subprocess.Popen[bytes]] = []
"""Supervisors that we do not wait for: kept, or Python would complain about them."""
UNSEEN: Final = 1000
"""Instead of an exit code: it was not our child."""


def supervisor_log(dirs: InstanceDirs) -> Path:
    return dirs.logs / f"{logs.SUPERVISOR}.log"


def start_supervisor(dirs: InstanceDirs, claim: Claim) -> subprocess.Popen[bytes]:
    """Start the supervisor of a claimed instance; it inherits the locks, so there is no gap.

    Raises VotenetError.
    """
    log = supervisor_log(dirs)
    with VotenetError.of_os_errors(
        f"the supervisor's log {log} cannot be written",
        code="storage-failed",
        next_step="Check its owner and free space; a link in its place is not followed.",
    ):
        if log.exists() and log.stat().st_size > _KEEP_LOG_BYTES:
            log.replace(log.with_suffix(".old"))
        output = logs.open_for_append(log)
    locks = [part for fd in claim.descriptors for part in ("--inherit", str(fd))]
    argv = [*votenet_program(), "supervise", "-i", dirs.instance, *locks]
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=claim.descriptors,
            env=inherited(),
            cwd=dirs.state,  # it must not keep the folder or the disk of its caller
        )
        _detached.append(process)
        return process
    except OSError as error:
        raise VotenetError(
            f"the supervisor could not be started: {error}",
            next_step="See what this user may still start (ulimit -u, ulimit -n), and what memory is free.",
        ) from error
    finally:
        os.close(output)


def watch_start(
    dirs: InstanceDirs, timeout: float, alive: Callable[[], int | None]
) -> Iterator[dict[str, Any]]:
    """Statuses of a starting network, until every program is ready or known to be out, and has its peers.

    Args:
        alive: how the supervisor has ended (its exit code, negative for a signal, `UNSEEN`), else None.

    Raises:
        VotenetError: the supervisor ended; its last log lines are in the message.
        WaitTimedOut: something is still not ready.
    """
    deadline = time.monotonic() + timeout
    while True:
        code = alive()
        try:
            status = ask(dirs, {"command": "status"}, timeout=max(min(5.0, timeout), 0.5))
        except (NotRunning, Unreachable, WaitTimedOut):
            if code is not None:
                raise _ended(dirs, code) from None
        else:
            yield status
            if status["phase"] == "running":
                return
        if time.monotonic() > deadline:
            raise WaitTimedOut(
                f"not everything was ready within {timeout:g} s",
                next_step=NextStep(
                    "It goes on in the background. Look with: {}, {}", Command("ps"), Command("logs")
                ),
            )
        time.sleep(_POLL_SECONDS)


def _ended(dirs: InstanceDirs, code: int) -> VotenetError:
    if code == 0:
        return VotenetError(
            "the network was stopped while it was starting",
            code="stopped",
            next_step=NextStep("Another command did that. To start it: {}", Command("up", "--detach")),
        )
    lines = logs.tail(supervisor_log(dirs), 10)
    text = "\n".join(f"  | {line}" for line in lines)
    how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    return VotenetError(
        f"the supervisor {'is gone' if code == UNSEEN else how}; not everything was ready yet. "
        f"Its last words:\n{text}",
        code="supervisor-died",
        next_step=NextStep(
            "What runs goes on. Adopt it with: {}; or stop it: {}; the whole log is {}",
            up_again(dirs),
            Command("down"),
            str(supervisor_log(dirs)),
        ),
    )

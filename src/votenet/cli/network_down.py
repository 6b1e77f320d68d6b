"""The work behind `votenet down`: ask the supervisor, then make sure with its lock in our own hands.

What lives here: the order of these steps and what is said about them. What must not: options
(`network.py`), processes (`votenet.processes`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from votenet.cli.network_view import say
from votenet.cli.output import echo_json
from votenet.config import InstanceDirs
from votenet.errors import ConfigError, Locked, NotRunning, Unreachable, VotenetError, WaitTimedOut
from votenet.processes import ports
from votenet.processes.control import converse, supervisor_process
from votenet.processes.files import FileLock
from votenet.processes.instance import claim, load_network, supervisor_pid
from votenet.processes.reconcile import end_leftovers

EXIT_SECONDS: Final = 10.0
"""For the interpreter of a supervisor that has released everything."""


def down(dirs: InstanceDirs, *, grace: float, purge: bool, as_json: bool) -> None:
    """Stop the network of an instance, prove it, remove its data if asked.

    Raises:
        VotenetError: something is left (exit 1).
        WaitTimedOut: the supervisor does not end.
    """
    with supervisor_process(dirs) as supervisor:
        ran = _ask_down(dirs, grace)
        known = dirs.state.exists()
        left, stay = _end_for_good(dirs, grace, purge) if known else (0, [])
        _wait_for_exit(supervisor)
    if as_json:
        answer = {"instance": dirs.instance, "was_running": ran, "leftovers": left}
        removed = str(dirs.state) if purge and known else None
        echo_json({**answer, "removed": removed, "emptied": [str(folder) for folder in stay]})
    if not ran and not left:
        say(f"{dirs.instance!r} is not running; nothing to stop.")
    else:
        say(f"{dirs.instance!r} is stopped: no process left, ports and data free.")
    if purge and known:
        say(f"{'Emptied' if dirs.state in stay else 'Removed'} {dirs.state}.")
    for folder in stay:
        why = "it is a mount point" if folder.is_mount() else "its parent folder may not be written"
        say(f"The folder {folder} stays, empty: {why}.")


def _wait_for_exit(pidfd: int | None) -> None:
    if pidfd is not None and not select.select([pidfd], [], [], EXIT_SECONDS)[0]:
        raise WaitTimedOut(
            "the supervisor has stopped everything but does not end itself",
            next_step="Once more: votenet down; if that does not help, see: votenet doctor",
        )


def _ask_down(dirs: InstanceDirs, grace: float) -> bool:
    """Let a living supervisor stop its network. Returns whether there was one."""
    try:
        for answer in converse(dirs, {"command": "down", "grace": grace}, timeout=2 * grace + 15.0):
            if answer.get("event") == "state" and answer["state"] in ("stopping", "stopped"):
                say(f"{answer['name']}: {answer['state']}")
    except NotRunning:
        return False
    except Unreachable as error:
        if error.code in ("version-mismatch", "foreign-socket"):
            raise
        return True  # it is starting, or ended under our hands: the lock tells when it is gone
    if answer["problems"]:
        raise _not_clean(answer["problems"])
    return True


def _not_clean(problems: Sequence[str]) -> VotenetError:
    return VotenetError(
        "; ".join(problems), code="not-clean", next_step="End what is named, then once more: votenet down"
    )


def _end_for_good(dirs: InstanceDirs, grace: float, purge: bool) -> tuple[int, list[Path]]:
    """With the lock in our hands: end leftovers, remove the data if asked.

    Returns:
        how many were left; the folders that stay empty.
    """
    deadline = time.monotonic() + 2 * grace + 15.0
    while (lock := _try_claim(dirs)) is None:
        if time.monotonic() > deadline:
            raise WaitTimedOut(
                f"the supervisor (pid {supervisor_pid(dirs)}) does not end",
                next_step="See what it does: " + str(dirs.logs / "supervisor.log"),
            )
        _ask_down(dirs, grace)
        time.sleep(0.02)
    with lock:
        count, problems = end_leftovers(dirs, grace, say)
        if problems:
            raise _not_clean(problems)
        _remove_sockets(dirs)
        _forget_ports(dirs)
        return count, _remove_data(dirs) if purge else []


def _try_claim(dirs: InstanceDirs) -> FileLock | None:
    try:
        return claim(dirs)
    except Locked:
        return None


def _remove_sockets(dirs: InstanceDirs) -> None:
    for path in (dirs.control_socket, dirs.notify_socket):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # no socket of ours: a folder, say
            raise VotenetError(
                f"cannot remove {path}: {error.strerror}", code="not-clean", next_step="Remove it by hand."
            ) from error
    with contextlib.suppress(OSError):  # not there; or somebody keeps something in it
        dirs.run.rmdir()


def _forget_ports(dirs: InstanceDirs) -> None:
    """Remove the files by which a supervisor that was killed had kept its ports."""
    with contextlib.suppress(ConfigError):
        network = load_network(dirs)
        ports.forget((network.bootstrap_port, *network.node_ports))


def _remove_data(dirs: InstanceDirs) -> list[Path]:
    """Returns the folders that had to stay, empty: mount points, and what lies where we may remove nothing.

    Raises:
        ConfigError: the data is behind a link.
        VotenetError: something of it cannot be removed.
    """
    stay: list[Path] = []
    for folder in (dirs.run, dirs.state):
        if folder.is_symlink():
            raise ConfigError(
                f"{folder} is a link: what it leads to was not removed",
                code="bad-directory",
                next_step=f"Remove it by hand: {os.path.realpath(folder)}",
            )
        shutil.rmtree(folder, ignore_errors=True)  # goes on where something cannot be removed
        stay += _leftover_folders(folder)
    return stay


def _leftover_folders(folder: Path) -> list[Path]:
    """What is still there, innermost first. Raises VotenetError where that is more than empty folders."""
    stay: list[Path] = []
    for name, _, files in os.walk(folder, topdown=False):
        path = Path(name)
        try:
            for file in files:
                path.joinpath(file).unlink()
            path.rmdir()
        except OSError as error:
            refused = not files and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            inner = error.errno == errno.ENOTEMPTY and any(path in other.parents for other in stay)
            if error.errno == errno.EBUSY or (refused and path == folder):
                stay.append(path)
            elif not inner:
                raise VotenetError(
                    f"cannot remove {error.filename or path}: {error.strerror or error}",
                    code="storage-failed",
                    next_step=f"Mend that, then remove the rest by hand: {folder}",
                ) from error
    return stay

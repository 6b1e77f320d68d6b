"""`votenet down`: ask the supervisor, then make sure with its lock in our own hands."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from votenet.cli import ui
from votenet.cli.options import FlagOnly, instance_option, json_option, timeout_option
from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import (
    Command,
    ConfigError,
    Locked,
    NextStep,
    NotRunning,
    Unreachable,
    VotenetError,
    WaitTimedOut,
)
from votenet.processes import ports
from votenet.processes.control import converse, supervisor_process
from votenet.processes.instance import claim, load_network, supervisor_pid
from votenet.processes.reconcile import end_leftovers
from votenet.storage.files import FileLock

SUPERVISOR_SECONDS: Final = 30.0
"""For a supervisor's own work beyond twice the grace: nodes stop first, then the bootstrap server."""
EXIT_SECONDS: Final = 60.0
"""For the interpreter of a supervisor that has released everything: long only on a busy machine."""


@click.command(
    epilog="""\b
Examples:
  votenet down                 stop; chains, votes and logs stay for the next `up`
  votenet down --purge         and remove this network's chains, logs and election; asks before
  votenet down --purge --yes   the same without a question: for scripts
  votenet down --timeout 2     kill what has not stopped after two seconds

\b
Exit codes: 0 nothing runs any more (or nothing ran), 1 something is left, 2 --purge without a terminal
and without --yes, 5 timed out."""
)
@click.option(
    "--purge",
    cls=FlagOnly,
    is_flag=True,
    help="Also remove its data: chains, logs, election. Voters' keys stay.",
)
@click.option(
    "--yes", cls=FlagOnly, is_flag=True, help="Do not ask before --purge; needed where there is no terminal."
)
@timeout_option(10.0, "Seconds a program has to stop before it is killed.")
@instance_option
@json_option
def down(instance: str, purge: bool, yes: bool, timeout: float, as_json: bool) -> None:
    """Stop the network, cleanly and with proof.

    Nodes stop first, the bootstrap server last. It is over when no process is left, the ports are
    free and the data is unlocked. Also ends what a supervisor that died has left behind.
    """
    dirs = instance_dirs(instance)
    if purge and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("--purge deletes votes: without a terminal to ask at, add --yes.")
        if not click.confirm(f"Remove all chains, votes and logs of {instance!r}?", err=True):
            ui.say("Nothing was stopped, nothing was removed.")
            sys.exit(1)
    stop_network(dirs, grace=timeout, purge=purge, as_json=as_json)


def stop_network(dirs: InstanceDirs, *, grace: float, purge: bool, as_json: bool) -> None:
    """Raises VotenetError: not-clean, something is left; WaitTimedOut: the supervisor does not end."""
    with supervisor_process(dirs) as supervisor:
        try:
            ran = _ask_down(dirs, grace)
            known = dirs.state.exists()
            left, stay = _end_for_good(dirs, grace, purge) if known else (0, [])
        except VotenetError as error:
            if error.code == "not-clean":  # it ends all the same
                _wait_for_exit(supervisor)
            raise
        _wait_for_exit(supervisor)
    if as_json:
        answer = {"instance": dirs.instance, "was_running": ran, "leftovers": left}
        removed = str(dirs.state) if purge and known else None
        ui.echo_json({**answer, "removed": removed, "emptied": [str(folder) for folder in stay]})
    if not ran and not left:
        ui.say(f"{dirs.instance!r} is not running; nothing to stop.")
    else:
        ui.say(f"{dirs.instance!r} is stopped: no process left, ports and data free.")
    if purge and known:
        ui.say(f"{'Emptied' if dirs.state in stay else 'Removed'} {dirs.state}.")
    for folder in stay:
        why = "it is a mount point" if folder.is_mount() else "its parent folder may not be written"
        ui.say(f"The folder {folder} stays, empty: {why}.")


def _wait_for_exit(pidfd: int | None) -> None:
    if pidfd is not None and not select.select([pidfd], [], [], EXIT_SECONDS)[0]:
        raise WaitTimedOut(
            "the supervisor has stopped everything but does not end itself",
            next_step=NextStep(
                "Once more: {}; if that does not help, see: {}", Command("down"), Command("doctor")
            ),
        )


def _ask_down(dirs: InstanceDirs, grace: float) -> bool:
    """Let a living supervisor stop its network. Returns whether there was one."""
    try:
        for answer in converse(
            dirs, {"command": "down", "grace": grace}, timeout=2 * grace + SUPERVISOR_SECONDS
        ):
            if answer.get("event") == "state" and answer["state"] in ("stopping", "stopped"):
                ui.say(f"{answer['name']}: {answer['state']}")
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
        "; ".join(problems),
        code="not-clean",
        next_step=NextStep("End what is named, then once more: {}", Command("down")),
    )


def _end_for_good(dirs: InstanceDirs, grace: float, purge: bool) -> tuple[int, list[Path]]:
    """With the lock in our hands: end leftovers, remove the data if asked.

    Returns:
        how many were left; the folders that stay empty.
    """
    deadline = time.monotonic() + 2 * grace + SUPERVISOR_SECONDS
    while (lock := _try_claim(dirs)) is None:
        if time.monotonic() > deadline:
            raise WaitTimedOut(
                f"the supervisor (pid {supervisor_pid(dirs)}) does not end",
                next_step="See what it does: " + str(dirs.logs / "supervisor.log"),
            )
        _ask_down(dirs, grace)
        time.sleep(0.02)
    with lock:
        count, problems = end_leftovers(dirs, grace, ui.say)
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
        what, step = f"cannot remove {path}", "Remove it by hand."  # no socket of ours: a folder, say
        with VotenetError.of_os_errors(what, code="not-clean", next_step=step):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not there, or not empty
        dirs.run.rmdir()


def _forget_ports(dirs: InstanceDirs) -> None:
    """Remove the files by which a supervisor that was killed had kept its ports."""
    with contextlib.suppress(ConfigError):
        network = load_network(dirs)
        ports.forget(address.port for address in network.listens)


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

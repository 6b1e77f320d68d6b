"""What `votenet doctor` finds about the network of an instance, and about what supervisors left behind.

What lives here: looking at sockets, locks, records and processes, and explaining them. What must not:
repairs, and signals; each finding names the command that would do something.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from votenet.cli.hints import for_instance
from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import NotRunning, VotenetError


class Finding(NamedTuple):
    """One line: `state` is ok, note or problem."""

    what: str
    state: str
    found: str
    next_step: str = ""


def examine(instance: str) -> Iterator[Finding]:
    """The network of an instance, running or not, then what belongs to no supervisor."""
    for finding in _examine(instance_dirs(instance)):
        yield finding._replace(next_step=for_instance(finding.next_step, instance))


def _examine(dirs: InstanceDirs) -> Iterator[Finding]:
    from votenet.processes.control import ask

    try:
        status = ask(dirs, {"command": "status"})
    except VotenetError as error:
        yield from _silent(dirs, error)
        yield from _leftovers(dirs)
    else:
        yield from _running(status["programs"])
    yield from _records(dirs)
    yield from _elsewhere(dirs)


def _running(programs: list[dict[str, Any]]) -> Iterator[Finding]:
    for program in programs:
        name, state, cut_off = program["name"], program["state"], program.get("cut_off")
        good = state in ("ready", "stopped") and not program["alert"] and not cut_off
        why = cut_off["message"] if cut_off else program["alert"] or program["problem"] or program["cause"]
        step = cut_off["next_step"] if cut_off else f"votenet logs {name}"
        yield Finding(
            name,
            "ok" if good else "problem",
            f"{'cut off' if cut_off else state} at {program['address']}" + (f", {why}" if why else ""),
            "" if good else f"votenet resume {name}" if state == "paused" else step,
        )


def _silent(dirs: InstanceDirs, error: VotenetError) -> Iterator[Finding]:
    """Why no supervisor answers."""
    from votenet.processes.files import is_locked
    from votenet.processes.instance import supervisor_pid

    if isinstance(error, NotRunning):
        yield Finding("network", "ok", error.message)
        if dirs.control_socket.is_socket():
            yield Finding(
                "socket",
                "note",
                f"{dirs.control_socket} is of a supervisor that was killed",
                "The next start replaces it.",
            )
        return
    held = f"; pid {supervisor_pid(dirs)} holds its lock" if is_locked(dirs.supervisor_lock) else ""
    yield Finding("network", "problem", error.message + held, error.next_step)


def _leftovers(dirs: InstanceDirs) -> Iterator[Finding]:
    """Programs that run without a supervisor."""
    from votenet.processes.control import up_again
    from votenet.processes.files import is_locked
    from votenet.processes.identity import leftovers
    from votenet.processes.instance import load_network
    from votenet.processes.reconcile import adoptable
    from votenet.processes.spec import expand

    if is_locked(dirs.supervisor_lock):  # one is starting or stopping: they are its own
        return
    try:
        may_go_on = {record.pid for record in adoptable(dirs, expand(load_network(dirs), dirs)).values()}
    except VotenetError:
        may_go_on = set()
    for left in leftovers(dirs):
        again = left.pid in may_go_on
        yield Finding(
            left.name,
            "problem",
            f"pid {left.pid} runs, but its supervisor is gone",
            f"Go on with it: {up_again(dirs)}; or stop it: votenet down"
            if again
            else "Nothing can go on with it. Stop it with: votenet down",
        )


def _records(dirs: InstanceDirs) -> Iterator[Finding]:
    from votenet.errors import ConfigError
    from votenet.processes.identity import read_identities, records_dir
    from votenet.processes.instance import load_network, network_file

    for name, record in read_identities(dirs).items():
        if record is None:
            yield Finding(
                f"record of {name}",
                "note",
                f"{records_dir(dirs) / name}.json cannot be read: a crash, or another program",
                "The next start of that program writes it anew; until then it is not adopted.",
            )
    if network_file(dirs).exists():
        try:
            load_network(dirs)
        except ConfigError as error:
            yield Finding("network file", "problem", error.message, error.next_step)


def _elsewhere(dirs: InstanceDirs) -> Iterator[Finding]:
    """Programs of other instances of this user that no supervisor holds."""
    from votenet.processes import procfs
    from votenet.processes.files import is_locked
    from votenet.processes.identity import TAG_VARIABLE

    found: dict[str, list[int]] = {}
    for stat in procfs.all_processes():
        folder, _, name = procfs.environment(stat.pid).get(TAG_VARIABLE, "").rpartition(":")
        if folder and name and not stat.dead and folder != str(dirs.state):
            found.setdefault(folder, []).append(stat.pid)
    for folder, pids in found.items():
        if not is_locked(Path(folder) / dirs.supervisor_lock.name):
            listed = ", ".join(map(str, pids))
            home, _, instance = folder.rpartition("/")
            yield Finding(
                "other instance",
                "note",
                f"programs of {folder} run without a supervisor: pids {listed}",
                f"Stop them with: {_down(home, instance)}",
            )


def _down(home: str, instance: str) -> str:
    """The command that stops another instance, wherever its files are."""
    try:
        where = (
            ""
            if instance_dirs(instance).state == Path(home, instance)
            else f"VOTENET_HOME={shlex.quote(home)} "
        )
    except VotenetError:
        where = f"VOTENET_HOME={shlex.quote(home)} "
    return f"{where}votenet down -i {shlex.quote(instance)}"

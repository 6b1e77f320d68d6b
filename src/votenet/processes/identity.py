"""Which processes were started, on disk: so that a supervisor finds what a dead one left.

A record is written before a start (no pid yet) and after it. A process is ours only if pid, start time and
boot agree with its record, or if its environment carries our tag.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from votenet.config import InstanceDirs, private_dir
from votenet.errors import VotenetError
from votenet.processes import procfs
from votenet.processes.logs import list_logs
from votenet.protocol.wire.address import parse_address
from votenet.storage.files import write_atomically

TAG_VARIABLE: Final = "VOTENET_SUPERVISED"
"""`<state folder>:<program>`: marks the processes of a network in their environment."""


class IdentityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One program's process. `intent`: starting, running or stopped."""

    v: int = 1
    instance: str
    name: str
    incarnation: int
    intent: str
    address: str
    pid: int = 0
    start_ticks: int = 0
    boot_id: str = ""
    pid_namespace: int = 0
    """The namespace in which `pid` counts; 0 if not known."""
    supervisor: int = 0


class Leftover(NamedTuple):
    """A live process of an earlier supervisor."""

    name: str
    pid: int
    start_ticks: int


def records_dir(dirs: InstanceDirs) -> Path:
    return dirs.state / "programs"


def tag(dirs: InstanceDirs, name: str) -> str:
    return f"{dirs.state}:{name}"


def write_identity(dirs: InstanceDirs, record: IdentityRecord) -> None:
    """Durable before it returns. Raises StorageError."""
    folder = private_dir(records_dir(dirs))
    write_atomically(folder / f"{record.name}.json", msgspec.json.encode(record) + b"\n")


def read_identities(dirs: InstanceDirs) -> dict[str, IdentityRecord | None]:
    """All records by program; None for a record that cannot be read."""
    records: dict[str, IdentityRecord | None] = {}
    with contextlib.suppress(OSError):
        for path in sorted(records_dir(dirs).glob("*.json")):
            try:
                record = msgspec.json.decode(path.read_bytes(), type=IdentityRecord)
                parse_address(record.address)
                records[path.stem] = record
            except (OSError, ValueError, RecursionError, VotenetError):
                records[path.stem] = None
    return records


def last_incarnations(dirs: InstanceDirs) -> dict[str, int]:
    """The highest incarnation of each program so far, so that no log file is written twice."""
    numbers = {name: record.incarnation for name, record in read_identities(dirs).items() if record}
    for log in list_logs(dirs.logs):
        numbers[log.name] = max(numbers.get(log.name, 0), log.incarnation)
    return numbers


def leftovers(dirs: InstanceDirs) -> list[Leftover]:
    """Live processes that earlier supervisors of this network started; never a stranger.

    The tag also finds what no record tells: a child whose supervisor was killed before it could write the
    record, a child whose record is corrupt, and what a dead child left running.
    """
    by_pid: dict[int, Leftover] = {}
    for name, record in read_identities(dirs).items():
        left = living(name, record) if record is not None else None
        if left is not None and not _belongs_to_original(dirs, left.pid):
            by_pid[left.pid] = left
    for stat in procfs.all_processes():
        if stat.pid not in by_pid and not stat.dead and (name := _tagged_name(dirs, stat.pid)):
            by_pid[stat.pid] = Leftover(name, stat.pid, stat.start_ticks)
    return list(by_pid.values())


def living(name: str, record: IdentityRecord) -> Leftover | None:
    """The process of a record, if its pid still belongs to that process."""
    if record.intent == "stopped" or record.boot_id != procfs.boot_id():
        return None
    if record.pid_namespace not in (0, procfs.pid_namespace()):
        return None  # that pid is another process here; the tag finds ours where it can be seen
    stat = procfs.read_stat(record.pid)
    if stat is None or stat.dead or stat.start_ticks != record.start_ticks:
        return None
    return Leftover(name, stat.pid, stat.start_ticks)


def _belongs_to_original(dirs: InstanceDirs, pid: int) -> bool:
    """Whether this process belongs to the folder that ours is a copy of: a copy has the records, too.

    A folder that was moved while its programs ran is not there any more under the name in their tags.
    """
    folder, _ = _folder_and_name(pid)
    try:
        return bool(folder) and not os.path.samefile(folder, dirs.state)
    except OSError:
        return False


def _tagged_name(dirs: InstanceDirs, pid: int) -> str:
    if pid == os.getpid():
        return ""
    folder, name = _folder_and_name(pid)
    return name if folder == str(dirs.state) else ""


def _folder_and_name(pid: int) -> tuple[str, str]:
    """The two parts of a process's tag; empty without one."""
    folder, _, name = procfs.environment(pid).get(TAG_VARIABLE, "").rpartition(":")
    return folder, name

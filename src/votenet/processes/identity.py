"""Who was started, on disk: so that a supervisor finds what a dead one left behind.

What lives here: `Identity`, its file per program, and `leftovers`, which compares the files with
the processes that live. What must not: signals (`reconcile.py`).

A record is written before a start (no pid yet) and after it. A process is ours only if pid, start
time and boot agree with its record, or if its environment carries our tag.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from votenet.config import InstanceDirs, private_dir
from votenet.errors import VotenetError
from votenet.processes import procfs
from votenet.processes.files import write_atomically
from votenet.protocol.address import parse_address

TAG_VARIABLE: Final = "VOTENET_SUPERVISED"
"""`<state folder>:<program>`: marks the processes of a network in their environment."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One program's record. `intent`: starting, running or stopped."""

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
    """In which `pid` is its number; 0 if not told."""
    supervisor: int = 0


@dataclass(frozen=True, slots=True)
class Leftover:
    """A live process of an earlier supervisor."""

    name: str
    pid: int
    start_ticks: int


def records_dir(dirs: InstanceDirs) -> Path:
    return dirs.state / "programs"


def tag(dirs: InstanceDirs, name: str) -> str:
    return f"{dirs.state}:{name}"


def write_identity(dirs: InstanceDirs, identity: Identity) -> None:
    """Durable before it returns.

    Raises:
        StorageError: the disk refused.
    """
    folder = private_dir(records_dir(dirs))
    write_atomically(folder / f"{identity.name}.json", msgspec.json.encode(identity) + b"\n")


def read_identities(dirs: InstanceDirs) -> dict[str, Identity | None]:
    """All records by program; None for one that cannot be read."""
    found: dict[str, Identity | None] = {}
    with contextlib.suppress(OSError):
        for path in sorted(records_dir(dirs).glob("*.json")):
            try:
                record = msgspec.json.decode(path.read_bytes(), type=Identity)
                parse_address(record.address)
                found[path.stem] = record
            except (OSError, ValueError, RecursionError, VotenetError):
                found[path.stem] = None
    return found


def last_incarnations(dirs: InstanceDirs) -> dict[str, int]:
    """Where counting goes on, so that no log file is written twice."""
    numbers = {name: record.incarnation for name, record in read_identities(dirs).items() if record}
    with contextlib.suppress(OSError):
        for path in dirs.logs.glob("*.*.log"):
            name, _, number = path.stem.rpartition(".")
            if number.isdecimal():
                numbers[name] = max(numbers.get(name, 0), int(number))
    return numbers


def leftovers(dirs: InstanceDirs) -> list[Leftover]:
    """Live processes that earlier supervisors of this network started; never a stranger.

    The tag also finds what no record tells: a child whose supervisor was killed before it could
    write the record, one whose record is corrupt, and what a dead child left running.
    """
    found: dict[int, Leftover] = {}
    for name, record in read_identities(dirs).items():
        left = living(name, record) if record is not None else None
        if left is not None and not _is_of_a_twin(dirs, left.pid):
            found[left.pid] = left
    for stat in procfs.all_processes():
        if stat.pid not in found and not stat.dead and (name := _tagged_name(dirs, stat.pid)):
            found[stat.pid] = Leftover(name, stat.pid, stat.start_ticks)
    return list(found.values())


def living(name: str, record: Identity) -> Leftover | None:
    """The process of a record, if it is still that one that runs under its pid."""
    if record.intent == "stopped" or record.boot_id != procfs.boot_id():
        return None
    if record.pid_namespace not in (0, procfs.pid_namespace()):
        return None  # its number is another's here; the tag finds it where it can be seen
    stat = procfs.read_stat(record.pid)
    if stat is None or stat.dead or stat.start_ticks != record.start_ticks:
        return None
    return Leftover(name, stat.pid, stat.start_ticks)


def _is_of_a_twin(dirs: InstanceDirs, pid: int) -> bool:
    """Whether this process belongs to the folder that ours is a copy of: the copy has its records, too.

    A folder that was moved while its programs ran is not there any more under the name in their tags.
    """
    folder, _, _ = procfs.environment(pid).get(TAG_VARIABLE, "").rpartition(":")
    try:
        return bool(folder) and not os.path.samefile(folder, dirs.state)
    except OSError:
        return False


def _tagged_name(dirs: InstanceDirs, pid: int) -> str:
    if pid == os.getpid():
        return ""
    value = procfs.environment(pid).get(TAG_VARIABLE, "")
    folder, _, name = value.rpartition(":")
    return name if folder == str(dirs.state) else ""

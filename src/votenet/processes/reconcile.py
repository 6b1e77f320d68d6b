"""What a dead supervisor left: which of it a new supervisor may adopt, and ending the rest.

The caller holds the lock of the instance. A detached supervisor goes on with a program when all of this
holds: a readable record; pid, start time and boot agree with it; the process carries our tag; it was started
with exactly the arguments that it would be started with now; it was not made to die with its supervisor.
All other processes of the network are ended before anything is started: no start beats two starts.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from votenet.config import InstanceDirs
from votenet.processes import procfs
from votenet.processes.identity import (
    TAG_VARIABLE,
    IdentityRecord,
    Leftover,
    leftovers,
    living,
    read_identities,
    tag,
)
from votenet.processes.parent_death import PARENT_VARIABLE
from votenet.processes.signals import signal_exactly
from votenet.processes.spec import ProgramSpec

_POLL_SECONDS: Final = 0.02
_KILL_SECONDS: Final = 15.0
"""For the end of what was killed: on a busy machine that takes the processor, too."""


def adoptable(dirs: InstanceDirs, programs: Iterable[ProgramSpec]) -> dict[str, IdentityRecord]:
    """The records of the programs that run already and may go on, by name."""
    records = read_identities(dirs)
    pairs = ((spec, records.get(spec.name)) for spec in programs)
    return {spec.name: record for spec, record in pairs if record and _may_go_on(dirs, spec, record)}


def _may_go_on(dirs: InstanceDirs, spec: ProgramSpec, record: IdentityRecord) -> bool:
    if living(spec.name, record) is None or procfs.command_line(record.pid) != spec.argv:
        return False
    environment = procfs.environment(record.pid)
    return environment.get(TAG_VARIABLE) == tag(dirs, spec.name) and PARENT_VARIABLE not in environment


def end_leftovers(
    dirs: InstanceDirs, grace: float, say: Callable[[str], None], keep: Collection[int] = ()
) -> tuple[int, list[str]]:
    """TERM and CONT, after `grace` seconds KILL, then look again.

    Args:
        keep: pids of programs that may go on, with all that they started.

    Returns:
        how many there were, and one sentence for each that would not end.
    """
    # 1. TERM to all at once: the bootstrap server outlives the nodes by as long as they need to say goodbye.
    first = _others(dirs, keep)
    for left in first:
        say(f"{left.name}: pid {left.pid} is left from a supervisor that died; stopping it")
        _signal(left, signal.SIGTERM)
        _signal(left, signal.SIGCONT)
    # 2. KILL to those that are still there.
    if first and not _wait(dirs, grace, keep):
        for left in _others(dirs, keep):
            say(f"{left.name}: pid {left.pid} did not stop within {grace:g} s; killing it")
            _signal(left, signal.SIGKILL)
        _wait(dirs, _KILL_SECONDS, keep)
    # 3. What even that did not end is named.
    problems = [f"{left.name}: pid {left.pid} does not end" for left in _others(dirs, keep)]
    return len(first), problems


def _others(dirs: InstanceDirs, keep: Collection[int]) -> list[Leftover]:
    kept = set(keep).union(member.pid for pid in keep for member in procfs.members(pid))
    return [left for left in leftovers(dirs) if left.pid not in kept]


def _wait(dirs: InstanceDirs, seconds: float, keep: Collection[int]) -> bool:
    deadline = time.monotonic() + seconds
    while _others(dirs, keep):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _signal(left: Leftover, number: signal.Signals) -> None:
    """Signal the process and what it started, only while the pid still belongs to it."""
    group = procfs.members(left.pid)
    if signal_exactly(left.pid, left.start_ticks, number):
        for member in group:
            signal_exactly(member.pid, member.start_ticks, number)

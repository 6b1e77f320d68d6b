"""What remains of a program that ended: its port, the lock on its data, its entry in the registry.

That its process group is empty is shown in `child.py`, before the leader is reaped.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from votenet.errors import Kind, Rejected, VotenetError
from votenet.network.listener import port_holder
from votenet.processes.machine import State
from votenet.processes.managed_program import OUT_STATES, ManagedProgram
from votenet.processes.ports import is_free
from votenet.processes.spec import NetworkSpec, ProgramSpec
from votenet.storage.files import is_locked

TEARDOWN_SECONDS: Final = 2.0
"""The kernel frees sockets and locks before a parent hears of a death; other holders get this long."""
UNREGISTER_TRIES: Final = 5
_UNREGISTER_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02

Unregistrar = Callable[[ProgramSpec, NetworkSpec], Awaitable[None]]


async def wait_until_free(program: ProgramSpec, seconds: float = TEARDOWN_SECONDS) -> str:
    """'' as soon as port and data folder are free, or a sentence about what is not."""
    deadline = time.monotonic() + seconds
    while remains(program, name_holder=False):
        if time.monotonic() > deadline:
            return remains(program)
        await asyncio.sleep(_POLL_SECONDS)
    return ""


def remains(program: ProgramSpec, *, name_holder: bool = True) -> str:
    """A sentence about what of a program is still in use; '' if nothing."""
    host, port = program.address
    try:
        free = is_free(host, port)
    except (OSError, VotenetError) as error:
        cause = error.__cause__
        free = isinstance(cause, OSError) and cause.errno == errno.EADDRNOTAVAIL
        if not free:  # out of descriptors: then a bad start tells
            return f"port {port} could not be looked at: {error}"
        # the address has left this machine, and nothing listens on it
    if not free:
        holder = port_holder(port) if name_holder else ""
        return f"port {port} is still held" + (f" by {holder}" if holder else "")
    for lock in _locks(program.data_dir):
        if is_locked(lock):
            return f"the lock {lock} is still held"
    return ""


def _locks(data_dir: Path) -> list[Path]:
    try:
        return [path for path in data_dir.iterdir() if path.name == "lock" or path.suffix == ".lock"]
    except OSError:
        return []


async def remove_from_bootstrap(program: ProgramSpec, network: NetworkSpec) -> None:
    """Take a program's address out of the registry; the bootstrap server tells the peers."""
    from votenet.network.bootstrap_client import remove

    await remove(network.bootstrap, str(program.address))


async def unregister(
    program: ManagedProgram, network: NetworkSpec, unregistrar: Unregistrar, tell: Callable[[str], None]
) -> None:
    """Try a few times to take a program out of the registry; a later command about it ends the tries."""
    name, epoch = program.name, program.machine.epoch
    for attempt in range(UNREGISTER_TRIES):
        if program.machine.epoch != epoch or program.state not in (State.STOPPED, *OUT_STATES):
            return
        try:
            async with asyncio.timeout(_UNREGISTER_SECONDS):
                await unregistrar(program.spec, network)
            tell(f"{name}: {program.spec.address} removed from the bootstrap server")
            return
        except (VotenetError, OSError) as error:
            tell(f"{name}: could not be removed from the bootstrap server: {error}")
            if isinstance(error, Rejected) and error.kind is not Kind.TEMPORARY:
                return
        await asyncio.sleep(2.0**attempt)

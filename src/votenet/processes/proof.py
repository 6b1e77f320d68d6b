"""Proof that nothing of a program is left: its port and the lock on its data are free.

What lives here: the two questions and the wait for their answer. What must not: signals. (That the
group is empty is proved in `child.py`, before the leader is reaped.)
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from votenet.errors import VotenetError
from votenet.network.transport import port_holder
from votenet.processes.files import is_locked
from votenet.processes.ports import is_free
from votenet.processes.spec import ProgramSpec

PROOF_SECONDS: Final = 2.0
"""The kernel frees sockets and locks before a parent hears of a death; this is patience for others."""
_POLL_SECONDS: Final = 0.02


async def wait_until_free(program: ProgramSpec, seconds: float = PROOF_SECONDS) -> str:
    """'' as soon as port and data folder are free, or a sentence about what is not."""
    deadline = time.monotonic() + seconds
    while remains(program, name_holder=False):
        if time.monotonic() > deadline:
            return remains(program)
        await asyncio.sleep(_POLL_SECONDS)
    return ""


def remains(program: ProgramSpec, *, name_holder: bool = True) -> str:
    """What of a program is still in use; '' if nothing."""
    host, port = program.address
    try:
        free = is_free(host, port)
    except (OSError, VotenetError) as error:  # out of descriptors: then a bad start tells, not we
        return f"port {port} could not be looked at: {error}"
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

"""Telling the bootstrap server about a program that is out and did not say so itself.

What lives here: the tries, their limits, what is said about them. What must not: when a program is out
(`machine.py`), the conversation (`network/bootstrap_client.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from votenet.errors import Kind, Rejected, VotenetError
from votenet.processes.machine import State
from votenet.processes.slot import Slot
from votenet.processes.spec import NetworkSpec, ProgramSpec

TRIES: Final = 5
TRY_SECONDS: Final = 10.0
OUT: Final = (State.STOPPED, State.REMOVED, State.FAILED)

Remover = Callable[[ProgramSpec, NetworkSpec], Awaitable[None]]


async def remove_from_bootstrap(program: ProgramSpec, network: NetworkSpec) -> None:
    """Take a program's address out of the registry; peers are told by the bootstrap server."""
    from votenet.network.bootstrap_client import remove

    await remove(network.bootstrap, str(program.address))


async def unregister(slot: Slot, network: NetworkSpec, remover: Remover, tell: Callable[[str], None]) -> None:
    """Try a bounded number of times, none of them fatal; a later command about the program ends it."""
    name, epoch = slot.spec.name, slot.program.epoch
    for attempt in range(TRIES):
        if slot.program.epoch != epoch or slot.program.state not in OUT:
            return
        try:
            async with asyncio.timeout(TRY_SECONDS):
                await remover(slot.spec, network)
            tell(f"{name}: {slot.spec.address} removed from the bootstrap server")
            return
        except (VotenetError, OSError) as error:
            tell(f"{name}: could not be removed from the bootstrap server: {error}")
            if isinstance(error, Rejected) and error.kind is not Kind.TEMPORARY:
                return
        await asyncio.sleep(2.0**attempt)

"""Keyed peers that somebody without the key wants removed: a busy node is not a dead one.

What lives here: Doubts: who is asked again, when, for how long. What must not: how a peer is asked
(`dialback.py`), the first look and its limits (`checks.py`), the removal (`protocol/upkeep.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from votenet.errors import Rejected
from votenet.protocol.address import Address

GAPS: Final = (2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds until the next ping, and for which the one before may be answered: a minute in all."""
MAX_DOUBTS: Final = 64
"""At one time: each is one connection."""


class Doubts:
    """Asks on until a peer has answered, or has been silent for all of `gaps`.

    Args:
        answers: whether anything answers a ping at an address within so many seconds.
        gone: told the address and the sequence of an entry whose peer was silent all the time.
        answered: told the address of one that was not.
    """

    def __init__(
        self,
        answers: Callable[[Address, float], Awaitable[bool]],
        gone: Callable[[str, int], None],
        answered: Callable[[str], None],
        gaps: Sequence[float] = GAPS,
    ) -> None:
        self._answers, self._gone, self._answered, self._gaps = answers, gone, answered, gaps
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def refusal(self, address: str) -> Rejected | None:
        """What to tell whoever wants this address removed while it is in doubt."""
        return self._refusal(address) if address in self._tasks else None

    def begin(self, address: str, target: Address, sequence: int) -> Rejected:
        """Ask on, after a first ping in vain; what to tell whoever wants it removed.

        Raises:
            Rejected: busy, when too many are in doubt.
        """
        if address not in self._tasks:
            if len(self._tasks) >= MAX_DOUBTS:
                raise Rejected("busy", "too many peers are being checked")
            task = asyncio.get_running_loop().create_task(self._ask_on(address, target, sequence))
            self._tasks[address] = task
            task.add_done_callback(lambda _: self._tasks.pop(address, None))
        return self._refusal(address)

    def end(self) -> None:
        """Believe nothing of it: the server stops."""
        for task in list(self._tasks.values()):
            task.cancel()

    def _refusal(self, address: str) -> Rejected:
        return Rejected(
            "being-checked",
            f"{address} has a key and does not answer now: it is asked for {sum(self._gaps):.0f} s"
            " and removed if it stays silent",
        )

    async def _ask_on(self, address: str, target: Address, sequence: int) -> None:
        loop = asyncio.get_running_loop()
        for gap in self._gaps:
            until = loop.time() + gap
            try:
                if await self._answers(target, gap):
                    self._answered(address)
                    return
            except Rejected:  # this server is busy: that says nothing about the peer
                self._answered(address)
                return
            await asyncio.sleep(max(until - loop.time(), 0.0))
        self._gone(address, sequence)

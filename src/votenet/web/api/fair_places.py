"""Places for dear work: clients that wait take turns, and no client has more than its share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

from votenet.protocol.wire.fair_queue import FairQueue
from votenet.web.limits import THIS_MACHINE


class _Waiter(NamedTuple):
    who: str
    place: asyncio.Future[None]


class FairPlaces:
    """So many places for all clients; one client (`client_of`) has `most_of_one` of them at a time.

    Loopback may have all: it is this machine, or a proxy that was not named and stands for all readers.
    """

    def __init__(self, places: int, most_of_one: int) -> None:
        self._free, self._most_of_one = places, most_of_one
        self._taken: Counter[str] = Counter()
        self._queue: FairQueue[_Waiter] = FairQueue()

    @asynccontextmanager
    async def place(self, who: str) -> AsyncGenerator[None, None]:
        """Wait for the turn of a client, and hold a place until the block ends."""
        waiter = _Waiter(who, asyncio.get_running_loop().create_future())
        self._queue.put(who, waiter)
        self._go_on()
        try:
            await waiter.place
        except asyncio.CancelledError:
            if not waiter.place.cancelled():  # the place came, and then the end of the task
                self._give_back(who)
            raise
        try:
            yield
        finally:
            self._give_back(who)

    def _go_on(self) -> None:
        while self._free and self._queue:
            waiter = self._queue.get()
            if waiter.place.done():
                continue  # its reader is gone
            if self._taken[waiter.who] >= self._most_of_one and not waiter.who.startswith(THIS_MACHINE):
                self._queue.hold(waiter.who, waiter)
                continue
            self._free -= 1
            self._taken[waiter.who] += 1
            waiter.place.set_result(None)

    def _give_back(self, who: str) -> None:
        self._free += 1
        self._taken[who] -= 1
        if not self._taken[who]:
            del self._taken[who]
        self._queue.release(who)
        self._go_on()

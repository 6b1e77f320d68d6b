"""Looks after registered peers: dials those that are due, drops the dead and the expired.

What lives here: Caretaker: a fixed number of dialling workers, and turns in which what they found is
saved, then told. What must not: who is due and what follows (`protocol/upkeep.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from votenet.errors import Rejected, StorageError
from votenet.network.dialback import DialBack
from votenet.protocol.registry import Notice, PeerEntry
from votenet.protocol.token_bucket import Buckets, TokenBucket
from votenet.protocol.upkeep import Upkeep
from votenet.storage.peer_store import PeerStore, StoreConflict

WORKERS: Final = 32
"""Peers dialled at one time."""
CHECKS_PER_SECOND: Final = 50.0
"""Dials in all: a registry of 100,000 unkeyed peers is looked through in about half an hour."""
CHECK_BURST: Final = 4.0
HOST_CHECKS_PER_SECOND: Final = 1.0
"""Dials to one address: whoever has us dial it gets less than he sends."""
HOST_CHECK_BURST: Final = 20.0
POSTPONE_SECONDS: Final = 5
TURN_SECONDS: Final = 0.5
QUIET_SECONDS: Final = 0.02
"""Between turns however much is found: so that several findings share one transaction."""
EXPIRE_BATCH: Final = 100
"""Expired entries dropped in one transaction: some 3 ms; 5,000 a second, more than ever join."""
MAX_SUSPECTS: Final = 10_000


class Caretaker:
    """Upkeep over one store. `tell` is called with notices once they are saved.

    Args:
        clock: Unix seconds. failed: called with what the store refused; it is tried again.
        checks: counts dials as `alive`, `dead`, `postponed`, and dropped entries as `expired`.
    """

    def __init__(
        self,
        store: PeerStore,
        upkeep: Upkeep,
        dialback: DialBack,
        *,
        clock: Callable[[], float],
        tell: Callable[[Notice], None],
        failed: Callable[[StorageError], None],
        checks: Counter[str],
    ) -> None:
        self._store, self._upkeep, self._dialback = store, upkeep, dialback
        self._clock, self._tell, self._failed, self._checks = clock, tell, failed, checks
        self._bucket = TokenBucket(CHECKS_PER_SECOND, CHECK_BURST)
        self._hosts = Buckets(HOST_CHECKS_PER_SECOND, HOST_CHECK_BURST)
        self._to_dial: deque[PeerEntry] = deque()
        self._idle = WORKERS
        self._work = asyncio.Semaphore(0)
        self._found: list[tuple[PeerEntry, bool]] = []
        self._postponed: list[str] = []
        self._suspects: dict[str, None] = {}
        self._silent: list[tuple[str, int]] = []
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Somebody may be due now."""
        self._wake.set()

    def suspect(self, address: str) -> None:
        """A peer could not be reached: look whether it is there."""
        if len(self._suspects) < MAX_SUSPECTS:
            self._suspects[address] = None

    def silent(self, address: str, sequence: int) -> None:
        """A keyed peer did not answer for as long as it was asked: see `doubts.py`."""
        self._silent.append((address, sequence))
        self._wake.set()

    async def run(self) -> None:
        """Take turns until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._dial_on())
            while True:
                more = self.turn()
                await asyncio.sleep(QUIET_SECONDS)
                if not more:
                    try:
                        async with asyncio.timeout(TURN_SECONDS):
                            await self._wake.wait()
                    except TimeoutError:
                        pass  # somebody may be due by now
                self._wake.clear()

    def turn(self) -> bool:
        """Save what was found, drop what is over, take new checks; whether there is more to drop.

        What could not be saved is kept for the next turn.
        """
        now = int(self._clock())
        try:
            if not self._anything(now):
                return False
            with self._store.saving():
                notices, gone, taken = self._upkeep_once(now)
        except StorageError as error:
            self._upkeep.rolled_back()
            if not isinstance(error, StoreConflict):
                self._failed(error)
            return False
        self._found.clear()
        self._postponed.clear()
        self._suspects.clear()
        self._silent.clear()
        self._checks["expired"] += gone
        self._hand_out(taken)
        for notice in notices:
            self._tell(notice)
        return gone == EXPIRE_BATCH

    def _anything(self, now: int) -> bool:
        waiting = self._found or self._postponed or self._suspects or self._silent
        return bool(waiting or self._store.expired(1, now) or self._store.due(1, now))

    def _upkeep_once(self, now: int) -> tuple[list[Notice], int, list[PeerEntry]]:
        dialled = [entry.address for entry, _ in self._found]
        silent = [address for address, _ in self._silent]
        self._store.prefetch([*dialled, *self._postponed, *self._suspects, *silent])
        notices = [self._upkeep.checked(entry, alive, now) for entry, alive in self._found]
        notices += [self._upkeep.silent(*found, now) for found in self._silent]
        for address in self._postponed:
            self._upkeep.postpone(address, now + POSTPONE_SECONDS)
        for address in self._suspects:
            self._upkeep.suspect(address, now)
        gone, more = self._upkeep.expire(EXPIRE_BATCH, now)
        taken = self._upkeep.take_checks(self._room(), now)
        return [notice for notice in notices if notice is not None] + more, gone, taken

    def _room(self) -> int:
        """Dials that may begin now."""
        room = max(self._idle - len(self._to_dial), 0)
        now = asyncio.get_running_loop().time()
        while room and self._bucket.wait(now, room) > 0.0:
            room -= 1
        return room

    def _hand_out(self, taken: list[PeerEntry]) -> None:
        now = asyncio.get_running_loop().time()
        for entry in taken:
            if entry.source and not self._hosts.of(entry.source).take(now):
                self._postpone(entry)
            elif self._bucket.take(now):
                self._to_dial.append(entry)
                self._work.release()

    def _postpone(self, entry: PeerEntry) -> None:
        self._postponed.append(entry.address)
        self._checks["postponed"] += 1

    async def _dial_on(self) -> None:
        """One worker; runs until cancelled."""
        while True:
            await self._work.acquire()
            entry = self._to_dial.popleft()
            self._idle -= 1
            try:
                alive = await self._dialback.present(entry)
            except Rejected:
                self._postpone(entry)
            else:
                self._found.append((entry, alive))
                self._checks["alive" if alive else "dead"] += 1
            finally:
                self._idle += 1
            self._wake.set()

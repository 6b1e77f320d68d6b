"""Dials registered peers that are due, and drops the dead and the expired."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from votenet.errors import Rejected, StorageError
from votenet.network.dialback import DialBack
from votenet.protocol.bootstrap.liveness_policy import POSTPONE_SECONDS, Dial, LivenessPolicy, Taken
from votenet.protocol.bootstrap.registry import Notice, PeerEntry
from votenet.protocol.wire.address import network_group, network_of_one
from votenet.protocol.wire.token_bucket import Buckets, TokenBucket
from votenet.storage.registry.peer_store import PeerStore, StoreConflict

LIVENESS_WORKERS: Final = 32
"""Peers dialled at one time."""
DIALS_OF_GROUP: Final = 4
"""Of them, those registered from one network, /24 or /48, unless SPARE_WORKERS stay idle: a peer that answers
takes milliseconds, a dead one seconds, and new peers of other networks must not wait for a thousand dead
ones."""
SPARE_WORKERS: Final = 16
"""Workers that a network leaves to others when it has more than DIALS_OF_GROUP: it may be the only one."""
CHECKS_PER_SECOND: Final = 50.0
"""Dials in all: a registry of 100,000 unkeyed peers is looked through in about half an hour."""
CHECK_BURST: Final = 4.0
HOST_CHECKS_PER_SECOND: Final = 1.0
"""Dials to one address, or to one /64 network of IPv6: registering its ports, or its addresses, makes
us dial it less often than the registrations cost."""
HOST_CHECK_BURST: Final = 20.0
TURN_SECONDS: Final = 0.5
QUIET_SECONDS: Final = 0.02
"""Between turns at least, so that several results share one transaction."""
EXPIRE_BATCH: Final = 100
"""Expired entries dropped in one transaction: some 3 ms; 5,000 a second, more than ever join."""
MAX_SUSPECTS: Final = 10_000


class LivenessChecker:
    """Workers that dial, and turns in which their results are saved, then told.

    Args:
        clock: Unix seconds.
        tell: called with notices once they are saved.
        saved: called after each transaction with None, or with the error of the store: the turn is repeated.
        checks: counts dials as `alive`, `dead`, `postponed`, and dropped entries as `expired`.
    """

    def __init__(
        self,
        store: PeerStore,
        liveness_policy: LivenessPolicy,
        dialback: DialBack,
        *,
        clock: Callable[[], float],
        tell: Callable[[Notice], None],
        saved: Callable[[StorageError | None], None],
        checks: Counter[str],
    ) -> None:
        self._store, self._policy, self._dialback = store, liveness_policy, dialback
        self._clock, self._tell, self._saved, self._checks = clock, tell, saved, checks
        self._bucket = TokenBucket(CHECKS_PER_SECOND, CHECK_BURST)
        self._hosts = Buckets(HOST_CHECKS_PER_SECOND, HOST_CHECK_BURST)
        self._to_dial: asyncio.Queue[PeerEntry] = asyncio.Queue()
        self._idle = LIVENESS_WORKERS
        self._groups: Counter[str] = Counter()
        """Dials of each network that are handed out and have not ended."""
        self._results: list[tuple[PeerEntry, bool]] = []
        self._postponed: list[str] = []
        self._suspects: dict[str, None] = {}
        self._silent: list[tuple[str, int]] = []
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at once whether an entry is due."""
        self._wake.set()

    def suspect(self, address: str) -> None:
        """Dial a peer soon: it could not be reached."""
        if len(self._suspects) < MAX_SUSPECTS:
            self._suspects[address] = None

    def silent(self, address: str, sequence: int) -> None:
        """Drop a keyed peer that did not answer for as long as it was pinged: see `SilenceCheck`."""
        self._silent.append((address, sequence))
        self._wake.set()

    async def run(self) -> None:
        """Take turns until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(LIVENESS_WORKERS):
                tasks.create_task(self._dial_on())
            while True:
                more = self.turn()
                await asyncio.sleep(QUIET_SECONDS)
                if not more:
                    try:
                        async with asyncio.timeout(TURN_SECONDS):
                            await self._wake.wait()
                    except TimeoutError:
                        pass  # an entry may be due by now
                self._wake.clear()

    def turn(self) -> bool:
        """Save results, drop finished checks, take new ones; returns whether more are to be dropped.

        What could not be saved is kept for the next turn.
        """
        now = int(self._clock())
        try:
            if not self._has_work(now):
                return False
            with self._store.saving():
                notices, gone, taken = self._apply(now)
        except StorageError as error:
            self._policy.writer.rolled_back()
            if not isinstance(error, StoreConflict):
                self._saved(error)
            return False
        self._saved(None)
        for reported in (self._results, self._postponed, self._suspects, self._silent):
            reported.clear()
        self._checks["expired"] += gone
        self._checks["postponed"] += taken.postponed
        self._hand_out(taken.entries)
        for notice in notices:
            self._tell(notice)
        return gone == EXPIRE_BATCH or taken.more

    def _has_work(self, now: int) -> bool:
        waiting = self._results or self._postponed or self._suspects or self._silent
        return bool(waiting or self._store.expired(1, now) or self._store.due(1, now))

    def _apply(self, now: int) -> tuple[list[Notice], int, Taken]:
        """Within a transaction: the notices, the number of expired entries, the entries to dial."""
        dialled = [entry.address for entry, _ in self._results]
        silent = [address for address, _ in self._silent]
        self._store.prefetch([*dialled, *self._postponed, *self._suspects, *silent])
        notices = [self._policy.checked(entry, alive, now) for entry, alive in self._results]
        notices += [self._policy.silent(*silence, now) for silence in self._silent]
        for address in self._postponed:
            self._policy.postpone(address, now + POSTPONE_SECONDS)
        for address in self._suspects:
            self._policy.suspect(address, now)
        gone, expired = self._policy.expire(EXPIRE_BATCH, now)
        taken = self._policy.take_checks(self._room(), now, self._turns())
        return [notice for notice in notices if notice is not None] + expired, gone, taken

    def _room(self) -> int:
        """Dials that may begin now."""
        room = max(self._idle - self._to_dial.qsize(), 0)
        now = asyncio.get_running_loop().time()
        while room and self._bucket.wait(now, room) > 0.0:
            room -= 1
        return room

    def _turns(self) -> Callable[[PeerEntry], Dial]:
        """Tells of one entry after the other when it may be dialled. The operator's may always be."""
        now, groups = asyncio.get_running_loop().time(), self._groups.copy()

        def when(entry: PeerEntry) -> Dial:
            group = _group(entry)
            spare = LIVENESS_WORKERS - groups.total() > SPARE_WORKERS
            if group and groups[group] >= DIALS_OF_GROUP and not spare:
                return Dial.SOON
            if group and not self._hosts.of(network_of_one(entry.source)).take(now):
                return Dial.LATER
            groups[group] += 1
            return Dial.NOW

        return when

    def _hand_out(self, taken: list[PeerEntry]) -> None:
        now = asyncio.get_running_loop().time()
        for entry in taken:
            self._bucket.take(now)  # there is room for it: see `_room`
            self._groups[_group(entry)] += 1
            self._to_dial.put_nowait(entry)

    def _postpone(self, entry: PeerEntry) -> None:
        self._postponed.append(entry.address)
        self._checks["postponed"] += 1

    async def _dial_on(self) -> None:
        """One worker; runs until cancelled."""
        while True:
            entry = await self._to_dial.get()
            self._idle -= 1
            try:
                alive = await self._dialback.present(entry)
            except Rejected:
                self._postpone(entry)
            else:
                self._results.append((entry, alive))
                self._checks["alive" if alive else "dead"] += 1
            finally:
                self._idle += 1
                self._ended(_group(entry))
            self._wake.set()

    def _ended(self, group: str) -> None:
        self._groups[group] -= 1
        if not self._groups[group]:
            del self._groups[group]


def _group(entry: PeerEntry) -> str:
    """The network that an entry was registered from; empty for the operator's."""
    return network_group(entry.source) or entry.source

"""The caretaker dials real peers, saves what it found, then tells; what could not be saved is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from peer_support import listening, run, until
from votenet.errors import Rejected, StorageError
from votenet.network.caretaker import HOST_CHECK_BURST, WORKERS, Caretaker
from votenet.network.dialback import DialBack
from votenet.network.names import Names
from votenet.protocol.registry import JOINED, LEFT, Book, Notice, PeerEntry
from votenet.protocol.upkeep import Upkeep
from votenet.storage.sqlite_peer_store import SqlitePeerStore

NOW = 1_700_000_000


class World:
    def __init__(self, store: SqlitePeerStore, dialback: DialBack) -> None:
        self.store, self.now = store, float(NOW)
        self.told: list[Notice] = []
        self.failed: list[StorageError] = []
        self.checks: Counter[str] = Counter()
        self.caretaker = Caretaker(
            store,
            Upkeep(Book(store)),
            dialback,
            clock=lambda: self.now,
            tell=self.told.append,
            failed=self.failed.append,
            checks=self.checks,
        )

    def add(self, *entries: PeerEntry) -> None:
        with self.store.saving():
            for entry in entries:
                self.store.put(entry)
        self.caretaker.wake()


@contextlib.asynccontextmanager
async def caring(folder: Path, dialback: DialBack | None = None) -> AsyncIterator[World]:
    with contextlib.closing(SqlitePeerStore(folder / "peers.db")) as store:
        world = World(store, dialback or DialBack(Names()))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(world.caretaker.run())
            try:
                yield world
            finally:
                running.cancel()


def test_s12_a_new_peer_is_told_of_once_it_has_answered(tmp_path: Path) -> None:
    async def test() -> None:
        async with caring(tmp_path) as world, listening(lambda line: b"") as (address, _):
            world.add(PeerEntry(str(address), source="127.0.0.1", proved=False, check_at=NOW))
            await until(lambda: bool(world.told))
            assert world.told == [Notice(JOINED, str(address))]
            assert world.checks["alive"] == 1

    run(test)


def test_s13_a_peer_that_died_without_a_word_is_dropped_and_told_of(tmp_path: Path) -> None:
    async def test() -> None:
        async with caring(tmp_path) as world:
            world.add(PeerEntry("127.0.0.1:1", check_at=NOW))
            world.add(PeerEntry("127.0.0.1:2", "11" * 32, "22" * 32, 1, NOW + 10_000))
            world.caretaker.suspect("127.0.0.1:2")
            while len(world.told) < 2:
                world.now += 30.0
                world.caretaker.wake()
                await asyncio.sleep(0.01)
            assert {notice.address for notice in world.told} == {"127.0.0.1:1", "127.0.0.1:2"}
            assert {notice.kind for notice in world.told} == {LEFT}
            assert world.store.count() == 0

    run(test)


class Slow(DialBack):
    """Counts who is being looked at; nobody answers before `release`."""

    def __init__(self) -> None:
        super().__init__(Names())
        self.running = self.most = self.looks = 0
        self.release = asyncio.Event()

    async def present(self, entry: PeerEntry) -> bool:
        self.running += 1
        self.looks += 1
        self.most = max(self.most, self.running)
        await self.release.wait()
        self.running -= 1
        if entry.address.startswith("busy"):
            raise Rejected("busy", "no")
        return True


def test_a_thousand_due_peers_cost_a_bounded_number_of_dials_at_a_time(tmp_path: Path) -> None:
    async def test() -> None:
        slow = Slow()
        async with caring(tmp_path, slow) as world:
            tasks = len(asyncio.all_tasks())
            world.add(*(PeerEntry(f"a:{n}", check_at=NOW) for n in range(1, 1001)))
            await until(lambda: slow.running == WORKERS)
            for _ in range(20):
                world.caretaker.wake()
                await asyncio.sleep(0.002)
            assert slow.most == WORKERS
            assert len(asyncio.all_tasks()) <= tasks + WORKERS
            slow.release.set()

    run(test)


def test_one_address_is_not_dialled_for_everybody_who_names_it(tmp_path: Path) -> None:
    """Registrations from one host are dialled back at the rate of that host: no reflector."""

    async def test() -> None:
        slow = Slow()
        slow.release.set()
        async with caring(tmp_path, slow) as world:
            entries = [
                PeerEntry(f"a:{n}", source="127.0.0.9", proved=False, check_at=NOW) for n in range(1, 90)
            ]
            world.add(*entries)
            await until(lambda: world.checks["postponed"] > 20)
            assert HOST_CHECK_BURST <= slow.looks <= HOST_CHECK_BURST + 3

    run(test)


def test_who_could_not_be_looked_at_is_looked_at_later(tmp_path: Path) -> None:
    async def test() -> None:
        slow = Slow()
        slow.release.set()
        async with caring(tmp_path, slow) as world:
            world.add(PeerEntry("busy:1", check_at=NOW))
            await until(lambda: slow.looks == 1)
            await until(lambda: (world.store.find("busy:1") or PeerEntry("x:1")).check_at == NOW + 5)
            world.now += 5
            world.caretaker.wake()
            await until(lambda: slow.looks == 2)

    run(test)


def test_what_could_not_be_saved_is_saved_in_a_later_turn(tmp_path: Path) -> None:
    async def test() -> None:
        async with caring(tmp_path) as world, listening(lambda line: b"") as (address, _):
            world.store._conn.execute("PRAGMA query_only = ON")
            world.caretaker.suspect(str(address))
            world.caretaker.wake()
            await until(lambda: bool(world.failed))
            world.store._conn.execute("PRAGMA query_only = OFF")
            world.add(PeerEntry(str(address), "11" * 32, "22" * 32, 1, NOW + 10_000))
            await until(lambda: world.checks["dead"] == 1)  # it has no such key
            assert world.told == []

    run(test)

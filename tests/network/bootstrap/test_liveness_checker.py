"""The liveness checker dials real peers, saves the results, then tells others; unsaved results are kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.peers import listening, run, until
from votenet.errors import Rejected, StorageError
from votenet.network.bootstrap import liveness_checker
from votenet.network.bootstrap.liveness_checker import (
    DIALS_OF_GROUP,
    HOST_CHECK_BURST,
    LIVENESS_WORKERS,
    SPARE_WORKERS,
    LivenessChecker,
)
from votenet.network.dialback import DialBack
from votenet.network.resolver import Names
from votenet.protocol.bootstrap.liveness_policy import LivenessPolicy
from votenet.protocol.bootstrap.registry import PEER_JOINED, PEER_LEFT, Notice, PeerEntry, RegistryWriter
from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

NOW = 1_700_000_000


class World:
    def __init__(self, store: SqlitePeerStore, dialback: DialBack) -> None:
        self.store, self.now = store, float(NOW)
        self.told: list[Notice] = []
        self.failed: list[StorageError] = []
        self.checks: Counter[str] = Counter()
        self.liveness_checker = LivenessChecker(
            store,
            LivenessPolicy(RegistryWriter(store)),
            dialback,
            clock=lambda: self.now,
            tell=self.told.append,
            saved=self.saved,
            checks=self.checks,
        )

    def saved(self, error: StorageError | None) -> None:
        if error is not None:
            self.failed.append(error)

    def add(self, *entries: PeerEntry) -> None:
        with self.store.saving():
            for entry in entries:
                self.store.put(entry)
        self.liveness_checker.wake()


@contextlib.asynccontextmanager
async def checking(folder: Path, dialback: DialBack | None = None) -> AsyncIterator[World]:
    with contextlib.closing(SqlitePeerStore(folder / "peers.db")) as store:
        world = World(store, dialback or DialBack(Names(), dial_seconds=20.0, answer_seconds=20.0))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(world.liveness_checker.run())
            try:
                yield world
            finally:
                running.cancel()


def test_a_new_peer_is_announced_once_it_has_answered(tmp_path: Path) -> None:
    async def test() -> None:
        async with checking(tmp_path) as world, listening(lambda line: b"") as (address, _):
            world.add(PeerEntry(str(address), source="127.0.0.1", proved=False, check_at=NOW))
            await until(lambda: bool(world.told))
            assert world.told == [Notice(PEER_JOINED, str(address))]
            assert world.checks["alive"] == 1

    run(test)


def test_a_peer_that_died_silently_is_dropped_and_announced(tmp_path: Path) -> None:
    async def test() -> None:
        async with checking(tmp_path) as world:
            world.add(PeerEntry("127.0.0.1:1", check_at=NOW))
            world.add(PeerEntry("127.0.0.1:2", "11" * 32, "22" * 32, 1, NOW + 10_000))
            world.liveness_checker.suspect("127.0.0.1:2")
            while len(world.told) < 2:
                world.now += 30.0
                world.liveness_checker.wake()
                await asyncio.sleep(0.01)
            assert {notice.address for notice in world.told} == {"127.0.0.1:1", "127.0.0.1:2"}
            assert {notice.kind for notice in world.told} == {PEER_LEFT}
            assert world.store.count() == 0

    run(test)


class Slow(DialBack):
    """Counts the peers being dialled; none answers before `release`."""

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
        async with checking(tmp_path, slow) as world:
            tasks = len(asyncio.all_tasks())
            world.add(*(PeerEntry(f"a:{n}", check_at=NOW) for n in range(1, 1001)))
            await until(lambda: slow.running == LIVENESS_WORKERS)
            for _ in range(20):
                world.liveness_checker.wake()
                await asyncio.sleep(0.002)
            assert slow.most == LIVENESS_WORKERS
            assert len(asyncio.all_tasks()) <= tasks + LIVENESS_WORKERS
            slow.release.set()

    run(test)


def test_many_claims_to_one_address_cause_few_dials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations from one host are dialled back at the rate of that host: no reflector."""
    monkeypatch.setattr(liveness_checker, "HOST_CHECKS_PER_SECOND", 0.001)

    async def test() -> None:
        slow = Slow()
        slow.release.set()
        async with checking(tmp_path, slow) as world:
            entries = [
                PeerEntry(f"a:{n}", source="127.0.0.9", proved=False, check_at=NOW) for n in range(1, 90)
            ]
            world.add(*entries)
            await until(lambda: world.checks["postponed"] > 20)
            assert slow.looks == HOST_CHECK_BURST

    run(test)


def test_the_addresses_of_one_ipv6_network_have_the_rate_of_one_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness_checker, "HOST_CHECKS_PER_SECOND", 0.001)

    async def test() -> None:
        slow = Slow()
        slow.release.set()
        async with checking(tmp_path, slow) as world:
            sources = [f"2001:db8::{n:x}" for n in range(1, 90)]
            world.add(*(PeerEntry(f"[{s}]:1", source=s, proved=False, check_at=NOW) for s in sources))
            await until(lambda: world.checks["postponed"] >= 69)
            assert slow.looks == HOST_CHECK_BURST

    run(test)


def test_a_thousand_dead_peers_of_one_network_hold_up_no_new_peer_of_another(tmp_path: Path) -> None:
    """Their dials never end here, and all of them are due before it."""

    async def test() -> None:
        slow = Slow()
        dialled: list[str] = []
        present = slow.present

        async def noted(entry: PeerEntry) -> bool:
            dialled.append(entry.address)
            return await present(entry)

        slow.present = noted  # type: ignore[method-assign]
        async with checking(tmp_path, slow) as world:
            dead = [f"2001:db8:0:{n:x}::1" for n in range(1, 1001)]
            world.add(*(PeerEntry(f"[{s}]:1", source=s, proved=False, check_at=NOW - 1) for s in dead))
            await until(lambda: slow.running == LIVENESS_WORKERS - SPARE_WORKERS)
            world.add(PeerEntry("192.0.2.1:1", source="192.0.2.1", proved=False, check_at=NOW))
            await until(lambda: "192.0.2.1:1" in dialled)
            assert len(dialled) == LIVENESS_WORKERS - SPARE_WORKERS + 1
            slow.release.set()

    run(test)


def test_several_networks_of_dead_peers_leave_workers_for_others(tmp_path: Path) -> None:
    async def test() -> None:
        slow = Slow()
        async with checking(tmp_path, slow) as world:
            dead = [f"192.0.{network}.{n}" for network in (1, 2) for n in range(1, 101)]
            world.add(*(PeerEntry(f"{s}:1", source=s, proved=False, check_at=NOW - 1) for s in dead))
            both = LIVENESS_WORKERS - SPARE_WORKERS + DIALS_OF_GROUP
            await until(lambda: slow.running == both)
            new = [f"198.51.100.{n}" for n in range(1, DIALS_OF_GROUP + 1)]
            world.add(*(PeerEntry(f"{s}:1", source=s, proved=False, check_at=NOW) for s in new))
            await until(lambda: slow.running == both + DIALS_OF_GROUP)
            assert slow.most == both + DIALS_OF_GROUP
            slow.release.set()

    run(test)


def test_many_new_peers_of_one_network_that_answer_are_all_dialled_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        slow = Slow()
        slow.release.set()
        async with checking(tmp_path, slow) as world:
            sources = [f"192.0.2.{n}" for n in range(1, 31)]
            world.add(*(PeerEntry(f"{s}:1", source=s, proved=False, check_at=NOW) for s in sources))
            await until(lambda: len(world.told) == len(sources))
            assert world.checks["postponed"] == 0
            assert slow.most <= LIVENESS_WORKERS - SPARE_WORKERS

    run(test)


def test_a_peer_that_could_not_be_checked_is_checked_later(tmp_path: Path) -> None:
    async def test() -> None:
        slow = Slow()
        slow.release.set()
        async with checking(tmp_path, slow) as world:
            world.add(PeerEntry("busy:1", check_at=NOW))
            await until(lambda: slow.looks == 1)
            await until(lambda: (world.store.find("busy:1") or PeerEntry("x:1")).check_at == NOW + 5)
            world.now += 5
            world.liveness_checker.wake()
            await until(lambda: slow.looks == 2)

    run(test)


def test_changes_that_could_not_be_saved_are_saved_in_a_later_turn(tmp_path: Path) -> None:
    async def test() -> None:
        quick = DialBack(Names(), answer_seconds=0.5)
        async with checking(tmp_path, quick) as world, listening(lambda line: b"") as (address, _):
            world.store.connection.execute("PRAGMA query_only = ON")
            world.liveness_checker.suspect(str(address))
            world.liveness_checker.wake()
            await until(lambda: bool(world.failed))
            world.store.connection.execute("PRAGMA query_only = OFF")
            world.add(PeerEntry(str(address), "11" * 32, "22" * 32, 1, NOW + 10_000))
            await until(lambda: world.checks["dead"] >= 1)  # it has no such key
            assert world.told == []

    run(test)

"""All registries pass the same tests: in memory, SQLite, a real Redis. peers.json."""

from __future__ import annotations

import itertools
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.memory_peer_store import MemoryPeerStore
from support.redis_server import RedisServer, redis_server
from votenet.errors import ConfigError, Locked, StorageError
from votenet.protocol.bootstrap.bootstrap_messages import encode_plain
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.storage.registry.peer_store import (
    PeerStore,
    opened,
    place_of,
    read_peers_file,
    write_peers_file,
)
from votenet.storage.registry.redis_peer_store import RedisPeerStore
from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

NOW = 1000
KEY, NETWORK = "11" * 32, "22" * 32


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


databases = itertools.count()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PeerStore]:
    made: PeerStore
    if request.param == "memory":
        made = MemoryPeerStore()
    elif request.param == "sqlite":
        made = SqlitePeerStore(tmp_path / "peers.db")
    else:
        made = RedisPeerStore(request.getfixturevalue("redis").url(next(databases)))
    yield made
    made.close()


def keyed(address: str, *, sequence: int = 1, expires: int = NOW + 10) -> PeerEntry:
    return PeerEntry(address, KEY, NETWORK, sequence, expires)


class TestRegistry:
    def test_entries_come_back_as_they_went_in(self, store: PeerStore) -> None:
        for entry in (PeerEntry("a:1"), keyed("b:2", sequence=2**53 - 1)):
            store.put(entry)
            assert store.find(entry.address) == entry
        assert store.find("c:3") is None
        assert store.count() == 2

    def test_an_entry_is_replaced_in_its_place(self, store: PeerStore) -> None:
        for address in ("a:1", "b:2", "c:3"):
            store.put(PeerEntry(address))
        store.put(keyed("B:2"))
        assert store.addresses(10, NOW) == ["a:1", "B:2", "c:3"]
        assert store.count() == 3
        assert store.find("b:2") == keyed("B:2")

    def test_slots_have_no_gaps_after_any_history(self, store: PeerStore) -> None:
        chance = random.Random(3)
        present: set[str] = set()
        for _ in range(30):
            with store.saving():
                for _ in range(20):
                    address = f"a:{chance.randrange(1, 60)}"
                    if chance.random() < 0.5:
                        store.put(PeerEntry(address))
                        present.add(address)
                    else:
                        store.remove(address)
                        present.discard(address)
                    assert store.count() == len(present)
        found = [entry.address for entry in store.at(range(store.count()), NOW)]
        assert sorted(found) == sorted(present)

    def test_pages_go_by_registration(self, store: PeerStore) -> None:
        for number in range(1, 8):
            store.put(PeerEntry(f"a:{number}"))
        store.put(keyed("gone:1", expires=NOW))
        store.remove("a:7")
        store.put(PeerEntry("a:7"))
        first, cursor = store.page(0, 5, NOW)
        assert [entry.address for entry in first] == [f"a:{number}" for number in range(1, 6)]
        assert cursor is not None
        second, end = store.page(cursor, 5, NOW)
        assert [entry.address for entry in second] == ["a:6", "a:7"]
        assert end is None
        assert store.page(10**9, 5, NOW) == ([], None)

    def test_a_cursor_never_skips_a_later_registration(self, store: PeerStore) -> None:
        for number in range(1, 4):
            store.put(PeerEntry(f"a:{number}"))
        _, cursor = store.page(0, 2, NOW)
        assert cursor is not None
        store.remove("a:2")
        store.remove("a:3")
        store.put(PeerEntry("a:4"))
        assert [entry.address for entry in store.page(cursor, 9, NOW)[0]] == ["a:4"]

    def test_expired_entries_are_not_listed_and_are_found(self, store: PeerStore) -> None:
        store.put(keyed("a:1", expires=NOW))
        store.put(keyed("b:2", expires=NOW + 1))
        store.put(PeerEntry("c:3"))
        assert store.addresses(10, NOW) == ["b:2", "c:3"]
        assert [entry.address for entry in store.at([0, 1, 2], NOW)] == ["b:2", "c:3"]
        assert [entry.address for entry in store.expired(10, NOW)] == ["a:1"]
        assert len(store.expired(1, NOW + 1)) == 1

    def test_spent_sequences_are_remembered_for_a_time(self, store: PeerStore) -> None:
        assert store.retired(KEY, "a:1") == -1
        store.retire(KEY, "a:1", 5, NOW + 10)
        store.retire(KEY, "A:1", 3, NOW + 20)
        assert store.retired(KEY, "a:1") == 5
        assert store.retired(NETWORK, "a:1") == -1
        store.forget_retired(10, NOW + 10)
        assert store.retired(KEY, "a:1") == 5
        store.forget_retired(10, NOW + 20)
        assert store.retired(KEY, "a:1") == -1

    def test_registrations_are_counted_by_host_and_network(self, store: PeerStore) -> None:
        def held(*names: str) -> list[int]:
            return [store.held(name) for name in names]

        mine = [PeerEntry(f"a:{n}", source="10.0.0.1", proved=False) for n in (1, 2)]
        for entry in (*mine, PeerEntry("b:1", source="10.0.0.2"), PeerEntry("c:1"), mine[0]):
            store.put(entry)
        assert held("10.0.0.1", "10.0.0.2", "10.0.0.0/24", "10.0.0.3", "") == [2, 1, 3, 0, 0]
        store.put(PeerEntry("a:1", source="10.9.9.9"))
        store.put(PeerEntry("a:2"))
        store.put(PeerEntry("c:1", source="10.0.0.2"))
        assert held("10.0.0.1", "10.0.0.2", "10.0.0.0/24", "10.9.9.0/24") == [0, 2, 2, 1]
        for address in ("a:1", "a:2", "b:1", "c:1", "c:1"):
            store.remove(address)
        assert held("10.0.0.1", "10.0.0.2", "10.0.0.0/24", "10.9.9.0/24") == [0, 0, 0, 0]

    def test_the_unproved_are_kept_but_not_listed(self, store: PeerStore) -> None:
        entry = PeerEntry("a:1", source="10.0.0.1", proved=False, misses=3, check_at=NOW)
        store.put(entry)
        store.put(PeerEntry("b:2"))
        assert store.find("a:1") == entry
        assert store.addresses(10, NOW) == ["b:2"]
        assert [found.address for found in store.page(0, 10, NOW)[0]] == ["b:2"]
        assert [found.address for found in store.at([0, 1], NOW)] == ["b:2"]
        assert store.count() == 2

    def test_the_longest_overdue_come_first(self, store: PeerStore) -> None:
        for number, when in ((1, NOW), (2, NOW - 5), (3, None), (4, NOW + 1)):
            store.put(PeerEntry(f"a:{number}", check_at=when))
        assert [entry.address for entry in store.due(10, NOW)] == ["a:2", "a:1"]
        assert [entry.address for entry in store.due(1, NOW)] == ["a:2"]
        store.put(PeerEntry("a:2"))
        store.remove("a:1")
        assert store.due(10, NOW) == []

    def test_changes_are_seen_within_their_own_transaction(self, store: PeerStore) -> None:
        store.put(keyed("a:1"))
        with store.saving():
            store.put(PeerEntry("b:2", source="10.0.0.1"))
            assert store.find("B:2") == PeerEntry("b:2", source="10.0.0.1")
            assert (store.count(), store.held("10.0.0.1"), store.held("10.0.0.0/24")) == (2, 1, 1)
            store.remove("a:1")
            store.retire(KEY, "a:1", 7, NOW + 10)
            assert store.find("a:1") is None
            assert (store.count(), store.retired(KEY, "a:1")) == (1, 7)
            store.put(keyed("a:1", sequence=8))
            store.remove("b:2")
            assert (store.count(), store.held("10.0.0.1")) == (1, 0)
        assert store.addresses(10, NOW) == ["a:1"]
        assert store.find("a:1") == keyed("a:1", sequence=8)
        assert store.retired(KEY, "a:1") == 7

    def test_removing_a_missing_peer_changes_nothing(self, store: PeerStore) -> None:
        store.put(PeerEntry("a:1"))
        store.remove("b:2")
        assert store.addresses(10, NOW) == ["a:1"]


# -- peers.json --------------------------------------------------------------------------------


def test_the_reference_servers_file_is_read_and_written(tmp_path: Path) -> None:
    file = tmp_path / "peers.json"
    write_peers_file(file, ["localhost:3000", "localhost:3001"])
    assert file.read_bytes() == b'[{"address":"localhost:3000"},{"address":"localhost:3001"}]'
    assert read_peers_file(file) == ["localhost:3000", "localhost:3001"]
    file.write_text('[ {"address": "A:1", "seen": 5}, {"address": "a:1"} ]\n')
    assert read_peers_file(file) == ["A:1"]
    file.write_text("[]")
    assert read_peers_file(file) == []
    assert encode_plain([]) == b"[]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{}",
        "null",
        '["localhost:3000"]',
        '[{"addr":"localhost:3000"}]',
        '[{"address":3000}]',
        '[{"address":"localhost:3000"},{"address":"nowhere"}]',
        '[{"address":"localhost:3000"}',
        "[" * 100_000,
        '[{"address":"\xff"}]',
    ],
    ids=lambda text: text[:30],
)
def test_a_broken_file_is_refused_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "peers.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        read_peers_file(tmp_path / "peers.json")
    assert caught.value.code == "bad-peers-file"
    assert caught.value.exit_code == 78


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ConfigError):
            read_peers_file(path)


def test_the_place_of_the_mistake_is_named(tmp_path: Path) -> None:
    entries = [{"address": f"a:{number}"} for number in range(1, 50)] + [{"address": "a:0"}]
    (tmp_path / "peers.json").write_text(json.dumps(entries))
    with pytest.raises(ConfigError, match="entry 50"):
        read_peers_file(tmp_path / "peers.json")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        write_peers_file(tmp_path / "none" / "peers.json", ["a:1"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        write_peers_file(tmp_path / "folder", ["a:1"])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


# -- the choice of a store -------------------------------------------------------------------------


def test_a_sqlite_file_is_made_with_its_folder_and_held_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "peers.db"
    with opened(f"sqlite:{path}") as store:
        assert isinstance(store, SqlitePeerStore)
        store.put(PeerEntry("a:1"))
        with pytest.raises(Locked), opened(f"sqlite:{path}"):
            pass
    with opened(f"sqlite:{path}") as store:
        assert store.count() == 1


def test_a_redis_database_is_shared(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, opened(server.url()) as one, opened(server.url()) as other:
        assert isinstance(one, RedisPeerStore)
        one.put(PeerEntry("a:1"))
        assert other.count() == 1


@pytest.mark.parametrize("text", ["", "sqlite", "sqlite:", "mysql://a/b", "/var/lib/peers.db"])
def test_anything_else_is_no_store(text: str) -> None:
    with pytest.raises(ConfigError) as caught, opened(text):
        pass
    assert caught.value.code == "bad-store"
    assert "sqlite:PATH" in caught.value.next_step


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "votenet.storage.registry.redis_peer_store", None)
    with pytest.raises(ConfigError) as caught, opened("redis://127.0.0.1:1/0"):
        pass
    assert caught.value.code == "redis-missing"
    assert "pip install" in caught.value.next_step


@pytest.mark.parametrize(
    ("store", "place"),
    [
        ("sqlite:/var/lib/a b/peers.db", "/var/lib/a b/peers.db"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://:se@cret@north.example:6379", "rediss://north.example:6379"),
        ("redis://user:secret@[::1]:6379/2", "redis://[::1]:6379/2"),
    ],
)
def test_the_place_of_a_store_has_no_password(store: str, place: str) -> None:
    assert place_of(store) == place

"""The registry on disk keeps acknowledged changes, and never scans the whole table."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from votenet.errors import StorageCorrupt, StorageError
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

NOW = 1000
KEY, NETWORK = "11" * 32, "22" * 32


def keyed(address: str) -> PeerEntry:
    return PeerEntry(address, KEY, NETWORK, 1, NOW + 10)


def test_saved_entries_are_there_for_the_next_server(tmp_path: Path) -> None:
    store = SqlitePeerStore(tmp_path / "peers.db")
    with store.saving():
        store.put(PeerEntry("a:1"))
        store.put(keyed("b:2"))
        store.retire(KEY, "c:3", 4, NOW)
    store.close()
    again = SqlitePeerStore(tmp_path / "peers.db")
    assert again.find("b:2") == keyed("b:2")
    assert again.addresses(10, NOW) == ["a:1", "b:2"]
    assert again.retired(KEY, "c:3") == 4
    again.close()


def put_and_fail(store: SqlitePeerStore) -> None:
    with store.saving():
        store.put(PeerEntry("b:2"))
        raise StorageError("no")


def test_changes_that_could_not_be_saved_are_undone(tmp_path: Path) -> None:
    store = SqlitePeerStore(tmp_path / "peers.db")
    with store.saving():
        store.put(PeerEntry("a:1"))
    with pytest.raises(StorageError):
        put_and_fail(store)
    assert store.addresses(10, NOW) == ["a:1"]
    assert store.count() == 1
    store.close()


def test_a_failing_disk_is_a_storage_error_in_reads_too(tmp_path: Path) -> None:
    store = SqlitePeerStore(tmp_path / "peers.db")
    store.close()
    for read in (
        store.count,
        lambda: store.find("a:1"),
        lambda: store.addresses(1, 1),
        lambda: store.at([0], 1),
    ):
        with pytest.raises(StorageError):
            read()


def test_a_registry_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "peers.db").write_bytes(b"[]" * 4096)
    with pytest.raises(StorageCorrupt):
        SqlitePeerStore(tmp_path / "peers.db")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM peers WHERE address = 'a'",
        "SELECT max(slot) FROM peers",
        "SELECT * FROM peers WHERE slot = 5",
        "SELECT * FROM peers WHERE id > 5 AND (expires IS NULL OR expires > 3) ORDER BY id LIMIT 3",
        "SELECT * FROM peers WHERE expires <= 5 ORDER BY expires LIMIT 3",
        "SELECT * FROM peers WHERE check_at <= 5 ORDER BY check_at LIMIT 3",
        "SELECT count(*) FROM peers"
        " WHERE (source = 'a' AND source != '') OR (network = 'a' AND network != '')",
        "SELECT node_key FROM retired WHERE until <= 5 LIMIT 3",
    ],
)
def test_no_query_scans_or_sorts_the_registry(tmp_path: Path, query: str) -> None:
    SqlitePeerStore(tmp_path / "peers.db").close()
    conn = sqlite3.connect(tmp_path / "peers.db")
    plan = " ".join(row[3] for row in conn.execute("EXPLAIN QUERY PLAN " + query))
    conn.close()
    assert "SEARCH" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("damage", ["node_key = 7", "sequence = 'x'", "expires = 'x'"])
def test_values_of_another_kind_are_damage_with_a_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "peers.db"
    store = SqlitePeerStore(path)
    with store.saving():
        store.put(keyed("a:1"))
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute(f"UPDATE peers SET {damage}")
    with contextlib.closing(SqlitePeerStore(path)) as again, pytest.raises(StorageCorrupt, match="damaged"):
        again.find("a:1")

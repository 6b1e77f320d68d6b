"""Schema scripts: each once, whole or not at all, never from the future."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from votenet.errors import StorageError
from votenet.storage.database import open_database
from votenet.storage.migrations import migrate, schema_version

FIRST = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);"
SECOND = "ALTER TABLE a ADD COLUMN y TEXT DEFAULT 'new';  -- a comment at the end"
BROKEN = "CREATE TABLE b (x INTEGER); INSERT INTO nowhere VALUES (1);"


def memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def test_each_script_is_applied_once() -> None:
    conn = memory()
    assert migrate(conn, [FIRST], "x") == 1
    assert migrate(conn, [FIRST], "x") == 0
    assert migrate(conn, [FIRST, SECOND], "x") == 1
    assert conn.execute("SELECT x, y FROM a").fetchall() == [(1, "new")]
    assert schema_version(conn) == 2
    conn.close()


def test_a_broken_script_leaves_nothing_behind() -> None:
    conn = memory()
    with pytest.raises(sqlite3.Error):
        migrate(conn, [FIRST, BROKEN], "x")
    assert schema_version(conn) == 1
    assert conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'b'").fetchone() == (0,)
    assert not conn.in_transaction
    conn.close()


def test_a_broken_script_is_a_storage_error_when_a_file_is_opened(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        open_database(tmp_path / "a.db", [FIRST, BROKEN])


def test_a_file_of_a_newer_votenet_is_refused_with_a_next_step(tmp_path: Path) -> None:
    open_database(tmp_path / "a.db", [FIRST, SECOND]).close()
    with pytest.raises(StorageError, match="format 2") as caught:
        open_database(tmp_path / "a.db", [FIRST])
    assert caught.value.code == "storage-version"
    assert "newer votenet" in caught.value.next_step


def test_a_reader_does_not_migrate(tmp_path: Path) -> None:
    open_database(tmp_path / "a.db", [FIRST]).close()
    with pytest.raises(StorageError, match="older format 1"):
        open_database(tmp_path / "a.db", [FIRST, SECOND], read_only=True)

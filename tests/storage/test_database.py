"""Opening, transactions, named causes of failure."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from votenet.errors import StorageCorrupt, StorageError
from votenet.storage import database
from votenet.storage.database import migrate, open_database, reading, storage_error, transaction

TABLE = ["CREATE TABLE things (name TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID"]


def insert(conn: sqlite3.Connection, *found: str) -> None:
    with transaction(conn):
        for name in found:
            conn.execute("INSERT INTO things VALUES (?, 1)", (name,))


def interrupted(conn: sqlite3.Connection) -> None:
    with transaction(conn):
        conn.execute("INSERT INTO things VALUES ('dropped', 1)")
        raise RuntimeError


def names(conn: sqlite3.Connection) -> list[str]:
    return [name for (name,) in conn.execute("SELECT name FROM things ORDER BY name")]


def test_a_new_file_is_private_durable_and_has_its_schema(tmp_path: Path) -> None:
    conn = open_database(tmp_path / "a.db", TABLE)
    assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert conn.execute("PRAGMA synchronous").fetchone() == (2,)
    assert conn.execute("PRAGMA user_version").fetchone() == (1,)
    assert stat.S_IMODE((tmp_path / "a.db").stat().st_mode) == 0o600
    conn.close()


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    conn = open_database(tmp_path / "a.db", TABLE)
    insert(conn, "kept")
    with pytest.raises(RuntimeError):
        interrupted(conn)
    with pytest.raises(StorageError):
        insert(conn, "dropped", "kept")
    assert names(conn) == ["kept"]
    assert not conn.in_transaction
    conn.close()


def test_committed_rows_are_seen_by_the_next_process(tmp_path: Path) -> None:
    conn = open_database(tmp_path / "a.db", TABLE)
    insert(conn, "kept")
    reader = open_database(tmp_path / "a.db", TABLE, read_only=True)
    assert names(reader) == ["kept"]
    with pytest.raises(StorageError, match="read-only"), transaction(reader):
        reader.execute("DELETE FROM things")
    reader.close()
    conn.close()


def test_a_full_disk_is_named_and_nothing_is_half_written(tmp_path: Path) -> None:
    conn = open_database(tmp_path / "a.db", TABLE)
    (pages,) = conn.execute("PRAGMA page_count").fetchone()
    conn.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageError, match="disk is full") as caught:
        insert(conn, *(f"thing {number}" for number in range(10_000)))
    assert caught.value.code == "storage-failed"
    assert names(conn) == []
    conn.execute("PRAGMA max_page_count = 1000000")
    insert(conn, "space is back")
    assert names(conn) == ["space is back"]
    conn.close()


@pytest.mark.parametrize("content", [b"this is not a database at all, but it is long enough to look at" * 20])
def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(StorageCorrupt) as caught:
        open_database(tmp_path / "a.db", TABLE)
    assert caught.value.exit_code == 78
    assert caught.value.next_step
    assert (tmp_path / "a.db").read_bytes() == content


def test_a_damaged_page_is_corrupt_when_it_is_read(tmp_path: Path) -> None:
    conn = open_database(tmp_path / "a.db", TABLE)
    insert(conn, *(f"thing {number:06}" for number in range(5000)))
    conn.close()
    with (tmp_path / "a.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    conn = open_database(tmp_path / "a.db", TABLE)
    with pytest.raises(StorageCorrupt), reading():
        names(conn)
    conn.close()


def test_a_damaged_schema_that_is_not_even_text_is_corrupt(tmp_path: Path) -> None:
    """SQLite names the part that it cannot read, and sqlite3 cannot turn that name into text."""
    open_database(tmp_path / "a.db", TABLE).close()
    raw = (tmp_path / "a.db").read_bytes()
    begin = raw.index(b"CREATE TABLE")
    for at in range(begin, raw.index(b")", begin)):
        (tmp_path / "a.db").write_bytes(raw[:at] + b"\xff" + raw[at + 1 :])
        try:
            conn = open_database(tmp_path / "a.db", TABLE)
        except StorageCorrupt:
            continue
        with contextlib.closing(conn), contextlib.suppress(StorageError), reading():
            names(conn)


def test_the_missing_folder_the_file_in_its_place_and_the_folder_as_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        open_database(tmp_path / "nowhere" / "a.db", TABLE)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="not a folder"):
        open_database(tmp_path / "file" / "a.db", TABLE)
    (tmp_path / "a.db").mkdir()
    with pytest.raises(StorageError, match="not a file"):
        open_database(tmp_path / "a.db", TABLE)
    with pytest.raises(StorageError, match="does not exist"):
        open_database(tmp_path / "missing.db", TABLE, read_only=True)


def test_a_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, whom mode bits do not stop: ask the question that the kernel would deny.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StorageError, match="read-only") as caught:
        open_database(tmp_path / "a.db", TABLE)
    assert caught.value.code == "bad-directory"
    assert not (tmp_path / "a.db").exists()


def test_errors_of_sqlite_without_a_known_cause_still_become_ours() -> None:
    error = storage_error(sqlite3.ProgrammingError("Cannot operate on a closed database."), "x.db")
    assert type(error) is StorageError
    assert "closed database" in error.message


def test_writing_to_a_closed_connection_is_ours_to_name(tmp_path: Path) -> None:
    conn = open_database(tmp_path / "a.db", TABLE)
    conn.close()
    with pytest.raises(StorageError, match="closed database"):
        insert(conn, "late")


def test_a_folder_that_cannot_be_synced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(database, "sync_folder", broken)
    with pytest.raises(StorageError, match="cannot sync the folder") as caught:
        open_database(tmp_path / "a.db", TABLE)
    assert caught.value.next_step


BIG = ("CREATE TABLE big (bytes BLOB);",)


def test_the_log_shrinks_after_a_long_read_while_the_program_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    log = tmp_path / "a.db-wal"
    writer = open_database(path, BIG)
    reader = open_database(path, BIG, read_only=True)
    with contextlib.closing(writer), contextlib.closing(reader):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM big").fetchone()
        for _ in range(8):
            with transaction(writer) as conn:
                conn.execute("INSERT INTO big VALUES (zeroblob(4000000))")
        assert log.stat().st_size > 30_000_000
        reader.execute("COMMIT")
        for _ in range(3):
            with transaction(writer) as conn:
                conn.execute("INSERT INTO big VALUES (zeroblob(1))")
        assert log.stat().st_size <= database.LOG_BYTES


# -- schemas ---------------------------------------------------------------------------------------

FIRST = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);"
SECOND = "ALTER TABLE a ADD COLUMN y TEXT DEFAULT 'new';  -- a comment at the end"
BROKEN = "CREATE TABLE b (x INTEGER); INSERT INTO nowhere VALUES (1);"


def memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def test_each_script_is_applied_once() -> None:
    conn = memory()
    for scripts in ([FIRST], [FIRST], [FIRST, SECOND]):
        migrate(conn, scripts, Path("x"))
    assert conn.execute("SELECT x, y FROM a").fetchall() == [(1, "new")]
    assert conn.execute("PRAGMA user_version").fetchone() == (2,)
    conn.close()


def test_a_broken_script_leaves_nothing_behind() -> None:
    conn = memory()
    with pytest.raises(sqlite3.Error):
        migrate(conn, [FIRST, BROKEN], Path("x"))
    assert conn.execute("PRAGMA user_version").fetchone() == (1,)
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
    with pytest.raises(StorageError, match="older format"):
        open_database(tmp_path / "a.db", [FIRST, SECOND], read_only=True)

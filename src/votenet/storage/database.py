"""Opening a SQLite file so that "committed" means "on the disk"; sqlite3's errors become votenet's.

Write-ahead log with synchronous=FULL: a commit returns after its log page is synced, so that it
survives kill -9 and a power cut; readers never wait for the writer.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from votenet.errors import StorageCorrupt, StorageError
from votenet.storage.files import sync_folder

BUSY_MILLISECONDS: Final = 5000
"""How long a writer waits for another process (an export, a backup) before it gives up."""
LOG_BYTES: Final = 16 * 1024 * 1024
"""Size of the write-ahead log when it starts again: SQLite writes it back at a quarter of this. It grows
further only while another program reads for long, and shrinks after that."""
WRITER_SETTINGS: dict[str, object] = {
    "synchronous": "FULL",
    "cache_size": -16 * 1024,  # KiB of one connection; the operating system caches the rest of the file
    "journal_size_limit": LOG_BYTES,
}
"""PRAGMAs of a connection that writes."""

SQLITE_FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)
"""The errors of sqlite3; the second where it quotes a damaged file that is not text."""
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CAUSES: Final[dict[int, tuple[str, str]]] = {
    # primary result code: (cause, next step)
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; nothing acknowledged was lost."),
    sqlite3.SQLITE_READONLY: ("it is read-only", "Make the file and its folder writable for this user."),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "Check the disk, its quota and the system log."),
    sqlite3.SQLITE_BUSY: ("another program keeps it locked", "Stop the other program and try again."),
    sqlite3.SQLITE_LOCKED: ("another program keeps it locked", "Stop the other program and try again."),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check that the folder exists and is writable."),
    sqlite3.SQLITE_PERM: ("access is denied", "Make the file and its folder writable for this user."),
    sqlite3.SQLITE_NOMEM: ("memory ran out", "Stop other programs or add memory."),
}


def open_database(path: Path, migrations: Sequence[str], *, read_only: bool = False) -> sqlite3.Connection:
    """Open or create a database and bring its schema up to date.

    Transactions are explicit: see `transaction`. A `read_only` connection changes nothing, so a file
    of an older format is refused, too.

    Args:
        path: the file; its folder must exist (`lock_data_dir` makes it).
        migrations: SQL scripts, oldest first; see `migrate`.

    Raises:
        StorageCorrupt: it is not a database, or a damaged one.
        StorageError: with the cause named; code storage-version when a newer votenet wrote it.
    """
    _check_place(path, read_only=read_only)
    try:
        with contextlib.ExitStack() as opened:
            if not read_only:
                _create_private(path)
            uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "")
            conn = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            opened.callback(conn.close)
            conn.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            if not read_only:
                _prepare(conn, path)
                migrate(conn, migrations, path)
                sync_folder(path.parent)  # always: the start that made the file may have ended before this
            elif _version(conn, migrations, path) < len(migrations):
                raise StorageError(
                    f"{path} has an older format",
                    code="storage-version",
                    next_step="Open it once with the program that owns it, which brings it up to date.",
                )
            opened.pop_all()
            return conn
    except OSError as error:
        raise StorageError(
            f"cannot sync the folder {path.parent}: {error.strerror or error}",
            next_step="Check the disk and the system log.",
        ) from error
    except SQLITE_FAILURES as error:
        raise storage_error(error, str(path)) from error


def migrate(conn: sqlite3.Connection, migrations: Sequence[str], path: Path) -> None:
    """Apply the scripts that this file has not seen, each in one transaction with its number.

    `PRAGMA user_version` counts the applied scripts. A released script never changes: new ones are appended.

    Raises:
        StorageError: the file is newer than this program.
        sqlite3.Error: a script failed; it left nothing behind.
    """
    before = _version(conn, migrations, path)
    for number, script in enumerate(migrations[before:], start=before + 1):
        # One script with its own BEGIN and COMMIT: executescript would commit a transaction opened outside.
        try:
            conn.executescript(f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version = {number};\nCOMMIT;")
        except SQLITE_FAILURES:
            _roll_back(conn)
            raise


def _version(conn: sqlite3.Connection, migrations: Sequence[str], path: Path) -> int:
    """How many scripts this file has seen. Raises StorageError storage-version: more than there are."""
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise StorageError(
            f"{path} has format {version}, this votenet knows formats up to {len(migrations)}",
            code="storage-version",
            next_step="Run the newer votenet that wrote it, or point this one at another folder.",
        )
    return int(version)


@contextlib.contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: committed and synced when the block ends, rolled back when it raises.

    Raises:
        StorageError: the disk or the database refused; nothing of the block was kept.
    """
    try:
        conn.execute("BEGIN IMMEDIATE")
        yield conn
        conn.execute("COMMIT")
    except SQLITE_FAILURES as error:
        _roll_back(conn)
        raise storage_error(error, "the database") from error
    except BaseException:
        _roll_back(conn)
        raise


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Around reads outside a transaction: sqlite3's errors become StorageError."""
    try:
        yield
    except SQLITE_FAILURES as error:
        raise storage_error(error, "the database") from error


def storage_error(error: sqlite3.Error | UnicodeDecodeError, name: str) -> StorageError:
    """A votenet error that names the cause in words."""
    extended = getattr(error, "sqlite_errorcode", None)
    primary = None if extended is None else extended & 0xFF
    if primary in _CORRUPT or isinstance(error, UnicodeDecodeError):
        return StorageCorrupt(
            f"{name} is damaged or not a database: {error}",
            next_step="Move it and the files whose names begin with its name away, and start again:"
            " peers register anew, a node fetches its chain. Check the disk.",
        )
    if primary in _CAUSES:
        cause, next_step = _CAUSES[primary]
        return StorageError(f"{name}: {cause} ({error})", next_step=next_step)
    return StorageError(f"{name}: {error}", next_step="Check the file, the disk and the system log.")


def _check_place(path: Path, *, read_only: bool) -> None:
    """Name what SQLite would only call 'unable to open database file'."""
    folder = path.parent
    if read_only and folder.is_dir() and not path.exists():
        raise StorageError(f"{path} does not exist", code="no-database", next_step="Check the path.")
    writable = read_only or os.access(folder, os.W_OK | os.X_OK)
    for wrong, message, next_step in (
        (not folder.exists(), f"the folder {folder} does not exist", "Make it, or name another."),
        (not folder.is_dir(), f"{folder} is not a folder", "Name a folder for the data."),
        (path.exists() and not path.is_file(), f"{path} is not a file", "Move it out of the way."),
        (
            not writable,
            f"the folder {folder} is read-only",
            "Make it writable for this user, or name another.",
        ),
    ):
        if wrong:
            raise StorageError(message, code="bad-directory", next_step=next_step)


def _create_private(path: Path) -> None:
    """An empty file that only this user can read, before SQLite would make one for everybody."""
    step = "Check the owner, the mode and the free space of the folder."
    with (
        StorageError.of_os_errors(f"cannot make {path}", next_step=step),
        contextlib.suppress(FileExistsError),
    ):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _prepare(conn: sqlite3.Connection, path: Path) -> None:
    (mode,) = conn.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(
            f"{path}: this file system cannot hold a write-ahead log",
            next_step="Keep the data on a local disk.",
        )
    for name, value in WRITER_SETTINGS.items():
        conn.execute(f"PRAGMA {name} = {value}")


def _roll_back(conn: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # a closed connection cannot even be asked
        if conn.in_transaction:
            conn.execute("ROLLBACK")

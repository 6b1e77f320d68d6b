"""Opening a SQLite file so that "committed" means "on the disk", and the lock of a data folder.

What lives here: open_database, transactions, the one place where sqlite3's errors become votenet's,
lock_data_dir. What must not: tables (each store keeps its own), decisions about what to save.

Write-ahead log with synchronous=FULL: a commit returns after its log page is synced, so that it
survives kill -9 and a power cut; readers never wait for the writer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from votenet.errors import Locked, StorageCorrupt, StorageError
from votenet.storage.folders import durable_private_dir, sync_folder
from votenet.storage.migrations import check_version, migrate

BUSY_MILLISECONDS: Final = 5000
"""How long a writer waits for another process (an export, a backup) before it gives up."""
CACHE_KIB: Final = 16 * 1024
"""Page cache of one connection; the operating system caches the rest of the file."""
LOG_BYTES: Final = 16 * 1024 * 1024
"""What the write-ahead log keeps of the disk when it begins anew: SQLite writes it back at a quarter of this.
It grows further only while a long read of another program lasts, and shrinks after it."""

SQLITE_FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises: the second where SQLite names part of a damaged file that is not text."""
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
        migrations: SQL scripts, oldest first; see `migrations.py`.

    Raises:
        StorageCorrupt: it is not a database, or a damaged one.
        StorageError: with the cause named; code storage-version when a newer votenet wrote it.
    """
    _check_place(path, read_only=read_only)
    conn: sqlite3.Connection | None = None
    try:
        if read_only:
            uri = path.absolute().as_uri() + "?mode=ro"
            conn = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            conn.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            _check_readable(conn, migrations, path)
        else:
            _create_private(path)
            conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            _prepare(conn, path)
            migrate(conn, migrations, str(path))
            sync_folder(path.parent)  # always: the start that made the file may have ended before this
    except OSError as error:
        _close_quietly(conn)
        raise StorageError(
            f"cannot sync the folder {path.parent}: {error.strerror or error}",
            next_step="Check the disk and the system log.",
        ) from error
    except SQLITE_FAILURES as error:
        _close_quietly(conn)
        raise storage_error(error, str(path)) from error
    except BaseException:
        _close_quietly(conn)
        raise
    return conn


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
    """A votenet error with the cause in words out of what SQLite says."""
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


@contextlib.contextmanager
def lock_data_dir(path: Path) -> Iterator[Path]:
    """Make the folder (0700) if need be and hold it for this process alone until the block ends.

    The kernel drops the lock when the process dies, however it dies; the file stays.

    Raises:
        ConfigError: the folder cannot be made or written.
        Locked: another process holds it; the message names its pid.
    """
    lock = path / "lock"
    try:
        durable_private_dir(path)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _no_lock(lock, error) from error
    try:
        try:
            _lock_or_name_holder(handle, path)
        except OSError as error:
            if error.errno == errno.ENOLCK:
                raise StorageError(
                    f"the lock {lock} cannot be taken: {error.strerror}",
                    next_step="Put the folder on a local disk.",
                ) from error
            raise _no_lock(lock, error) from error
        yield path
        with contextlib.suppress(OSError):  # a pid that stays is only an old hint
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _no_lock(lock: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot make the lock {lock}: {error.strerror or error}",
        next_step="Check the owner, the mode and the free space of the folder.",
    )


def _lock_or_name_holder(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        raise Locked(
            f"the folder {path} is in use" + (f" by pid {holder}" if holder else ""),
            next_step="Stop that process, or give this one another --data-dir.",
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, b"%d\n" % os.getpid(), 0)


def _check_place(path: Path, *, read_only: bool) -> None:
    """Name what SQLite would only call 'unable to open database file'."""
    folder = path.parent
    if not folder.exists():
        raise StorageError(
            f"the folder {folder} does not exist", code="bad-directory", next_step="Make it, or name another."
        )
    if not folder.is_dir():
        raise StorageError(
            f"{folder} is not a folder", code="bad-directory", next_step="Name a folder for the data."
        )
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} is not a file", code="bad-directory", next_step="Move it out of the way.")
    if read_only and not path.exists():
        raise StorageError(f"{path} does not exist", code="no-database", next_step="Check the path.")
    if not read_only and not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(
            f"the folder {folder} is read-only",
            code="bad-directory",
            next_step="Make it writable for this user, or name another.",
        )


def _create_private(path: Path) -> None:
    """An empty file that only this user can read, before SQLite would make one for everybody."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StorageError(
            f"cannot make {path}: {error.strerror or error}",
            next_step="Check the owner, the mode and the free space of the folder.",
        ) from error


def _prepare(conn: sqlite3.Connection, path: Path) -> None:
    conn.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    (mode,) = conn.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(
            f"{path}: this file system cannot hold a write-ahead log",
            next_step="Keep the data on a local disk.",
        )
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    conn.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")


def _check_readable(conn: sqlite3.Connection, migrations: Sequence[str], path: Path) -> None:
    version = check_version(conn, migrations, str(path))
    if version < len(migrations):
        raise StorageError(
            f"{path} has the older format {version}",
            code="storage-version",
            next_step="Open it once with the program that owns it, which brings it up to date.",
        )


def _roll_back(conn: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # a closed connection cannot even be asked
        if conn.in_transaction:
            conn.execute("ROLLBACK")


def _close_quietly(conn: sqlite3.Connection | None) -> None:
    if conn is not None:
        with contextlib.suppress(sqlite3.Error):
            conn.close()

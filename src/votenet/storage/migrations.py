"""Numbered schema changes: each is one SQL script, applied once, whole or not at all.

What lives here: the runner. What must not: any schema (each store keeps its own list of scripts
beside its queries), opening of files (`database.py`).

The number of applied scripts is `PRAGMA user_version`. Scripts are only ever appended: a released
one never changes. A file written by a newer votenet is refused, never guessed at.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence

from votenet.errors import StorageError


def schema_version(conn: sqlite3.Connection) -> int:
    """How many scripts this file has seen; 0 for a new one."""
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    return int(version)


def check_version(conn: sqlite3.Connection, migrations: Sequence[str], name: str) -> int:
    """The file's version, if this program knows it.

    Raises:
        StorageError: code storage-version; a newer votenet wrote this file.
    """
    version = schema_version(conn)
    if version > len(migrations):
        raise StorageError(
            f"{name} has format {version}, this votenet knows formats up to {len(migrations)}",
            code="storage-version",
            next_step="Run the newer votenet that wrote it, or point this one at another folder.",
        )
    return version


def migrate(conn: sqlite3.Connection, migrations: Sequence[str], name: str) -> int:
    """Apply what is missing, each script in one transaction with its number; how many were applied.

    Raises:
        StorageError: the file is newer than this program.
        sqlite3.Error: a script failed; it left nothing behind.
    """
    before = check_version(conn, migrations, name)
    for number, script in enumerate(migrations[before:], start=before + 1):
        # One script with its own BEGIN and COMMIT: executescript would commit a transaction opened outside.
        try:
            conn.executescript(f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version = {number};\nCOMMIT;")
        except (sqlite3.Error, UnicodeDecodeError):
            if conn.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    conn.execute("ROLLBACK")
            raise
    return len(migrations) - before

"""Reading the chain of a node from outside, while the node may be running.

What lives here: the best branch as stored, for an export. What must not: writing, rules.

One read transaction sees one state of the file, whatever the node commits meanwhile (write-ahead log).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from votenet.core.election import Election
from votenet.errors import ConfigError
from votenet.storage.block_store import DATABASE_NAME, MIGRATIONS
from votenet.storage.bodies import read_body
from votenet.storage.database import open_database, reading


def best_height(data_dir: Path) -> int:
    """The height of the stored best branch. Raises StorageError."""
    conn = open_database(data_dir / DATABASE_NAME, MIGRATIONS, read_only=True)
    try:
        with reading():
            (height,) = conn.execute("SELECT max(height) FROM blocks WHERE best = 1").fetchone()
            return height or 0
    finally:
        conn.close()


def read_chain(data_dir: Path, election: Election) -> Iterator[tuple[bytes, bytes]]:
    """(80 bytes of header, votes as canonical records joined by commas) of the best branch, by height.

    Raises:
        StorageError: with the cause; StorageCorrupt when it is no database of a node.
        ConfigError: code network-mismatch; the folder belongs to another election.
    """
    path = data_dir / DATABASE_NAME
    conn = open_database(path, MIGRATIONS, read_only=True)
    try:
        with reading():
            row = conn.execute("SELECT value FROM meta WHERE name = 'network_id'").fetchone()
            if row is None or row[0] != election.network_id:
                raise ConfigError(
                    f"{path} holds the chain of another election",
                    code="network-mismatch",
                    next_step="Give the genesis file of that election with --genesis.",
                )
            for header, number in conn.execute(
                "SELECT header, number FROM blocks WHERE best = 1 ORDER BY height"
            ):
                yield header, read_body(conn, number)
    finally:
        conn.close()

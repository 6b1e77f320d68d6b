"""The bootstrap server's registry in one SQLite file: the default.

What lives here: SqlitePeerStore and its schema. What must not: rules (`protocol/bootstrap.py`).

Every operation costs the same at a thousand and at a million peers. A row has a `slot`; the slots
are 0 … count-1 without gaps (a removed row's slot goes to the last one), so that counting is looking
up the largest and a fair sample is a look-up of random slots. Nothing is kept in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

from votenet.errors import StorageCorrupt
from votenet.protocol.address import network_group
from votenet.protocol.registry import PeerEntry
from votenet.storage.database import open_database, reading, transaction

T = TypeVar("T")

MAX_SLOTS: Final = 2**40
"""More entries than any registry has: a slot above is damage, and no list of so many is ever made."""
CACHE_KIB: Final = 64 * 1024
"""Page cache: the indexes of a million peers, which are asked for all over, stay in it."""
CHECKPOINT_PAGES: Final = 32_000
"""128 MB of log before it is copied into the file, while requests wait. At a million peers each change is on
a page of its own: so long a log holds most of them several times, to be copied once. A start takes 30 ms
more."""

MAX_VARIABLES: Final = 500
"""Slots asked for in one query; SQLite takes 999 variables at least."""

MIGRATIONS: Final = (
    """
    CREATE TABLE peers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of registration, and the cursor of pages
        slot INTEGER NOT NULL,
        address TEXT NOT NULL COLLATE NOCASE,
        node_key BLOB,
        network_id BLOB,
        sequence INTEGER NOT NULL,
        expires INTEGER
    );
    CREATE UNIQUE INDEX peers_by_address ON peers (address);
    CREATE UNIQUE INDEX peers_by_slot ON peers (slot);
    CREATE INDEX peers_by_expiry ON peers (expires) WHERE expires IS NOT NULL;
    CREATE TABLE retired (
        node_key BLOB NOT NULL,
        address TEXT NOT NULL COLLATE NOCASE,
        sequence INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (node_key, address)
    ) WITHOUT ROWID;
    CREATE INDEX retired_by_time ON retired (until);
    """,
    """
    ALTER TABLE peers ADD COLUMN source TEXT NOT NULL DEFAULT '';
    ALTER TABLE peers ADD COLUMN network TEXT NOT NULL DEFAULT '';
    ALTER TABLE peers ADD COLUMN proved INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE peers ADD COLUMN misses INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE peers ADD COLUMN check_at INTEGER;
    UPDATE peers SET check_at = 0 WHERE node_key IS NULL;  -- they had no end until now
    CREATE INDEX peers_by_check ON peers (check_at) WHERE check_at IS NOT NULL;
    CREATE TABLE held (                        -- entries of an IP address, and of a network
        name TEXT PRIMARY KEY,
        entries INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TRIGGER peer_added AFTER INSERT ON peers WHEN new.source != '' BEGIN
        INSERT INTO held VALUES (new.source, 1), (new.network, 1)
            ON CONFLICT DO UPDATE SET entries = entries + 1;
    END;
    CREATE TRIGGER peer_removed AFTER DELETE ON peers WHEN old.source != '' BEGIN
        UPDATE held SET entries = entries - 1 WHERE name IN (old.source, old.network);
        DELETE FROM held WHERE name IN (old.source, old.network) AND entries = 0;
    END;
    CREATE TRIGGER peer_left AFTER UPDATE OF source ON peers
        WHEN old.source != '' AND old.source != new.source BEGIN
        UPDATE held SET entries = entries - 1 WHERE name IN (old.source, old.network);
        DELETE FROM held WHERE name IN (old.source, old.network) AND entries = 0;
    END;
    CREATE TRIGGER peer_came AFTER UPDATE OF source ON peers
        WHEN new.source != '' AND old.source != new.source BEGIN
        INSERT INTO held VALUES (new.source, 1), (new.network, 1)
            ON CONFLICT DO UPDATE SET entries = entries + 1;
    END;
    """,
)

_COLUMNS: Final = "address, node_key, network_id, sequence, expires, source, proved, misses, check_at"
_LISTED: Final = "proved AND (expires IS NULL OR expires > ?)"
_PUT: Final = (
    f"INSERT INTO peers (slot, {_COLUMNS}, network)"
    " VALUES ((SELECT coalesce(max(slot), -1) + 1 FROM peers), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (address) DO UPDATE SET address = excluded.address,"
    " node_key = excluded.node_key, network_id = excluded.network_id, sequence = excluded.sequence,"
    " expires = excluded.expires, source = excluded.source, proved = excluded.proved,"
    " misses = excluded.misses, check_at = excluded.check_at, network = excluded.network"
)


class SqlitePeerStore:
    """The registry in one SQLite file. Reads raise StorageError, too."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create it. Raises StorageError, StorageCorrupt."""
        self._conn = open_database(path, MIGRATIONS, read_only=read_only)
        self._conn.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._conn.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    def saving(self) -> AbstractContextManager[None]:
        return self._saving()

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        with transaction(self._conn):
            yield

    def prefetch(self, addresses: Sequence[str]) -> None:
        return None  # it is near

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._conn.close()

    def count(self) -> int:
        (highest,) = self._one("SELECT max(slot) FROM peers") or (None,)
        if highest is None:
            return 0
        if not 0 <= _of(int, highest) < MAX_SLOTS:
            raise _damaged()
        return int(highest) + 1

    def held(self, name: str) -> int:
        row = self._one("SELECT entries FROM held WHERE name = ?", name)
        return 0 if row is None else _of(int, row[0])

    def find(self, address: str) -> PeerEntry | None:
        row = self._one(f"SELECT {_COLUMNS} FROM peers WHERE address = ?", address)
        return None if row is None else _entry(row)

    def put(self, entry: PeerEntry) -> None:
        key = None if entry.node_key is None else bytes.fromhex(entry.node_key)
        network = None if entry.network_id is None else bytes.fromhex(entry.network_id)
        values = (entry.address, key, network, entry.sequence, entry.expires)
        upkeep = (entry.source, entry.proved, entry.misses, entry.check_at)
        with reading():
            self._conn.execute(_PUT, (*values, *upkeep, network_group(entry.source)))

    def remove(self, address: str) -> None:
        row = self._one("DELETE FROM peers WHERE address = ? RETURNING slot", address)
        if row is None:
            return
        last = self.count() - 1
        if last > row[0]:
            self._rows("UPDATE peers SET slot = ? WHERE slot = ?", row[0], last)

    def page(self, after: int, limit: int, now: int) -> tuple[list[PeerEntry], int | None]:
        query = f"SELECT {_COLUMNS}, id FROM peers WHERE id > ? AND {_LISTED} ORDER BY id LIMIT ?"
        rows = self._rows(query, after, now, limit + 1)
        cursor = int(rows[limit - 1][9]) if len(rows) > limit else None
        return [_entry(row) for row in rows[:limit]], cursor

    def addresses(self, limit: int, now: int) -> list[str]:
        rows = self._rows(f"SELECT address FROM peers WHERE {_LISTED} ORDER BY id LIMIT ?", now, limit)
        return [address for (address,) in rows]

    def at(self, slots: Sequence[int], now: int) -> list[PeerEntry]:
        found: dict[int, PeerEntry] = {}
        for start in range(0, len(slots), MAX_VARIABLES):
            some = slots[start : start + MAX_VARIABLES]
            places = ",".join("?" * len(some))
            query = f"SELECT {_COLUMNS}, slot FROM peers WHERE slot IN ({places}) AND {_LISTED}"
            found.update((row[9], _entry(row)) for row in self._rows(query, *some, now))
        return [found[slot] for slot in slots if slot in found]  # in the order of the question: it is random

    def expired(self, limit: int, now: int) -> list[PeerEntry]:
        query = f"SELECT {_COLUMNS} FROM peers WHERE expires <= ? ORDER BY expires LIMIT ?"
        return [_entry(row) for row in self._rows(query, now, limit)]

    def due(self, limit: int, now: int) -> list[PeerEntry]:
        query = f"SELECT {_COLUMNS} FROM peers WHERE check_at <= ? ORDER BY check_at LIMIT ?"
        return [_entry(row) for row in self._rows(query, now, limit)]

    def retire(self, node_key: str, address: str, sequence: int, until: int) -> None:
        self._rows(
            "INSERT INTO retired VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " sequence = max(sequence, excluded.sequence), until = max(until, excluded.until)",
            bytes.fromhex(node_key),
            address,
            sequence,
            until,
        )

    def retired(self, node_key: str, address: str) -> int:
        query = "SELECT sequence FROM retired WHERE node_key = ? AND address = ?"
        row = self._one(query, bytes.fromhex(node_key), address)
        return -1 if row is None else _of(int, row[0])

    def forget_retired(self, limit: int, now: int) -> None:
        self._rows(
            "DELETE FROM retired WHERE (node_key, address) IN"
            " (SELECT node_key, address FROM retired WHERE until <= ? LIMIT ?)",
            now,
            limit,
        )

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with reading():
            return self._conn.execute(query, values).fetchall()

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        rows = self._rows(query, *values)
        return rows[0] if rows else None


def _entry(row: tuple[Any, ...]) -> PeerEntry:
    row = row[:9]
    if tuple(map(type, row)) not in _SHAPES:
        raise _damaged()
    address, key, network, sequence, expires, source, proved, misses, check_at = row
    return PeerEntry(
        address,
        None if key is None else key.hex(),
        None if network is None else network.hex(),
        sequence,
        expires,
        source,
        bool(proved),
        misses,
        check_at,
    )


_BYTES, _INT = (bytes, type(None)), (int, type(None))
_SHAPES: Final = frozenset(
    itertools.product((str,), _BYTES, _BYTES, (int,), _INT, (str,), (int,), (int,), _INT)
)
"""The types that the columns of an entry may have: one look-up for all: a sample has hundreds of rows."""


def _of(kind: type[T], value: object) -> T:
    """A stored value of the kind that was stored. SQLite itself would hold any. Raises StorageCorrupt."""
    if not isinstance(value, kind):
        raise _damaged()
    return value


def _damaged() -> StorageCorrupt:
    return StorageCorrupt(
        "the registry is damaged: a value of another kind stands where an entry was written",
        next_step="Move the file away and start again: peers register anew.",
    )

"""The registry in one SQLite file: the default.

Every operation costs the same at a thousand and at a million peers. A row has a `slot`; the slots are
0 … count-1 without gaps (the last row takes the slot of a removed one), so that counting is looking up the
largest, and a fair sample is a look-up of random slots. Nothing is kept in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from votenet.errors import StorageCorrupt
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.wire.address import network_group
from votenet.storage.database import open_database, reading, transaction

T = TypeVar("T")

MAX_SLOTS: Final = 2**40
"""More entries than any registry has: a slot above is damage, and no list of so many is ever made."""
PAGE_CACHE_KIB: Final = 64 * 1024
"""The indexes of a million peers, which are asked for all over, stay in it."""
CHECKPOINT_PAGES: Final = 32_000
"""128 MB of log before it is copied into the file, while requests wait. At a million peers each change is on
a page of its own: so long a log holds most of them several times, to be copied once. A start takes 30 ms
more."""
MAX_VARIABLES: Final = 500
"""Slots asked for in one query; SQLite takes 999 variables at least."""

REGISTRY_SCHEMA: Final = (
    """
    CREATE TABLE peers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of registration, and the cursor of pages
        slot INTEGER NOT NULL UNIQUE,
        address TEXT NOT NULL UNIQUE COLLATE NOCASE,
        node_key BLOB,
        network_id BLOB,
        sequence INTEGER NOT NULL,
        expires INTEGER,
        source TEXT NOT NULL,
        proved INTEGER NOT NULL,
        misses INTEGER NOT NULL,
        check_at INTEGER,
        network TEXT NOT NULL                  -- of `source`
    );
    CREATE INDEX peers_by_expiry ON peers (expires) WHERE expires IS NOT NULL;
    CREATE INDEX peers_by_check ON peers (check_at) WHERE check_at IS NOT NULL;
    CREATE INDEX peers_by_source ON peers (source) WHERE source != '';
    CREATE INDEX peers_by_network ON peers (network) WHERE network != '';
    CREATE TABLE retired (
        node_key BLOB NOT NULL,
        address TEXT NOT NULL COLLATE NOCASE,
        sequence INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (node_key, address)
    ) WITHOUT ROWID;
    CREATE INDEX retired_by_time ON retired (until);
    """,
)

_COLUMNS: Final = "address, node_key, network_id, sequence, expires, source, proved, misses, check_at"
_NAMES: Final = _COLUMNS.split(", ")
_LISTED: Final = "proved AND (expires IS NULL OR expires > ?)"
_PUT: Final = (
    f"INSERT INTO peers (slot, {_COLUMNS}, network)"
    f" VALUES ((SELECT coalesce(max(slot), -1) + 1 FROM peers), {'?, ' * len(_NAMES)} ?)"
    " ON CONFLICT (address) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_NAMES, "network"))
)
_BYTES, _INT = (bytes, type(None)), (int, type(None))
_SHAPES: Final = frozenset(
    itertools.product((str,), _BYTES, _BYTES, (int,), _INT, (str,), (int,), (int,), _INT)
)
"""The types that the columns of an entry may have, in one look-up: a sample has hundreds of rows."""


class SqlitePeerStore:
    """A PeerStore in a file. Reads raise StorageError, too."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create it. Raises StorageError, StorageCorrupt."""
        self.connection = open_database(path, REGISTRY_SCHEMA, read_only=read_only)
        self.connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB}")
        self.connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        with transaction(self.connection):
            yield

    def prefetch(self, addresses: Sequence[str]) -> None:
        return None  # it is near

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

    def count(self) -> int:
        (highest,) = self._one("SELECT max(slot) FROM peers") or (None,)
        if highest is None:
            return 0
        if not 0 <= _of(int, highest) < MAX_SLOTS:
            raise _damaged()
        return int(highest) + 1

    def held(self, name: str) -> int:
        of_host, of_network = "(source = ?1 AND source != '')", "(network = ?1 AND network != '')"
        query = f"SELECT count(*) FROM peers WHERE {of_host} OR {of_network}"
        (count,) = self._rows(query, name)[0]
        return int(count)

    def find(self, address: str) -> PeerEntry | None:
        row = self._one(f"SELECT {_COLUMNS} FROM peers WHERE address = ?", address)
        return None if row is None else _entry(row)

    def put(self, entry: PeerEntry) -> None:
        key = None if entry.node_key is None else bytes.fromhex(entry.node_key)
        network = None if entry.network_id is None else bytes.fromhex(entry.network_id)
        record = (entry.address, key, network, entry.sequence, entry.expires)
        checks = (entry.source, entry.proved, entry.misses, entry.check_at)
        self._rows(_PUT, *record, *checks, network_group(entry.source))

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
        entries: dict[int, PeerEntry] = {}
        for start in range(0, len(slots), MAX_VARIABLES):
            some = slots[start : start + MAX_VARIABLES]
            places = ",".join("?" * len(some))
            query = f"SELECT {_COLUMNS}, slot FROM peers WHERE slot IN ({places}) AND {_LISTED}"
            entries.update((row[9], _entry(row)) for row in self._rows(query, *some, now))
        return [
            entries[slot] for slot in slots if slot in entries
        ]  # in the order of the question: it is random

    def expired(self, limit: int, now: int) -> list[PeerEntry]:
        query = f"SELECT {_COLUMNS} FROM peers WHERE expires <= ? ORDER BY expires LIMIT ?"
        return [_entry(row) for row in self._rows(query, now, limit)]

    def due(self, limit: int, now: int) -> list[PeerEntry]:
        query = f"SELECT {_COLUMNS} FROM peers WHERE check_at <= ? ORDER BY check_at LIMIT ?"
        return [_entry(row) for row in self._rows(query, now, limit)]

    def retire(self, node_key: str, address: str, sequence: int, until: int) -> None:
        query = (
            "INSERT INTO retired VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " sequence = max(sequence, excluded.sequence), until = max(until, excluded.until)"
        )
        self._rows(query, bytes.fromhex(node_key), address, sequence, until)

    def retired(self, node_key: str, address: str) -> int:
        query = "SELECT sequence FROM retired WHERE node_key = ? AND address = ?"
        row = self._one(query, bytes.fromhex(node_key), address)
        return -1 if row is None else _of(int, row[0])

    def forget_retired(self, limit: int, now: int) -> None:
        query = (
            "DELETE FROM retired WHERE (node_key, address) IN"
            " (SELECT node_key, address FROM retired WHERE until <= ? LIMIT ?)"
        )
        self._rows(query, now, limit)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with reading():
            return self.connection.execute(query, values).fetchall()

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        rows = self._rows(query, *values)
        return rows[0] if rows else None


def _entry(row: tuple[Any, ...]) -> PeerEntry:
    row = row[: len(_NAMES)]
    if tuple(map(type, row)) not in _SHAPES:
        raise _damaged()
    address, key, network, sequence, expires, source, proved, misses, check_at = row
    key, network = key and key.hex(), network and network.hex()
    return PeerEntry(address, key, network, sequence, expires, source, bool(proved), misses, check_at)


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

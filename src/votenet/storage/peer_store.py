"""The bootstrap server's registry on disk, its twin in memory, and `peers.json`.

What lives here: PeerStore (the Registry of `protocol/bootstrap.py`, with `saving` and `close`),
SqlitePeerStore, MemoryPeerStore, reading and writing of the chapter's file. What must not: rules.

Every operation costs the same at a thousand and at a million peers. A row has a `slot`; the slots
are 0 … count-1 without gaps (a removed row's slot goes to the last one), so that counting is looking
up the largest and a fair sample is a look-up of random slots. Nothing is kept in memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from votenet.errors import ConfigError, Rejected, StorageError
from votenet.protocol.address import parse_address
from votenet.protocol.bootstrap import PeerEntry, Registry
from votenet.storage.database import open_database, reading, transaction

FILE_NAME: Final = "peers.db"
MAX_PEERS_FILE: Final = 512 * 1024 * 1024
"""Largest `peers.json` read: ten million peers; a larger one is surely another file."""

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
)

_COLUMNS: Final = "address, node_key, network_id, sequence, expires"
_LIVE: Final = "(expires IS NULL OR expires > ?)"


class PeerStore(Registry, Protocol):
    """A registry that can be saved."""

    def saving(self) -> AbstractContextManager[None]:
        """Changes inside the block are durable when it ends, and undone when it raises.

        Raises:
            StorageError: they could not be saved; nothing changed.
        """

    def close(self) -> None: ...


class SqlitePeerStore:
    """The registry in one SQLite file. Reads raise StorageError, too."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create it. Raises StorageError, StorageCorrupt."""
        self._conn = open_database(path, MIGRATIONS, read_only=read_only)

    def saving(self) -> AbstractContextManager[None]:
        return self._saving()

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        with transaction(self._conn):
            yield

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._conn.close()

    def count(self) -> int:
        (highest,) = self._one("SELECT max(slot) FROM peers") or (None,)
        return 0 if highest is None else int(highest) + 1

    def find(self, address: str) -> PeerEntry | None:
        row = self._one(f"SELECT {_COLUMNS} FROM peers WHERE address = ?", address)
        return None if row is None else _entry(row)

    def put(self, entry: PeerEntry) -> None:
        key = None if entry.node_key is None else bytes.fromhex(entry.node_key)
        network = None if entry.network_id is None else bytes.fromhex(entry.network_id)
        with reading():
            self._conn.execute(
                f"INSERT INTO peers (slot, {_COLUMNS})"
                " VALUES ((SELECT coalesce(max(slot), -1) + 1 FROM peers), ?, ?, ?, ?, ?)"
                " ON CONFLICT (address) DO UPDATE SET address = excluded.address,"
                " node_key = excluded.node_key, network_id = excluded.network_id,"
                " sequence = excluded.sequence, expires = excluded.expires",
                (entry.address, key, network, entry.sequence, entry.expires),
            )

    def remove(self, address: str) -> None:
        row = self._one("DELETE FROM peers WHERE address = ? RETURNING slot", address)
        if row is None:
            return
        last = self.count() - 1
        if last > row[0]:
            self._rows("UPDATE peers SET slot = ? WHERE slot = ?", row[0], last)

    def page(self, after: int, limit: int, now: int) -> tuple[list[PeerEntry], int | None]:
        query = f"SELECT {_COLUMNS}, id FROM peers WHERE id > ? AND {_LIVE} ORDER BY id LIMIT ?"
        rows = self._rows(query, after, now, limit + 1)
        cursor = int(rows[limit - 1][5]) if len(rows) > limit else None
        return [_entry(row) for row in rows[:limit]], cursor

    def addresses(self, limit: int, now: int) -> list[str]:
        rows = self._rows(f"SELECT address FROM peers WHERE {_LIVE} ORDER BY id LIMIT ?", now, limit)
        return [address for (address,) in rows]

    def at(self, slots: Sequence[int], now: int) -> list[PeerEntry]:
        found: dict[int, PeerEntry] = {}
        for start in range(0, len(slots), MAX_VARIABLES):
            some = slots[start : start + MAX_VARIABLES]
            places = ",".join("?" * len(some))
            query = f"SELECT {_COLUMNS}, slot FROM peers WHERE slot IN ({places}) AND {_LIVE}"
            found.update((row[5], _entry(row)) for row in self._rows(query, *some, now))
        return [found[slot] for slot in slots if slot in found]  # in the order of the question: it is random

    def expired(self, limit: int, now: int) -> list[PeerEntry]:
        query = f"SELECT {_COLUMNS} FROM peers WHERE expires <= ? ORDER BY expires LIMIT ?"
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
        return -1 if row is None else int(row[0])

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


class MemoryPeerStore:
    """The same in memory, for tests and simulations; `saving` undoes nothing."""

    def __init__(self) -> None:
        self._ids: dict[int, PeerEntry] = {}  # in the order of registration
        self._by_address: dict[str, int] = {}
        self._slots: list[int] = []
        self._retired: dict[tuple[str, str], tuple[int, int]] = {}
        self._last_id = 0

    def saving(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def close(self) -> None:
        return None

    def count(self) -> int:
        return len(self._ids)

    def find(self, address: str) -> PeerEntry | None:
        found = self._by_address.get(address.lower())
        return None if found is None else self._ids[found]

    def put(self, entry: PeerEntry) -> None:
        found = self._by_address.get(entry.address.lower())
        if found is None:
            self._last_id += 1
            found = self._by_address[entry.address.lower()] = self._last_id
            self._slots.append(found)
        self._ids[found] = entry

    def remove(self, address: str) -> None:
        found = self._by_address.pop(address.lower(), None)
        if found is not None:
            del self._ids[found]
            self._slots.remove(found)

    def page(self, after: int, limit: int, now: int) -> tuple[list[PeerEntry], int | None]:
        found = [(i, entry) for i, entry in self._ids.items() if i > after and entry.live(now)]
        cursor = found[limit - 1][0] if len(found) > limit else None
        return [entry for _, entry in found[:limit]], cursor

    def addresses(self, limit: int, now: int) -> list[str]:
        return [entry.address for entry in self._ids.values() if entry.live(now)][:limit]

    def at(self, slots: Sequence[int], now: int) -> list[PeerEntry]:
        found = [self._ids[self._slots[slot]] for slot in slots if slot < len(self._slots)]
        return [entry for entry in found if entry.live(now)]

    def expired(self, limit: int, now: int) -> list[PeerEntry]:
        return [entry for entry in self._ids.values() if not entry.live(now)][:limit]

    def retire(self, node_key: str, address: str, sequence: int, until: int) -> None:
        old = self._retired.get((node_key, address.lower()), (-1, 0))
        self._retired[node_key, address.lower()] = (max(old[0], sequence), max(old[1], until))

    def retired(self, node_key: str, address: str) -> int:
        return self._retired.get((node_key, address.lower()), (-1, 0))[0]

    def forget_retired(self, limit: int, now: int) -> None:
        over = [key for key, (_, until) in self._retired.items() if until <= now]
        for key in over[:limit]:
            del self._retired[key]


def _entry(row: tuple[Any, ...]) -> PeerEntry:
    address, key, network, sequence, expires = row[:5]
    return PeerEntry(
        address,
        None if key is None else key.hex(),
        None if network is None else network.hex(),
        sequence,
        expires,
    )


# -- peers.json --------------------------------------------------------------------------------


class _Listed(msgspec.Struct):
    address: str


def read_peers_file(path: Path) -> list[str]:
    """The addresses of a `peers.json`, `[{"address":"host:port"}]`, each once, in order.

    Raises:
        ConfigError: code bad-peers-file, with the place of the first mistake; nothing is returned then.
    """
    try:
        if path.stat().st_size > MAX_PEERS_FILE:
            raise _bad_file(path, "it is too large to be a list of peers")
        found = msgspec.json.decode(path.read_bytes(), type=list[_Listed])
    except OSError as error:
        raise _bad_file(path, error.strerror or str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_file(path, str(error)) from error
    addresses: dict[str, str] = {}
    for place, entry in enumerate(found):
        try:
            address = str(parse_address(entry.address))
        except Rejected as error:
            raise _bad_file(path, f"entry {place + 1}: {error.message}") from error
        addresses.setdefault(address.lower(), address)
    return list(addresses.values())


def write_peers_file(path: Path, addresses: Sequence[str]) -> None:
    """Write a `peers.json` whole or not at all. Raises StorageError."""
    data = peers_json(addresses)
    try:
        handle, name = tempfile.mkstemp(prefix=".peers-", dir=path.absolute().parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}",
            next_step="Check the folder and its free space.",
        ) from error


def peers_json(addresses: Sequence[str]) -> bytes:
    """The chapter's `peers.json`, readable by its server."""
    return msgspec.json.encode([{"address": address} for address in addresses])


def _bad_file(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is not a usable list of peers: {why}",
        code="bad-peers-file",
        next_step='Write it as [{"address":"host:port"}]; nothing of it was imported.',
    )

"""The chain and the pool of one node in SQLite.

What lives here: the schema and every SQL statement of a running node. What must not: rules (what
arrives here has been checked), the reading of everything at the start (`chain_loader.py`), the tables of
votes (`bodies.py`, `waiting.py`).

One writer applies changes in one transaction (`apply` returns when they are synced); one reader on its own
connection serves the event loop, another one threads. Blocks keep their votes as the records they were
hashed from, and whoever reads them is sure that they are still those: they must give the Merkle root of their
header, or the digest that they had when they did. What is saved when, and what each fault does:
docs/storage.md.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final, cast

from votenet.core.block import Header, genesis_header, unpack_header
from votenet.core.election import Election
from votenet.core.vote import SealedVote
from votenet.errors import ConfigError, Rejected, StorageCorrupt, StorageError
from votenet.protocol.address_book import CachedPeer
from votenet.protocol.blame import Ban
from votenet.protocol.events import Change, DropVotes, SaveBlock, SaveVotes, SetBest
from votenet.storage.bodies import digest_of, read_records, read_rows, read_vote, write_body
from votenet.storage.chain_loader import damaged, load_chain, votes_under
from votenet.storage.commit_mark import CommitMark
from votenet.storage.database import open_database, reading, transaction
from votenet.storage.interface import BlockStore, StoredChain
from votenet.storage.memory import join_block_line
from votenet.storage.waiting import WaitingVotes

DATABASE_NAME: Final = "chain.db"
MARK_NAME: Final = f"{DATABASE_NAME}-commits"
PROBE_NAME: Final = f"{DATABASE_NAME}-probe"
PROBE_BYTES: Final = 256 * 1024
"""Room without which a node does not call itself well again: some hundreds of votes."""

MIGRATIONS: Final = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE blocks (
        hash BLOB NOT NULL UNIQUE,        -- 32 bytes
        height INTEGER NOT NULL,
        best INTEGER NOT NULL,            -- 1 on the best branch
        header BLOB NOT NULL,             -- 80 bytes
        records BLOB NOT NULL             -- canonical vote records in block order, joined by commas
    );
    CREATE INDEX blocks_by_height ON blocks (height);
    CREATE TABLE voters (                 -- one row for each vote on the best branch
        voter_id TEXT PRIMARY KEY,
        vote_id BLOB NOT NULL,
        height INTEGER NOT NULL,
        position INTEGER NOT NULL,
        time INTEGER NOT NULL,            -- of the vote, Unix seconds
        choices TEXT NOT NULL             -- JSON list
    ) WITHOUT ROWID;
    CREATE INDEX voters_by_height ON voters (height);
    CREATE TABLE waiting (                -- the pool, in order of arrival
        arrival INTEGER PRIMARY KEY AUTOINCREMENT,
        vote_id BLOB NOT NULL UNIQUE,
        record BLOB NOT NULL
    );
    CREATE TABLE peers (address TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
    """
    CREATE TABLE bans (
        subject TEXT PRIMARY KEY,         -- key:<node key> or address:<IP address, or IPv6 /64>
        until INTEGER NOT NULL,           -- Unix seconds
        times INTEGER NOT NULL,           -- how often this subject was banned
        code TEXT NOT NULL                -- the refusal that led to the ban
    ) WITHOUT ROWID;
    """,
    """
    -- meta 'tip': hash of the last block of the best branch, absent while that is genesis;
    -- meta 'commits': how many batches were applied; see commit_mark.py
    INSERT INTO meta SELECT 'tip', hash FROM blocks WHERE best = 1 ORDER BY height DESC LIMIT 1;
    INSERT INTO meta VALUES ('commits', 0);
    """,
    """
    ALTER TABLE peers RENAME TO old_peers;
    CREATE TABLE peers (                  -- the cache of addresses, see protocol/address_book.py
        address TEXT PRIMARY KEY,
        source TEXT NOT NULL,             -- network group of whoever named it
        met INTEGER NOT NULL,             -- Unix seconds of the last handshake, 0 for never
        anchor INTEGER NOT NULL           -- 1 for a peer that we had chosen and were joined to
    ) WITHOUT ROWID;
    INSERT INTO peers SELECT address, '', CAST(strftime('%s', 'now') AS INTEGER), 0 FROM old_peers;
    DROP TABLE old_peers;
    """,
    """
    -- What a node writes for each vote is little now: a block's records lie in rows of some votes each,
    -- waiting votes in the batches in which they came, and who has voted where follows from the blocks.
    DROP TABLE voters;
    DROP INDEX blocks_by_height;
    ALTER TABLE blocks RENAME TO old_blocks;
    CREATE TABLE blocks (
        number INTEGER PRIMARY KEY,       -- in the order in which they came
        hash BLOB NOT NULL UNIQUE,        -- 32 bytes
        height INTEGER NOT NULL,
        best INTEGER NOT NULL,            -- 1 on the best branch
        header BLOB NOT NULL              -- 80 bytes
    );
    CREATE INDEX blocks_by_height ON blocks (height);
    CREATE TABLE bodies (                 -- see bodies.py
        place INTEGER PRIMARY KEY,        -- number of the block << 20 | position of the row's first vote
        records BLOB NOT NULL             -- canonical vote records in block order, joined by commas
    );
    INSERT INTO blocks SELECT rowid, hash, height, best, header FROM old_blocks;
    INSERT INTO bodies SELECT rowid << 20, records FROM old_blocks WHERE length(records) > 0;
    DROP TABLE old_blocks;
    ALTER TABLE waiting RENAME TO old_waiting;
    CREATE TABLE waiting (                -- the pool, see waiting.py
        batch INTEGER PRIMARY KEY,        -- in order of arrival
        records BLOB NOT NULL,            -- canonical vote records joined by commas
        digest BLOB NOT NULL              -- SHA-256(0x00 || records): of one record, the id of that vote
    );
    INSERT INTO waiting SELECT arrival, record, vote_id FROM old_waiting ORDER BY arrival;
    DROP TABLE old_waiting;
    """,
)


class SqliteBlockStore:
    """The block store of a running node."""

    _keeps_the_interface: ClassVar[BlockStore] = cast("SqliteBlockStore", None)

    def __init__(self, data_dir: Path, election: Election) -> None:
        """Open or create `chain.db` in a folder whose lock the caller holds.

        Raises:
            StorageError: with the cause; StorageCorrupt when it is no database of a node.
            ConfigError: code network-mismatch; the folder belongs to another election.
        """
        self.path = data_dir / DATABASE_NAME
        self._genesis = genesis_header(election).hash
        self._registered = election.registered
        self._digests: dict[bytes, bytes] = {}
        """Of the records of blocks, by hash of the block, as they were when they were checked."""
        self._sharing = threading.Lock()
        """Held by the thread that reads on `_shared`."""
        with contextlib.ExitStack() as opened:
            self._writer = opened.enter_context(contextlib.closing(open_database(self.path, MIGRATIONS)))
            self._mark = CommitMark(data_dir / MARK_NAME)
            opened.callback(self._mark.close)
            self._waiting = WaitingVotes(self._writer)
            self._check_mark()
            self._claim(election)
            self._reader = opened.enter_context(
                contextlib.closing(open_database(self.path, MIGRATIONS, read_only=True))
            )
            self._shared = open_database(self.path, MIGRATIONS, read_only=True)
            opened.pop_all()

    def _check_mark(self) -> None:
        with reading():
            row = self._writer.execute("SELECT value FROM meta WHERE name = 'commits'").fetchone()
        if row is None or not isinstance(row[0], int):
            raise damaged(self.path, "its number of commits is missing")
        lost = self._mark.read() - row[0]
        if lost > 0:
            raise damaged(
                self.path,
                f"its last {lost} commits are missing (it or its log was cut, changed or replaced)",
            )

    def _claim(self, election: Election) -> None:
        with reading():
            row = self._writer.execute("SELECT value FROM meta WHERE name = 'network_id'").fetchone()
        if row is None:
            with transaction(self._writer) as conn:
                conn.execute("INSERT INTO meta VALUES ('network_id', ?)", (election.network_id,))
        elif not isinstance(row[0], bytes):
            raise damaged(self.path, "its network id is no hash")
        elif row[0] != election.network_id:
            raise ConfigError(
                f"{self.path} holds the chain of another election ({row[0].hex()[:16]}…)",
                code="network-mismatch",
                next_step="Give this node the genesis file of that election, or another --data-dir.",
            )

    def close(self) -> None:
        with self._sharing:
            self._shared.close()
        self._reader.close()
        self._writer.close()
        self._mark.close()

    # -- writing -------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> None:
        try:
            with transaction(self._writer) as conn:
                for change in changes:
                    self._write(conn, change)
                [(commits,)] = conn.execute(
                    "UPDATE meta SET value = value + 1 WHERE name = 'commits' RETURNING value"
                )
        except BaseException:
            self._waiting.forget()
            raise
        self._mark.write(commits)

    def _write(self, conn: sqlite3.Connection, change: Change) -> None:
        if isinstance(change, SaveVotes):
            self._waiting.add(change.votes)
        elif isinstance(change, DropVotes):
            self._waiting.drop(change.ids)
        elif isinstance(change, SaveBlock):
            self._write_block(conn, change)
        else:
            _write_best(conn, change)

    def _write_block(self, conn: sqlite3.Connection, change: SaveBlock) -> None:
        entry = change.entry
        saved = conn.execute(
            "INSERT OR IGNORE INTO blocks (hash, height, best, header) VALUES (?, ?, 0, ?)",
            (entry.hash, entry.height, entry.header.pack()),
        )
        if saved.rowcount:
            assert saved.lastrowid is not None
            self._digests[entry.hash] = write_body(conn, saved.lastrowid, change.votes)

    def remember_peers(self, peers: Sequence[CachedPeer]) -> None:
        with transaction(self._writer) as conn:
            conn.execute("DELETE FROM peers")
            conn.executemany("INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?)", peers)

    def remember_bans(self, bans: Sequence[Ban]) -> None:
        with transaction(self._writer) as conn:
            conn.execute("DELETE FROM bans")
            conn.executemany("INSERT INTO bans VALUES (?, ?, ?, ?)", bans)

    def try_writing(self) -> None:
        """A commit that changes nothing, and room for the votes of a moment.

        Raises:
            StorageError: the disk is full or read-only, or another program keeps the database locked.
        """
        probe = self.path.with_name(PROBE_NAME)
        try:
            with probe.open("wb", buffering=0) as file:
                file.write(bytes(PROBE_BYTES))
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"cannot write in {probe.parent}: {error.strerror or error}",
                next_step="Free some space on that disk, and make the folder writable for this user.",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        with transaction(self._writer) as conn:
            conn.execute("UPDATE meta SET value = value WHERE name = 'commits'")

    # -- reading -------------------------------------------------------------------------------

    def load(self) -> StoredChain:
        with reading():
            return load_chain(
                self._writer, self._waiting, self.path, self._genesis, self._digests, self._registered
            )

    def votes_of(self, block_hash: bytes) -> Sequence[SealedVote]:
        with reading():
            number, header = self._number(self._reader, block_hash)
            return self._votes_in(header, self._rows(self._reader, number))

    def _number(self, conn: sqlite3.Connection, block_hash: bytes) -> tuple[int, bytes]:
        """Number and packed header of a block. Raises StorageError: it is not there."""
        found = conn.execute("SELECT number, header FROM blocks WHERE hash = ?", (block_hash,)).fetchone()
        if found is None:
            raise StorageError(f"block {block_hash.hex()} is not stored")
        number, header = found
        return number, header

    def _rows(self, conn: sqlite3.Connection, number: int) -> list[bytes]:
        rows = read_rows(conn, number)
        if not all(isinstance(records, bytes) for records in rows):
            raise damaged(self.path, "the votes of a block are no records")
        return rows

    def _votes_in(self, header: bytes, rows: Sequence[bytes]) -> list[SealedVote]:
        try:
            return votes_under(unpack_header(header), b",".join(rows))
        except (ValueError, TypeError, Rejected) as error:
            raise damaged(self.path, error) from error

    def vote_at(self, block_hash: bytes, position: int, voter_id: str) -> SealedVote:
        with reading():
            number, _ = self._number(self._reader, block_hash)
            return self._vote_at(self._reader, number, position, voter_id)

    def votes_at(self, places: Sequence[tuple[bytes, int, str]]) -> list[SealedVote]:
        with self._sharing, reading():
            blocks = {block_hash for block_hash, _, _ in places}
            numbers = {block_hash: self._number(self._shared, block_hash)[0] for block_hash in blocks}
            return [
                self._vote_at(self._shared, numbers[block_hash], position, voter_id)
                for block_hash, position, voter_id in places
            ]

    def _vote_at(self, conn: sqlite3.Connection, number: int, position: int, voter_id: str) -> SealedVote:
        try:
            found = read_vote(conn, number, position)
        except (ValueError, TypeError) as error:
            raise damaged(self.path, error) from error
        if found is None or found.voter_id != voter_id:
            raise damaged(self.path, f"the vote of {voter_id!r} is not where it was saved")
        return found

    def records_of(self, block_hash: bytes, start: int, count: int) -> list[bytes]:
        with self._sharing, reading():
            number, _ = self._number(self._shared, block_hash)
            try:
                return read_records(self._shared, number, start, count)
            except (ValueError, TypeError) as error:
                raise damaged(self.path, error) from error

    def block_line(self, block_hash: bytes) -> bytes | None:
        with self._sharing, reading():
            try:
                number, header = self._number(self._shared, block_hash)
            except StorageCorrupt:
                raise
            except StorageError:
                return None
            rows = self._rows(self._shared, number)
        # A peer would blame us for votes that are not the header's.
        if digest_of(rows) != self._digests.get(block_hash):
            self._votes_in(header, rows)
            self._digests[block_hash] = digest_of(rows)
        return join_block_line(header, *rows)

    def votes_in_order(self) -> Iterator[tuple[int, SealedVote]]:
        for height, (_, votes) in enumerate(self.blocks_in_order(), start=1):
            for sealed in votes:
                yield height, sealed

    def blocks_in_order(self) -> Iterator[tuple[Header, Sequence[SealedVote]]]:
        """On a connection of its own: a long read may run beside the loop's short ones."""
        reader = open_database(self.path, MIGRATIONS, read_only=True)
        try:
            with reading():
                rows = reader.execute("SELECT header, number FROM blocks WHERE best = 1 ORDER BY height")
                for header, number in rows:
                    yield unpack_header(header), self._votes_in(header, self._rows(reader, number))
        finally:
            reader.close()

    def known_peers(self) -> list[CachedPeer]:
        with reading():
            rows = self._writer.execute("SELECT address, source, met, anchor FROM peers ORDER BY address")
            found = [CachedPeer(address, source, met, bool(anchor)) for address, source, met, anchor in rows]
        for peer in found:
            if not all(isinstance(v, kind) for v, kind in zip(peer, (str, str, int, bool), strict=True)):
                raise damaged(self.path, "a cached peer is no address")
        return found

    def known_bans(self) -> list[Ban]:
        with reading():
            rows = self._writer.execute("SELECT subject, until, times, code FROM bans ORDER BY subject")
            return [Ban(*row) for row in rows]


def _write_best(conn: sqlite3.Connection, change: SetBest) -> None:
    conn.execute("UPDATE blocks SET best = 0 WHERE height > ? AND best = 1", (change.fork_height,))
    for entry, _ in change.blocks:
        if conn.execute("UPDATE blocks SET best = 1 WHERE hash = ?", (entry.hash,)).rowcount != 1:
            raise StorageError(f"block {entry.hash.hex()} is on the best branch but not stored")
    _write_tip(conn)


def _write_tip(conn: sqlite3.Connection) -> None:
    conn.execute("DELETE FROM meta WHERE name = 'tip'")
    tip = "SELECT 'tip', hash FROM blocks WHERE best = 1 ORDER BY height DESC LIMIT 1"
    conn.execute(f"INSERT INTO meta {tip}")

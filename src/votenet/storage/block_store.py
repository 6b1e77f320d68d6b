"""The chain and the pool of one node in SQLite.

What lives here: the schema and every SQL statement of a node. What must not: rules; what arrives
here has been checked.

One writer applies changes in one transaction (`apply` returns when they are synced); one reader on
its own connection serves the event loop. Blocks keep their votes as the records they were hashed
from, so that a block is sent to a peer without being taken apart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final, cast

import msgspec

from votenet.core.block import Header, unpack_header
from votenet.core.election import Election
from votenet.core.tally import Tally
from votenet.core.vote import SealedVote, unseal
from votenet.errors import ConfigError, Rejected, StorageCorrupt, StorageError
from votenet.protocol.events import Change, DropVotes, SaveBlock, SaveVotes, SetBest, VotePlace
from votenet.storage.database import open_database, reading, transaction
from votenet.storage.interface import BlockStore, StoredChain
from votenet.storage.memory import join_block_line

DATABASE_NAME: Final = "chain.db"

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
        self._writer = open_database(self.path, MIGRATIONS)
        try:
            self._claim(election)
            self._reader = open_database(self.path, MIGRATIONS, read_only=True)
        except BaseException:
            self._writer.close()
            raise

    def _claim(self, election: Election) -> None:
        with reading():
            row = self._writer.execute("SELECT value FROM meta WHERE name = 'network_id'").fetchone()
        if row is None:
            with transaction(self._writer) as conn:
                conn.execute("INSERT INTO meta VALUES ('network_id', ?)", (election.network_id,))
        elif not isinstance(row[0], bytes):
            raise _damaged(self.path, "its network id is no hash")
        elif row[0] != election.network_id:
            raise ConfigError(
                f"{self.path} holds the chain of another election ({row[0].hex()[:16]}…)",
                code="network-mismatch",
                next_step="Give this node the genesis file of that election, or another --data-dir.",
            )

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    # -- writing -------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> None:
        with transaction(self._writer) as conn:
            for change in changes:
                _WRITERS[type(change)](conn, change)

    def remember_peers(self, addresses: Sequence[str]) -> None:
        with transaction(self._writer) as conn:
            conn.execute("DELETE FROM peers")
            conn.executemany("INSERT OR IGNORE INTO peers VALUES (?)", [(a,) for a in addresses])

    # -- reading -------------------------------------------------------------------------------

    def load(self) -> StoredChain:
        with reading():
            stored = StoredChain()
            try:
                stored.headers = self._load_headers()
                rows = self._writer.execute("SELECT voter_id, height FROM voters")
                stored.voters = {voter_id: height for voter_id, height in rows}  # noqa: C416 (typed)
                stored.tally = self._load_tally()
                stored.waiting = self._load_waiting()
            except (ValueError, TypeError, Rejected) as error:
                raise _damaged(self.path, error) from error
        return stored

    def _load_headers(self) -> list[tuple[Header, bool]]:
        headers = []
        rows = self._writer.execute("SELECT hash, header, best FROM blocks ORDER BY height, rowid")
        for block_hash, raw, best in rows:
            header = unpack_header(raw)
            if header.hash != block_hash:
                raise ValueError("a header is not the one that was saved")
            headers.append((header, bool(best)))
        return headers

    def _load_waiting(self) -> list[SealedVote]:
        waiting = []
        for vote_id, record in self._writer.execute("SELECT vote_id, record FROM waiting ORDER BY arrival"):
            sealed = unseal(record)
            if sealed.id != vote_id:
                raise ValueError("a waiting vote is not the one that was saved")
            waiting.append(sealed)
        return waiting

    def _load_tally(self) -> Tally:
        rows = self._writer.execute("SELECT choices, count(*) FROM voters GROUP BY choices")
        return Tally({msgspec.json.decode(choices, type=tuple[str, ...]): n for choices, n in rows})

    def votes_of(self, block_hash: bytes) -> Sequence[SealedVote]:
        with reading():
            row = self._reader.execute("SELECT records FROM blocks WHERE hash = ?", (block_hash,)).fetchone()
        if row is None:
            raise StorageError(f"block {block_hash.hex()} is not stored")
        return _split(row[0])

    def find_vote(self, voter_id: str) -> VotePlace | None:
        with reading():
            row = self._reader.execute(
                "SELECT vote_id, height, position, time FROM voters WHERE voter_id = ?", (voter_id,)
            ).fetchone()
        return None if row is None else VotePlace(*row)

    def block_line(self, block_hash: bytes) -> bytes | None:
        with reading():
            row = self._reader.execute(
                "SELECT header, records FROM blocks WHERE hash = ?", (block_hash,)
            ).fetchone()
        return None if row is None else join_block_line(*row)

    def votes_in_order(self) -> Iterator[tuple[int, SealedVote]]:
        """On a connection of its own: a long read may run beside the loop's short ones."""
        reader = open_database(self.path, MIGRATIONS, read_only=True)
        try:
            with reading():
                rows = reader.execute("SELECT height, records FROM blocks WHERE best = 1 ORDER BY height")
                for height, records in rows:
                    for sealed in _split(records):
                        yield height, sealed
        finally:
            reader.close()

    def known_peers(self) -> list[str]:
        with reading():
            return [row[0] for row in self._writer.execute("SELECT address FROM peers ORDER BY address")]


def _split(records: bytes) -> list[SealedVote]:
    """Joined records back into votes, each with exactly the bytes it was hashed from."""
    try:
        raw = msgspec.json.decode(b"[" + records + b"]", type=list[msgspec.Raw])
        return [unseal(bytes(record)) for record in raw]
    except (ValueError, TypeError) as error:
        raise _damaged(DATABASE_NAME, error) from error


def _damaged(name: Path | str, cause: object) -> StorageCorrupt:
    return StorageCorrupt(
        f"{name} is damaged: {cause}",
        next_step="Move the file away and start again: the node fetches the chain from its peers.",
    )


def _write_votes(conn: sqlite3.Connection, change: Change) -> None:
    assert isinstance(change, SaveVotes)
    conn.executemany(
        "INSERT OR IGNORE INTO waiting (vote_id, record) VALUES (?, ?)",
        [(sealed.id, sealed.record) for sealed in change.votes],
    )


def _drop_votes(conn: sqlite3.Connection, change: Change) -> None:
    assert isinstance(change, DropVotes)
    conn.executemany("DELETE FROM waiting WHERE vote_id = ?", [(vote_id,) for vote_id in change.ids])


def _write_block(conn: sqlite3.Connection, change: Change) -> None:
    assert isinstance(change, SaveBlock)
    entry = change.entry
    records = b",".join(sealed.record for sealed in change.votes)
    conn.execute(
        "INSERT OR IGNORE INTO blocks (hash, height, best, header, records) VALUES (?, ?, 0, ?, ?)",
        (entry.hash, entry.height, entry.header.pack(), records),
    )


def _write_best(conn: sqlite3.Connection, change: Change) -> None:
    assert isinstance(change, SetBest)
    conn.execute("UPDATE blocks SET best = 0 WHERE height > ? AND best = 1", (change.fork_height,))
    conn.execute("DELETE FROM voters WHERE height > ?", (change.fork_height,))
    for entry, votes in change.blocks:
        if conn.execute("UPDATE blocks SET best = 1 WHERE hash = ?", (entry.hash,)).rowcount != 1:
            raise StorageError(f"block {entry.hash.hex()} is on the best branch but not stored")
        conn.executemany(
            "INSERT INTO voters (voter_id, vote_id, height, position, time, choices)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    sealed.voter_id,
                    sealed.id,
                    entry.height,
                    position,
                    sealed.vote.time,
                    msgspec.json.encode(sealed.vote.choices).decode(),
                )
                for position, sealed in enumerate(votes)
            ],
        )


_WRITERS: Final = {
    SaveVotes: _write_votes,
    DropVotes: _drop_votes,
    SaveBlock: _write_block,
    SetBest: _write_best,
}

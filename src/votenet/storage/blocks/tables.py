"""The tables of a node's database: their schema, and how the records of votes lie in them.

A row of `bodies` holds some records of a block, in block order, joined by commas. Its key is made of the
number of the block and the position of the row's first vote, so that the row of a position is the last
one at or before it: one vote is read without the rest. (A whole block in one row would be a list of
thousands of pages, to be walked for every vote.)

A row of `waiting` is a batch of votes that are in no block yet.

Values that no header covers are sealed: a digest of the value and of its place stands before it. It finds
what a disk may do to them, not what a person may do.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import xxhash

from votenet.core.ledger.chain import POSITION_BITS
from votenet.core.ledger.vote import HashedVote, Vote
from votenet.core.log.merkle import leaf_hash, leaf_hashes

DATABASE_NAME: Final = "chain.db"
VOTES_IN_ROW: Final = 32
"""About 12 KB: three pages more than the row itself."""
SEAL_BYTES: Final = 8

CHAIN_SCHEMA: Final = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    -- 'network_id': the election; 'tip': hash of the last block of the best branch, absent while that is
    -- genesis; 'commits': how many batches were applied, see commit_mark.py. Sealed: 'finality': what a named
    -- node must know of its own statements, JSON of protocol/node/round_statements.py; 'accepted': the
    -- time of its latest acceptance; 'hours': JSON of protocol/node/closing.py; 'certificate': the newest,
    -- JSON of the height of its block and a signed note; 'restored': JSON of protocol/node/restored.py
    INSERT INTO meta VALUES ('commits', 0);
    CREATE TABLE blocks (
        number INTEGER PRIMARY KEY,       -- in order of arrival
        hash BLOB NOT NULL UNIQUE,        -- 32 bytes
        height INTEGER NOT NULL,
        best INTEGER NOT NULL,            -- 1 on the best branch
        header BLOB NOT NULL,             -- 80 bytes
        extras BLOB NOT NULL,             -- sealed JSON of core/ledger/extras.py
        precommits BLOB                   -- sealed JSON of the commit, if any; NULL before it was best
    );
    CREATE INDEX blocks_by_height ON blocks (height);
    CREATE TABLE bodies (
        place INTEGER PRIMARY KEY,        -- number of the block << 20 | position of the row's first vote
        records BLOB NOT NULL             -- canonical vote records in block order, joined by commas
    );
    CREATE TABLE tiles (                  -- of the election's log, see core/log/tiles.py
        level INTEGER NOT NULL,
        number INTEGER NOT NULL,
        hashes BLOB NOT NULL,             -- 32 to 8,192 bytes, sealed
        PRIMARY KEY (level, number)
    ) WITHOUT ROWID;
    CREATE TABLE evidence (               -- against named nodes, see core/records/evidence.py
        node INTEGER NOT NULL,
        kind TEXT NOT NULL,
        proof BLOB NOT NULL,              -- canonical JSON, sealed
        sentence TEXT NOT NULL,           -- the lie, for people
        PRIMARY KEY (node, kind)
    ) WITHOUT ROWID;
    CREATE TABLE amendments (             -- that are in no block yet
        number INTEGER PRIMARY KEY,
        record BLOB NOT NULL              -- canonical JSON, sealed
    );
    CREATE TABLE waiting (
        batch INTEGER PRIMARY KEY,        -- in order of arrival
        records BLOB NOT NULL,            -- canonical vote records joined by commas
        digest BLOB NOT NULL              -- SHA-256(0x00 || records): of one record, the id of that vote
    );
    CREATE TABLE peers (                  -- the cache of addresses, see protocol/peers/address_manager.py
        address TEXT PRIMARY KEY,
        source TEXT NOT NULL,             -- network group of the peer that named it
        met INTEGER NOT NULL,             -- Unix seconds of the last handshake, 0 for never
        anchor INTEGER NOT NULL           -- 1 for a peer that we had chosen and were connected to
    ) WITHOUT ROWID;
    CREATE TABLE bans (
        subject TEXT PRIMARY KEY,         -- key:<node key> or address:<IP address, or IPv6 /64>
        until INTEGER NOT NULL,           -- Unix seconds
        times INTEGER NOT NULL,           -- how often this subject was banned
        code TEXT NOT NULL                -- the refusal that led to the ban
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE shares (                 -- of trustees, once the result of secret ballots is final
        place INTEGER PRIMARY KEY,
        share BLOB NOT NULL               -- JSON of secret/decryption_share.py, sealed
    );
    """,
)

SEALED_META: Final = frozenset({"finality", "accepted", "hours", "certificate", "restored"})
META_NAMES: Final = SEALED_META | {"network_id", "tip", "commits"}

raw_list = msgspec.json.Decoder(list[msgspec.Raw])
vote_list = msgspec.json.Decoder(list[Vote])


def write_body(conn: sqlite3.Connection, number: int, votes: Sequence[HashedVote]) -> bytes:
    """Save the records of block `number`; returns their `digest_of`."""
    first = number << POSITION_BITS
    records = [hashed.record for hashed in votes]
    rows = [
        (first + start, b",".join(records[start : start + VOTES_IN_ROW]))
        for start in range(0, len(records), VOTES_IN_ROW)
    ]
    conn.executemany("INSERT INTO bodies (place, records) VALUES (?, ?)", rows)
    return digest_of([records for _, records in rows])


def digest_of(rows: Iterable[bytes]) -> bytes:
    """A digest by which damaged rows are noticed: a million bytes in 0.1 ms.

    It finds what a disk may do to them, not what a person may do.
    """
    digest = xxhash.xxh3_128()
    for records in rows:
        digest.update(records)
        digest.update(b",")
    return digest.digest()


def seal(place: str, value: bytes) -> bytes:
    """A value behind a digest of it and of the place where it is saved."""
    return xxhash.xxh3_64_digest(place.encode() + b"\n" + value) + value


def unseal(place: str, sealed: object) -> bytes:
    """Raises ValueError, TypeError: this is not what was saved at this place."""
    if not isinstance(sealed, bytes):
        raise TypeError(f"the value of {place} is no bytes")
    value = sealed[SEAL_BYTES:]
    if seal(place, value) != sealed:
        raise ValueError(f"the value of {place} is not the one that was saved")
    return value


def extras_place(block_hash: bytes) -> str:
    return f"extras of block {block_hash.hex()}"


def commit_place(block_hash: bytes) -> str:
    return f"commit of block {block_hash.hex()}"


def tile_place(level: int, number: int) -> str:
    return f"tile {number} of level {level}"


def evidence_place(node: int, kind: str, sentence: str) -> str:
    return f"evidence {kind} against node {node}: {sentence}"


def amendment_place(number: int) -> str:
    return f"amendment {number}"


def share_place(place: int) -> str:
    return f"share of trustee {place}"


def read_body(conn: sqlite3.Connection, number: int) -> bytes:
    """All records of block `number`, joined by commas. Raises TypeError: a row is not bytes."""
    return b",".join(read_rows(conn, number))


def read_rows(conn: sqlite3.Connection, number: int) -> list[bytes]:
    """The rows of block `number`, as they lie there: each holds records joined by commas."""
    first = number << POSITION_BITS
    rows = conn.execute(
        "SELECT records FROM bodies WHERE place >= ? AND place < ? ORDER BY place",
        (first, first + (1 << POSITION_BITS)),
    )
    return [records for (records,) in rows]


def read_vote(conn: sqlite3.Connection, number: int, position: int) -> HashedVote | None:
    """The vote at a position of block `number`, None if it has none there.

    Raises:
        ValueError, TypeError: the row does not hold vote records.
    """
    first = number << POSITION_BITS
    row = conn.execute(
        "SELECT place, records FROM bodies WHERE place >= ? AND place <= ? ORDER BY place DESC LIMIT 1",
        (first, first + position),
    ).fetchone()
    if row is None:
        return None
    records = raw_records(row[1])
    offset = first + position - row[0]
    return split_records(records[offset])[0] if offset < len(records) else None


def read_records(conn: sqlite3.Connection, number: int, start: int, count: int) -> list[bytes]:
    """The records at positions `start` to `start + count` of block `number`; fewer where it ends before.

    Raises:
        ValueError, TypeError: a row does not hold a list of records.
    """
    first = number << POSITION_BITS
    rows = conn.execute(
        "SELECT place, records FROM bodies WHERE place < ? AND place >= "
        "(SELECT max(place) FROM bodies WHERE place >= ? AND place <= ?) ORDER BY place",
        (first + start + count, first, first + start),
    )
    wanted: list[bytes] = []
    for place, records in rows:
        skip = max(first + start - place, 0)
        wanted += raw_records(records)[skip : skip + count - len(wanted)]
    return wanted


def split_records(records: bytes) -> list[HashedVote]:
    """Joined records back into votes, each with exactly the bytes it was hashed from.

    Raises:
        ValueError, TypeError: they are not vote records.
    """
    raw = raw_records(records)
    return list(map(HashedVote, vote_list.decode(b"[" + records + b"]"), raw, leaf_hashes(raw)))


def raw_records(records: bytes) -> list[bytes]:
    """Joined records taken apart, and not looked into.

    Raises:
        ValueError, TypeError: they are no list of JSON values.
    """
    return list(map(bytes, raw_list.decode(b"[" + records + b"]")))


class WaitingVotes:
    """The table `waiting` of one connection. After a failed transaction call `forget`.

    Votes come in batches and leave in blocks. When some of a batch have left, its row is written again
    with the others; with the last one it goes. Which batch a vote is in is kept in memory: a row for each
    vote, with an index by its id, would cost a node more than all else it does for the vote but checking
    the signature.
    """

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._batches: dict[int, dict[bytes, bytes]] = {}
        """Row number to what is left of the batch: vote id to record, in order of arrival."""
        self._batch_of: dict[bytes, int] = {}
        self._loaded = False

    def load(self) -> list[HashedVote]:
        """All waiting votes, in order of arrival.

        Raises:
            ValueError, TypeError: a row is not what was saved.
        """
        self.forget()
        waiting: list[HashedVote] = []
        for number, records, digest in self._conn.execute(
            "SELECT batch, records, digest FROM waiting ORDER BY batch"
        ):
            if leaf_hash(records) != digest:
                raise ValueError("a batch of waiting votes is not the one that was saved")
            votes = split_records(records)
            self._batches[number] = {hashed.id: hashed.record for hashed in votes}
            self._batch_of.update((hashed.id, number) for hashed in votes)
            waiting += votes
        self._loaded = True
        return waiting

    def forget(self) -> None:
        """Read the table again before the next change: it may be in another state."""
        self._batches, self._batch_of, self._loaded = {}, {}, False

    def add(self, votes: Sequence[HashedVote]) -> None:
        """Save votes at the end; those that wait already stay where they are."""
        self._load_once()
        new = {hashed.id: hashed.record for hashed in votes if hashed.id not in self._batch_of}
        if not new:
            return
        records = b",".join(new.values())
        number = self._conn.execute(
            "INSERT INTO waiting (records, digest) VALUES (?, ?)", (records, leaf_hash(records))
        ).lastrowid
        assert number is not None
        self._batches[number] = new
        self._batch_of.update(dict.fromkeys(new, number))

    def drop(self, ids: Iterable[bytes]) -> None:
        """Remove the votes with these ids; ids that do not wait are ignored."""
        self._load_once()
        left_from = (self._batch_of.pop(vote_id, None) for vote_id in ids)
        gone = Counter(number for number in left_from if number is not None)
        empty = [number for number, count in gone.items() if count == len(self._batches[number])]
        for number in empty:
            del self._batches[number]
        left = []
        for number in gone.keys() & self._batches.keys():
            rest = {i: record for i, record in self._batches[number].items() if i in self._batch_of}
            self._batches[number] = rest
            left.append((b",".join(rest.values()), number))
        self._conn.executemany("DELETE FROM waiting WHERE batch = ?", [(number,) for number in empty])
        self._conn.executemany(
            "UPDATE waiting SET records = ?, digest = ? WHERE batch = ?",
            [(records, leaf_hash(records), number) for records, number in left],
        )

    def _load_once(self) -> None:
        if not self._loaded:
            self.load()

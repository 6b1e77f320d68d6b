"""How the votes of a block lie in a node's database: in pieces, so that one vote is read without the rest.

What lives here: writing a block's records, reading all of them or one. What must not: headers, which
block is best (`block_store.py`).

A row of `bodies` holds some records, in block order, joined by commas. Its key is made of the number of
the block and the position of the row's first vote, so that the row of a position is the last one at or
before it. A whole block in one row would be a list of thousands of pages, to be walked for every vote.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import xxhash

from votenet.core.chain import POSITION_BITS
from votenet.core.merkle import leaf_hashes
from votenet.core.vote import SealedVote, Vote, unseal

VOTES_IN_ROW: Final = 32
"""About 12 KB: three pages more than the row itself."""

_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_vote_list = msgspec.json.Decoder(list[Vote])


def write_body(conn: sqlite3.Connection, number: int, votes: Sequence[SealedVote]) -> bytes:
    """Save the records of block `number`; returns their `digest_of`."""
    first = number << POSITION_BITS
    records = [sealed.record for sealed in votes]
    rows = [
        (first + start, b",".join(records[start : start + VOTES_IN_ROW]))
        for start in range(0, len(records), VOTES_IN_ROW)
    ]
    conn.executemany("INSERT INTO bodies (place, records) VALUES (?, ?)", rows)
    return digest_of([records for _, records in rows])


def digest_of(rows: Iterable[bytes]) -> bytes:
    """What tells whether rows of records are still those that were checked: a million bytes in 0.1 ms.

    It finds what a disk may do to them, not what a person may: that one could write another database.
    """
    digest = xxhash.xxh3_128()
    for records in rows:
        digest.update(records)
        digest.update(b",")
    return digest.digest()


def read_body(conn: sqlite3.Connection, number: int) -> bytes:
    """All records of block `number`, joined by commas.

    Raises:
        TypeError: a row is not bytes.
    """
    return b",".join(read_rows(conn, number))


def read_rows(conn: sqlite3.Connection, number: int) -> list[bytes]:
    """The rows of block `number`, as they lie there: each holds records joined by commas."""
    first = number << POSITION_BITS
    rows = conn.execute(
        "SELECT records FROM bodies WHERE place >= ? AND place < ? ORDER BY place",
        (first, first + (1 << POSITION_BITS)),
    )
    return [records for (records,) in rows]


def read_vote(conn: sqlite3.Connection, number: int, position: int) -> SealedVote | None:
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
    return unseal(records[offset]) if offset < len(records) else None


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
    found: list[bytes] = []
    for place, records in rows:
        skip = max(first + start - place, 0)
        found += raw_records(records)[skip : skip + count - len(found)]
    return found


def split_records(records: bytes) -> list[SealedVote]:
    """Joined records back into votes, each with exactly the bytes it was hashed from.

    Raises:
        ValueError, TypeError: they are not vote records.
    """
    raw = raw_records(records)
    return list(map(SealedVote, _vote_list.decode(b"[" + records + b"]"), raw, leaf_hashes(raw)))


def raw_records(records: bytes) -> list[bytes]:
    """Joined records taken apart, and not looked into.

    Raises:
        ValueError, TypeError: they are no list of JSON values.
    """
    return list(map(bytes, _raw_list.decode(b"[" + records + b"]")))

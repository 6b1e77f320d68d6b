"""How the votes of a block lie in a node's database: in pieces, so that one vote is read without the rest.

What lives here: writing a block's records, reading all of them or one. What must not: headers, which
block is best (`block_store.py`).

A row of `bodies` holds some records, in block order, joined by commas. Its key is made of the number of
the block and the position of the row's first vote, so that the row of a position is the last one at or
before it. A whole block in one row would be a list of thousands of pages, to be walked for every vote.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from votenet.core.chain import POSITION_BITS
from votenet.core.merkle import leaf_hashes
from votenet.core.vote import SealedVote, Vote

VOTES_IN_ROW: Final = 32
"""About 12 KB: three pages more than the row itself."""

_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_vote_list = msgspec.json.Decoder(list[Vote])


def write_body(conn: sqlite3.Connection, number: int, votes: Sequence[SealedVote]) -> None:
    """Save the records of block `number`."""
    first = number << POSITION_BITS
    records = [sealed.record for sealed in votes]
    conn.executemany(
        "INSERT INTO bodies (place, records) VALUES (?, ?)",
        [
            (first + start, b",".join(records[start : start + VOTES_IN_ROW]))
            for start in range(0, len(records), VOTES_IN_ROW)
        ],
    )


def read_body(conn: sqlite3.Connection, number: int) -> bytes:
    """All records of block `number`, joined by commas.

    Raises:
        TypeError: a row is not bytes.
    """
    first = number << POSITION_BITS
    rows = conn.execute(
        "SELECT records FROM bodies WHERE place >= ? AND place < ? ORDER BY place",
        (first, first + (1 << POSITION_BITS)),
    )
    return b",".join([records for (records,) in rows])


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
    votes = split_records(row[1])
    offset = first + position - row[0]
    return votes[offset] if offset < len(votes) else None


def split_records(records: bytes) -> list[SealedVote]:
    """Joined records back into votes, each with exactly the bytes it was hashed from.

    Raises:
        ValueError, TypeError: they are not vote records.
    """
    joined = b"[" + records + b"]"
    raw = list(map(bytes, _raw_list.decode(joined)))
    return list(map(SealedVote, _vote_list.decode(joined), raw, leaf_hashes(raw)))

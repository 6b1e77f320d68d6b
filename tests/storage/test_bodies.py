"""A block's votes in rows: all of them come back, and each one alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from support import make_election, make_vote, make_votes
from votenet.storage.block_store import MIGRATIONS
from votenet.storage.bodies import (
    VOTES_IN_ROW,
    digest_of,
    read_body,
    read_records,
    read_rows,
    read_vote,
    split_records,
    write_body,
)
from votenet.storage.migrations import migrate

ELECTION = make_election()
SIZES = [0, 1, VOTES_IN_ROW - 1, VOTES_IN_ROW, VOTES_IN_ROW + 1, 5 * VOTES_IN_ROW]


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    migrate(opened, MIGRATIONS, "x")
    yield opened
    opened.close()


def test_every_vote_of_every_block_comes_back(conn: sqlite3.Connection) -> None:
    bodies = {number: make_votes(ELECTION, size, first=1000 * number) for number, size in enumerate(SIZES, 1)}
    for number, votes in bodies.items():
        write_body(conn, number, votes)
    for number, votes in bodies.items():
        assert split_records(read_body(conn, number)) == votes
        for position, sealed in enumerate(votes):
            assert read_vote(conn, number, position) == sealed
        assert read_vote(conn, number, len(votes)) is None
        assert read_vote(conn, number, len(votes) + VOTES_IN_ROW) is None
    assert read_body(conn, 99) == b""


def test_one_vote_is_read_without_the_others(conn: sqlite3.Connection) -> None:
    votes = make_votes(ELECTION, 3 * VOTES_IN_ROW)
    write_body(conn, 1, votes)
    conn.execute("UPDATE bodies SET records = x'00' WHERE place <> (SELECT min(place) FROM bodies)")
    assert read_vote(conn, 1, VOTES_IN_ROW - 1) == votes[VOTES_IN_ROW - 1]
    with pytest.raises(ValueError, match="JSON"):
        read_vote(conn, 1, VOTES_IN_ROW)


@pytest.mark.parametrize("rows_of", [VOTES_IN_ROW, 1000])
def test_records_are_read_from_any_position_on_and_end_with_the_block(
    conn: sqlite3.Connection, rows_of: int
) -> None:
    votes = make_votes(ELECTION, 3 * VOTES_IN_ROW + 5)
    records = [sealed.record for sealed in votes]
    for start in range(0, len(records), rows_of):
        joined = b",".join(records[start : start + rows_of])
        conn.execute("INSERT INTO bodies VALUES (?, ?)", ((7 << 20) + start, joined))
    write_body(conn, 6, votes[:3]), write_body(conn, 8, votes[:3])
    for start in (0, 1, 31, 32, 64, 95, 96, 100, 101, 500):
        for count in (1, 2, 32, 64, 1000):
            assert read_records(conn, 7, start, count) == records[start : start + count]
    assert read_records(conn, 99, 0, 10) == []


def test_a_digest_tells_one_changed_bit_and_moved_rows(conn: sqlite3.Connection) -> None:
    digest = write_body(conn, 1, make_votes(ELECTION, 2 * VOTES_IN_ROW))
    rows = read_rows(conn, 1)
    assert len(rows) == 2
    assert digest == digest_of(rows)
    changed = bytes([rows[0][0] ^ 1]) + rows[0][1:]
    for other in ([changed, rows[1]], rows[::-1], rows[:1], [rows[0] + rows[1][:1], rows[1][1:]]):
        assert digest_of(other) != digest


def test_a_whole_block_in_one_row_is_read_too(conn: sqlite3.Connection) -> None:
    """So the upgrade from an older format leaves them."""
    votes = make_votes(ELECTION, 3 * VOTES_IN_ROW)
    conn.execute("INSERT INTO bodies VALUES (?, ?)", (7 << 20, b",".join(sealed.record for sealed in votes)))
    assert split_records(read_body(conn, 7)) == votes
    assert read_vote(conn, 7, 70) == votes[70]


def test_records_keep_their_bytes() -> None:
    odd = [make_vote(ELECTION, name) for name in ("Zoë 🗳", 'quote " comma , brace }', "back\\slash")]
    assert split_records(b",".join(sealed.record for sealed in odd)) == odd
    assert split_records(b"") == []
    for broken in (b"{}", b"1", odd[0].record[:-1], odd[0].record + b","):
        with pytest.raises((ValueError, TypeError)):
            split_records(broken)

"""The tables of votes: all of a block comes back, each vote alone, and waiting votes after any history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import make_election, make_vote, make_votes
from votenet.storage.blocks.tables import (
    CHAIN_SCHEMA,
    VOTES_IN_ROW,
    WaitingVotes,
    digest_of,
    read_body,
    read_records,
    read_rows,
    read_vote,
    split_records,
    write_body,
)
from votenet.storage.database import migrate

ELECTION = make_election()
SIZES = [0, 1, VOTES_IN_ROW - 1, VOTES_IN_ROW, VOTES_IN_ROW + 1, 5 * VOTES_IN_ROW]
VOTES = make_votes(ELECTION, 24)


def opened() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, CHAIN_SCHEMA, Path("x"))
    return conn


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    made = opened()
    yield made
    made.close()


def test_every_vote_of_every_block_comes_back(conn: sqlite3.Connection) -> None:
    bodies = {number: make_votes(ELECTION, size, first=1000 * number) for number, size in enumerate(SIZES, 1)}
    for number, votes in bodies.items():
        write_body(conn, number, votes)
    for number, votes in bodies.items():
        assert split_records(read_body(conn, number)) == votes
        for position, hashed in enumerate(votes):
            assert read_vote(conn, number, position) == hashed
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
    records = [hashed.record for hashed in votes]
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
    conn.execute("INSERT INTO bodies VALUES (?, ?)", (7 << 20, b",".join(hashed.record for hashed in votes)))
    assert split_records(read_body(conn, 7)) == votes
    assert read_vote(conn, 7, 70) == votes[70]


def test_records_keep_their_bytes() -> None:
    odd = [make_vote(ELECTION, name) for name in ("Zoë 🗳", 'quote " comma , brace }', "back\\slash")]
    assert split_records(b",".join(hashed.record for hashed in odd)) == odd
    assert split_records(b"") == []
    for broken in (b"{}", b"1", odd[0].record[:-1], odd[0].record + b","):
        with pytest.raises((ValueError, TypeError)):
            split_records(broken)


# -- waiting votes ---------------------------------------------------------------------------------


def batches(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM waiting").fetchone()[0])


def test_a_batch_goes_with_its_last_vote(conn: sqlite3.Connection) -> None:
    waiting = WaitingVotes(conn)
    waiting.add(VOTES[:4])
    waiting.add(VOTES[4:6])
    assert batches(conn) == 2
    waiting.drop([vote.id for vote in (VOTES[0], VOTES[2])])
    assert WaitingVotes(conn).load() == [VOTES[1], VOTES[3], *VOTES[4:6]]
    waiting.drop([vote.id for vote in (VOTES[3], VOTES[1])])
    assert batches(conn) == 1
    waiting.drop([VOTES[1].id, VOTES[20].id, b""])
    assert waiting.load() == VOTES[4:6]


def test_after_a_transaction_that_failed_the_disk_is_asked(conn: sqlite3.Connection) -> None:
    waiting = WaitingVotes(conn)
    waiting.add(VOTES[:2])
    conn.execute("BEGIN")
    waiting.add(VOTES[2:4])
    waiting.drop([VOTES[0].id])
    conn.execute("ROLLBACK")
    waiting.forget()
    waiting.add(VOTES[1:3])
    assert waiting.load() == VOTES[:3]


@pytest.mark.parametrize("change", ["records = x'7b7d'", "digest = x'00'", "records = substr(records, 2)"])
def test_a_changed_batch_is_noticed(conn: sqlite3.Connection, change: str) -> None:
    waiting = WaitingVotes(conn)
    waiting.add(VOTES[:3])
    conn.execute(f"UPDATE waiting SET {change}")
    with pytest.raises(ValueError, match="not the one"):
        waiting.load()


acts = st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, len(VOTES) - 1), max_size=8)), max_size=12)


@given(acts, st.integers(0, 11))
@settings(max_examples=60)
def test_any_history_comes_back_in_order_of_arrival(
    history: list[tuple[bool, list[int]]], restart: int
) -> None:
    conn = opened()
    waiting, expected = WaitingVotes(conn), dict[bytes, int]()
    for step, (comes, numbers) in enumerate(history):
        if step == restart:
            waiting = WaitingVotes(conn)
        if comes:
            waiting.add([VOTES[number] for number in numbers])
            for number in numbers:
                expected.setdefault(VOTES[number].id, number)
        else:
            waiting.drop([VOTES[number].id for number in numbers])
            for number in numbers:
                expected.pop(VOTES[number].id, None)
        assert WaitingVotes(conn).load() == [VOTES[number] for number in expected.values()]
    conn.close()

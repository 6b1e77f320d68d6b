"""Votes that wait, in batches: what is in the table is what the memory says, after any history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import make_election, make_votes
from votenet.storage.block_store import MIGRATIONS
from votenet.storage.migrations import migrate
from votenet.storage.waiting import WaitingVotes

ELECTION = make_election()
VOTES = make_votes(ELECTION, 24)


def opened() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, MIGRATIONS, "x")
    return conn


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    made = opened()
    yield made
    made.close()


def rows(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM waiting").fetchone()[0])


def test_a_batch_goes_with_its_last_vote(conn: sqlite3.Connection) -> None:
    waiting = WaitingVotes(conn)
    waiting.add(VOTES[:4])
    waiting.add(VOTES[4:6])
    assert rows(conn) == 2
    waiting.drop([vote.id for vote in (VOTES[0], VOTES[2])])
    assert WaitingVotes(conn).load() == [VOTES[1], VOTES[3], *VOTES[4:6]]
    waiting.drop([vote.id for vote in (VOTES[3], VOTES[1])])
    assert rows(conn) == 1
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
@settings(max_examples=60, deadline=None)
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

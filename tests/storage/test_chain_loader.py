"""What a starting node believes of its disk: nothing that does not agree with the headers.

Damaged rows and files of a whole store are in test_block_store.py and tests/crash.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from archive_support import ROLL_CASES, roll_block
from support import CREATED, make_election, make_votes, mine_block
from votenet.core.block import genesis_header
from votenet.core.chain import Chain
from votenet.core.roll import with_roll
from votenet.errors import StorageCorrupt
from votenet.protocol.events import Change, SaveBlock, SaveVotes, SetBest
from votenet.storage.block_store import MIGRATIONS, SqliteBlockStore
from votenet.storage.chain_loader import damaged, load_chain, votes_under
from votenet.storage.migrations import migrate
from votenet.storage.waiting import WaitingVotes

ELECTION = make_election()


def joined(count: int) -> bytes:
    return b",".join(
        sealed.record for sealed in mine_block(ELECTION, votes=make_votes(ELECTION, count)).votes
    )


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_votes_of_a_block_are_those_of_its_header(count: int) -> None:
    block = mine_block(ELECTION, votes=make_votes(ELECTION, count))
    assert tuple(votes_under(block.header, joined(count))) == block.votes
    with pytest.raises(ValueError, match="header names"):
        votes_under(block.header, joined(count + 1))


def test_every_flipped_bit_of_a_block_is_noticed() -> None:
    block = mine_block(ELECTION, votes=make_votes(ELECTION, 2))
    records = joined(2)
    for place in range(len(records)):
        flipped = records[:place] + bytes([records[place] ^ 1 << place % 8]) + records[place + 1 :]
        with pytest.raises((ValueError, TypeError)):
            votes_under(block.header, flipped)


def test_an_empty_store_is_a_chain_of_genesis_alone() -> None:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, MIGRATIONS, "x")
    stored = load_chain(conn, WaitingVotes(conn), Path("x"), genesis_header(ELECTION).hash, {})
    assert (stored.headers, stored.voters, stored.waiting, stored.tally.votes) == ([], {}, [], 0)
    conn.close()


def test_damage_names_the_file_and_the_way_out() -> None:
    error = damaged(Path("/data/chain.db"), "its end is missing")
    assert error.message == "/data/chain.db is damaged: its end is missing"
    assert error.exit_code == 78
    assert "/data/chain.db*" in error.next_step


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("votes", "code"), ROLL_CASES)
def test_votes_that_the_roll_does_not_allow_are_noticed_at_the_start(
    tmp_path: Path, votes: tuple[tuple[str, str], ...], code: str, waits: bool
) -> None:
    """The headers do not cover the roll: a folder may come from an import that never saw it."""
    roll, election, block = roll_block(*votes)
    store = SqliteBlockStore(tmp_path, election)
    chain = Chain(election)
    entry = chain.add_header(block.header, CREATED + 9)
    saved: list[Change] = [SaveVotes(block.votes)]
    if not waits:
        saved = [SaveBlock(entry, block.votes), SetBest(0, [(entry, block.votes)])]
    store.apply(saved)
    store.close()
    store = SqliteBlockStore(tmp_path, with_roll(election, roll))
    try:
        if not code:
            assert len(store.load().waiting if waits else store.load().voters) == len(votes)
            return
        with pytest.raises(StorageCorrupt) as caught:
            store.load()
    finally:
        store.close()
    assert (caught.value.code, caught.value.exit_code) == (code, 78)
    assert "start again" in caught.value.next_step

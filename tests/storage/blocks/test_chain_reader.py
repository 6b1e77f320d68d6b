"""A starting node believes only what agrees with the headers; readers beside a node see its chain.

Damaged rows and files of a whole store are in test_block_store.py and tests/crash.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from support.amendments import CLOSES, amendable, amendment
from support.archives import ROLL_CASES, roll_block
from support.elections import (
    CREATED,
    Ledger,
    keys_of_node,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    mine_named,
)
from votenet.core.election.roll import with_roll
from votenet.core.ledger.block import genesis_header, log_leaves, log_start
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.closing import sign_list
from votenet.errors import ConfigError, StorageCorrupt, StorageError
from votenet.protocol.node.events import (
    Change,
    SaveBlock,
    SaveCertificate,
    SaveHours,
    SaveShare,
    SaveTiles,
    SaveVotes,
    SetBest,
)
from votenet.protocol.node.signed_hours import SavedHours, SignedHours, join_list
from votenet.storage.blocks.chain_reader import (
    best_height,
    damaged,
    load_chain,
    read_chain,
    stored_certificate,
    stored_shares,
    votes_under,
)
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.blocks.tables import CHAIN_SCHEMA, WaitingVotes
from votenet.storage.database import migrate

ELECTION = make_election()


def joined(count: int) -> bytes:
    return b",".join(
        hashed.record for hashed in mine_block(ELECTION, votes=make_votes(ELECTION, count)).votes
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
    migrate(conn, CHAIN_SCHEMA, Path("x"))
    stored = load_chain(conn, WaitingVotes(conn), Path("x"), genesis_header(ELECTION).hash, {}, ELECTION)
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


@pytest.mark.parametrize("listed", [True, False])
def test_a_vote_in_the_nodes_own_closing_list_waits_on_though_its_voters_key_was_replaced(
    tmp_path: Path, listed: bool
) -> None:
    election = amendable("ada", "bo")
    vote, other = make_vote(election, "ada"), make_vote(election, "bo")
    replaced = amendment(election, "replace-key", "ada")
    block = mine_named(election, genesis_header(election), 1, records=[replaced])
    chain = Chain(election)
    entry = chain.add_header(block.header, CREATED + 9)
    entry.extras = block.extras
    ids = tuple(sorted(one.id for one in ((vote, other) if listed else (other,))))
    signed = sign_list(
        keys_of_node(0).statement,
        network_hex=election.network_hex,
        node=0,
        closes=CLOSES,
        height=0,
        vote_ids=ids,
    )
    _, tiles = log_start(election).append(log_leaves(block.header, (), block.extras.records))
    hours = SignedHours(b"").put(SavedHours(CLOSES, True, signed, join_list(ids)))
    store = SqliteBlockStore(tmp_path, election)
    try:
        store.apply([SaveVotes([vote, other]), SaveHours(hours)])
        store.apply([SaveBlock(entry, ()), SetBest(0, [(entry, ())]), SaveTiles(tuple(tiles))])
        if listed:
            stored = store.load()
            assert {hashed.id for hashed in stored.waiting} == {vote.id, other.id}
            assert stored.election.next_number == 2
            return
        with pytest.raises(StorageCorrupt) as caught:
            store.load()
        assert caught.value.code == "wrong-key"
    finally:
        store.close()


# -- from outside ----------------------------------------------------------------------------------


def grow(store: SqliteBlockStore, ledger: Ledger, first: int) -> bytes:
    block = ledger.grow(*make_votes(ledger.election, 3, first=first))
    tip = ledger.chain.tip
    store.apply([SaveBlock(tip, block.votes), SetBest(tip.height - 1, [(tip, block.votes)])])
    return block.header.pack()


def test_the_best_branch_by_height_as_of_the_moment_reading_began(tmp_path: Path) -> None:
    ledger = Ledger(make_election())
    store = SqliteBlockStore(tmp_path, ledger.election)
    try:
        assert (best_height(tmp_path), list(read_chain(tmp_path, ledger.election))) == (0, [])
        headers = [grow(store, ledger, first) for first in (1, 4)]
        reader = read_chain(tmp_path, ledger.election)
        seen = [next(reader)]
        grow(store, ledger, 7)
        seen += reader
        assert [header for header, _, _ in seen] == headers
        votes = ledger.votes_of(ledger.chain.best[1].hash)
        assert seen[0][1] == b",".join(hashed.record for hashed in votes)
        assert best_height(tmp_path) == 3
        assert [header for header, _, _ in read_chain(tmp_path, ledger.election, up_to=2)] == headers
        assert stored_certificate(tmp_path) == (0, "")
        store.apply([SaveCertificate(2, "a note\n")])
        assert stored_certificate(tmp_path) == (2, "a note\n")
        store.apply([SaveShare(3, "third"), SaveShare(1, "first")])
        assert stored_shares(tmp_path) == ("first", "third")
    finally:
        store.close()


def test_a_chain_of_another_election_is_refused(tmp_path: Path) -> None:
    SqliteBlockStore(tmp_path, make_election()).close()
    other = make_election(title="Another")
    with pytest.raises(ConfigError) as caught:
        list(read_chain(tmp_path, other))
    assert caught.value.code == "network-mismatch"


def test_a_folder_without_a_chain_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        best_height(tmp_path)
    assert caught.value.code == "no-database"

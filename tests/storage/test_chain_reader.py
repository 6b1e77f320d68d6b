"""A chain read from outside is the node's, while the node goes on writing."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Ledger, make_election, make_votes
from votenet.core.election import Election
from votenet.errors import ConfigError, StorageError
from votenet.protocol.events import SaveBlock, SetBest
from votenet.storage.block_store import SqliteBlockStore
from votenet.storage.chain_reader import best_height, read_chain


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
        assert [header for header, _ in seen] == headers
        votes = ledger.votes_of(ledger.chain.best[1].hash)
        assert seen[0][1] == b",".join(sealed.record for sealed in votes)
        assert best_height(tmp_path) == 3
    finally:
        store.close()


def test_a_chain_of_another_election_is_refused(tmp_path: Path) -> None:
    SqliteBlockStore(tmp_path, make_election()).close()
    other: Election = make_election(title="Another")
    with pytest.raises(ConfigError) as caught:
        list(read_chain(tmp_path, other))
    assert caught.value.code == "network-mismatch"


def test_a_folder_without_a_chain_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        best_height(tmp_path)
    assert caught.value.code == "no-database"

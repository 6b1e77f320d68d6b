"""The twin in memory: what it adds to the promises that `test_interface.py` tests."""

from __future__ import annotations

import pytest

from support import make_election, make_vote, make_votes, mine_block
from votenet.core.chain import Chain
from votenet.protocol.address_book import CachedPeer
from votenet.protocol.events import SaveBlock, SaveVotes
from votenet.storage.memory import MemoryStore, join_block_line

ELECTION = make_election()


def test_a_node_that_was_killed_finds_its_store_again() -> None:
    # Closing means nothing: the next node gets the same object, as it would get the same folder.
    store = MemoryStore()
    votes = make_votes(ELECTION, 2)
    store.apply([SaveVotes(votes)])
    store.close()
    assert store.load().waiting == votes


def test_what_is_kept_does_not_change_with_what_was_given() -> None:
    store = MemoryStore()
    votes = make_votes(ELECTION, 2)
    block = mine_block(ELECTION, votes=votes)
    entry = Chain(ELECTION).add_header(block.header, block.header.time)
    body, addresses = list(block.votes), [CachedPeer("a:1")]
    store.apply([SaveBlock(entry, body), SaveVotes(votes)])
    store.remember_peers(addresses)
    body.clear()
    addresses.append(CachedPeer("b:2"))
    store.known_peers().append(CachedPeer("c:3"))
    loaded = store.load()
    loaded.waiting.clear()
    loaded.headers.clear()
    assert tuple(store.votes_of(entry.hash)) == block.votes
    assert store.known_peers() == [CachedPeer("a:1")]
    assert store.load().waiting == votes
    assert len(store.load().headers) == 1


@pytest.mark.parametrize(
    ("records", "line"),
    [
        (b"", b'{"type":"block","header":"00ff","votes":[]}'),
        (b'{"a":1},{"b":2}', b'{"type":"block","header":"00ff","votes":[{"a":1},{"b":2}]}'),
    ],
)
def test_a_block_line_is_joined_not_encoded(records: bytes, line: bytes) -> None:
    assert join_block_line(b"\x00\xff", records) == line


def test_a_percent_sign_in_a_vote_is_only_a_percent_sign() -> None:
    sealed = make_vote(ELECTION, "100%s %d %")
    assert sealed.record in join_block_line(bytes(80), sealed.record)


def test_a_block_line_is_joined_from_rows() -> None:
    whole = join_block_line(bytes(80), b"1,2,3,4,5")
    assert (
        join_block_line(bytes(80), b"1,2", b"3,4", b"5")
        == join_block_line(bytes(80), b"1", b"2,3,4,5")
        == whole
    )
    assert join_block_line(bytes(80)) == join_block_line(bytes(80), b"")

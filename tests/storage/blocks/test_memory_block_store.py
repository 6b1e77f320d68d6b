"""The twin in memory: its own promises beside those that `test_interface.py` tests."""

from __future__ import annotations

from support.elections import make_election, make_votes, mine_block
from support.memory_block_store import MemoryBlockStore
from votenet.core.ledger.chain import Chain
from votenet.protocol.node.events import SaveBlock, SaveVotes
from votenet.protocol.peers.address_manager import CachedPeer

ELECTION = make_election()


def test_a_node_that_was_killed_finds_its_store_again() -> None:
    # Closing means nothing: the next node gets the same object, as it would get the same folder.
    store = MemoryBlockStore(ELECTION)
    votes = make_votes(ELECTION, 2)
    store.apply([SaveVotes(votes)])
    store.close()
    assert store.load().waiting == votes


def test_stored_values_do_not_change_with_the_arguments() -> None:
    store = MemoryBlockStore(ELECTION)
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

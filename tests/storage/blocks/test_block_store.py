"""The promises of a block store, kept by the one in SQLite and by its twin in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    Ledger,
    heights,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    mine_header,
    votes_in_order,
)
from support.memory_block_store import MemoryBlockStore
from support.named_history import named_history
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, Header, header_from_hex, order_votes, votes_root
from votenet.core.ledger.chain import Chain, pack_location
from votenet.core.ledger.extras import ClosingIds, ClosingList, Miner, make_extras
from votenet.core.ledger.vote import HashedVote, hash_votes
from votenet.core.limits import BLOCK_VERSION
from votenet.errors import Rejected, StorageError
from votenet.protocol.node.events import (
    Change,
    DropVotes,
    SaveBlock,
    SaveEvidence,
    SaveFinality,
    SaveShare,
    SaveVotes,
    SetBest,
)
from votenet.protocol.peers.address_manager import CachedPeer
from votenet.protocol.peers.misbehavior import Ban
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import BlockMessage
from votenet.storage.blocks.block_store import BlockStore, StoredChain
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore

ELECTION = make_election(bits=TRIVIAL_BITS)
KINDS = ["sqlite", "memory"]


class Home:
    """A place with a store in it that can be closed and opened again."""

    def __init__(self, kind: str, folder: Path, election: Election = ELECTION) -> None:
        self._kind, self._folder, self._election = kind, folder, election
        self.store: BlockStore = self._open()

    def _open(self) -> BlockStore:
        return (
            SqliteBlockStore(self._folder, self._election)
            if self._kind == "sqlite"
            else MemoryBlockStore(self._election)
        )

    def reopen(self) -> BlockStore:
        self.store.close()
        if self._kind == "sqlite":
            self.store = self._open()
        return self.store


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    made = Home(request.param, tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def store(home: Home) -> BlockStore:
    return home.store


def connect_block(ledger: Ledger, block: Block) -> list[Change]:
    """Add a block as a node does; what it saves."""
    entry, move = ledger.add(block)
    changes: list[Change] = [SaveBlock(entry, block.votes)]
    if move is not None:
        bodies = [(new, ledger.votes_of(new.hash)) for new in move.connected]
        changes.append(SetBest(move.connected[0].height - 1, bodies))
        changes.append(DropVotes([hashed.id for hashed in block.votes]))
    return changes


def grow(ledger: Ledger, store: BlockStore, *votes: HashedVote, on: Header | None = None) -> Block:
    block = mine_block(ELECTION, on or ledger.chain.tip.header, votes)
    store.apply(connect_block(ledger, block))
    return block


def state_of(stored: StoredChain) -> tuple[object, ...]:
    tally = dict(stored.tally.contests[0].ballots), stored.tally.votes
    return stored.headers, stored.voters, tally, stored.waiting


def assert_keeps(store: BlockStore, ledger: Ledger, waiting: Sequence[HashedVote] = ()) -> None:
    """The store gives back the chain, and every view of it agrees."""
    stored, chain = store.load(), ledger.chain
    again = Chain(ELECTION)
    again.restore(stored.headers, stored.voters, stored.tally)
    assert [e.hash for e in again.best] == [e.hash for e in chain.best]
    assert again.voters == chain.voters
    assert dict(again.tally.contests[0].ballots) == dict(chain.tally.contests[0].ballots)
    assert again.tally.votes == chain.tally.votes
    assert stored.waiting == list(waiting)
    kept = {e.hash: e for e in chain.entries.values() if e.available}
    extra = again.entries.keys() - kept.keys()
    assert kept.keys() <= again.entries.keys()
    assert all(chain.entries[h].invalid for h in extra), "saved before their branch was found invalid"
    assert all(again.entries[h].work == e.work for h, e in kept.items())

    on_best = [(e.height, hashed) for e in chain.best[1:] for hashed in ledger.votes_of(e.hash)]
    assert list(votes_in_order(store)) == on_best
    in_order = [(header, list(votes)) for header, votes in store.blocks_in_order()]
    assert in_order == [(e.header, list(ledger.votes_of(e.hash))) for e in chain.best[1:]]
    places = [(chain.best[height].hash, hashed) for height, hashed in on_best]
    asked = [(block, ledger.votes_of(block).index(hashed), hashed.voter_id) for block, hashed in places]
    assert store.votes_at(asked) == [hashed for _, hashed in places]
    for entry in chain.best[1:]:
        for position, hashed in enumerate(ledger.votes_of(entry.hash)):
            assert chain.voters[hashed.voter_id] == pack_location(entry.height, position)
            assert store.vote_at(entry.hash, position, hashed.voter_id) == hashed
            assert store.records_of(entry.hash, position, 1) == [hashed.record]
    for block_hash in kept.keys() - {chain.genesis.hash}:
        assert list(store.votes_of(block_hash)) == list(ledger.votes_of(block_hash))


def block_with_extras(parent: Header, *votes: HashedVote) -> Block:
    """As a named node makes one: the Merkle root covers its closing list, too."""
    lists = ClosingList(
        closes=CREATED,
        count=0,
        height=1,
        network_id=ELECTION.network_hex,
        node=2,
        root="00" * 32,
        signature="01" * 64,
    )
    extras = make_extras(Miner(node=1, signature="02" * 64), [lists], ClosingIds(bits="", ids=""))
    body = order_votes(votes)
    root = votes_root(body, extras.records)
    header = Header(BLOCK_VERSION, parent.hash, root, parent.time + 1, ELECTION.bits, 0)
    return Block(mine_header(header), body, extras)


class TestBlockStore:
    def test_extras_and_the_commit_of_a_block_are_kept_and_served(self, home: Home) -> None:
        ledger = Ledger(ELECTION)
        block = block_with_extras(ledger.chain.genesis.header, *make_votes(ELECTION, 3))
        changes = connect_block(ledger, block)
        entry = ledger.chain.tip
        entry.extras, entry.commit = block.extras, b'{"round":0}'
        home.store.apply(changes)
        home.reopen()
        stored = home.store.load()
        assert stored.beside == {entry.hash: (block.extras, b'{"round":0}')}
        line = home.store.block_line(entry.hash)
        assert line is not None
        sent = decode_message(line)
        assert isinstance(sent, BlockMessage)
        assert make_extras(sent.miner, sent.records, sent.closing) == block.extras
        assert line == encode_message(sent)
        assert list(home.store.votes_of(entry.hash)) == list(block.votes)

    def test_what_was_last_saved_of_the_consensus_is_given_back(self, home: Home) -> None:
        assert home.store.load().finality == b""
        home.store.apply([SaveFinality(b"one"), SaveFinality(b"two")])
        home.reopen()
        assert home.store.load().finality == b"two"

    def test_shares_of_trustees_are_kept_once_for_each_place(self, home: Home) -> None:
        home.store.apply([SaveShare(3, "third"), SaveShare(1, "Ünïcode")])
        home.store.apply([SaveShare(3, "third again")])
        assert home.store.load().shares == ["Ünïcode", "third again"]

    def test_evidence_is_kept_once_for_each_node_and_kind(self, home: Home) -> None:
        one = SaveEvidence(2, "two-lists", b"{}", "Node 2 (b) lies.")
        other = SaveEvidence(2, "two-roots", b"{}", "Node 2 (b) lies again.")
        home.store.apply([one, other, one])
        home.reopen()
        assert sorted(home.store.load().evidence) == [one, other]

    def test_a_new_store_is_empty(self, store: BlockStore) -> None:
        assert state_of(store.load()) == ([], {}, ({}, 0), [])
        assert list(votes_in_order(store)) == []
        assert store.known_peers() == []
        assert store.known_bans() == []
        assert store.block_line(bytes(32)) is None
        assert_keeps(store, Ledger(ELECTION))

    def test_blocks_are_read_as_they_were_written(self, home: Home) -> None:
        ledger = Ledger(ELECTION)
        for first in (1, 4, 7):
            grow(ledger, home.store, *make_votes(ELECTION, 3, first=first))
        grow(ledger, home.store)
        assert_keeps(home.store, ledger)
        assert_keeps(home.reopen(), ledger)

    def test_votes_wait_in_order_of_arrival_until_dropped(self, home: Home) -> None:
        votes = make_votes(ELECTION, 5)
        home.store.apply([SaveVotes(votes[3:]), SaveVotes(votes[:3])])
        home.store.apply([SaveVotes([votes[4], votes[0]])])  # again: they keep their place
        expected = [*votes[3:], *votes[:3]]
        assert home.store.load().waiting == expected
        assert home.reopen().load().waiting == expected
        home.store.apply([DropVotes([votes[0].id, bytes(32), votes[3].id])])
        home.store.apply([SaveVotes([votes[3]])])
        assert home.reopen().load().waiting == [votes[4], votes[1], votes[2], votes[3]]

    def test_another_branch_takes_over(self, home: Home) -> None:
        ledger = Ledger(ELECTION)
        for hashed in make_votes(ELECTION, 4):
            grow(ledger, home.store, hashed)
        old = [entry.hash for entry in ledger.chain.best[2:]]
        parent = ledger.chain.best[1].header
        for n in range(4):
            votes = [make_vote(ELECTION, f"voter-{4 - n}", "Charlie", time=CREATED + 50)] if n < 2 else []
            parent = grow(ledger, home.store, *votes, on=parent).header
        assert heights(ledger.chain) == {"voter-1": 1, "voter-4": 2, "voter-3": 3}
        assert_keeps(home.store, ledger)
        assert_keeps(home.reopen(), ledger)
        assert all(home.store.votes_of(block_hash) for block_hash in old), "kept, should it win again"

    def test_a_block_line_carries_the_votes_byte_for_byte(self, home: Home) -> None:
        class Line(msgspec.Struct):
            type: str
            header: str
            votes: list[msgspec.Raw]

        ledger = Ledger(ELECTION)
        odd = [make_vote(ELECTION, name) for name in ("Zoë 🗳", 'quote " comma , brace }', "back\\slash")]
        blocks = [grow(ledger, home.store, *odd), grow(ledger, home.store)]
        home.reopen()
        for block in blocks:
            line = home.store.block_line(block.header.hash)
            assert line is not None
            assert b"\n" not in line
            plain = msgspec.json.decode(line, type=Line)
            assert [bytes(raw) for raw in plain.votes] == [hashed.record for hashed in block.votes]
            message = decode_message(line)
            assert isinstance(message, BlockMessage)
            assert header_from_hex(message.header) == block.header
            assert tuple(hash_votes(message.votes)) == block.votes

    def test_a_block_is_saved_once(self, store: BlockStore) -> None:
        ledger = Ledger(ELECTION)
        block = mine_block(ELECTION, votes=make_votes(ELECTION, 2))
        changes = connect_block(ledger, block)
        store.apply(changes)
        store.apply(changes[:1])
        assert_keeps(store, ledger)

    def test_blocks_of_one_height_come_back_in_the_order_they_were_seen(self, home: Home) -> None:
        ledger = Ledger(ELECTION)
        seen = [grow(ledger, home.store, make_vote(ELECTION, f"v{n}"), on=ledger.chain.genesis.header)
                for n in range(6)]  # fmt: skip
        headers = [header for header, _ in home.reopen().load().headers]
        assert headers == [block.header for block in seen]
        assert_keeps(home.store, ledger)

    def test_every_vote_is_found_at_its_position(self, home: Home) -> None:
        """Big blocks lie on the disk in pieces."""
        ledger = Ledger(ELECTION)
        for first, count in ((1, 1), (10, 32), (50, 33), (100, 150)):
            grow(ledger, home.store, *make_votes(ELECTION, count, first=first))
        assert_keeps(home.reopen(), ledger)

    def test_a_vote_that_is_not_there(self, store: BlockStore) -> None:
        ledger = Ledger(ELECTION)
        block = grow(ledger, store, *make_votes(ELECTION, 40))
        first = block.votes[0].voter_id
        for block_hash, position, voter_id in (
            (bytes(32), 0, first), (block.header.hash, 40, first), (block.header.hash, 1, first)
        ):  # fmt: skip
            with pytest.raises(StorageError):
                store.vote_at(block_hash, position, voter_id)

    def test_votes_of_a_block_that_is_not_there(self, store: BlockStore) -> None:
        with pytest.raises(StorageError):
            store.records_of(bytes(32), 0, 1)
        with pytest.raises(StorageError):
            store.votes_at([(bytes(32), 0, "voter-1")])
        with pytest.raises(StorageError, match="0000"):
            store.votes_of(bytes(32))

    def test_known_peers_are_replaced(self, home: Home) -> None:
        one, two = CachedPeer("a:1", "a.example", 1_700_000_000, True), CachedPeer("b:2")
        home.store.remember_peers([two, one, two])
        assert home.reopen().known_peers() == [one, two]
        home.store.remember_peers([CachedPeer("c:3")])
        assert home.reopen().known_peers() == [CachedPeer("c:3")]
        home.store.remember_peers([])
        assert home.reopen().known_peers() == []

    def test_bans_are_kept_and_replaced(self, home: Home) -> None:
        bans = [Ban("key:b", 1_700_003_600, 2, "bad-work"), Ban("address:192.0.2.1", 7, 1, "bad-hello")]
        home.store.remember_bans(bans)
        assert home.reopen().known_bans() == sorted(bans)
        home.store.remember_bans(bans[:1])
        assert home.reopen().known_bans() == bans[:1]
        home.store.remember_bans([])
        assert home.reopen().known_bans() == []

    @pytest.mark.parametrize("failure", ["never saved", "unknown change", "broken votes"])
    def test_a_batch_that_fails_in_the_middle_leaves_nothing(self, home: Home, failure: str) -> None:
        ledger = Ledger(ELECTION)
        grow(ledger, home.store, *make_votes(ELECTION, 2))
        waiting = make_vote(ELECTION, "waiting")
        home.store.apply([SaveVotes([waiting])])
        before = state_of(home.store.load())

        good = mine_block(ELECTION, ledger.chain.tip.header, [make_vote(ELECTION, "other")])
        changes = connect_block(ledger, good)
        bad: dict[str, object] = {
            "never saved": SetBest(2, [(ledger.chain.add_header(
                mine_block(ELECTION, good.header).header, ledger.now + 9), [])]),
            "unknown change": object(),
            "broken votes": SaveVotes([make_vote(ELECTION, "z"), None]),  # type: ignore[list-item]
        }  # fmt: skip
        batch = [DropVotes([waiting.id]), SaveVotes([make_vote(ELECTION, "x")]), *changes, bad[failure]]
        expected = StorageError if failure == "never saved" else Exception
        with pytest.raises(expected):
            home.store.apply(batch)  # type: ignore[arg-type]
        assert state_of(home.store.load()) == before
        assert state_of(home.reopen().load()) == before
        assert home.store.block_line(good.header.hash) is None
        home.store.apply(changes)  # and it can still be written
        assert_keeps(home.store, ledger, [waiting])


def test_both_stores_keep_the_same_of_every_step_of_a_named_node(tmp_path: Path) -> None:
    election, batches = named_history()
    disk, twin = Home("sqlite", tmp_path, election), MemoryBlockStore(election)
    try:
        for batch in batches:
            disk.store.apply(batch)
            twin.apply(batch)
            found, expected = disk.reopen().load(), twin.load()
            if not expected.log_sizes:  # the twin learns of genesis with the first block
                found.log_sizes, found.frontier = expected.log_sizes, expected.frontier
            assert found.tally.contests[0].ballots == expected.tally.contests[0].ballots
            found.tally = expected.tally
            assert found.election.amendments == expected.election.amendments
            found.election = expected.election
            assert found == expected
            for header, _ in found.headers:
                assert disk.store.block_line(header.hash) == twin.block_line(header.hash)
    finally:
        disk.store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_that_named_nodes_did_not_decide_go_when_the_tip_moves(kind: str, tmp_path: Path) -> None:
    election, batches = named_history()
    home = Home(kind, tmp_path, election)
    proposed, most = set[bytes](), 0
    for batch in batches:
        home.store.apply(batch)
        proposed.update(change.entry.hash for change in batch if isinstance(change, SaveBlock))
        stored = home.store.load()
        tip = sum(best for _, best in stored.headers)
        rivals = [header.hash for header, best in stored.headers if not best]
        most = max(most, len(rivals))
        if any(isinstance(change, SetBest) for change in batch):
            assert rivals == []
    assert most == 2, "two blocks were proposed at one height"
    assert len(proposed) > tip
    kept = {header.hash for header, _ in stored.headers}
    assert len(kept) == tip
    for block_hash in proposed - kept:
        assert home.store.block_line(block_hash) is None
        with pytest.raises(StorageError):
            home.store.votes_of(block_hash)
    home.store.close()


trees = st.lists(
    st.tuples(st.integers(0, 3), st.sets(st.integers(0, 5), max_size=2), st.booleans()),
    min_size=3,
    max_size=14,
)


@pytest.mark.parametrize("kind", KINDS)
@given(tree=trees)
@settings(max_examples=12)
def test_any_history_is_read_back(kind: str, tree: list[tuple[int, set[int], bool]]) -> None:
    """Random trees of blocks; votes wait, are taken by blocks and return when their branch loses."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(kind, Path(folder))
        try:
            ledger, headers, waiting = Ledger(ELECTION), [Chain(ELECTION).genesis.header], list[HashedVote]()
            for index, (back, voters, pause) in enumerate(tree):
                votes = [make_vote(ELECTION, f"voter-{n}", time=CREATED + index) for n in voters]
                parent = headers[-1 - back % len(headers)]
                block = mine_block(ELECTION, parent, votes, time=CREATED + 1 + index)
                extra = make_vote(ELECTION, f"waits-{index}")
                waiting.append(extra)
                try:
                    changes = connect_block(ledger, block)
                except Rejected:
                    changes = []
                else:
                    headers.append(block.header)
                home.store.apply([SaveVotes([extra]), *changes])
                if pause:
                    home.reopen()
                    assert_keeps(home.store, ledger, waiting)
            assert_keeps(home.reopen(), ledger, waiting)
        finally:
            home.store.close()

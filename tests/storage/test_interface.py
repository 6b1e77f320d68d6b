"""The promises of a block store, kept by the one in SQLite and by its twin in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import CREATED, TRIVIAL_BITS, Ledger, heights, make_election, make_vote, make_votes, mine_block
from votenet.core.block import Block, Header, header_from_hex
from votenet.core.chain import Chain, place_at
from votenet.core.vote import SealedVote, seal_all
from votenet.errors import Rejected, StorageError
from votenet.protocol.address_book import CachedPeer
from votenet.protocol.blame import Ban
from votenet.protocol.events import Change, DropVotes, SaveBlock, SaveVotes, SetBest
from votenet.protocol.messages import BlockMessage, decode_message
from votenet.storage.block_store import SqliteBlockStore
from votenet.storage.interface import BlockStore, StoredChain
from votenet.storage.memory import MemoryStore

ELECTION = make_election(bits=TRIVIAL_BITS)
KINDS = ["sqlite", "memory"]


class Home:
    """A place with a store in it that can be closed and opened again."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind, self._folder = kind, folder
        self.store: BlockStore = self._open()

    def _open(self) -> BlockStore:
        return SqliteBlockStore(self._folder, ELECTION) if self._kind == "sqlite" else MemoryStore()

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


def count_in(ledger: Ledger, block: Block) -> list[Change]:
    """Add a block as a node does; what it saves."""
    entry, move = ledger.add(block)
    changes: list[Change] = [SaveBlock(entry, block.votes)]
    if move is not None:
        bodies = [(new, ledger.votes_of(new.hash)) for new in move.connected]
        changes.append(SetBest(move.connected[0].height - 1, bodies))
        changes.append(DropVotes([sealed.id for sealed in block.votes]))
    return changes


def grow(ledger: Ledger, store: BlockStore, *votes: SealedVote, on: Header | None = None) -> Block:
    block = mine_block(ELECTION, on or ledger.chain.tip.header, votes)
    store.apply(count_in(ledger, block))
    return block


def state_of(stored: StoredChain) -> tuple[object, ...]:
    tally = dict(stored.tally.ballots), stored.tally.votes
    return stored.headers, stored.voters, tally, stored.waiting


def assert_keeps(store: BlockStore, ledger: Ledger, waiting: Sequence[SealedVote] = ()) -> None:
    """The store gives back the chain, and every view of it agrees."""
    stored, chain = store.load(), ledger.chain
    again = Chain(ELECTION)
    again.restore(stored.headers, stored.voters, stored.tally)
    assert [e.hash for e in again.best] == [e.hash for e in chain.best]
    assert again.voters == chain.voters
    assert dict(again.tally.ballots) == dict(chain.tally.ballots)
    assert again.tally.votes == chain.tally.votes
    assert stored.waiting == list(waiting)
    kept = {e.hash: e for e in chain.entries.values() if e.available}
    extra = again.entries.keys() - kept.keys()
    assert kept.keys() <= again.entries.keys()
    assert all(chain.entries[h].invalid for h in extra), "saved before their branch was found invalid"
    assert all(again.entries[h].work == e.work for h, e in kept.items())

    on_best = [(e.height, sealed) for e in chain.best[1:] for sealed in ledger.votes_of(e.hash)]
    assert list(store.votes_in_order()) == on_best
    in_order = [(header, list(votes)) for header, votes in store.blocks_in_order()]
    assert in_order == [(e.header, list(ledger.votes_of(e.hash))) for e in chain.best[1:]]
    places = [(chain.best[height].hash, sealed) for height, sealed in on_best]
    asked = [(block, ledger.votes_of(block).index(sealed), sealed.voter_id) for block, sealed in places]
    assert store.votes_at(asked) == [sealed for _, sealed in places]
    for entry in chain.best[1:]:
        for position, sealed in enumerate(ledger.votes_of(entry.hash)):
            assert chain.voters[sealed.voter_id] == place_at(entry.height, position)
            assert store.vote_at(entry.hash, position, sealed.voter_id) == sealed
            assert store.records_of(entry.hash, position, 1) == [sealed.record]
    for block_hash in kept.keys() - {chain.genesis.hash}:
        assert list(store.votes_of(block_hash)) == list(ledger.votes_of(block_hash))


class TestBlockStore:
    def test_a_new_store_is_empty(self, store: BlockStore) -> None:
        assert state_of(store.load()) == ([], {}, ({}, 0), [])
        assert list(store.votes_in_order()) == []
        assert store.known_peers() == []
        assert store.known_bans() == []
        assert store.block_line(bytes(32)) is None
        assert_keeps(store, Ledger(ELECTION))

    def test_s10_blocks_come_back_as_they_went_in(self, home: Home) -> None:
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

    def test_s9_another_branch_takes_over(self, home: Home) -> None:
        ledger = Ledger(ELECTION)
        for sealed in make_votes(ELECTION, 4):
            grow(ledger, home.store, sealed)
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
            assert [bytes(raw) for raw in plain.votes] == [sealed.record for sealed in block.votes]
            message = decode_message(line)
            assert isinstance(message, BlockMessage)
            assert header_from_hex(message.header) == block.header
            assert tuple(seal_all(message.votes)) == block.votes

    def test_a_block_is_saved_once(self, store: BlockStore) -> None:
        ledger = Ledger(ELECTION)
        block = mine_block(ELECTION, votes=make_votes(ELECTION, 2))
        changes = count_in(ledger, block)
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

    def test_s15_bans_are_kept_and_replaced(self, home: Home) -> None:
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
        changes = count_in(ledger, good)
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


trees = st.lists(
    st.tuples(st.integers(0, 3), st.sets(st.integers(0, 5), max_size=2), st.booleans()),
    min_size=3,
    max_size=14,
)


@pytest.mark.parametrize("kind", KINDS)
@given(tree=trees)
@settings(max_examples=12, deadline=None)
def test_s9_s10_any_history_comes_back(kind: str, tree: list[tuple[int, set[int], bool]]) -> None:
    """Random trees of blocks; votes wait, are taken by blocks and return when their branch loses."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(kind, Path(folder))
        try:
            ledger, headers, waiting = Ledger(ELECTION), [Chain(ELECTION).genesis.header], list[SealedVote]()
            for index, (back, voters, pause) in enumerate(tree):
                votes = [make_vote(ELECTION, f"voter-{n}", time=CREATED + index) for n in voters]
                parent = headers[-1 - back % len(headers)]
                block = mine_block(ELECTION, parent, votes, time=CREATED + 1 + index)
                extra = make_vote(ELECTION, f"waits-{index}")
                waiting.append(extra)
                try:
                    changes = count_in(ledger, block)
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

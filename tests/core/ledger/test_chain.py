"""The chain: header rules, fork choice, and counts that always equal a recount from genesis."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

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
    named_nodes,
)
from votenet.core.ledger.block import Block, Header, unpack_header
from votenet.core.ledger.chain import MAX_LOCATOR, BlockIndexEntry, Chain, TipChange, pack_location
from votenet.core.ledger.vote import HashedVote
from votenet.core.limits import MAX_CLOCK_AHEAD, MEDIAN_SPAN
from votenet.core.methods.tally import ElectionTally, Tally
from votenet.errors import Kind, Rejected
from votenet.pow import bits_for_zero_bits, work_of

ELECTION = make_election()
EASY = make_election(bits=TRIVIAL_BITS)


def ledger_of(length: int) -> Ledger:
    """A chain of blocks with one vote each: voter-1 at height 1, and so on."""
    ledger = Ledger(EASY)
    for hashed in make_votes(EASY, length):
        ledger.grow(hashed)
    return ledger


def refusal(ledger: Ledger, header: Header, now: int | None = None) -> Rejected:
    before = dict(ledger.chain.entries)
    with pytest.raises(Rejected) as caught:
        ledger.chain.add_header(header, ledger.now if now is None else now)
    assert ledger.chain.entries == before, "a refused header leaves nothing"
    return caught.value


def unpacked(headers: bytes) -> list[Header]:
    return [unpack_header(headers[at : at + 80]) for at in range(0, len(headers), 80)]


def snapshot(chain: Chain) -> tuple[object, ...]:
    assert unpacked(bytes(chain.packed)) == [entry.header for entry in chain.best]
    ballots = dict(chain.tally.contests[0].ballots)
    return [entry.hash for entry in chain.best], dict(chain.voters), ballots, chain.tally.votes


# -- headers --------------------------------------------------------------------------------------


def test_a_new_chain_is_its_genesis_block() -> None:
    chain = Chain(ELECTION)
    assert chain.tip is chain.genesis
    assert chain.tip.height == chain.tip.work == 0
    assert chain.tip.available
    assert (chain.voters, chain.tally.votes) == ({}, 0)
    assert chain.locator() == [chain.genesis.hash]
    assert chain.add_header(chain.genesis.header, 0) is chain.genesis


def test_a_good_header_is_put_into_the_tree_once() -> None:
    ledger = Ledger(ELECTION)
    block = mine_block(ELECTION)
    entry = ledger.chain.add_header(block.header, ledger.now)
    assert entry.height == 1
    assert entry.work == work_of(ELECTION.bits)
    assert not entry.available
    assert ledger.chain.tip is ledger.chain.genesis, "a header without its votes moves nothing"
    assert ledger.chain.add_header(block.header, ledger.now) is entry
    assert ledger.chain.genesis.children == [entry.hash]


def _bad_nonce(header: Header) -> Header:
    """Work that meets no target: the next nonce whose hash does not."""
    return next(
        changed
        for n in range(1, 1000)
        if (changed := header._replace(nonce=header.nonce + n)).hash[-1] != 0  # 8 zero bits are asked
    )


GOOD = mine_block(ELECTION).header
NOW = CREATED + 1
REFUSED = {
    "no parent here": ("unknown-parent", mine_header(GOOD._replace(previous=b"\x01" * 32))),
    "the parent of genesis": ("unknown-parent", mine_header(GOOD._replace(previous=bytes(32)))),
    "version 0": ("bad-version", mine_header(GOOD._replace(version=0))),
    "version 1": ("bad-version", mine_header(GOOD._replace(version=1))),
    "easier": ("bad-bits", mine_block(ELECTION, bits=bits_for_zero_bits(7)).header),
    "harder": ("bad-bits", mine_block(ELECTION, bits=bits_for_zero_bits(9)).header),
    "bits that are no target": ("bad-bits", GOOD._replace(bits=0)),
    "no work": ("bad-work", _bad_nonce(GOOD)),
    "another root without new work": ("bad-work", _bad_nonce(GOOD._replace(merkle_root=bytes(32)))),
    "before its parent": ("bad-time", mine_block(ELECTION, time=CREATED - 1).header),
    "from the future": ("bad-time", mine_block(ELECTION, time=NOW + MAX_CLOCK_AHEAD + 1).header),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_header_that_breaks_a_rule_is_refused(name: str) -> None:
    code, header = REFUSED[name]
    refused = refusal(Ledger(ELECTION), header, NOW)
    assert refused.code == code
    assert refused.kind is (Kind.TEMPORARY if code == "unknown-parent" else Kind.PERMANENT)


def test_a_block_may_be_two_hours_ahead_and_as_old_as_the_median() -> None:
    ledger = Ledger(ELECTION)
    ledger.chain.add_header(mine_block(ELECTION, time=NOW + MAX_CLOCK_AHEAD).header, NOW)
    ledger.chain.add_header(mine_block(ELECTION, time=CREATED).header, NOW)
    assert len(ledger.chain.entries) == 3


def test_a_block_is_not_older_than_the_median_of_eleven() -> None:
    ledger = Ledger(EASY)
    offsets = [0, 90, 20, 80, 30, 70, 40, 60, 50, 55, 45, 65, 99]
    expected = [CREATED]
    for offset in offsets:
        earliest = ledger.chain.tip.median
        last = sorted(expected[-MEDIAN_SPAN:])
        assert earliest == last[len(last) // 2]
        bits = ledger.chain.next_bits(ledger.chain.tip)
        too_old = mine_block(EASY, ledger.chain.tip.header, time=earliest - 1, bits=bits)
        assert refusal(ledger, too_old.header, CREATED + 99).code == "bad-time"
        time = max(earliest, CREATED + offset)
        block = mine_block(EASY, ledger.chain.tip.header, time=time, bits=bits)
        ledger.add(block, CREATED + 99)
        expected.append(time)
    assert len(set(expected[-MEDIAN_SPAN:])) > 5, "times went up and down"


def test_blocks_of_named_nodes_keep_the_difficulty_and_never_go_back_in_time() -> None:
    named = make_election(bits=EASY.bits, nodes=named_nodes(4))
    for election, kept in ((EASY, False), (named, True)):
        ledger = Ledger(election)
        for _ in range(MEDIAN_SPAN + 2):
            ledger.grow(time=CREATED + 50)  # all in one second: elsewhere the work of a block grows
        tip = ledger.chain.tip
        bits = ledger.chain.next_bits(tip)
        assert (bits == election.bits) is kept
    assert ledger.chain.earliest_time(tip) == CREATED + 50
    ledger.grow(time=CREATED + 60)
    tip = ledger.chain.tip
    too_old = mine_block(named, tip.header, time=CREATED + 59)
    refused = refusal(ledger, too_old.header, CREATED + 99)
    assert refused.code == "bad-time"
    assert "that of the block before" in refused.message
    ledger.chain.add_header(mine_block(named, tip.header, time=CREATED + 60).header, CREATED + 99)


def test_the_median_is_of_the_branch_not_of_the_best_branch() -> None:
    ledger = Ledger(EASY)
    for n in range(1, 8):
        ledger.grow(time=CREATED + 100 * n)
    side = mine_block(EASY, time=CREATED)
    ledger.add(side, CREATED + 1000)
    assert ledger.chain.entries[side.header.hash].median == CREATED
    ledger.add(mine_block(EASY, side.header, time=CREATED), CREATED + 1000)


# -- bodies and branches --------------------------------------------------------------------------


def test_a_block_counts_its_votes() -> None:
    ledger = Ledger(ELECTION)
    block = mine_block(ELECTION, votes=make_votes(ELECTION, 4))
    entry, move = ledger.add(block)
    assert move == TipChange((), (entry,))
    assert ledger.chain.tip is entry
    assert heights(ledger.chain) == {f"voter-{n}": 1 for n in range(1, 5)}
    counts = {
        line.candidate: line.votes for line in ELECTION.contests[0].count(ledger.chain.tally.contests[0])
    }
    assert counts == {"Alice": 1, "Bob": 2, "Charlie": 1}
    before = snapshot(ledger.chain)
    assert ledger.add(block) == (entry, None), "a block counts once"
    assert snapshot(ledger.chain) == before


def test_first_seen_stands_on_a_tie() -> None:
    ledger = Ledger(EASY)
    first = ledger.grow(make_vote(EASY, "a"))
    second = mine_block(EASY, votes=[make_vote(EASY, "b")])
    entry, move = ledger.add(second)
    assert move is None
    assert entry.available
    assert ledger.chain.on_best(entry.hash) is None
    assert ledger.chain.tip.header == first.header
    assert heights(ledger.chain) == {"a": 1}


@pytest.mark.parametrize("depth", [1, 2, 5, 20])
def test_the_most_work_wins_at_any_depth(depth: int) -> None:
    ledger = ledger_of(3 + depth)
    old = ledger.chain.best[4:]
    parent = ledger.chain.best[3].header
    new = []
    for n in range(depth + 1):
        assert ledger.chain.best[4:] == old, "not before it has more work"
        # The same voters vote here in another order, and one never does.
        block = mine_block(EASY, parent, [make_vote(EASY, f"voter-{3 + depth - n}")] if n < depth - 1 else [])
        entry, move = ledger.add(block)
        new.append(entry)
        parent = block.header
    assert move == TipChange(tuple(reversed(old)), tuple(new))
    assert [entry.height for entry in ledger.chain.best] == list(range(3 + depth + 2))
    expected = {f"voter-{n}": n for n in (1, 2, 3)}
    expected |= {f"voter-{3 + depth - n}": 4 + n for n in range(depth - 1)}
    assert heights(ledger.chain) == expected
    assert ledger.chain.tally.votes == len(expected)
    assert all(ledger.chain.on_best(entry.hash) is None for entry in old)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_second_vote_deep_in_a_heavier_branch_is_refused(place: int) -> None:
    """The branch forks after height 2, where voter-1 and voter-2 voted; one block votes for voter-1 again."""
    ledger = ledger_of(5)
    before = snapshot(ledger.chain)
    parent, entries = ledger.chain.best[2].header, list[BlockIndexEntry]()
    for n in range(3):
        votes = [make_vote(EASY, "voter-1", "Charlie")] if n == place else [make_vote(EASY, f"other-{n}")]
        block = mine_block(EASY, parent, votes)
        entries.append(ledger.add(block)[0])
        parent = block.header
    last = mine_block(EASY, parent, [make_vote(EASY, "voter-1", "Charlie" if place == 3 else "Bob")])
    with pytest.raises(Rejected) as caught:
        ledger.add(last)
    assert caught.value.code == "voter-twice"
    assert snapshot(ledger.chain) == before
    entries.append(ledger.chain.entries[last.header.hash])
    assert [entry.invalid for entry in entries] == [n >= place for n in range(4)]
    assert [entry.available for entry in entries] == [n < place for n in range(4)]
    # Nothing built on it is taken any more, and asking again says so.
    assert refusal(ledger, mine_block(EASY, last.header).header).code == "invalid-block"
    assert refusal(ledger, last.header).code == "invalid-block"
    # The chain goes on, also from the good part of that branch.
    ledger.grow(make_vote(EASY, "voter-6"))
    assert heights(ledger.chain)["voter-6"] == 6
    if place:
        parent = entries[place - 1].header
        for n in range(place, 5):
            parent = ledger.grow(make_vote(EASY, f"late-{n}"), on=parent, time=CREATED + 50).header
        assert ledger.chain.tip.header == parent
        assert heights(ledger.chain)["voter-1"] == 1


def test_a_voter_may_vote_on_both_sides_of_a_fork() -> None:
    ledger = Ledger(EASY)
    ledger.grow(make_vote(EASY, "a", "Alice"))
    other = ledger.grow(make_vote(EASY, "a", "Bob"), on=ledger.chain.genesis.header)
    ledger.grow(on=other.header)
    assert heights(ledger.chain) == {"a": 1}
    assert dict(ledger.chain.tally.contests[0].ballots) == {("Bob",): 1}


def test_a_block_marked_invalid_takes_its_descendants_with_it() -> None:
    ledger = Ledger(EASY)
    ledger.grow(make_vote(EASY, "a"))
    one = ledger.chain.add_header(mine_block(EASY, time=CREATED + 5).header, CREATED + 9)
    two = ledger.chain.add_header(mine_block(EASY, one.header).header, CREATED + 9)
    three = ledger.chain.add_header(mine_block(EASY, one.header, time=CREATED + 8).header, CREATED + 9)
    ledger.chain.mark_invalid(one)
    assert [entry.invalid for entry in (one, two, three)] == [True] * 3
    assert not ledger.chain.tip.invalid
    for entry in (one, two, three):
        assert refusal(ledger, entry.header).code == "invalid-block"


# -- random trees against a recount ---------------------------------------------------------------


@dataclass
class Node:
    """A block of the naive model. `good`: no voter twice from genesis to here."""

    block: Block
    parent: Node | None
    path: list[Block] = field(default_factory=list)

    @property
    def voters(self) -> list[str]:
        return [hashed.voter_id for block in self.path for hashed in block.votes]

    @property
    def good(self) -> bool:
        return len(set(self.voters)) == len(self.voters)


VOTERS = [
    [make_vote(EASY, f"voter-{n}", choice) for choice in ("Alice", "Bob")] for n in range(6)
]  # two votes of each

blocks = st.tuples(
    st.integers(0, 4),  # how far back its parent is among the blocks seen
    st.sets(st.integers(0, 5), max_size=2),
    st.integers(0, 1),
)
trees = st.lists(blocks, min_size=1, max_size=25)


def _votes(numbers: set[int], choice: int) -> list[HashedVote]:
    return [VOTERS[n][choice] for n in numbers]


@given(trees)
@settings(max_examples=120)
def test_any_tree_of_blocks_is_counted_as_from_scratch(tree: list[tuple[int, set[int], int]]) -> None:
    ledger = Ledger(EASY)
    chain = ledger.chain
    root = Node(Block(chain.genesis.header, ()), None)
    nodes, best = [root], root
    for index, (back, numbers, choice) in enumerate(tree):
        parent = nodes[-1 - back % len(nodes)]
        block = mine_block(EASY, parent.block.header, _votes(numbers, choice), time=CREATED + 1 + index)
        node = Node(block, parent, [*parent.path, block])
        before = snapshot(chain)
        try:
            entry, move = ledger.add(block)
        except Rejected as refused:
            code = refused.code
            assert not node.good
            assert code == ("voter-twice" if block.header.hash in chain.entries else "invalid-block")
            assert snapshot(chain) == before
            if code == "invalid-block":
                continue  # its parent is known to be invalid
        else:
            heavier = len(node.path) > len(best.path)
            assert (move is not None) == heavier
            if move is None:
                assert snapshot(chain) == before
            else:
                assert node.good, "an invalid branch never becomes the best"
                shared = sum(a is b for a, b in zip(best.path, node.path, strict=False))
                off = [b.header.hash for b in reversed(best.path[shared:])]
                on = [b.header.hash for b in node.path[shared:]]
                assert [e.hash for e in move.disconnected] == off
                assert [e.hash for e in move.connected] == on
                assert move.connected[-1] is entry is chain.tip
                best = node
        nodes.append(node)

        assert [e.header for e in chain.best[1:]] == [b.header for b in best.path]
        blocks = enumerate(best.path, 1)
        places = {s.voter_id: pack_location(h, at) for h, b in blocks for at, s in enumerate(b.votes)}
        assert chain.voters == places
        recount = Tally()
        recount.add(s.vote.choices[0] for b in best.path for s in b.votes)
        assert dict(chain.tally.contests[0].ballots) == dict(recount.ballots)
        assert chain.tally.votes == recount.votes
        for e in chain.entries.values():
            assert e.height == 0 or chain.parent(e).height == e.height - 1
            assert e.work == e.height * work_of(EASY.bits)
            assert not (e.invalid and e.available)
            assert (chain.on_best(e.hash) is e) == any(e is found for found in chain.best)

    # A node that starts again from what a store kept goes on in the same state.
    kept = [e for e in chain.entries.values() if e.available and e.height]
    kept.sort(key=lambda e: e.height)
    again = Chain(EASY)
    rows = [(e.header, chain.on_best(e.hash) is not None) for e in kept]
    again.restore(rows, dict(chain.voters), copy.deepcopy(chain.tally))
    assert snapshot(again) == snapshot(chain)
    for e in kept:
        assert (again.entries[e.hash].height, again.entries[e.hash].work) == (e.height, e.work)
        assert again.entries[e.hash].available


# -- what peers ask -------------------------------------------------------------------------------


def test_a_locator_goes_back_ten_then_in_doubling_steps() -> None:
    ledger = ledger_of(60)
    heights = [ledger.chain.entries[h].height for h in ledger.chain.locator()]
    assert heights == [*range(60, 50, -1), 49, 45, 37, 21, 0]
    assert ledger_of(0).chain.locator() == [ledger.chain.genesis.hash]
    assert len(ledger_of(1).chain.locator()) == 2
    assert len(heights) <= MAX_LOCATOR


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(1, 15))
@settings(max_examples=30)
def test_headers_after_a_locator_lead_from_the_fork_to_the_tip(
    shared: int, ours: int, theirs: int, limit: int
) -> None:
    here, there = ledger_of(shared), ledger_of(shared)
    for n in range(ours):
        here.grow(make_vote(EASY, f"ours-{n}"))
    for n in range(theirs):
        there.grow(make_vote(EASY, f"theirs-{n}"))
    answer = unpacked(here.chain.headers_after(there.chain.locator(), limit)[0])
    start = there.chain.on_best(answer[0].previous) if answer else None
    assert len(answer) <= limit
    assert [header.previous for header in answer[1:]] == [header.hash for header in answer[:-1]]
    if ours and start is not None:
        assert start.height <= shared
        assert start.height >= shared - 2 * max(theirs, 1), "close to the fork"
    if len(answer) < limit:
        best = [entry.header for entry in here.chain.best]
        assert answer == best[len(best) - len(answer) :]
    for header in answer:
        there.chain.add_header(header, CREATED + 100)


def test_headers_after_an_unknown_locator_start_at_genesis() -> None:
    ledger = ledger_of(3)
    after = lambda locator, limit: unpacked(ledger.chain.headers_after(locator, limit)[0])  # noqa: E731
    assert after([b"\x01" * 32], 2) == [e.header for e in ledger.chain.best[1:3]]
    assert after([], 9) == [e.header for e in ledger.chain.best[1:]]
    assert after([ledger.chain.tip.hash], 9) == []


def test_missing_bodies_from_a_header_back_to_the_first_that_is_here() -> None:
    ledger, other = ledger_of(2), ledger_of(2)
    for n in range(5):
        other.grow(make_vote(EASY, f"theirs-{n}"))
    entries = [ledger.chain.add_header(e.header, CREATED + 100) for e in other.chain.best[3:]]
    missing = ledger.chain.missing_bodies
    assert missing(entries[-1]) == entries[::-1]
    assert missing(entries[1]) == entries[1::-1]
    assert missing(ledger.chain.tip) == []
    ledger.bodies[entries[0].hash] = other.bodies[entries[0].hash]
    ledger.chain.add_body(entries[0], ledger.votes_of)
    assert missing(entries[-1]) == entries[:0:-1]


# -- starting again -------------------------------------------------------------------------------


def rows_of(ledger: Ledger) -> list[tuple[Header, bool]]:
    return [(entry.header, True) for entry in ledger.chain.best[1:]]


def test_stored_headers_that_do_not_hang_together_are_refused() -> None:
    rows = rows_of(ledger_of(3))
    for broken in (rows[1:], [rows[0], rows[2]], [rows[0], (rows[1][0], False), rows[2]]):
        with pytest.raises(Rejected) as caught:
            Chain(EASY).restore(broken, {}, ElectionTally(1))
        assert caught.value.code == "unknown-parent"


def test_a_restored_chain_can_switch_branches() -> None:
    ledger = ledger_of(2)
    side = ledger.grow(make_vote(EASY, "a"), on=ledger.chain.best[1].header)
    rows = [*rows_of(ledger), (side.header, False)]
    again = Ledger(EASY)
    again.bodies = dict(ledger.bodies)
    again.chain.restore(rows, dict(ledger.chain.voters), ledger.chain.tally)
    again.grow(make_vote(EASY, "b"), on=side.header)
    assert heights(again.chain) == {"voter-1": 1, "a": 2, "b": 3}
    assert again.chain.tally.votes == 3

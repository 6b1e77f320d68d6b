"""The pool: one vote for each voter, in order of arrival, never more than its limit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import CREATED, make_election, make_vote, make_votes
from votenet.core.ledger.mempool import (
    MAX_POOL_BYTES,
    OURS,
    SHORT_ID,
    Mempool,
    Origin,
    ShortVote,
    short_id,
    weight,
)
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Kind, Rejected

ELECTION = make_election()
VOTES = make_votes(ELECTION, 5)
SEED = 2**64 - 1


def pool_of(votes: Sequence[HashedVote], limit: int = MAX_POOL_BYTES) -> Mempool:
    pool = Mempool(SEED, limit)
    for hashed in votes:
        pool.check(hashed)
        pool.add(hashed)
    return pool


def refusal(pool: Mempool, hashed: HashedVote, origin: Origin = OURS) -> Rejected:
    with pytest.raises(Rejected) as caught:
        pool.check(hashed, origin)
    return caught.value


def test_votes_wait_in_order_of_arrival() -> None:
    pool = pool_of(VOTES)
    assert len(pool) == 5
    assert list(pool) == VOTES
    assert pool.of_voter("voter-3") is VOTES[2]
    assert pool.of_voter("stranger") is None
    assert pool.of_voters(["voter-3", "stranger", "voter-1"]) == [VOTES[2], VOTES[0]]


def test_the_same_vote_again_is_a_duplicate() -> None:
    refused = refusal(pool_of(VOTES), VOTES[0])
    assert refused.code == "duplicate-vote"
    assert refused.kind is Kind.DUPLICATE


def test_a_second_vote_of_a_voter_is_refused() -> None:
    pool = pool_of(VOTES)
    refused = refusal(pool, make_vote(ELECTION, "voter-1", "Charlie", time=CREATED + 500))
    assert refused.code == "already-voted"
    assert refused.details == {"vote_id": VOTES[0].id.hex(), "time": VOTES[0].vote.time}
    assert pool.of_voter("voter-1") is VOTES[0], "the first one stands"


def test_a_full_pool_says_so_and_still_knows_its_votes() -> None:
    pool = pool_of(VOTES[:3], limit=sum(map(weight, VOTES[:3])))
    assert refusal(pool, VOTES[3]).code == "pool-full"
    assert refusal(pool, VOTES[3]).kind is Kind.TEMPORARY
    assert refusal(pool, VOTES[0]).code == "duplicate-vote"
    assert refusal(pool, make_vote(ELECTION, "voter-1", "Charlie")).code == "already-voted"
    pool.remove_voters(["voter-2"])
    pool.check(VOTES[3])


def fill(pool: Mempool, origin: Origin, count: int, *, first: int) -> int:
    """How many of so many votes, all of one size, an origin gets in."""
    votes = [make_vote(ELECTION, f"voter-{number:06d}") for number in range(first, first + count)]
    taken = pool.add_fitting([ShortVote(short_id(hashed.id, SEED), hashed) for hashed in votes], origin)
    return len(taken)


def test_the_pool_is_bounded_in_bytes_for_votes_of_any_size() -> None:
    long = make_votes(make_election(candidates=["x" * 100, "y" * 100], method="approval", max_choices=2), 30)
    pool = Mempool(SEED, limit=20_000)
    pool.add_fitting([ShortVote(short_id(hashed.id, SEED), hashed) for hashed in long], Origin("a", 1000))
    assert 0 < len(pool) < len(long)
    assert sum(2 * len(hashed.record) for hashed in pool) < pool.used <= 20_000


def test_an_origin_takes_its_share_of_the_pool_and_leaves_room_for_others() -> None:
    pool = Mempool(SEED, limit=100 * weight(make_vote(ELECTION, "voter-000000")))
    crowd, honest, local = Origin("crowd", 1), Origin("honest", 1), Origin("local", 7)
    assert fill(pool, crowd, 100, first=1000) == 50, "half of it, over however many links"
    assert fill(pool, crowd, 10, first=2000) == 0
    assert refusal(pool, make_vote(ELECTION, "voter-000000"), crowd).code == "pool-full"
    pool.check(make_vote(ELECTION, "voter-000000"), honest)
    assert fill(pool, honest, 100, first=3000) == 25
    assert fill(pool, local, 100, first=4000) == 21
    assert fill(pool, Origin("late", 1), 100, first=5000) == 2
    pool.remove_voters([f"voter-{number:06d}" for number in range(1000, 1050)])
    assert fill(pool, honest, 100, first=6000) == 13, "half of what is free, with what it has"
    assert fill(pool, crowd, 100, first=7000) == 19


def test_votes_that_were_acknowledged_before_stay_though_the_pool_is_full() -> None:
    pool = pool_of(VOTES[:2], limit=sum(map(weight, VOTES[:2])))
    pool.add(VOTES[2])
    assert len(pool) == 3
    assert pool.room(Origin("anybody", 7)) < 0
    pool.remove_voters([hashed.voter_id for hashed in VOTES])
    assert (pool.used, pool.room(Origin("anybody", 1))) == (0, sum(map(weight, VOTES[:2])) // 2)


def test_a_vote_that_does_not_fit_is_refused_and_smaller_ones_pass() -> None:
    big = make_vote(ELECTION, "b" * 100)
    small = make_vote(ELECTION, "s")
    pool = Mempool(SEED, limit=weight(small) + 10)
    origin = Origin("local", 1000)
    named = [ShortVote(short_id(hashed.id, SEED), hashed) for hashed in (big, small)]
    assert pool.add_fitting(named, Origin("", 0)) == named[1:]
    assert [*pool] == [small]
    assert refusal(pool, big, origin).code == "pool-full"


def test_votes_in_a_block_leave_the_pool() -> None:
    pool = pool_of(VOTES)
    other = make_vote(ELECTION, "voter-2", "Charlie", time=CREATED + 500)  # what the block has of voter-2
    removed = pool.remove_voters([other.voter_id, "stranger", "voter-4", "voter-4"])
    assert removed == [VOTES[1].id, VOTES[3].id]
    assert list(pool) == [VOTES[0], VOTES[2], VOTES[4]]
    assert pool.of_voter("voter-2") is None
    assert pool.by_short_ids([short_id(VOTES[1].id, SEED)]) == [None]
    assert pool.remove_voters(["voter-2"]) == []
    pool.check(other)


def test_short_ids_are_xxh3_of_the_vote_id_with_the_seed() -> None:
    vote_id = bytes(range(32))
    assert short_id(vote_id, 0).hex() == xxhash.xxh3_64_hexdigest(vote_id)
    assert short_id(vote_id, SEED).hex() == xxhash.xxh3_64_hexdigest(vote_id, SEED)
    assert len({short_id(vote_id, seed) for seed in range(100)}) == 100
    assert len(short_id(vote_id, 1)) == SHORT_ID


def test_a_vote_is_found_by_its_short_id_with_the_pools_own_seed() -> None:
    pool = pool_of(VOTES)
    for hashed in VOTES:
        assert pool.by_short_ids([short_id(hashed.id, SEED)]) == [hashed]
        assert pool.by_short_ids([short_id(hashed.id, SEED - 1)]) == [None]
    assert pool.by_short_ids([bytes(8)]) == [None]


def test_two_votes_with_one_short_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("votenet.core.ledger.mempool.short_id", lambda vote_id, seed: b"same 8 b")
    first, second = VOTES[:2]
    pool = pool_of([first, second])
    assert list(pool) == [first, second]
    assert pool.by_short_ids([b"same 8 b"]) == [second]
    assert pool.remove_voters([first.voter_id]) == [first.id]
    assert pool.by_short_ids([b"same 8 b"]) == [second]
    assert pool.remove_voters([second.voter_id]) == [second.id]
    assert pool.by_short_ids([b"same 8 b"]) == [None]


def test_the_oldest_votes_go_into_the_next_block() -> None:
    pool = pool_of(VOTES)
    size = [len(hashed.record) for hashed in VOTES]
    assert pool.first(10, 10**6) == VOTES
    assert pool.first(3, 10**6) == VOTES[:3]
    assert pool.first(0, 10**6) == []
    assert pool.first(10, size[0] + size[1]) == VOTES[:2]
    assert pool.first(10, size[0] + size[1] - 1) == VOTES[:1]
    assert pool.first(10, 0) == []
    assert len(pool) == 5, "they wait until they are in a block"


steps = st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.sampled_from(["Alice", "Bob"])), max_size=30)


@given(steps)
@settings(max_examples=60)
def test_any_history_leaves_one_vote_for_each_voter(history: list[tuple[bool, int, str]]) -> None:
    most = 3 * weight(make_vote(ELECTION, "voter-1", "Alice"))
    pool, model = Mempool(SEED, limit=most), dict[str, HashedVote]()
    for adding, number, choice in history:
        hashed = make_vote(ELECTION, f"voter-{number}", choice)
        if not adding:
            gone = model.pop(hashed.voter_id, None)
            assert pool.remove_voters([hashed.voter_id]) == ([gone.id] if gone else [])
        elif hashed.voter_id in model:
            same = model[hashed.voter_id].id == hashed.id
            assert refusal(pool, hashed).code == ("duplicate-vote" if same else "already-voted")
        elif len(model) == 3:
            assert refusal(pool, hashed).code == "pool-full"
        else:
            pool.check(hashed)
            pool.add(hashed)
            model[hashed.voter_id] = hashed
        assert list(pool) == list(model.values())
        assert all(pool.of_voter(voter) == vote for voter, vote in model.items())

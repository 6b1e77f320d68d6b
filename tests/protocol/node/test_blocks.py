"""Blocks onto the chain: every broken rule is refused with its code, and its sender is refused."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
import xxhash

from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    commit_of,
    key_of,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    mine_header,
    mine_named,
    named_nodes,
)
from support.nodes import (
    CLIENT,
    NOW,
    PEER_SEED,
    SEED,
    HandNode,
    block_message,
    compact_block,
    header_hex,
    headers_of,
    neighbours,
    refused,
    sends,
    sent,
    short_ids,
)
from votenet.core.ledger.block import Block, genesis_header, votes_root
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote, hash_vote
from votenet.core.limits import MAX_CLOCK_AHEAD
from votenet.pow import bits_for_zero_bits, bits_to_target, hash_to_int
from votenet.protocol.node.events import (
    Checked,
    DropVotes,
    Received,
    SaveBlock,
    SaveVotes,
    SetBest,
    Tick,
)
from votenet.protocol.node.state import COVERED_SECONDS
from votenet.protocol.node.sync import SYNC_ANSWER_SECONDS
from votenet.protocol.wire.client_messages import GetVoteStatus, SubmitVotes, VotesTaken, VoteStatus
from votenet.protocol.wire.peer_messages import (
    BlockMessage,
    BlockVotes,
    CompactBlock,
    GetBlocks,
    GetBlockVotes,
    GetHeaders,
    Headers,
    Neighbours,
    NoBlock,
)

ELECTION = make_election()
VOTES = make_votes(ELECTION, 3)
GOOD = mine_block(ELECTION, votes=VOTES)
GOOD_HASH = GOOD.header.hash.hex()


def node_with_peers(**options: bool) -> HandNode:
    node = HandNode(ELECTION, **options)
    node.meet(1), node.meet(2)
    return node


def unchanged(node: HandNode) -> bool:
    return node.chain.tip is node.chain.genesis and not node.chain.voters and not node.store.load().headers


# -- good blocks -----------------------------------------------------------------------------------


def test_a_good_block_is_saved_counted_and_announced_to_the_others() -> None:
    node = node_with_peers()
    ready = node.give(1, GOOD)
    assert [type(change) for change in ready.save] == [SaveBlock, SetBest]
    assert node.chain.tip.hash == GOOD.header.hash
    assert node.chain.tally.votes == 3
    assert ready.send == [(2, compact_block(GOOD, PEER_SEED))]
    assert node.give(2, GOOD).send == []  # a known block is not passed on again
    assert sends(node.run(Tick()), CompactBlock) == []


def test_a_block_is_not_passed_on_to_peers_that_have_it() -> None:
    node = node_with_peers()
    node.meet(3)
    node.receive(2, headers_of(GOOD))
    node.receive(3, headers_of(GOOD, mine_block(ELECTION, GOOD.header)))
    assert sends(node.give(1, GOOD), CompactBlock) == []


def meshed() -> HandNode:
    """A node with peers 1, 2, 3; 1 and 2 say that they are joined to each other, 3 claims it of all."""
    node = HandNode(ELECTION, mining=False)
    for link in (1, 2, 3):
        node.meet(link, key=f"peer {link}")
    node.receive(1, neighbours("us", "peer 2"))
    node.receive(2, neighbours("peer 1", "us"))
    node.receive(3, neighbours("us", "peer 1", "peer 2"))
    node.take(Tick())
    return node


def test_a_block_is_not_passed_on_to_covered_peers() -> None:
    node = meshed()
    assert sends(node.give(1, GOOD), CompactBlock) == [(3, compact_block(GOOD, PEER_SEED))]
    later = mine_block(ELECTION, GOOD.header)
    to_all = [(1, compact_block(later, PEER_SEED)), (2, compact_block(later, PEER_SEED))]
    assert sends(node.give(3, later), CompactBlock) == to_all, "one side alone cannot speak for the other"


@pytest.mark.parametrize("ending", ["silence", "shown", "clock set back"])
def test_a_neighbour_that_withholds_a_block_does_so_for_a_while(ending: str) -> None:
    node = meshed()
    node.give(1, GOOD)
    if ending == "shown":
        node.receive(2, headers_of(GOOD)), node.receive(3, headers_of(GOOD))
    node.now += COVERED_SECONDS - 1.0 if ending != "clock set back" else -1000.0
    told = sends(node.take(Tick()), Headers)
    node.now += 1.0
    told += sends(node.take(Tick()), Headers)
    assert told == ([] if ending == "shown" else [(2, headers_of(GOOD)), (3, headers_of(GOOD))])
    node.now += COVERED_SECONDS
    assert sends(node.take(Tick()), Headers) == []


def test_a_block_that_is_not_the_tip_any_more_is_told_by_the_next_one() -> None:
    node = meshed()
    later = mine_block(ELECTION, GOOD.header)
    node.give(1, GOOD)
    node.now += COVERED_SECONDS / 2
    node.give(1, later)
    node.now += COVERED_SECONDS / 2
    assert sends(node.take(Tick()), Headers) == []
    node.now += COVERED_SECONDS / 2
    assert sends(node.take(Tick()), Headers) == [(2, headers_of(later)), (3, headers_of(later))]


def test_a_list_of_neighbours_is_bounded_and_whole() -> None:
    node = node_with_peers()
    assert refused(node.receive(1, Neighbours(keys=b"7 bytes"))) == [(1, "bad-message")]
    assert node.state.covered(1) == set()


def test_neighbours_are_told_when_they_change() -> None:
    node = node_with_peers()
    assert sends(node.take(Tick()), Neighbours) == []
    node.lose(1)
    assert sends(node.take(Tick()), Neighbours) == [(2, neighbours("peer 2"))]


def test_a_block_removes_all_waiting_votes_of_its_voters() -> None:
    node = node_with_peers()
    other = make_vote(ELECTION, VOTES[1].voter_id, "Charlie", time=5)
    later = make_vote(ELECTION, "later")
    node.submit(VOTES[0], other, later)
    ready = node.give(1, GOOD)
    dropped = {vote_id for change in ready.save if isinstance(change, DropVotes) for vote_id in change.ids}
    assert dropped == {VOTES[0].id, other.id}
    assert [vote.voter_id for vote in node.store.load().waiting] == ["later"]


def test_a_compact_block_is_put_together_from_the_pool_without_checking_signatures_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = node_with_peers()
    node.submit(*VOTES)
    monkeypatch.setattr(
        "votenet.core.ledger.signature_cache.forgeries",
        lambda votes, election: pytest.fail("again") if votes else [],
    )
    ready = node.receive(1, compact_block(GOOD))
    assert node.chain.tip.hash == GOOD.header.hash
    assert sent(ready, 1) == []
    assert not len(node.state.pool)


def lacking(*positions: int) -> HandNode:
    """A node with two peers and the votes of GOOD, but for those at some positions."""
    node = node_with_peers()
    node.submit(*(vote for position, vote in enumerate(GOOD.votes) if position not in positions))
    return node


def asked_votes(*positions: int) -> GetBlockVotes:
    return GetBlockVotes(hash=GOOD_HASH, positions=positions)


def block_votes(*votes: HashedVote) -> BlockVotes:
    return BlockVotes(hash=GOOD_HASH, votes=tuple(vote.vote for vote in votes))


class Untouchable:
    """Stands for what only the core's own thread may read."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"a check read {name} of what the core changes meanwhile")


@pytest.mark.parametrize("form", ["whole", "compact", "votes"])
def test_a_check_reads_nothing_that_the_core_may_change_while_it_runs(form: str) -> None:
    node = node_with_peers()
    node.submit(*VOTES[:2])
    if form == "whole":
        (job,) = node.take(Received(1, block_message(GOOD))).check
    elif form == "compact":
        node.submit(VOTES[2])
        (job,) = node.take(Received(1, compact_block(GOOD))).check
    else:
        (job,) = node.take(Received(CLIENT, SubmitVotes(votes=(VOTES[2].vote,)))).check
    state = node.core.state
    kept = state.pool, state.chain
    state.pool = state.chain = Untouchable()
    result = job.run()
    state.pool, state.chain = kept
    node.run(Checked(job, result))
    if form == "votes":
        assert state.pool.of_voter(VOTES[2].voter_id) == VOTES[2]
    else:
        assert node.chain.tip.hash == GOOD.header.hash


def test_a_whole_block_does_not_have_the_signatures_of_waiting_votes_checked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = node_with_peers()
    node.submit(*VOTES[:2])
    node.core.state.signatures = SignatureCache()  # long forgotten there
    checked: list[bytes] = []
    monkeypatch.setattr(
        SignatureCache,
        "check",
        lambda self, votes, election: checked.extend(hashed.id for hashed in votes) or [None] * len(votes),
    )
    node.give(1, GOOD)
    assert checked == [VOTES[2].id]
    assert node.chain.tip.hash == GOOD.header.hash


@pytest.mark.parametrize("missing", [(0,), (1,), (2,), (0, 2), (1, 2)])
def test_of_a_compact_block_only_the_missing_votes_are_asked_for(missing: tuple[int, ...]) -> None:
    node = lacking(*missing)
    assert sent(node.receive(1, compact_block(GOOD)), 1) == [asked_votes(*missing)]
    assert sends(node.receive(2, compact_block(GOOD)), GetBlockVotes) == []  # it is on its way
    ready = node.receive(1, block_votes(*(GOOD.votes[position] for position in missing)))
    assert refused(ready) == []
    assert node.chain.tip.hash == GOOD.header.hash
    assert node.core.blocks._partial == {}


def test_a_compact_block_of_which_every_vote_is_missing_is_asked_for_in_full() -> None:
    node = node_with_peers()
    assert sent(node.receive(1, compact_block(GOOD)), 1) == [GetBlocks(hashes=(GOOD_HASH,))]
    node.give(1, GOOD)
    assert node.chain.tip.hash == GOOD.header.hash


def test_a_compact_block_without_votes_is_whole() -> None:
    node = node_with_peers()
    empty = mine_block(ELECTION)
    assert node.receive(1, compact_block(empty)).send == [(2, compact_block(empty, PEER_SEED))]
    assert node.chain.tip.hash == empty.header.hash


def test_a_peer_may_send_the_whole_block_instead_of_the_missing_votes() -> None:
    node = lacking(1)
    node.receive(1, compact_block(GOOD))
    node.give(1, GOOD)
    assert node.chain.tip.hash == GOOD.header.hash
    assert node.receive(1, block_votes(GOOD.votes[1])).refuse == []  # late, and no harm


def test_a_peer_that_has_the_block_no_more_is_not_asked_again() -> None:
    node = lacking(1)
    node.receive(1, compact_block(GOOD))
    node.receive(2, headers_of(GOOD))
    ready = node.receive(1, NoBlock(hash=GOOD_HASH))
    assert sends(ready, GetBlocks) == [(2, GetBlocks(hashes=(GOOD_HASH,)))]


def test_votes_that_are_not_those_of_the_block_make_it_be_asked_for_in_full_and_that_is_judged() -> None:
    node = lacking(1)
    node.receive(1, compact_block(GOOD))
    ready = node.receive(1, block_votes(make_vote(ELECTION, "another")))
    assert refused(ready) == []  # it may be our pool that is misled by a short id
    assert sent(ready, 1) == [GetBlocks(hashes=(GOOD_HASH,))]
    lie = Block(GOOD.header, (*GOOD.votes[:2], make_vote(ELECTION, "another")))
    assert refused(node.give(1, lie)) == [(1, "bad-merkle-root")]
    assert refused(node.give(2, GOOD)) == []
    assert node.chain.tip.hash == GOOD.header.hash


@pytest.mark.parametrize("count", [0, 2])
def test_an_answer_with_more_or_fewer_votes_is_refused(count: int) -> None:
    node = lacking(1)
    node.receive(1, compact_block(GOOD))
    node.receive(2, headers_of(GOOD))
    assert refused(node.receive(1, block_votes(*GOOD.votes[:count]))) == [(1, "bad-message")]
    assert sent(node.lose(1), 2) == [GetBlocks(hashes=(GOOD_HASH,))]
    assert node.core.blocks._partial == {}


def test_missing_votes_that_do_not_come_are_asked_of_another_as_the_whole_block() -> None:
    node = lacking(1)
    node.receive(1, compact_block(GOOD))
    node.receive(2, headers_of(GOOD))
    node.now += SYNC_ANSWER_SECONDS
    assert sent(node.run(Tick()), 2) == [GetBlocks(hashes=(GOOD_HASH,))]
    assert node.receive(2, block_votes(GOOD.votes[1])).refuse == []  # unasked: passed over
    assert unchanged(node)
    node.give(2, GOOD)
    assert node.chain.tip.hash == GOOD.header.hash


def test_one_block_a_link_waits_for_its_votes() -> None:
    node = lacking(1)
    for number in range(5):
        other = mine_block(
            ELECTION, votes=[GOOD.votes[0], make_vote(ELECTION, f"v{number}")], time=CREATED + 2
        )
        node.receive(1, compact_block(other))
    assert len(node.core.blocks._partial) == 1
    node.lose(1)
    assert node.core.blocks._partial == {}


def test_short_ids_that_are_cut_are_refused() -> None:
    node = node_with_peers()
    ready = node.receive(1, CompactBlock(header=GOOD.header.pack(), ids=b"7 bytes"))
    assert refused(ready) == [(1, "bad-message")]


def test_the_missing_votes_of_our_tip_are_sent() -> None:
    node = node_with_peers()
    node.give(1, GOOD)
    ready = node.receive(2, asked_votes(0, 2))
    assert sent(ready, 2) == [block_votes(GOOD.votes[0], GOOD.votes[2])]
    assert [question.key for question in ready.questions] == [asked_votes(0, 2)], "asked twice, it waits once"
    assert refused(node.receive(2, asked_votes(3))) == [(2, "bad-message")]


@pytest.mark.parametrize("positions", [(1, 0), (1, 1), (0, 1, 1)])
def test_positions_out_of_order_are_refused(positions: tuple[int, ...]) -> None:
    """Each once: the answer is no longer than the block."""
    node = node_with_peers()
    node.give(1, GOOD)
    assert refused(node.receive(2, asked_votes(*positions))) == [(2, "bad-message")]


def test_of_an_older_block_the_whole_is_sent_and_of_an_unknown_one_its_absence() -> None:
    node = node_with_peers()
    node.give(1, GOOD), node.give(1, mine_block(ELECTION, GOOD.header))
    assert node.receive(2, asked_votes(0)).send_blocks == [(2, GOOD.header.hash)]
    unknown = "00" * 32
    ready = node.receive(2, GetBlockVotes(hash=unknown, positions=(0,)))
    assert sent(ready, 2) == [NoBlock(hash=unknown)]


def test_a_colliding_short_id_costs_one_more_round_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two waiting votes with one short id at this node; the block has the one that the index forgot."""
    twin = make_vote(ELECTION, "twin")
    same, digest = {GOOD.votes[0].id, twin.id}, xxhash.xxh3_64_digest

    def colliding(vote_id: bytes, seed: int) -> bytes:
        return b"collides" if vote_id in same else digest(vote_id, seed)

    monkeypatch.setattr(xxhash, "xxh3_64_digest", colliding)
    node = node_with_peers()
    node.submit(*VOTES, twin)
    ids = b"".join(colliding(vote.id, SEED) for vote in GOOD.votes)
    ready = node.receive(1, CompactBlock(header=GOOD.header.pack(), ids=ids))
    assert refused(ready) == []
    assert sent(ready, 1) == [GetBlocks(hashes=(GOOD_HASH,))]
    node.give(1, GOOD)
    assert node.chain.tip.hash == GOOD.header.hash
    assert [vote.id for vote in node.state.pool] == [twin.id]


def test_a_compact_block_with_colliding_ids_is_asked_for_in_full_without_a_refusal() -> None:
    """A short id may name another vote here: only the whole block can be judged."""
    node = node_with_peers()
    node.submit(*VOTES, make_vote(ELECTION, "another"))
    wrong = CompactBlock(header=GOOD.header.pack(), ids=short_ids(VOTES[0], seed=SEED))
    ready = node.receive(1, wrong)
    assert refused(ready) == []
    assert sent(ready, 1) == [GetBlocks(hashes=(GOOD.header.hash.hex(),))]
    node.give(1, GOOD)
    assert node.chain.tip.hash == GOOD.header.hash


def test_a_compact_block_that_cannot_be_asked_for_any_more_is_asked_of_others() -> None:
    node = node_with_peers()
    node.submit(*VOTES)
    jobs = node.take(Received(1, CompactBlock(header=GOOD.header.pack(), ids=b""))).check
    node.receive(2, headers_of(GOOD))
    node.lose(1)
    ready = node.run(*(Checked(job, job.run()) for job in jobs))
    assert sent(ready, 2) == [GetBlocks(hashes=(GOOD.header.hash.hex(),))]
    assert sent(ready, 1) == []


def test_blocks_are_served_from_the_disk_and_missing_ones_are_named() -> None:
    node = node_with_peers()
    node.give(1, GOOD)
    genesis, unknown = node.chain.genesis.hash.hex(), "00" * 32
    ready = node.receive(2, GetBlocks(hashes=(unknown, GOOD.header.hash.hex(), genesis)))
    assert sent(ready, 2) == [NoBlock(hash=unknown), NoBlock(hash=genesis)]
    assert ready.send_blocks == [(2, GOOD.header.hash)]


def test_headers_follow_the_locator() -> None:
    node = node_with_peers()
    second = mine_block(ELECTION, GOOD.header)
    node.give(1, GOOD), node.give(1, second)
    genesis = node.chain.genesis.hash.hex()
    assert sent(node.receive(2, GetHeaders(locator=(genesis,))), 2) == [headers_of(GOOD, second)]
    ours = GOOD.header.hash.hex()
    assert sent(node.receive(2, GetHeaders(locator=("00" * 32, ours, genesis))), 2) == [headers_of(second)]
    assert sent(node.receive(2, GetHeaders(locator=())), 2) == [headers_of(GOOD, second)]


# -- broken rules ----------------------------------------------------------------------------------


def bad_work() -> Block:
    header = GOOD.header
    while hash_to_int(header.hash) <= bits_to_target(header.bits):
        header = header._replace(nonce=header.nonce + 1)
    return Block(header, GOOD.votes)


def bad_root() -> Block:
    return Block(mine_header(GOOD.header._replace(merkle_root=votes_root(VOTES[:2]))), GOOD.votes)


def double_voter() -> Block:
    return mine_block(ELECTION, votes=[*VOTES, make_vote(ELECTION, VOTES[0].voter_id, "Charlie")])


def forged() -> Block:
    vote = msgspec.structs.replace(VOTES[0].vote, signature=VOTES[1].vote.signature)
    return mine_block(ELECTION, votes=[hash_vote(vote)])


BROKEN: dict[str, Callable[[], Block]] = {
    "bad-work": bad_work,
    "bad-merkle-root": bad_root,
    "bad-time": lambda: mine_block(ELECTION, votes=VOTES, time=CREATED - 1),
    "bad-bits": lambda: mine_block(ELECTION, votes=VOTES, bits=bits_for_zero_bits(2)),
    "bad-version": lambda: mine_block(ELECTION, votes=VOTES, version=1),
    "voter-twice": double_voter,
    "bad-signature": forged,
    "bad-order": lambda: mine_block(ELECTION, votes=sorted(VOTES, key=lambda v: v.id)[::-1], ordered=False),
    "unknown-candidate": lambda: mine_block(ELECTION, votes=[make_vote(ELECTION, "v", "Zorro")]),
    "network-mismatch": lambda: mine_block(ELECTION, votes=[make_vote(make_election(title="x"))]),
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_block_that_breaks_a_rule_is_refused_and_its_sender_too(code: str) -> None:
    node = node_with_peers()
    ready = node.give(1, BROKEN[code]())
    assert refused(ready) == [(1, code)]
    assert ready.save == []
    assert unchanged(node)
    assert node.give(2, GOOD).refuse == []  # the honest go on
    assert node.chain.tip.hash == GOOD.header.hash


@pytest.mark.parametrize("form", ["whole", "compact", "header", "answer"])
def test_a_block_from_the_future_waits_without_a_refusal(form: str) -> None:
    """The clock that is wrong may be ours: honest nodes closed their links to each other, and banned."""
    node = node_with_peers()
    block = mine_block(ELECTION, votes=VOTES, time=int(NOW) + MAX_CLOCK_AHEAD + 40)
    later = mine_block(ELECTION, block.header, time=block.header.time)
    message = {
        "whole": block_message(block),
        "compact": compact_block(block),
        "header": headers_of(block),
        "answer": headers_of(block, later),
    }[form]
    ready = node.receive(1, message)
    assert refused(ready) == []
    assert node.chain.tip.height == 0
    assert block.header.hash not in node.chain.entries
    assert 1 in node.state.sync.peers
    node.now += 39
    assert sent(node.run(Tick()), 1) == []
    node.now += 1
    (asked,) = sent(node.run(Tick()), 1)
    assert isinstance(asked, GetHeaders)
    wanted = node.receive(1, headers_of(block))
    assert [request for request in sent(wanted, 1) if isinstance(request, GetBlocks)]
    node.give(1, block)
    assert node.chain.tip.hash == block.header.hash


def test_headers_before_one_of_the_future_are_accepted_and_the_rest_is_asked_for_later() -> None:
    node = node_with_peers()
    early = mine_block(ELECTION, GOOD.header, time=int(NOW) + MAX_CLOCK_AHEAD + 40)
    ready = node.receive(1, headers_of(GOOD, early))
    assert refused(ready) == []
    assert [request for request in sent(ready, 1) if isinstance(request, GetBlocks)]
    assert not [request for request in sent(ready, 1) if isinstance(request, GetHeaders)]


def test_a_peer_that_is_ahead_of_our_clock_is_not_followed_until_it_is_time() -> None:
    """A node whose clock is hours behind has peers, and yet is not where they are."""
    node = node_with_peers()
    early = mine_block(ELECTION, GOOD.header, time=int(NOW) + MAX_CLOCK_AHEAD + 40)
    node.receive(1, headers_of(GOOD, early))
    assert [node.state.sync.follows(link) for link in (1, 2, 99)] == [False, True, False]
    node.now += 40
    node.run(Tick())
    assert node.state.sync.follows(1)


def test_a_header_that_is_no_header_is_refused() -> None:
    node = node_with_peers()
    assert refused(node.receive(1, Headers(headers=("zz" * 80,)))) == [(1, "bad-header")]
    assert refused(node.receive(2, Headers(headers=("  " * 80,)))) == [(2, "bad-header")]


@pytest.mark.parametrize("spoil", ["order", "twice", "extra", "missing"])
def test_a_wrong_body_for_an_honest_header_does_not_spoil_the_block(spoil: str) -> None:
    node = node_with_peers()
    votes = list(GOOD.votes)
    wrong = {
        "order": votes[::-1],
        "twice": [*votes, votes[0]],
        "extra": [*votes, make_vote(ELECTION, "extra", "Zorro")],
        "missing": votes[1:],
    }
    ready = node.give(1, Block(GOOD.header, tuple(wrong[spoil])))
    assert refused(ready) == [(1, "bad-merkle-root")]
    assert refused(node.give(2, GOOD)) == []
    assert node.chain.tip.hash == GOOD.header.hash


def test_a_voter_of_an_earlier_block_cannot_vote_again() -> None:
    node = node_with_peers()
    node.give(1, GOOD)
    again = mine_block(ELECTION, GOOD.header, [make_vote(ELECTION, VOTES[0].voter_id, "Charlie")])
    ready = node.give(1, again)
    assert refused(ready) == [(1, "voter-twice")]
    assert node.chain.tip.hash == GOOD.header.hash
    assert node.chain.tally.votes == 3
    child = mine_block(ELECTION, again.header)
    assert refused(node.receive(2, headers_of(child))) == [(2, "invalid-block")]  # nothing on it counts


def test_a_block_that_was_found_invalid_is_not_waited_for() -> None:
    node = node_with_peers()
    bad = double_voter()
    node.give(1, bad)
    assert node.core.caught_up
    assert refused(node.give(2, bad)) == [(2, "invalid-block")]


def test_a_refused_peer_is_asked_nothing_more_and_its_last_lines_mean_nothing() -> None:
    node = node_with_peers()
    second = mine_block(ELECTION, GOOD.header)
    node.receive(1, headers_of(GOOD, second))
    ready = node.give(1, Block(GOOD.header, ()))
    assert refused(ready) == [(1, "bad-merkle-root")]
    assert sent(ready, 1) == []
    node.give(1, GOOD)
    assert unchanged(node)


def test_a_body_whose_parent_turned_out_invalid_does_not_stay() -> None:
    node = node_with_peers()
    node.give(1, GOOD)
    again = mine_block(ELECTION, GOOD.header, [make_vote(ELECTION, VOTES[0].voter_id, "Charlie")])
    child = mine_block(ELECTION, again.header)
    node.receive(2, headers_of(again, child))
    jobs = node.take(Received(2, block_message(child))).check
    node.give(2, again)
    node.run(*(Checked(job, job.run()) for job in jobs))
    assert node.state.sync._waiting == {}
    assert node.chain.tip.hash == GOOD.header.hash


def test_a_block_that_waited_for_its_parent_is_held_against_its_own_sender_alone() -> None:
    node = node_with_peers()
    bad = mine_block(ELECTION, GOOD.header, [make_vote(ELECTION, VOTES[0].voter_id, "Charlie")])
    node.receive(1, headers_of(GOOD))
    node.receive(2, headers_of(GOOD, bad))
    assert refused(node.give(2, bad)) == []
    assert refused(node.give(1, GOOD)) == [(2, "voter-twice")]
    assert node.chain.tip.hash == GOOD.header.hash
    assert list(node.state.sync.peers) == [1]


# -- forks -----------------------------------------------------------------------------------------


def test_the_branch_with_more_work_wins_and_votes_of_the_other_wait_again() -> None:
    node = node_with_peers()
    node.give(1, GOOD)
    rival = mine_block(ELECTION, votes=[VOTES[1], make_vote(ELECTION, "new")], time=CREATED + 7)
    node.give(2, rival)
    assert node.chain.tip.hash == GOOD.header.hash  # equal work: the first stands
    longer = mine_block(ELECTION, rival.header, [make_vote(ELECTION, VOTES[2].voter_id, "Bob", time=1)])
    ready = node.give(2, longer)
    assert node.chain.tip.hash == longer.header.hash
    returned = [v for change in ready.save if isinstance(change, SaveVotes) for v in change.votes]
    assert [vote.id for vote in returned] == [VOTES[0].id]
    assert [vote.id for vote in node.store.load().waiting] == [VOTES[0].id]
    assert node.chain.tally.votes == 3
    assert any("switched branch" in line for line in ready.log)


def test_a_branch_that_counts_a_voter_twice_is_left_again_with_nothing_changed() -> None:
    node = node_with_peers()
    node.give(1, GOOD)
    rival = mine_block(ELECTION, votes=[make_vote(ELECTION, "r")], time=CREATED + 7)
    twice = mine_block(ELECTION, rival.header, [make_vote(ELECTION, "r", "Bob")])
    before = node.store.load()
    assert refused(node.give(2, rival)) == []
    assert refused(node.give(2, twice)) == [(2, "voter-twice")]
    assert node.chain.tip.hash == GOOD.header.hash
    assert set(node.chain.voters) == {vote.voter_id for vote in VOTES}
    assert node.store.load().voters == before.voters


def test_a_voter_of_the_new_branch_is_found_before_the_switch_is_on_the_disk() -> None:
    """A block that was saved beside the best branch joins it: until then the disk knows no place there."""
    node = node_with_peers()
    node.give(1, mine_block(ELECTION, votes=[VOTES[0]]))
    side = mine_block(ELECTION, votes=[VOTES[1]], time=CREATED + 7)
    node.give(2, side)
    jobs = node.take(Received(2, block_message(mine_block(ELECTION, side.header)))).check
    again = make_vote(ELECTION, VOTES[1].voter_id, "Charlie", time=3)
    events = [
        *(Checked(job, job.run()) for job in jobs),
        Received(CLIENT, SubmitVotes(votes=(again.vote,), id=1)),
        Received(CLIENT, GetVoteStatus(voter_id=VOTES[1].voter_id)),
    ]
    ready = node.take(*events)
    assert not ready.check, "a voter who has voted has no signature checked"
    answers = sent(ready, CLIENT)
    (taken,) = (answer for answer in answers if isinstance(answer, VotesTaken))
    (status,) = (answer for answer in answers if isinstance(answer, VoteStatus))
    assert taken.outcomes[0].error is not None
    assert taken.outcomes[0].error["vote_id"] == VOTES[1].id.hex()
    assert (status.vote_id, status.height, status.confirmations) == (VOTES[1].id.hex(), 1, 2)


def test_a_deep_reorganisation_counts_every_voter_once() -> None:
    election = make_election(bits=TRIVIAL_BITS)
    node = HandNode(election, mining=False)
    node.meet(1), node.meet(2)
    votes = make_votes(election, 40)
    for link, order, count, shift in ((1, votes, 20, 1), (2, votes[::-1], 21, 2)):
        parent = genesis_header(election)
        for n in range(count):
            block = mine_block(election, parent, order[n : n + 1], time=parent.time + shift)
            parent = block.header
            assert refused(node.give(link, block)) == []
    assert node.chain.tip.height == 21
    assert set(node.chain.voters) == {vote.voter_id for vote in votes[19:]}
    assert {vote.voter_id for vote in node.state.pool} == {vote.voter_id for vote in votes[:19]}
    assert len(node.store.load().waiting) == 19


def test_the_vote_of_a_key_that_is_not_the_voters_is_no_matter_of_blocks() -> None:
    """In an open election the first vote of an id stands, with any signer."""
    node = node_with_peers()
    block = mine_block(ELECTION, votes=[make_vote(ELECTION, "v", key=key_of("any key"))])
    assert refused(node.give(1, block)) == []


def test_a_false_signature_of_the_miner_makes_no_decided_block_invalid() -> None:
    election = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))
    us = HandNode(election)
    good = mine_named(election, genesis_header(election), 1)
    commit = commit_of(election, good.header, 1)
    us.meet(1, key="node 1"), us.meet(2)
    us.receive(1, Headers(headers=(header_hex(good.header),), commit=commit))
    false = good._replace(extras=mine_named(election, genesis_header(election), 7).extras)
    assert refused(us.receive(2, named_block(false))) == [(2, "bad-miner")]
    us.receive(1, named_block(good))
    assert us.chain.tip.hash == good.header.hash


def named_block(block: Block) -> BlockMessage:
    return msgspec.structs.replace(block_message(block), miner=block.extras.miner)

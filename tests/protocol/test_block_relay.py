"""Blocks onto the chain: S9, every broken rule is refused with its code and its sender blamed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from node_support import (
    CLIENT,
    NOW,
    HandNode,
    block_message,
    compact_block,
    header_hex,
    headers_of,
    refused,
    sent,
)
from support import (
    CREATED,
    TRIVIAL_BITS,
    key_of,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    mine_header,
)
from votenet.core.block import Block, genesis_header, votes_root
from votenet.core.vote import MAX_CLOCK_AHEAD, seal
from votenet.pow import bits_for_zero_bits, bits_to_target, hash_to_int
from votenet.protocol.events import (
    Checked,
    DropVotes,
    Received,
    SaveBlock,
    SaveVotes,
    SetBest,
)
from votenet.protocol.messages import (
    CompactBlock,
    GetBlocks,
    GetHeaders,
    GetVoteStatus,
    Headers,
    NoBlock,
    SubmitVotes,
    VotesTaken,
    VoteStatus,
)
from votenet.protocol.state import short_id

ELECTION = make_election()
VOTES = make_votes(ELECTION, 3)
GOOD = mine_block(ELECTION, votes=VOTES)


def node_with_peers(**options: bool) -> HandNode:
    node = HandNode(ELECTION, **options)
    node.meet(1), node.meet(2)
    return node


def unchanged(node: HandNode) -> bool:
    return node.chain.tip is node.chain.genesis and not node.chain.voters and not node.store.load().headers


# -- good blocks -----------------------------------------------------------------------------------


def test_s09_a_good_block_is_saved_counted_and_announced_to_the_others() -> None:
    node = node_with_peers()
    ready = node.give(1, GOOD)
    assert [type(change) for change in ready.save] == [SaveBlock, SetBest]
    assert node.chain.tip.hash == GOOD.header.hash
    assert node.chain.tally.votes == 3
    assert sent(ready, 2) == [headers_of(GOOD)]
    assert sent(ready, 1) == []
    assert node.give(2, GOOD).send == []  # S9: no storm


def test_a_block_takes_its_voters_out_of_the_pool_whatever_they_had_waiting() -> None:
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
        "votenet.core.signature_cache.signatures_hold", lambda votes: pytest.fail("again") if votes else []
    )
    ready = node.receive(1, compact_block(GOOD))
    assert node.chain.tip.hash == GOOD.header.hash
    assert sent(ready, 1) == []
    assert not len(node.state.pool)


def test_a_compact_block_with_an_unknown_vote_is_asked_for_in_full() -> None:
    node = node_with_peers()
    node.submit(*VOTES[:2])
    ask = GetBlocks(hashes=(GOOD.header.hash.hex(),))
    assert sent(node.receive(1, compact_block(GOOD)), 1) == [ask]
    assert node.receive(2, compact_block(GOOD)).send == []  # it is on its way
    node.give(1, GOOD)
    assert node.chain.tip.hash == GOOD.header.hash


def test_a_compact_block_whose_ids_mislead_is_asked_for_in_full_and_nobody_is_blamed() -> None:
    """A short id may name another vote here: only the whole block can be judged."""
    node = node_with_peers()
    node.submit(*VOTES, make_vote(ELECTION, "another"))
    wrong = CompactBlock(header=header_hex(GOOD.header), ids=(short_id(VOTES[0]),))
    ready = node.receive(1, wrong)
    assert refused(ready) == []
    assert sent(ready, 1) == [GetBlocks(hashes=(GOOD.header.hash.hex(),))]
    node.give(1, GOOD)
    assert node.chain.tip.hash == GOOD.header.hash


def test_a_compact_block_that_cannot_be_asked_for_any_more_is_asked_of_others() -> None:
    node = node_with_peers()
    node.submit(*VOTES)
    jobs = node.take(Received(1, CompactBlock(header=header_hex(GOOD.header), ids=()))).check
    node.receive(2, headers_of(GOOD))
    node.lose(1)
    ready = node.run(*(Checked(job.id, job.run()) for job in jobs))
    assert sent(ready, 2) == [GetBlocks(hashes=(GOOD.header.hash.hex(),))]
    assert sent(ready, 1) == []


def test_blocks_are_served_from_the_disk_and_what_is_not_here_is_named() -> None:
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
    return mine_block(ELECTION, votes=[seal(vote)])


BROKEN: dict[str, Callable[[], Block]] = {
    "bad-work": bad_work,
    "bad-merkle-root": bad_root,
    "bad-time": lambda: mine_block(ELECTION, votes=VOTES, time=CREATED - 1),
    "bad-bits": lambda: mine_block(ELECTION, votes=VOTES, bits=bits_for_zero_bits(2)),
    "bad-version": lambda: mine_block(ELECTION, votes=VOTES, version=2),
    "voter-twice": double_voter,
    "bad-signature": forged,
    "bad-order": lambda: mine_block(ELECTION, votes=sorted(VOTES, key=lambda v: v.id)[::-1], ordered=False),
    "unknown-candidate": lambda: mine_block(ELECTION, votes=[make_vote(ELECTION, "v", "Zorro")]),
    "network-mismatch": lambda: mine_block(ELECTION, votes=[make_vote(make_election(title="x"))]),
}


@pytest.mark.parametrize("code", BROKEN)
def test_s09_a_block_that_breaks_a_rule_is_refused_and_its_sender_blamed(code: str) -> None:
    node = node_with_peers()
    ready = node.give(1, BROKEN[code]())
    assert refused(ready) == [(1, code)]
    assert ready.save == []
    assert unchanged(node)
    assert node.give(2, GOOD).refuse == []  # the honest go on
    assert node.chain.tip.hash == GOOD.header.hash


def test_a_block_from_the_future_is_refused() -> None:
    node = node_with_peers()
    block = mine_block(ELECTION, votes=VOTES, time=int(NOW) + MAX_CLOCK_AHEAD + 1)
    assert refused(node.give(1, block)) == [(1, "bad-time")]
    node.now += 1
    assert refused(node.give(2, block)) == []


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
    node.run(*(Checked(job.id, job.run()) for job in jobs))
    assert node.state.sync._waiting == {}
    assert node.chain.tip.hash == GOOD.header.hash


# -- forks -----------------------------------------------------------------------------------------


def test_s09_the_branch_with_more_work_wins_and_votes_of_the_other_wait_again() -> None:
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
        *(Checked(job.id, job.run()) for job in jobs),
        Received(CLIENT, SubmitVotes(votes=(again.vote,), id=1)),
        Received(CLIENT, GetVoteStatus(voter_id=VOTES[1].voter_id)),
    ]
    taken, status = sent(node.take(*events), CLIENT)
    assert isinstance(taken, VotesTaken)
    assert taken.outcomes[0].error is not None
    assert taken.outcomes[0].error["vote_id"] == VOTES[1].id.hex()
    assert isinstance(status, VoteStatus)
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
    """In an open election the first vote of an id stands, whoever signed it."""
    node = node_with_peers()
    block = mine_block(ELECTION, votes=[make_vote(ELECTION, "v", key=key_of("any key"))])
    assert refused(node.give(1, block)) == []

"""When a node mines: only while votes wait, never an invalid block, and no peer can stop it."""

from __future__ import annotations

import hashlib

import pytest

from support.elections import CREATED, key_of, make_election, make_vote, make_votes, mine_block
from support.nodes import NOW, PEER_SEED, SEED, HandNode, compact_block, headers_of, sent, short_ids
from votenet.core.ledger.block import Block, check_body, order_votes, votes_root
from votenet.pow import bits_to_target, search
from votenet.protocol.node.events import Mined, Ready, SaveBlock, SetBest, Template, Tick
from votenet.protocol.node.mining import (
    MAX_RANK,
    TEMPLATE_SECONDS,
    TIE_PATIENCE,
    TIE_PAUSE,
    TURN_SECONDS_PER_VOTE,
)
from votenet.protocol.node.sync import SYNC_ANSWER_SECONDS
from votenet.protocol.wire.peer_messages import CompactBlock

TURN = 1 + TURN_SECONDS_PER_VOTE
"""Seconds, while one vote waits: the interval between blocks of these elections is one."""


def template_after(ready: Ready) -> Template:
    assert ready.mining_changed
    assert ready.template is not None
    return ready.template


def test_nothing_is_mined_until_a_vote_waits() -> None:
    node = HandNode()
    assert not node.run(Tick()).mining_changed
    assert not node.core.status(node.now).mining
    vote = make_vote(node.election)
    node.submit(vote)
    template = node.template
    assert template is not None
    assert template.votes == (vote,)
    assert template.header.previous == node.chain.genesis.hash
    assert template.header.merkle_root == votes_root([vote])
    assert template.header.time == int(NOW)
    assert node.core.status(node.now).mining


def test_a_node_that_does_not_mine_has_no_template() -> None:
    node = HandNode(mining=False)
    node.submit(make_vote(node.election))
    assert node.template is None


def test_a_found_nonce_makes_a_block_that_is_saved_then_pushed_to_every_peer() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    votes = make_votes(node.election, 3)
    node.submit(*votes)
    ready = node.mine()
    assert [type(change) for change in ready.save][:2] == [SaveBlock, SetBest]
    for link in (1, 2):
        (pushed,) = sent(ready, link)
        assert isinstance(pushed, CompactBlock)
        assert pushed.ids == short_ids(*order_votes(votes), seed=PEER_SEED)
    assert ready.mining_changed
    assert ready.template is None
    assert node.chain.tally.votes == 3
    assert node.store.load().waiting == []


def test_a_mined_block_is_accepted_by_another_node() -> None:
    miner, other = HandNode(), HandNode()
    miner.meet(1, seed=SEED), other.meet(1)
    votes = make_votes(miner.election, 5)
    miner.submit(*votes), other.submit(*votes[::-1])
    (pushed,) = sent(miner.mine(), 1)
    other.receive(1, pushed)
    assert other.chain.tip.hash == miner.chain.tip.hash
    assert other.template is None


def test_votes_that_come_later_join_the_template_now_and_then() -> None:
    node = HandNode()
    first, *rest = make_votes(node.election, 3)
    node.submit(first)
    before = node.template
    node.now += TEMPLATE_SECONDS / 2
    node.submit(rest[0])
    assert node.template is before
    node.now += TEMPLATE_SECONDS
    fresh = template_after(node.run(Tick()))
    assert {vote.voter_id for vote in fresh.votes} == {first.voter_id, rest[0].voter_id}
    assert not node.run(Tick()).mining_changed  # nothing new: the search goes on


def test_a_block_from_a_peer_replaces_the_template() -> None:
    node = HandNode()
    node.meet(1)
    votes = make_votes(node.election, 2)
    node.submit(*votes)
    ready = node.receive(1, compact_block(mine_block(node.election, votes=votes[:1])))
    fresh = template_after(ready)
    assert fresh.header.previous == node.chain.tip.hash
    assert fresh.votes == (votes[1],)


def test_a_nonce_for_an_old_template_is_ignored() -> None:
    node = HandNode()
    node.meet(1)
    votes = make_votes(node.election, 2)
    node.submit(*votes)
    old = node.template
    assert old is not None
    node.receive(1, compact_block(mine_block(node.election, votes=votes[:1])))
    tip, wanted = node.chain.tip, node.template
    assert not node.mine(old).save
    assert not node.run(Mined(old.id, None)).mining_changed
    assert node.chain.tip is tip
    assert node.template is wanted


def test_a_wrong_nonce_is_not_believed() -> None:
    node = HandNode()
    node.submit(make_vote(node.election))
    template = node.template
    assert template is not None
    nonce = 0
    while node.election.target >= int.from_bytes(template.header._replace(nonce=nonce).hash, "little"):
        nonce += 1
    ready = node.run(Mined(template.id, nonce))
    assert ready.save == []
    assert "refused" in ready.log[0]
    assert template_after(ready).id != template.id


def test_an_exhausted_range_goes_on_with_the_next_second() -> None:
    node = HandNode()
    node.submit(make_vote(node.election))
    template = node.template
    assert template is not None
    fresh = template_after(node.run(Mined(template.id, None)))
    assert fresh.header == template.header._replace(time=template.header.time + 1)


def test_a_block_is_never_older_than_the_median_of_its_ancestors() -> None:
    node = HandNode()
    node.meet(1)
    node.give(1, mine_block(node.election, time=int(NOW) + 500))
    node.submit(make_vote(node.election))
    node.mine()
    assert node.chain.tip.height == 2
    assert node.chain.tip.header.time == int(NOW) + 500


@pytest.mark.parametrize("late", [0, 1, 1000])
def test_votes_that_came_before_the_closing_time_are_counted_after_it(late: int) -> None:
    closes = int(NOW) + 10
    node = HandNode(make_election(closes=closes))
    node.submit(make_vote(node.election))
    node.now = closes + late
    node.submit(make_vote(node.election, "too late"))
    node.meet(1)
    node.give(1, mine_block(node.election, time=CREATED + 1))
    template = node.template
    assert template is not None
    check_body(Block(template.header, template.votes), node.election)
    node.mine()
    assert set(node.chain.voters) == {"voter-1"}


def test_a_clock_that_fell_back_before_the_opening_makes_no_invalid_block() -> None:
    node = HandNode(make_election(opens=int(NOW)))
    node.submit(make_vote(node.election))
    again = HandNode(node.election, store=node.store)
    again.now = NOW - 100
    template = template_after(again.run(Tick()))
    check_body(Block(template.header, template.votes), node.election)


def test_a_template_holds_no_more_votes_than_a_block_may() -> None:
    node = HandNode(make_election(max_block_votes=2))
    votes = make_votes(node.election, 3)
    node.submit(*votes)
    template = node.template
    assert template is not None
    assert {vote.id for vote in template.votes} == {vote.id for vote in votes[:2]}
    assert template_after(node.mine()).votes == (votes[2],)


# -- catching up -----------------------------------------------------------------------------------


def test_a_node_that_is_behind_does_not_mine() -> None:
    node = HandNode()
    node.submit(make_vote(node.election))
    ready = node.meet(1, work=10**6)
    assert ready.mining_changed
    assert ready.template is None


def test_promises_of_better_blocks_do_not_stop_mining_for_ever() -> None:
    """Eve claims more work whenever she connects, and never shows it."""
    node = HandNode()
    node.submit(make_vote(node.election))
    for link in range(1, 5):
        node.meet(link, work=10**6)
        node.now += SYNC_ANSWER_SECONDS * 0.6
        node.run(Tick())
        node.lose(link)
    node.meet(9, work=10**6)
    assert node.template is not None


def test_a_withheld_block_does_not_stop_mining_for_ever() -> None:
    node = HandNode()
    node.meet(1)
    node.submit(make_vote(node.election))
    withheld = headers_of(mine_block(node.election))
    node.receive(1, withheld)
    assert node.template is None
    for _ in range(3):
        node.now += SYNC_ANSWER_SECONDS
        node.run(Tick())
        node.receive(1, withheld)
    assert node.template is not None


# -- ties ------------------------------------------------------------------------------------------


def tied(order: int) -> HandNode:
    """A node with no vote waiting that has seen two blocks at once; its own is the smaller hash for 0."""
    node = HandNode()
    node.meet(1)
    votes = make_votes(node.election, 1)
    blocks = [mine_block(node.election, votes=votes, time=CREATED + n) for n in (1, 2)]
    blocks.sort(key=lambda block: block.header.hash, reverse=bool(order))
    node.give(1, *blocks)
    assert len(node.chain.tied_tips()) == 1
    return node


def test_the_side_of_a_tie_with_the_smaller_hash_mines_an_empty_block() -> None:
    node = tied(0)
    assert node.template is None
    node.now += 1.5 * TIE_PAUSE
    assert template_after(node.run(Tick())).votes == ()
    node.mine()
    assert node.chain.tip.height == 2
    assert node.template is None


def test_the_other_side_of_a_tie_mines_only_after_a_while() -> None:
    node = tied(1)
    node.now += TIE_PATIENCE - 0.1
    assert not node.run(Tick()).mining_changed
    node.now += 0.1
    assert template_after(node.run(Tick())).votes == ()


def test_a_tie_is_broken_though_a_longer_branch_was_announced_and_is_invalid() -> None:
    """A header with more work must not hide the tie below it, neither withheld nor found invalid."""
    node = tied(0)
    voter = node.state.votes_of(node.chain.tip.hash)[0].voter_id
    twice = mine_block(node.election, node.chain.tip.header, [make_vote(node.election, voter, "Bob")])
    node.receive(1, headers_of(twice))
    assert len(node.chain.tied_tips()) == 1
    node.give(1, twice)
    assert len(node.chain.tied_tips()) == 1
    node.now += 1.5 * TIE_PAUSE
    assert template_after(node.run(Tick())).votes == ()


def test_a_tie_that_is_decided_needs_no_block() -> None:
    node = tied(0)
    node.now += 1.5 * TIE_PAUSE
    node.run(Tick())
    node.give(1, mine_block(node.election, node.chain.tied_tips()[0].header))
    assert node.chain.tip.height == 2
    assert node.template is None


def tie_again(node: HandNode) -> None:
    """A peer has another header beside our tip, whose hash is larger: it is for us to mine on."""
    tip = node.chain.tip
    parent = node.chain.parent(tip).header
    tied_tips = (mine_block(node.election, parent, time=tip.header.time + number) for number in range(1, 40))
    node.receive(1, headers_of(next(found for found in tied_tips if found.header.hash > tip.hash)))
    assert node.chain.tied_tips()


def test_headers_that_tie_with_every_tip_do_not_cause_endless_mining() -> None:
    """A stranger with one header's work for each of our tips had a node mine two hundred blocks in half a
    minute, and the difficulty was 69 times what it had been."""
    node = tied(0)
    end = node.now + 30
    while node.now < end and node.chain.tip.height < 12:
        node.now += 0.05
        node.run(Tick())
        if node.template is not None:
            node.mine()
            tie_again(node)
    assert 3 < node.chain.tip.height < 12
    assert node.chain.next_bits(node.chain.tip) == node.election.bits


def test_a_tie_of_blocks_with_votes_is_broken_fast_after_any_past() -> None:
    node = tied(0)
    for _ in range(3):
        node.now += 100
        node.run(Tick())
        node.mine()
        tie_again(node)
    assert node.core.mining._blocks_without_votes() == 3
    (vote,) = make_votes(node.election, 1, first=77)
    parent = node.chain.tip.header
    made = (mine_block(node.election, parent, [vote], time=parent.time + n) for n in (1, 2))
    smaller, larger = sorted(made, key=lambda block: block.header.hash)
    node.give(1, smaller, larger)
    assert node.chain.tip.hash == smaller.header.hash
    node.run(Tick())
    assert node.template is None
    node.now += 1.5 * TIE_PAUSE
    node.run(Tick())
    assert node.template is not None


def _first_turn(keys: list[str], votes: int = 1) -> tuple[HandNode, int]:
    """A node with mining peers and waiting votes, and how many of them go before it on genesis."""
    node = HandNode()
    for link, key in enumerate(keys, start=1):
        node.meet(link, key=key, mines=True)
    node.submit(*make_votes(node.election, votes))
    tip = node.chain.tip.hash

    def place(public: str) -> bytes:
        return hashlib.sha256(tip + bytes.fromhex(public)).digest()

    ours = place(node.info.node_key)
    return node, sum(place(key_of(key).public_hex) < ours for key in keys)


def test_miners_take_turns_by_a_hash_of_the_tip_and_their_keys() -> None:
    ranks = set()
    for number in range(12):
        node, rank = _first_turn([f"miner {number} {peer}" for peer in range(4)])
        ranks.add(rank)
        assert node.core.status(node.now).mining is (rank == 0)
        if rank:
            node.now += min(rank, MAX_RANK) * TURN - 0.01
            assert not node.run(Tick()).mining_changed
            node.now += 0.02
            assert template_after(node.run(Tick())).votes
    assert len(ranks) > 2


def test_a_crowd_that_only_says_it_mines_delays_a_block_by_few_turns() -> None:
    node, rank = _first_turn([f"crowd {peer}" for peer in range(60)])
    assert rank > 2 * MAX_RANK
    node.now += MAX_RANK * TURN + 0.01
    assert template_after(node.run(Tick())).votes


def test_a_turn_is_longer_when_many_votes_wait() -> None:
    """Their block takes time to check and to pass on: no other one should be found meanwhile."""
    node, rank = next(
        found
        for number in range(100)
        if (found := _first_turn([f"patient {number} {peer}" for peer in range(3)], votes=400))[1] > 0
    )
    node.now += rank * (1 + 399 * TURN_SECONDS_PER_VOTE)
    assert not node.run(Tick()).mining_changed
    node.now += rank * 2 * TURN_SECONDS_PER_VOTE
    assert len(template_after(node.run(Tick())).votes) == 400


def test_the_nonce_of_the_template_before_is_as_good() -> None:
    """A search goes on for a moment when votes join the block; what it finds is a block, on this tip."""
    node = HandNode()
    node.submit(make_vote(node.election))
    first = node.template
    node.now += 1
    node.submit(make_vote(node.election, "second"))
    assert first is not None
    assert node.template not in (None, first)
    nonce = search(first.header.pack(), bits_to_target(first.header.bits))
    saved = node.run(Mined(first.id, nonce)).save
    assert [len(change.votes) for change in saved if isinstance(change, SaveBlock)] == [1]
    assert node.chain.tip.height == 1
    node.run(Mined(first.id, nonce))
    assert node.chain.tip.height == 1


def test_the_turn_is_over_when_another_block_comes() -> None:
    node, _ = _first_turn([f"again {peer}" for peer in range(4)])
    node.now += 4 * TURN
    node.run(Tick())
    assert node.core.status(node.now).mining
    node.meet(9)
    node.give(9, mine_block(node.election))  # an empty block: the vote still waits, on another tip
    assert node.chain.tip.height == 1
    tip = node.chain.tip.hash
    ours = hashlib.sha256(tip + bytes.fromhex(node.info.node_key)).digest()
    peers = [peer.peer_info for peer in node.state.sync.peers.values() if peer.peer_info.mines]
    first = all(hashlib.sha256(tip + bytes.fromhex(peer.node_key)).digest() > ours for peer in peers)
    assert node.core.status(node.now).mining is first


def test_after_the_closing_time_an_exhausted_range_goes_on_with_an_earlier_second_or_a_vote_less() -> None:
    node = HandNode(make_election(created=int(NOW) - 10, opens=int(NOW) - 1, closes=int(NOW) + 1))
    node.submit(*make_votes(node.election, 2))
    node.now += 100
    tried = set()
    for _ in range(5):
        template = node.template
        assert template is not None
        assert template.header not in tried
        tried.add(template.header)
        node.run(Mined(template.id, None))
    times = {header.time for header in tried}
    assert times == {int(NOW) - 1, int(NOW)}
    assert len({header.merkle_root for header in tried}) == 3  # both votes, one of them, none

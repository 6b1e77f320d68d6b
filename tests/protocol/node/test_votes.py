"""Votes from clients and peers into the pool: one vote for each voter, saved before it is answered."""

from __future__ import annotations

import gc

import msgspec
import pytest
import xxhash

from support.elections import CREATED, key_of, make_election, make_vote, make_votes, mine_block
from support.nodes import (
    CLIENT,
    NOW,
    PEER_SEED,
    SEED,
    HandNode,
    announcement,
    headers_of,
    neighbours,
    refused,
    sends,
    sent,
    short_ids,
)
from votenet.core.ledger.mempool import short_id, weight
from votenet.core.ledger.vote import HashedVote, hash_vote
from votenet.core.limits import MAX_CLOCK_AHEAD
from votenet.protocol.node.events import Checked, Ready, Received, SaveVotes, Tick
from votenet.protocol.node.state import COVERED_SECONDS
from votenet.protocol.node.vote_request_tracker import ASK_SECONDS
from votenet.protocol.node.votes import ANNOUNCE_SECONDS, Submission
from votenet.protocol.wire.client_messages import SubmitVotes, VotesTaken
from votenet.protocol.wire.fields import ANNOUNCED
from votenet.protocol.wire.framing import MAX_PEER_LINE
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import MAX_VOTES_IN_LINE, GetVotes, HaveVotes, Votes


def damaged(vote: HashedVote) -> HashedVote:
    """The same vote with a signature by another key."""
    other = make_vote(make_election(), vote.voter_id, time=99, key=key_of("somebody else"))
    return hash_vote(msgspec.structs.replace(vote.vote, signature=other.vote.signature))


def code_of(node: HandNode, vote: HashedVote) -> str:
    (outcome,) = node.submit(vote)
    assert outcome.vote_id == vote.id.hex()
    assert outcome.error is not None
    assert outcome.error["next_step"]
    return str(outcome.error["code"])


def relay(node: HandNode, link: int, *votes: HashedVote) -> Ready:
    return node.receive(link, Votes(votes=tuple(vote.vote for vote in votes)))


def waiting(node: HandNode) -> set[str]:
    return {vote.voter_id for vote in node.state.pool}


# -- the share of an origin ------------------------------------------------------------------------


def with_small_pool(votes: int, monkeypatch: pytest.MonkeyPatch) -> HandNode:
    """A node with room for so many votes of `make_votes` in all, half of it for any one link."""
    for module in ("admission", "vote_request_tracker"):
        monkeypatch.setattr(f"votenet.protocol.node.{module}.ENOUGH_ROOM", 2000)
    (vote,) = make_votes(make_election(), 1, first=1000)
    return HandNode(pool_bytes=votes * weight(vote) + 100)


def test_an_address_that_floods_the_pool_gets_a_time_and_others_are_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = with_small_pool(40, monkeypatch)
    flood = make_votes(node.election, 60, first=1000)
    outcomes = [outcome for at in (0, 30) for outcome in node.submit(*flood[at : at + 30])]
    taken = [outcome for outcome in outcomes if outcome.error is None]
    assert len(taken) in range(18, 22)
    assert len(node.state.pool) == len(taken)
    late = outcomes[-1].error
    assert late is not None
    assert (late["code"], late["kind"]) == ("pool-full", "temporary")
    assert late["retry_seconds"] == node.election.definition.chain.block_seconds
    asked = node.take(Received(CLIENT, SubmitVotes(votes=tuple(vote.vote for vote in flood[-5:]))))
    assert not asked.check, "not even the signature is looked at"
    honest = make_votes(node.election, 5, first=5000)
    assert [outcome.error for outcome in node.submit(*honest, link=CLIENT + 1)] == [None] * 5
    node.mine()
    left = [vote for vote in flood if vote.voter_id not in node.chain.voters]
    again = node.submit(*left[:15])
    assert [outcome.error for outcome in again] == [None] * 15


def test_a_relayed_vote_for_which_there_was_no_room_is_asked_for_when_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its first node may be the only one that has it, and may not mine."""
    node = with_small_pool(12, monkeypatch)
    node.meet(1)
    flood = make_votes(node.election, 40, first=1000)
    relay(node, 1, *flood)
    (late,) = make_votes(node.election, 1, first=2000)
    node.receive(1, announcement(late, reader=SEED, sender=PEER_SEED))
    assert late.voter_id not in waiting(node)
    node.now += ASK_SECONDS
    assert not [m for m in sent(node.run(Tick()), 1) if isinstance(m, GetVotes)], "there is no room yet"
    node.mine()
    kept = [vote for vote in flood if vote.voter_id not in node.chain.voters]
    assert kept
    node.now += ASK_SECONDS
    asked = b"".join(m.ids for m in sent(node.run(Tick()), 1) if isinstance(m, GetVotes))
    wanted = {short_id(vote.id, PEER_SEED) for vote in [*kept, late]}
    assert {asked[at : at + 8] for at in range(0, len(asked), 8)} == wanted


# -- from clients ----------------------------------------------------------------------------------


def test_a_vote_is_saved_before_its_answer_is_sent() -> None:
    node = HandNode()
    vote = make_vote(node.election)
    asked = node.take(Received(CLIENT, SubmitVotes(votes=(vote.vote,), id=4)))
    assert (asked.save, asked.send) == ([], [])  # its signature is not checked yet
    (job,) = asked.check
    node.core.step(Checked(job, job.run()), node.now)
    ready = node.core.ready(node.now)
    assert [list(change.votes) for change in ready.save if isinstance(change, SaveVotes)] == [[vote]]
    (answer,) = sent(ready, CLIENT)
    assert isinstance(answer, VotesTaken)
    assert answer.id == 4
    assert [(outcome.vote_id, outcome.error) for outcome in answer.outcomes] == [(vote.id.hex(), None)]


def test_an_accepted_vote_is_there_after_a_restart() -> None:
    node = HandNode()
    node.submit(make_vote(node.election))
    assert waiting(HandNode(node.election, store=node.store)) == {"voter-1"}


def test_a_second_vote_is_refused_while_the_first_waits() -> None:
    node = HandNode()
    first, second = make_vote(node.election, "v", "Alice"), make_vote(node.election, "v", "Bob")
    node.submit(first)
    (outcome,) = node.submit(second)
    assert outcome.error is not None
    assert outcome.error["code"] == "already-voted"
    assert outcome.error["kind"] == "duplicate"
    assert outcome.error["vote_id"] == first.id.hex()
    assert outcome.error["time"] == first.vote.time
    assert code_of(node, first) == "duplicate-vote"
    assert node.state.pool.of_voter("v") == first


def test_a_second_vote_is_refused_with_time_and_block_of_the_first() -> None:
    node = HandNode()
    first, second = make_vote(node.election, "v", "Alice"), make_vote(node.election, "v", "Bob")
    node.submit(first)
    node.mine()
    tip = node.chain.tip
    (outcome,) = node.submit(second)
    assert outcome.error is not None
    assert outcome.error["code"] == "already-voted"
    assert outcome.error["height"] == 1
    assert outcome.error["block"] == tip.hash.hex()
    assert outcome.error["block_time"] == tip.header.time
    assert outcome.error["time"] == first.vote.time
    assert outcome.error["vote_id"] == first.id.hex()
    assert code_of(node, first) == "duplicate-vote"
    assert len(node.state.pool) == 0


def test_of_two_votes_in_one_request_the_first_counts() -> None:
    node = HandNode()
    one, two = make_vote(node.election, "v", "Bob"), make_vote(node.election, "v", "Alice")
    outcomes = node.submit(one, two, one)
    assert [o.error and o.error["code"] for o in outcomes] == [None, "already-voted", "duplicate-vote"]
    assert node.state.pool.of_voter("v") == one


def test_of_two_votes_in_a_check_the_first_finished_counts() -> None:
    node = HandNode()
    one, two = make_vote(node.election, "v", "Bob"), make_vote(node.election, "v", "Alice")
    jobs = node.take(
        Received(1, SubmitVotes(votes=(one.vote,), id=1)), Received(2, SubmitVotes(votes=(two.vote,), id=1))
    ).check
    ready = node.run(*(Checked(job, job.run()) for job in reversed(jobs)))
    outcomes = {link: m.outcomes[0].error for link, m in ready.send if isinstance(m, VotesTaken)}
    assert outcomes[2] is None
    assert outcomes[1] is not None
    assert outcomes[1]["code"] == "already-voted"


def test_an_unknown_candidate_is_refused_with_the_list_of_candidates() -> None:
    node = HandNode()
    (outcome,) = node.submit(make_vote(node.election, "v", "Zorro"))
    assert outcome.error is not None
    assert outcome.error["code"] == "unknown-candidate"
    assert outcome.error["candidates"] == ["Alice", "Bob", "Charlie"]
    assert "Alice, Bob, Charlie" in str(outcome.error["message"])


def test_a_wrong_signature_and_a_foreign_network_are_refused() -> None:
    node = HandNode()
    assert code_of(node, damaged(make_vote(node.election))) == "bad-signature"
    assert code_of(node, make_vote(make_election(title="another"))) == "network-mismatch"
    assert len(node.state.pool) == 0


def test_a_vote_from_the_future_is_refused_until_then() -> None:
    node = HandNode()
    vote = make_vote(node.election, time=int(NOW) + MAX_CLOCK_AHEAD + 1)
    assert code_of(node, vote) == "vote-from-future"
    node.now += 1
    assert node.submit(vote)[0].error is None


def test_votes_count_between_opening_and_closing_by_the_clock_of_the_node() -> None:
    node = HandNode(make_election(opens=int(NOW), closes=int(NOW) + 100))
    early, late = make_vote(node.election, "early"), make_vote(node.election, "late")
    node.now = NOW - 1
    assert code_of(node, early) == "not-open"
    node.now = NOW
    assert node.submit(early)[0].error is None
    node.now = NOW + 100
    assert code_of(node, late) == "closed"


def test_a_vote_counts_though_its_link_closed_before_the_answer() -> None:
    node = HandNode()
    vote = make_vote(node.election)
    jobs = node.take(Received(CLIENT, SubmitVotes(votes=(vote.vote,)))).check
    node.lose(CLIENT)
    node.run(*(Checked(job, job.run()) for job in jobs))
    assert waiting(node) == {"voter-1"}


# -- between peers ---------------------------------------------------------------------------------


def test_the_node_that_accepted_a_vote_sends_it_in_full_to_every_peer_once() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    vote = make_vote(node.election)
    ready = node.receive(CLIENT, SubmitVotes(votes=(vote.vote,)))
    for link in (1, 2):
        assert sent(ready, link) == [Votes(votes=(vote.vote,))]
    assert node.take(Tick()).send == []


def wait(node: HandNode) -> Ready:
    """Until what was heard is announced."""
    node.now += ANNOUNCE_SECONDS
    return node.run(Tick())


def told(*votes: HashedVote) -> HaveVotes:
    """What a peer is told of votes that are here."""
    return announcement(*votes, reader=PEER_SEED, sender=SEED)


def heard(*votes: HashedVote) -> HaveVotes:
    """What a peer tells us of votes that are there."""
    return announcement(*votes, reader=SEED, sender=PEER_SEED)


def asked(ready: Ready) -> list[tuple[int, bytes]]:
    """Links that votes are asked of, and the ids."""
    return [(link, m.ids) for link, m in ready.send if isinstance(m, GetVotes)]


def test_a_received_vote_is_announced_to_the_others_after_a_while() -> None:
    node = HandNode(mining=False)
    node.meet(1), node.meet(2)
    vote = make_vote(node.election)
    ready = relay(node, 1, vote)
    assert ready.send == []
    assert [change for change in ready.save if isinstance(change, SaveVotes)]
    node.now += ANNOUNCE_SECONDS - 0.01
    assert node.run(Tick()).send == []
    assert wait(node).send == [(2, told(vote))]
    assert wait(node).send == []
    assert relay(node, 2, vote).send == []  # known: neither checked nor announced again


def test_a_vote_is_not_announced_to_peers_that_have_shown_that_they_have_it() -> None:
    node = HandNode(mining=False)
    for link in (1, 2, 3, 4, 5):
        node.meet(link)
    vote = make_vote(node.election)
    jobs = node.take(Received(1, Votes(votes=(vote.vote,)))).check
    node.receive(2, heard(vote))  # while it is being checked
    node.run(*(Checked(job, job.run()) for job in jobs))
    node.receive(3, heard(vote))
    relay(node, 4, vote)
    assert wait(node).send == [(5, told(vote))]


def test_a_vote_that_is_in_a_block_is_announced_no_more() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    relay(node, 1, make_vote(node.election))
    node.mine()
    assert sends(wait(node), HaveVotes) == []


def test_a_vote_that_a_client_and_a_peer_bring_at_once_is_not_sent_back_to_that_peer() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    vote = make_vote(node.election)
    jobs = node.take(Received(CLIENT, SubmitVotes(votes=(vote.vote,), id=1))).check
    assert node.take(Received(1, Votes(votes=(vote.vote,)))).check == []
    ready = node.run(*(Checked(job, job.run()) for job in jobs))
    assert sends(ready, Votes) == [(2, Votes(votes=(vote.vote,)))]
    assert sends(wait(node), HaveVotes) == []


def test_a_vote_that_is_submitted_again_and_again_goes_out_once() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    vote = make_vote(node.election)
    node.submit(vote)
    for _ in range(3):
        ready = node.receive(CLIENT, SubmitVotes(votes=(vote.vote, vote.vote), id=1))
        assert {link for link, _ in ready.send} == {CLIENT}


def test_votes_that_wait_to_be_looked_up_on_the_chain_are_reckoned_as_memory() -> None:
    node = HandNode()
    first, new = make_vote(node.election, "v", "Alice"), make_vote(node.election, "w", "Alice")
    node.submit(first)
    node.mine()
    ready = node.take(Received(CLIENT, SubmitVotes(votes=(first.vote, first.vote))))
    assert [question.size for question in ready.questions] == [2 * len(first.record)]
    ready = node.take(Received(CLIENT, SubmitVotes(votes=(first.vote, new.vote))))
    ready = node.take(*(Checked(job, job.run()) for job in ready.check))
    assert [question.size for question in ready.questions] == [len(first.record) + len(new.record)]


def test_an_answered_submission_is_freed_at_once() -> None:
    """In a circle of references thousands of votes waited for Python's search for garbage: 500 MB in 8 s."""
    node = HandNode()
    votes = make_votes(node.election, 3)
    node.submit(votes[0])
    node.mine()
    gc.collect()
    gc.disable()
    try:
        for number in range(20):
            node.receive(CLIENT, SubmitVotes(votes=tuple(hashed.vote for hashed in votes), id=number))
        kept = [found for found in gc.get_objects() if isinstance(found, Submission)]
    finally:
        gc.enable()
    assert len(kept) <= 1, "the last one"


def test_a_peer_that_relays_a_wrong_signature_is_refused_and_its_good_votes_count() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    good = make_votes(node.election, 3)
    ready = relay(node, 1, good[0], damaged(make_vote(node.election, "eve")), good[1], good[2])
    assert refused(ready) == [(1, "bad-signature")]
    assert waiting(node) == {vote.voter_id for vote in good}
    assert list(node.state.sync.peers) == [2]


def test_a_vote_that_was_checked_with_a_bad_one_is_not_closed_out() -> None:
    """While Eve's line is being checked an honest peer's copy is dropped: hers must do instead."""
    node = HandNode()
    node.meet(1), node.meet(2)
    vote, bad = make_vote(node.election), damaged(make_vote(node.election, "eve"))
    jobs = node.take(Received(1, Votes(votes=(bad.vote, vote.vote)))).check
    assert node.take(Received(2, Votes(votes=(vote.vote,)))).check == []
    node.run(*(Checked(job, job.run()) for job in jobs))
    assert waiting(node) == {vote.voter_id}


@pytest.mark.parametrize("code", ["network-mismatch", "unknown-candidate"])
def test_a_peer_that_relays_an_impossible_vote_is_refused(code: str) -> None:
    node = HandNode()
    node.meet(1)
    votes = {
        "network-mismatch": make_vote(make_election(title="another")),
        "unknown-candidate": make_vote(node.election, "v", "Zorro"),
    }
    assert refused(relay(node, 1, votes[code])) == [(1, code)]


def test_of_conflicting_relayed_votes_the_first_stands_without_a_refusal() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    first = make_vote(node.election, "v", "Alice")
    relay(node, 1, first)
    ready = relay(node, 2, make_vote(node.election, "v", "Bob"))
    assert refused(ready) == []
    assert node.state.pool.of_voter("v") == first


def test_a_new_peer_gets_an_announcement_of_waiting_votes() -> None:
    node = HandNode(mining=False)
    vote = make_vote(node.election)
    node.submit(vote)
    assert sends(node.meet(1), HaveVotes) == [(1, told(vote))]
    other = make_vote(node.election, "other")
    relay(node, 1, other)
    assert sends(node.meet(2), HaveVotes) == [(2, told(vote, other))]
    assert wait(node).send == []  # all have heard of it


def test_the_first_announcement_waits_until_blocks_are_known() -> None:
    node = HandNode(mining=False)
    vote, other = make_votes(node.election, 2)
    node.submit(vote, other)
    assert sends(node.meet(1, work=10**9), HaveVotes) == []
    block = mine_block(node.election, votes=[vote])
    node.receive(1, headers_of(block))
    ready = node.give(1, block)
    assert sends(ready, HaveVotes) == [(1, told(other))]


def test_an_announced_vote_is_asked_of_one_peer_and_after_a_while_of_the_other() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    vote = make_vote(node.election)
    handle = short_id(vote.id, PEER_SEED)
    assert asked(node.receive(1, heard(vote))) == [(1, handle)]
    assert node.receive(2, heard(vote)).send == []
    node.now += ASK_SECONDS
    assert asked(node.run(Tick())) == [(2, handle)]
    relay(node, 2, vote)
    assert node.receive(1, heard(vote)).send == []


def test_asked_votes_are_sent_as_far_as_they_wait_here() -> None:
    node = HandNode()
    node.meet(1)
    vote = make_vote(node.election)
    node.submit(vote)
    ids = bytes(8) + short_ids(vote, seed=SEED)
    assert sent(node.receive(1, GetVotes(ids=ids, id=5)), 1) == [Votes(votes=(vote.vote,), id=5)]
    assert node.receive(1, GetVotes(ids=bytes(8), id=6)).send == []


def test_two_votes_with_one_short_id_both_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them may not be asked for: it comes when its first node sends it, or with its block."""
    monkeypatch.setattr(xxhash, "xxh3_64_digest", lambda vote_id, seed: b"same 8 b")
    node = HandNode(mining=False)
    node.meet(1), node.meet(2)
    one, two = make_votes(node.election, 2)
    jobs = node.take(Received(1, Votes(votes=(one.vote, two.vote)))).check
    ready = node.run(*(Checked(job, job.run()) for job in jobs))
    assert refused(ready) == []
    assert waiting(node) == {one.voter_id, two.voter_id}
    assert node.receive(2, HaveVotes(ids=b"same 8 b" * 2)).send == []
    assert not node.core.votes.checking
    node.now += ANNOUNCE_SECONDS
    node.take(Tick())
    assert len(node.core.votes.inventory) == 0


def test_a_short_id_that_is_cut_is_refused() -> None:
    node = HandNode()
    node.meet(1), node.meet(2)
    assert refused(node.receive(1, HaveVotes(ids=bytes(24)))) == [(1, "bad-message")]
    assert refused(node.receive(1, GetVotes(ids=b""))) == []  # no peer any more: passed over
    assert refused(node.receive(2, GetVotes(ids=bytes(7)))) == [(2, "bad-message")]


def accepted_in_one_batch(node: HandNode, votes: list[HashedVote]) -> list[Message]:
    """Votes of clients whose checks end at one time: what the peer at link 1 is sent."""
    pieces = [votes[at : at + MAX_VOTES_IN_LINE] for at in range(0, len(votes), MAX_VOTES_IN_LINE)]
    messages = [SubmitVotes(votes=tuple(vote.vote for vote in piece)) for piece in pieces]
    return sent(node.finish(*node.take(*(Received(CLIENT, message) for message in messages)).check), 1)


def test_lines_of_long_votes_stay_within_the_limit_of_a_line() -> None:
    names = [f"{n:02d}" + "\U0001f5f3" * 60 for n in range(60)]
    node = HandNode(make_election(candidates=names, max_choices=60, method="approval"))
    node.meet(1)
    votes = [make_vote(node.election, f"v{n}", *names) for n in range(1200)]
    assert sum(len(vote.record) for vote in votes) > MAX_PEER_LINE
    pushed = accepted_in_one_batch(node, votes)
    assert max(len(encode_message(line)) for line in pushed) <= MAX_PEER_LINE
    asked = (votes[:MAX_VOTES_IN_LINE], votes[MAX_VOTES_IN_LINE:])
    lines = sent(node.receive(1, *(GetVotes(ids=short_ids(*some, seed=SEED)) for some in asked)), 1)
    assert max(len(encode_message(line)) for line in lines) <= MAX_PEER_LINE
    assert [vote for line in lines if isinstance(line, Votes) for vote in line.votes] == [
        v.vote for v in votes
    ]


def test_more_votes_than_fit_a_line_go_in_several() -> None:
    node = HandNode()
    node.meet(1)
    lines = accepted_in_one_batch(node, make_votes(node.election, MAX_VOTES_IN_LINE + 1))
    assert [len(line.votes) for line in lines if isinstance(line, Votes)] == [MAX_VOTES_IN_LINE, 1]


def test_a_vote_that_a_block_brought_meanwhile_is_not_taken_again() -> None:
    node = HandNode()
    node.meet(1)
    vote = make_vote(node.election)
    jobs = node.take(Received(CLIENT, SubmitVotes(votes=(vote.vote,), id=1))).check
    node.give(1, mine_block(node.election, votes=[vote], time=CREATED + 10))
    ready = node.run(*(Checked(job, job.run()) for job in jobs))
    (answer,) = sent(ready, CLIENT)
    assert isinstance(answer, VotesTaken)
    assert answer.outcomes[0].error is not None
    assert answer.outcomes[0].error["code"] == "duplicate-vote"
    assert len(node.state.pool) == 0


def told_of(node: HandNode) -> dict[int, int]:
    """Links, and how many votes a tick announces there."""
    return {link: len(m.ids) // ANNOUNCED for link, m in sends(node.take(Tick()), HaveVotes)}


def test_votes_are_not_announced_to_covered_peers() -> None:
    node = HandNode(mining=False)
    for link in (1, 2, 3):
        node.meet(link, key=f"peer {link}")
    node.receive(1, neighbours("us", "peer 2"))
    node.receive(2, neighbours("peer 1", "us"))
    first, second, third = make_votes(node.election, 3)
    relay(node, 1, first, second)
    node.receive(1, Votes(votes=(third.vote,), id=5))  # an answer: it was sent to no other node
    node.now += ANNOUNCE_SECONDS
    assert told_of(node) == {2: 1, 3: 3}
    node.receive(2, heard(first))
    node.now += COVERED_SECONDS - 1
    assert told_of(node) == {}
    node.now += 1
    assert told_of(node) == {2: 1}, "the other one has been withheld"
    assert len(node.core.votes.inventory) == 0


def test_a_neighbour_that_is_gone_covers_no_peer() -> None:
    node = HandNode(mining=False)
    for link in (1, 2):
        node.meet(link, key=f"peer {link}")
    node.receive(1, neighbours("us", "peer 2"))
    node.receive(2, neighbours("peer 1", "us"))
    relay(node, 1, make_vote(node.election))
    node.lose(1)
    node.now += ANNOUNCE_SECONDS
    assert told_of(node) == {2: 1}


def test_a_clock_that_is_set_back_does_not_hold_up_announcements() -> None:
    node = HandNode(mining=False)
    node.meet(1), node.meet(2)
    one, two = make_votes(node.election, 2)
    node.now += 86_400
    node.receive(1, Votes(votes=(one.vote,)))
    node.now -= 86_400
    node.receive(1, Votes(votes=(two.vote,)))
    told = 0
    for _ in range(2):
        told += sum(len(m.ids) for _, m in sends(node.take(Tick()), HaveVotes))
        node.now += ANNOUNCE_SECONDS
    assert told == 2 * ANNOUNCED

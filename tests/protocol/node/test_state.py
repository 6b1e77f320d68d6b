"""What the parts of a core share: the Ready being collected, jobs, and votes not yet on the disk."""

from __future__ import annotations

import pytest

from support.elections import make_vote, make_votes, mine_block
from support.nodes import HandNode, refused
from votenet.errors import Rejected, RemoteProtocolError, StorageError
from votenet.protocol.node.events import DropVotes, SaveVotes, Tick
from votenet.protocol.wire.peer_messages import Pong


def test_votes_saved_one_after_another_become_one_change() -> None:
    node = HandNode()
    one, two = make_votes(node.election, 2)
    node.state.save_votes([one])
    node.state.save_votes([two])
    assert node.core.ready(node.now).save == [SaveVotes([one, two])]


def test_a_vote_in_our_closing_list_waits_until_it_is_in_a_block_itself() -> None:
    node = HandNode()
    one, two = make_votes(node.election, 2)
    for vote in (one, two):
        node.state.pool.add(vote)
    node.state.listed = frozenset([one.id])
    voters = [one.voter_id, two.voter_id, "stranger"]
    assert node.state.drop_votes(voters) == 1
    assert list(node.state.pool) == [one]
    assert node.state.drop_votes(voters, settled=[one]) == 1
    assert node.core.ready(node.now).save == [DropVotes([two.id]), DropVotes([one.id])]


def test_every_kind_of_refusal_is_sent_as_a_protocol_error_and_ends_the_peer() -> None:
    node = HandNode()
    node.meet(1)
    node.state.refuse(1, Rejected("bad-work", "x"))
    node.state.refuse(2, RemoteProtocolError("bad-message", "y"))
    ready = node.core.ready(node.now)
    assert refused(ready) == [(1, "bad-work"), (2, "bad-message")]
    assert all(isinstance(error, RemoteProtocolError) for _, error in ready.refuse)
    assert node.state.sync.peers == {}


def test_messages_keep_their_order() -> None:
    node = HandNode()
    for number in range(3):
        node.state.send(number, Pong(id=number))
    assert node.core.ready(node.now).send == [(n, Pong(id=n)) for n in range(3)]


def test_every_job_gets_its_own_result() -> None:
    node, results = HandNode(), []
    for name in ("a", "b"):
        node.state.start_job(1, lambda: None, lambda result, now, name=name: results.append((name, result)))  # type: ignore[misc]
    jobs = node.take(Tick()).check
    for job, result in zip(reversed(jobs), (1, 2), strict=True):
        node.state.finish_job(job, result, node.now)
    assert results == [("b", 1), ("a", 2)]


def test_votes_of_a_block_come_from_memory_until_they_are_on_the_disk() -> None:
    node = HandNode()
    vote = make_vote(node.election)
    block = mine_block(node.election, votes=[vote])
    node.state.unsaved[block.header.hash] = block.votes
    assert node.state.votes_of(block.header.hash) == (vote,)
    node.core.saved()
    with pytest.raises(StorageError):
        node.state.votes_of(block.header.hash)

"""What the parts of a core share: the Ready being collected, jobs, and votes not yet on the disk."""

from __future__ import annotations

import pytest

from node_support import HandNode, refused
from support import make_vote, make_votes, mine_block
from votenet.errors import Rejected, RemoteProtocolError, StorageError
from votenet.protocol.events import SaveVotes
from votenet.protocol.messages import Pong


def test_votes_saved_one_after_another_become_one_change() -> None:
    node = HandNode()
    one, two = make_votes(node.election, 2)
    node.state.save_votes([one])
    node.state.save_votes([two])
    assert node.core.ready(node.now).save == [SaveVotes([one, two])]


def test_a_refusal_of_whatever_kind_leaves_as_the_protocols_error_and_ends_the_peer() -> None:
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
    jobs = node.core.ready(node.now).check
    for job, result in zip(reversed(jobs), (1, 2), strict=True):
        node.state.finish_job(job.id, result, node.now)
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

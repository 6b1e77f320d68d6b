"""Following votes at a real node: into a block, and to their confirmations."""

from __future__ import annotations

import asyncio
import socket
import time

from tests.cli.conftest import RunningNode

from support import make_vote
from votenet.cli.vote_follower import MAX_FOLLOWED, VoteFollower
from votenet.core.vote import SealedVote
from votenet.network.client import NodeClient
from votenet.protocol.address import Address
from votenet.protocol.messages import SubmitVotes, VotesTaken


def _vote(node: RunningNode, voter: str) -> SealedVote:
    return make_vote(node.election, voter, "Alice", time=node.election.definition.created)


async def _cast_and_follow(node: RunningNode, voters: list[str], follower: VoteFollower) -> None:
    async with asyncio.TaskGroup() as tasks, NodeClient(node.address) as client:
        running = tasks.create_task(follower.run())
        for voter in voters:
            vote, began = _vote(node, voter), time.monotonic()
            await client.ask(SubmitVotes(votes=(vote.vote,)), VotesTaken)
            follower.follow(vote.record, began)
            await follower.settle(20.0)
        running.cancel()


def test_votes_are_seen_in_their_block_and_confirmed_by_the_next(node: RunningNode) -> None:
    follower = VoteFollower([node.address], confirmations=2)
    asyncio.run(_cast_and_follow(node, ["one", "two", "three"], follower))
    assert follower.in_block.summary()["count"] == 3
    assert follower.confirmed.summary()["count"] in (2, 3), "after the last vote no more blocks come"
    assert follower.confirmed.longest >= follower.in_block.percentile(1)


def test_a_node_that_is_gone_is_passed_over(node: RunningNode) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = Address("127.0.0.1", free.getsockname()[1])
    follower = VoteFollower([dead, node.address], confirmations=1)
    asyncio.run(_cast_and_follow(node, ["past the dead"], follower))
    assert follower.confirmed.summary()["count"] == 1


def test_a_vote_that_never_comes_is_waited_for_only_so_long(node: RunningNode) -> None:
    async def wait() -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(follower.run())
            await follower.settle(0.1)
            running.cancel()

    follower = VoteFollower([node.address], confirmations=1)
    follower.follow(_vote(node, "never cast").record, time.monotonic())
    asyncio.run(wait())
    assert follower.in_block.summary()["count"] == 0


def test_it_follows_a_bounded_number(node: RunningNode) -> None:
    follower = VoteFollower([node.address], confirmations=1)
    record = _vote(node, "many").record
    for _ in range(MAX_FOLLOWED + 10):
        follower.follow(record, 0.0)
    assert len(follower._followed) == MAX_FOLLOWED


def test_another_vote_of_that_voter_is_not_taken_for_the_one_followed(node: RunningNode) -> None:
    async def cast(follower: VoteFollower) -> None:
        async with asyncio.TaskGroup() as tasks, NodeClient(node.address) as client:
            running = tasks.create_task(follower.run())
            await client.ask(SubmitVotes(votes=(_vote(node, "twice").vote,)), VotesTaken)
            lost = make_vote(node.election, "twice", "Bob", time=node.election.definition.created)
            follower.follow(lost.record, time.monotonic())
            await follower.settle(1.0)
            running.cancel()

    follower = VoteFollower([node.address], confirmations=1)
    asyncio.run(cast(follower))
    assert follower.in_block.summary()["count"] == 0

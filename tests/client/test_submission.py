"""A signed vote is handed to one node, and to the others where too few named nodes sign for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from support.elections import make_election, make_vote, named_nodes
from support.lying_node import Answer, lying_node, takes
from support.ports import free_port
from votenet.client.answers import fetch_election
from votenet.client.connection import NodeConnection
from votenet.client.failover import Work
from votenet.client.node_pool import NodePool
from votenet.client.submission import VoteSubmission, collect_acceptances
from votenet.errors import Rejected, Unreachable
from votenet.protocol.wire.address import Address

T = TypeVar("T")
ELECTION = make_election(nodes=named_nodes(4))
VOTE = make_vote(ELECTION)


def refuses(request: dict[str, Any]) -> dict[str, Any]:
    error = {"code": "closed", "message": "voting has ended", "closes": 7}
    return {"type": "votes_taken", "outcomes": [{"vote_id": VOTE.id.hex(), "error": error}]}


def hangs_up(request: dict[str, Any]) -> dict[str, Any]:
    raise ConnectionError


async def admit(node: NodeConnection) -> None:
    await fetch_election(node, ELECTION.network_hex)


class PooledNodes:
    """The nodes of a pool, in their order."""

    def __init__(self, pool: NodePool) -> None:
        self.addresses, self.each = pool.addresses, pool.each
        self._pool = pool

    async def run(self, work: Work[T]) -> T:
        return await self._pool.first(self.addresses, work)


def play(submits: Sequence[Answer | None], test: Callable[[NodePool], Awaitable[None]]) -> None:
    """`test` with a pool of nodes, each of which answers so when a vote is submitted; None: it is away."""

    async def main(addresses: Sequence[Address]) -> None:
        pool = NodePool(addresses, admit)
        async with asyncio.timeout(60):
            await test(pool)
            await pool.close()

    def answers(submit: Answer) -> Mapping[str, Answer]:
        return {"submit_votes": submit}

    with contextlib.ExitStack() as stack:
        addresses = [
            Address("127.0.0.1", free_port())
            if submit is None
            else stack.enter_context(lying_node(ELECTION, answers(submit)))
            for submit in submits
        ]
        asyncio.run(main(addresses))


def test_where_enough_have_signed_no_other_node_is_asked() -> None:
    async def test(pool: NodePool) -> None:
        submission = VoteSubmission(ELECTION, VOTE)
        taken = await submission.hand_in(PooledNodes(pool))
        assert taken.node == pool.addresses[0]
        assert sorted(taken.acceptances) == [0, 1, 2, 3]
        assert submission.maybe_taken

    play([takes(ELECTION, 0, 1, 2, 3), hangs_up], test)


def test_where_too_few_have_signed_it_goes_to_the_others_too() -> None:
    async def test(pool: NodePool) -> None:
        taken = await VoteSubmission(ELECTION, VOTE).hand_in(PooledNodes(pool))
        assert sorted(taken.acceptances) == [0, 2]
        found = await collect_acceptances(PooledNodes(pool), pool.addresses[1:], ELECTION, VOTE)
        assert sorted(found) == [2]

    play([takes(ELECTION, 0), hangs_up, None, takes(ELECTION, 2)], test)


@pytest.mark.parametrize(("first", "maybe"), [(None, False), (hangs_up, True)])
def test_a_refusal_says_whether_an_earlier_node_may_have_the_vote(first: Answer | None, maybe: bool) -> None:
    async def test(pool: NodePool) -> None:
        submission = VoteSubmission(ELECTION, VOTE)
        with pytest.raises(Rejected) as refused:
            await submission.hand_in(PooledNodes(pool))
        assert refused.value.code == "closed"
        assert submission.maybe_taken is maybe

    play([first, refuses], test)


def test_without_any_node_it_may_not_have_been_taken() -> None:
    async def test(pool: NodePool) -> None:
        submission = VoteSubmission(ELECTION, VOTE)
        with pytest.raises(Unreachable):
            await submission.hand_in(PooledNodes(pool))
        assert not submission.maybe_taken

    play([None, None], test)

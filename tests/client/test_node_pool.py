"""A kept connection to each node: fail-over, all at once, a node that hangs, and one of another network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from support.elections import make_election
from support.lying_node import lying_node
from support.peers import served
from support.ports import free_port
from votenet.client.answers import fetch_election
from votenet.client.connection import NodeConnection
from votenet.client.node_pool import NodePool
from votenet.errors import NotRunning, Rejected, Unreachable, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus

ELECTION = make_election()


def closed_port() -> Address:
    return Address("127.0.0.1", free_port())


async def admit(node: NodeConnection) -> None:
    await fetch_election(node, ELECTION.network_hex)


async def where(node: NodeConnection) -> Address:
    await node.ask(GetStatus(), NodeStatus)
    return node.address


def play(pool: NodePool, test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            try:
                await test()
            finally:
                await pool.close()

    asyncio.run(main())


def test_the_first_node_that_answers_is_asked() -> None:
    with lying_node(ELECTION, {}) as one, lying_node(ELECTION, {}) as two:
        pool = NodePool([closed_port(), one], admit)
        assert pool.add([one, two, two]) == [two]

        async def test() -> None:
            assert await pool.first(pool.addresses, where) == one
            assert await pool.first(pool.addresses[::-1], where) == two

        play(pool, test)


def test_each_node_is_asked_over_one_kept_connection() -> None:
    seen: set[NodeConnection] = set()

    async def note(node: NodeConnection) -> Address:
        seen.add(node)
        return await where(node)

    with lying_node(ELECTION, {}) as one, lying_node(ELECTION, {}) as two:
        pool = NodePool([one, two, closed_port()], admit)

        async def test() -> None:
            for _ in range(3):
                answers = await pool.each(pool.addresses, note)
                assert [answer for _, answer in answers][:2] == [one, two]
                assert isinstance(answers[2][1], Unreachable)
            assert len(seen) == 2

        play(pool, test)


def test_a_node_that_hangs_is_left_for_another() -> None:
    async def test(good: Address) -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with served(say_nothing) as silent, asyncio.timeout(60):
            pool = NodePool([silent, good], admit, answer_timeout=3.0)
            assert await pool.first(pool.addresses, where) == good
            await pool.close()

    with lying_node(ELECTION, {}) as good:
        asyncio.run(test(good))


def test_a_node_of_another_network_is_passed_over() -> None:
    with lying_node(make_election(title="Other"), {}) as other, lying_node(ELECTION, {}) as one:
        pool = NodePool([other, one], admit)

        async def test() -> None:
            assert await pool.first(pool.addresses, where) == one
            with pytest.raises(Rejected, match="another network"):
                await pool.at(other, where)

        play(pool, test)


def test_a_node_that_talks_nonsense_is_passed_over() -> None:
    unreadable = {"get_status": lambda _: {"type": "node_status", "height": "high"}}
    with lying_node(ELECTION, unreadable) as bad, lying_node(ELECTION, {}) as one:
        pool = NodePool([bad, one], admit)

        async def test() -> None:
            assert await pool.first(pool.addresses, where) == one

        play(pool, test)


def test_a_refusal_for_good_is_not_tried_elsewhere() -> None:
    async def refuse(node: NodeConnection) -> None:
        asked.append(node.address)
        raise Rejected("bad-vote", "no")

    asked: list[Address] = []
    with lying_node(ELECTION, {}) as one, lying_node(ELECTION, {}) as two:
        pool = NodePool([one, two], admit)

        async def test() -> None:
            with pytest.raises(VotenetError, match="no"):
                await pool.first(pool.addresses, refuse)
            assert asked == [one]

        play(pool, test)


def test_without_any_node_it_says_so() -> None:
    pool = NodePool([], admit)

    async def test() -> None:
        with pytest.raises(NotRunning):
            await pool.first(pool.addresses, where)

    play(pool, test)


def test_the_quickest_of_all_is_taken_though_others_are_silent_or_refuse() -> None:
    async def test(good: Address) -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async def refused_elsewhere(node: NodeConnection) -> Address:
            if node.address != good:
                raise Rejected("bad-vote", "no")
            return await where(node)

        async with served(say_nothing) as silent, asyncio.timeout(60):
            with lying_node(ELECTION, {}) as refusing:
                pool = NodePool([silent, refusing, closed_port(), good], admit, answer_timeout=3600.0)
                assert await pool.quickest(pool.addresses, refused_elsewhere) == good
                with pytest.raises(Rejected, match="no"):
                    await pool.quickest([refusing], refused_elsewhere)
                with pytest.raises(NotRunning):
                    await pool.quickest([], where)
                await pool.close()

    with lying_node(ELECTION, {}) as good:
        asyncio.run(test(good))


def test_a_node_that_was_removed_is_not_asked_and_has_no_connection() -> None:
    with lying_node(ELECTION, {}) as one, lying_node(ELECTION, {}) as two:
        pool = NodePool([one, two], admit)

        async def test() -> None:
            used: list[NodeConnection] = []

            async def remove_it(node: NodeConnection) -> Address:
                used.append(node)
                await pool.remove(one)
                return await where(node)

            await pool.at(one, where)
            # The first connection ends with the removal; the question is then asked once over another.
            assert await pool.at(one, remove_it) == one
            assert [node.broken for node in used] == [True, True]
            assert pool.addresses == [two]
            with pytest.raises(Unreachable, match="any more"):
                await pool.at(one, where)
            assert await pool.first([one, two], where) == two

        play(pool, test)

"""Events: of a real node, of one that dies, of branches that replace each other, of nodes that lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from tests.cli.conftest import RunningNode

from support.elections import (
    TRIVIAL_BITS,
    Ledger,
    key_of,
    make_election,
    make_votes,
    mine_block,
    mine_header,
    named_nodes,
)
from support.lying_node import Answer, lying_node, status_info
from votenet.client.election_client import AsyncElectionClient
from votenet.client.watch import BlockAdded, BlockRemoved, ElectionEvent, VoteMoved
from votenet.core.ledger.block import Block
from votenet.errors import NotProven, Unreachable
from votenet.protocol.wire.peer_messages import MAX_HEADERS

ELECTION = make_election(bits=TRIVIAL_BITS)
VOTES = make_votes(ELECTION, 4)


def branch(*bodies: int) -> list[Block]:
    """A branch from genesis; the number of votes in each block tells branches apart."""
    ledger = Ledger(ELECTION)
    return [ledger.grow(*VOTES[first : first + 1], time=ELECTION.definition.created + 10) for first in bodies]


def telling(blocks: Callable[[], list[Block]], page_size: int = MAX_HEADERS) -> dict[str, Answer]:
    """The answers of a node that has these blocks now, and knows of no vote."""

    def status(_: object) -> dict[str, Any]:
        chain = blocks()
        tip = chain[-1].header.hash.hex() if chain else Ledger(ELECTION).chain.genesis.hash.hex()
        return status_info(ELECTION) | {"tip": tip, "height": len(chain)}

    def headers(request: dict[str, Any]) -> dict[str, Any]:
        hashes = [block.header.hash.hex() for block in blocks()]
        start = next((hashes.index(one) + 1 for one in request["locator"] if one in hashes), 0)
        page = blocks()[start : start + page_size]
        return {"type": "headers", "headers": [block.header.pack().hex() for block in page]}

    def vote_status(request: dict[str, Any]) -> dict[str, Any]:
        return {"type": "vote_status", "voter_id": request["voter_id"], "state": "unknown"}

    return {"get_status": status, "get_headers": headers, "get_vote_status": vote_status}


async def take(events: AsyncGenerator[ElectionEvent, None], count: int) -> list[ElectionEvent]:
    async with asyncio.timeout(60):
        return [await anext(events) for _ in range(count)]


def shown(events: list[ElectionEvent]) -> list[tuple[str, int | None]]:
    return [(type(event).__name__, getattr(event, "height", None)) for event in events]


def test_a_vote_is_followed_into_its_block(node: RunningNode) -> None:
    async def main() -> list[ElectionEvent]:
        async with AsyncElectionClient(node.address) as election:
            events = election.watch("watched", interval=0.02)
            found = await take(events, 2)
            await election.cast("watched", "Alice", key=key_of("watched"))
            while not isinstance(found[-1], VoteMoved) or found[-1].state != "in_block":
                found += await take(events, 1)
            await events.aclose()
            return found

    first, second, *more = asyncio.run(main())
    assert isinstance(first, BlockAdded)
    assert isinstance(second, VoteMoved)
    assert (second.state, second.block) == ("unknown", None)
    last = more[-1]
    assert isinstance(last, VoteMoved)
    assert last.block in [event.hash for event in more if isinstance(event, BlockAdded)]
    assert last.confirmations == 1


def test_every_new_block_is_told_once_in_order() -> None:
    blocks = branch(0, 1, 2)
    now = blocks[:1]

    async def main() -> list[ElectionEvent]:
        async with AsyncElectionClient(node) as election:
            events = election.watch(interval=0)
            found = await take(events, 1)
            now[:] = blocks
            return found + await take(events, 2)

    with lying_node(ELECTION, telling(lambda: now)) as node:
        found = asyncio.run(main())
    assert shown(found) == [("BlockAdded", 1), ("BlockAdded", 2), ("BlockAdded", 3)]
    assert [event.hash for event in found] == [  # type: ignore[union-attr]
        block.header.hash.hex() for block in blocks
    ]


def test_a_branch_with_more_work_takes_blocks_away() -> None:
    old, new = branch(0, 1), branch(0, 2, 3)
    now = old

    async def main() -> list[ElectionEvent]:
        nonlocal now
        async with AsyncElectionClient(node) as election:
            events = election.watch(interval=0)
            found = await take(events, 1)
            now = new
            return found + await take(events, 3)

    with lying_node(ELECTION, telling(lambda: now)) as node:
        found = asyncio.run(main())
    assert shown(found) == [("BlockAdded", 2), ("BlockRemoved", 2), ("BlockAdded", 2), ("BlockAdded", 3)]
    removed, added = found[1:3]
    assert isinstance(removed, BlockRemoved)
    assert isinstance(added, BlockAdded)
    assert removed.hash == old[1].header.hash.hex()
    assert added.hash == new[1].header.hash.hex()


def test_it_goes_on_at_another_node_and_one_that_is_behind_takes_nothing_away() -> None:
    blocks = branch(0, 1, 2)
    alive, asked = [True], list[str]()
    first = telling(lambda: blocks[:2])

    def while_alive(name: str) -> Answer:
        def answer(request: dict[str, Any]) -> dict[str, Any]:
            if not alive:
                raise ConnectionError
            return first[name](request)

        return answer

    def catching_up() -> list[Block]:
        asked.append("")
        return blocks[:1] if len(asked) < 6 else blocks

    async def main() -> list[ElectionEvent]:
        async with AsyncElectionClient([dying, node]) as election:
            events = election.watch("voter-1", interval=0)
            found = await take(events, 2)
            alive.clear()
            return found + await take(events, 1)

    with (
        lying_node(ELECTION, {name: while_alive(name) for name in first}) as dying,
        lying_node(ELECTION, telling(catching_up)) as node,
    ):
        found = asyncio.run(main())
    assert shown(found) == [("BlockAdded", 2), ("VoteMoved", None), ("BlockAdded", 3)]
    assert [event.node for event in found] == [str(dying), str(dying), str(node)]


def test_a_chain_of_more_headers_than_one_answer_holds() -> None:
    blocks = branch(0)
    while len(blocks) < MAX_HEADERS + 5:
        blocks.append(mine_block(ELECTION, blocks[-1].header, (), bits=ELECTION.bits))

    async def main() -> list[ElectionEvent]:
        async with AsyncElectionClient(node) as election:
            return await take(election.watch(), 1)

    with lying_node(ELECTION, telling(lambda: blocks)) as node:
        assert shown(asyncio.run(main())) == [("BlockAdded", MAX_HEADERS + 5)]


def test_named_nodes_that_were_away_cut_their_answers_short_and_are_asked_again() -> None:
    named = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))
    blocks = [mine_block(named)]
    while len(blocks) < 6:
        blocks.append(mine_block(named, blocks[-1].header))

    async def main() -> list[ElectionEvent]:
        async with AsyncElectionClient(node) as election:
            return await take(election.watch(), 1)

    with lying_node(named, telling(lambda: blocks, page_size=2)) as node:
        assert shown(asyncio.run(main())) == [("BlockAdded", 6)]


def test_headers_that_break_the_rules_are_not_believed() -> None:
    (good,) = branch(0)
    easy = Block(mine_header(good.header._replace(bits=ELECTION.bits - 1)), good.votes)
    hanging = Block(mine_header(good.header._replace(previous=bytes(32))), good.votes)

    async def main() -> None:
        async with AsyncElectionClient(node) as election:
            await take(election.watch(), 1)

    for bad in (easy, hanging):
        with lying_node(ELECTION, telling(lambda bad=bad: [bad])) as node:  # type: ignore[misc]
            with pytest.raises(NotProven) as refused:
                asyncio.run(main())
            assert refused.value.code == "wrong-answer"


def test_without_any_answer_it_ends_after_some_patience() -> None:
    async def main() -> None:
        async with AsyncElectionClient(node) as election:
            events = election.watch(interval=0, patience=0.1)
            await take(events, 1)
            alive.clear()
            await take(events, 1)

    alive = [True]

    def status(request: dict[str, Any]) -> dict[str, Any]:
        if not alive:
            raise ConnectionError
        return telling(list)["get_status"](request)

    with lying_node(ELECTION, telling(list) | {"get_status": status}) as node, pytest.raises(Unreachable):
        asyncio.run(main())

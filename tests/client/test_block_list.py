"""Lists of blocks as a client reads them: what a node cannot make up, and a real node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from tests.cli.conftest import RunningNode

from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    commit_of,
    make_election,
    mine_block,
    named_nodes,
)  # fmt: skip
from support.lying_node import Answer, lying_node, status_info
from votenet.client.block_list import (
    TRIES,
    Bodies,
    ShownChain,
    fetch_bodies,
    fetch_chains,
    follow_chain,
    observer,
)
from votenet.client.sync_client import ElectionClient
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Header, genesis_header
from votenet.errors import NotProven, Unreachable, VotenetError

ELECTION = make_election(bits=TRIVIAL_BITS)
GENESIS = genesis_header(ELECTION)


def grow(header: Header, count: int, *, time: int = CREATED + 1) -> list[Header]:
    found = [header]
    for _ in range(count):
        found.append(mine_block(ELECTION, found[-1], time=time).header)
    return found[1:]


BEST = [GENESIS, *grow(GENESIS, 120)]
SIDE = grow(BEST[118], 1, time=CREATED + 9)


def listed(headers: Sequence[Header]) -> list[dict[str, Any]]:
    return [{"header": header.pack().hex()} for header in headers]


def shows(best: Sequence[Header] = BEST, **fields: Any) -> dict[str, Answer]:
    """A node with this chain, which tells beside it what `fields` says."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        first, count = request.get("first", 0), request.get("count", 50)
        told = {"first": first, "height": len(best) - 1, "blocks": listed(best[first : first + count])}
        return {"type": "block_list", "time": 1.0} | told | fields

    return {
        "get_status": lambda _: {**status_info(ELECTION), "height": len(best) - 1},
        "get_block_list": answer,
    }


def look(
    answers: dict[str, Answer], last: int = 20, election: Election = ELECTION
) -> ShownChain | VotenetError:
    with lying_node(election, answers) as address:
        ((_, found),) = asyncio.run(fetch_chains([address], election, last))
    return found


@pytest.mark.parametrize("last", [1, 20, 50, 51, 120, 121, 500])
def test_the_last_blocks_come_in_as_many_pages_as_it_takes(last: int) -> None:
    found = look(shows(), last)
    assert isinstance(found, ShownChain)
    assert [one.header for one in found.blocks] == BEST[-last:]
    assert [one.height for one in found.blocks] == list(range(len(BEST)))[-last:]
    assert (found.tip, found.height, found.final_height) == (BEST[-1].hash.hex(), 120, None)


def test_a_branch_beside_the_best_one_gets_its_height_from_the_block_that_it_stands_on() -> None:
    found = look(shows(aside=listed(SIDE)))
    assert isinstance(found, ShownChain)
    (side,) = [one for one in found.blocks if not one.best]
    assert (side.height, side.previous) == (119, BEST[118].hash.hex())


WORTHLESS = BEST[3]._replace(nonce=BEST[3].nonce + 1)


@pytest.mark.parametrize(
    "answers",
    [
        shows([GENESIS._replace(time=1), *BEST[1:]]),
        shows([*BEST[:3], *BEST[4:]]),
        shows([*BEST[:3], BEST[3]._replace(bits=0)]),
        shows(aside=listed([SIDE[0]._replace(bits=0x1D00FFFF)])),
        shows(aside=listed([SIDE[0]._replace(previous=bytes(32))])),
        shows(aside=listed(grow(Header(2, bytes(32), bytes(32), 1, TRIVIAL_BITS, 7), 1))),
    ],
    ids=["another-genesis", "a-gap", "no-target", "no-work", "beside-genesis", "on-nothing"],
)
def test_blocks_that_do_not_hold_are_a_lie_of_the_node(answers: dict[str, Answer]) -> None:
    found = look(answers, 200)
    assert isinstance(found, NotProven)
    assert found.code == "wrong-answer"


def test_a_node_whose_chain_never_ends_is_not_read_without_end() -> None:
    asked: list[int] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        first = request["first"]
        asked.append(first)
        assert len(asked) <= 2 * TRIES, "read without end"
        told = {"first": first, "height": first + 1000, "blocks": listed(BEST[1:51])}
        return {"type": "block_list", "time": 1.0} | told

    found = look({**shows(), "get_block_list": answer}, last=20)
    assert isinstance(found, Unreachable)
    assert "changes while it is read" in found.message
    assert asked == [101, 151] * TRIES


@pytest.mark.parametrize("first", [0, 100, 102])
def test_other_blocks_than_those_asked_for_are_a_lie_of_the_node(first: int) -> None:
    found = look(shows(first=first), last=20)
    assert isinstance(found, NotProven)
    assert f"blocks from {first} on" in found.message


def test_a_chain_that_changes_all_the_time_is_given_up() -> None:
    found = look(shows(blocks=[]))
    assert isinstance(found, Unreachable)
    assert "changes while it is read" in found.message


def test_a_commit_names_who_has_signed_and_a_false_one_is_a_lie() -> None:
    election = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))
    first = mine_block(election).header
    best = [genesis_header(election), first]
    commit = commit_of(election, first, 1)
    answers = shows(best)
    for signatures, holds in (
        (commit.signatures, True),
        (dict.fromkeys(commit.signatures, "00" * 64), False),
    ):
        block = {**listed([first])[0], "commit": {"round": 0, "signatures": signatures}}
        told = {"first": 0, "height": 1, "blocks": [*listed(best[:1]), block]}
        answers["get_block_list"] = lambda _, told=told: {"type": "block_list", "time": 1.0} | told  # type: ignore[misc]
        answers["get_checkpoint"] = lambda _: {"type": "checkpoint"}
        found = look(answers, election=election)
        if holds:
            assert isinstance(found, ShownChain)
            assert (found.blocks[1].round, len(found.blocks[1].signers)) == (0, len(commit.signatures))
        else:
            assert isinstance(found, NotProven)


def test_a_real_node_is_followed_with_what_its_blocks_hold(node: RunningNode) -> None:
    votes = [f"voter-{number}" for number in range(3)]

    async def read() -> tuple[ShownChain, Bodies]:
        bodies: Bodies = {}
        looks = follow_chain([node.address], node.election, 20, 0.05, bodies)
        async with aclosing(looks), asyncio.timeout(60):
            async for chain in looks:
                if sum(body.votes for body in bodies.values()) == len(votes):
                    return chain, bodies
        raise AssertionError

    with ElectionClient(str(node.address)) as client:
        for voter in votes:
            client.cast(voter, "Alice")
    chain, bodies = asyncio.run(read())
    assert all(block.own for block in chain.blocks if block.height)
    again: Bodies = {}

    async def fetch() -> None:
        async with observer(node.address, node.election) as reader:
            await fetch_bodies(reader, chain.blocks, again)
            await fetch_bodies(reader, chain.blocks, again)

    asyncio.run(fetch())
    assert again == bodies


def test_a_node_that_is_gone_is_left_for_the_next_and_the_last_one_fails(node: RunningNode) -> None:
    nobody = node.address._replace(port=1)

    async def first(*addresses: Any) -> ShownChain:
        async with aclosing(follow_chain(addresses, node.election, 5, 0.05, {})) as looks:
            return await anext(looks)

    assert asyncio.run(first(nobody, node.address)).address == node.address
    with pytest.raises(Unreachable):
        asyncio.run(first(nobody, nobody))

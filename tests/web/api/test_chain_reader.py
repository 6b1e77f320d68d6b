"""Reading the chain of nodes: once, then what is new; other branches; nodes that fail or lie meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec
import pytest
from tests.client.test_observer import BLOCKS, ELECTION, Answers, Honest, peer

from support.elections import (
    TRIVIAL_BITS,
    commit_of,
    make_election,
    make_votes,
    mine_block,
    mine_named,
    named_nodes,
)
from support.ports import free_port
from votenet.client.failover import Work
from votenet.client.node_pool import NodePool
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, Header, genesis_header
from votenet.core.ledger.statement import Commit
from votenet.errors import Rejected, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.peer_messages import GetBlocks, GetHeaders, Headers
from votenet.web.api import chain_reader
from votenet.web.api.chain_reader import ChainReader

T = TypeVar("T")
NAMED = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))


def decided(bodies: int, first: int = 0) -> list[Block]:
    """Blocks of named nodes, with a vote in each."""
    blocks: list[Block] = []
    for height in range(1, bodies + 1):
        parent = blocks[-1].header if blocks else genesis_header(NAMED)
        blocks.append(mine_named(NAMED, parent, height, make_votes(NAMED, 1, first=first + height)))
    return blocks


DECIDED = decided(30)


class Node(Honest):
    """A node with these blocks, which finds the first hash of a locator that it knows. Counts questions."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__(blocks)
        self.asked: list[Message] = []

    def __call__(self, message: Message) -> Sequence[Message | VotenetError]:
        self.asked.append(message)
        if isinstance(message, GetHeaders):
            known = {header.previous.hex() for header in self.headers}
            known |= {header.hash.hex() for header in self.headers}
            first = next(text for text in message.locator if text in known)
            message = GetHeaders(locator=(first,), id=message.id)
        return super().__call__(message)

    def blocks_asked(self) -> int:
        return sum(isinstance(message, GetBlocks) for message in self.asked)


class NamedNode(Node):
    """A named node: headers come with the commit of the last one."""

    def __call__(self, message: Message) -> Sequence[Message | VotenetError]:
        answers = super().__call__(message)
        if not isinstance(message, GetHeaders):
            return answers
        (answer,) = answers
        assert isinstance(answer, Headers)
        if not answer.headers:
            return answers
        height = next(n for n, one in enumerate(self.headers, 1) if one.pack().hex() == answer.headers[-1])
        return [msgspec.structs.replace(answer, commit=self.commit(height))]

    def commit(self, height: int) -> Commit | None:
        return commit_of(NAMED, self.headers[height - 1], height)


class View:
    """As much of a live view as a reader needs."""

    def __init__(self, addresses: Sequence[Address], election: Election) -> None:
        self.addresses = list(addresses)
        self.snapshot = SimpleNamespace(election=election)
        self.log = SimpleNamespace(newest=None)
        self.pool = NodePool(addresses, lambda node: asyncio.sleep(0))

    async def ask(self, work: Work[T], *, other_than: Collection[Address] = ()) -> T:
        return await self.pool.first(sorted(self.addresses, key=lambda one: one in other_than), work)


def play(
    nodes: Sequence[Answers | None],
    scenario: Callable[[View, ChainReader], Awaitable[None]],
    election: Election = ELECTION,
) -> None:
    """Without waiting between two updates. None: a node that is away."""

    async def main() -> None:
        async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
            addresses = [
                Address("127.0.0.1", free_port())
                if node is None
                else await stack.enter_async_context(peer(node, election.network_hex))
                for node in nodes
            ]
            view: Any = View(addresses, election)
            stack.push_async_callback(view.pool.close)
            await scenario(view, ChainReader(view))

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_reader, "FRESH_SECONDS", -1.0)


def test_the_chain_is_read_once_and_then_what_is_new() -> None:
    node = Node(BLOCKS[:5])

    async def scenario(view: View, reader: ChainReader) -> None:
        first, again = await asyncio.gather(reader.index(), reader.index())
        assert first is again
        assert (first.height, first.tip) == (5, BLOCKS[4].header.hash)
        assert node.blocks_asked() == 5
        node.__init__(BLOCKS)  # type: ignore[misc]
        assert (await reader.index()).height == len(BLOCKS)
        assert node.blocks_asked() == len(BLOCKS) - 5

    play([node], scenario)


def test_a_body_is_fetched_when_it_is_shown_and_kept_for_a_while() -> None:
    node = Node(BLOCKS)

    async def scenario(view: View, reader: ChainReader) -> None:
        await reader.index()
        before = node.blocks_asked()
        for height in (3, 3, 4):
            assert await reader.block(height) == BLOCKS[height - 1]
        assert node.blocks_asked() == before + 2
        assert [block async for block in reader.blocks(2, 6)] == BLOCKS[1:6]
        with pytest.raises(IndexError):
            await reader.block(len(BLOCKS) + 1)

    play([node], scenario)


def test_each_block_is_the_one_that_was_asked_for_however_many_are_read_at_a_time() -> None:
    """More blocks than are kept, read again and again, one reader beside another."""
    ids = [block.votes[0].id for block in DECIDED]

    async def read(reader: ChainReader, first: int, last: int) -> list[bytes]:
        return [block.votes[0].id async for block in reader.blocks(first, last)]

    async def scenario(view: View, reader: ChainReader) -> None:
        await reader.index()
        for _ in range(3):
            assert await read(reader, 1, 30) == ids
        await reader.block(10)
        assert await read(reader, 1, 12) == ids[:12]
        spans = [(1, 12), (5, 20), (1, 30), (9, 17)]
        found = await asyncio.gather(*(read(reader, *span) for span in spans))
        assert found == [ids[first - 1 : last] for first, last in spans]
        assert [(await reader.block(height)).votes[0].id for height in range(1, 31)] == ids

    play([NamedNode(DECIDED)], scenario, NAMED)


def test_a_named_node_that_was_away_cuts_its_answers_short_and_is_asked_again() -> None:
    class Away(NamedNode):
        page = 7

    async def scenario(view: View, reader: ChainReader) -> None:
        assert (await reader.index()).tip == DECIDED[-1].header.hash

    play([Away(DECIDED)], scenario, NAMED)


def test_blocks_that_named_nodes_have_not_decided_are_those_of_a_liar() -> None:
    forged = decided(40, first=500)

    class Undecided(NamedNode):
        def commit(self, height: int) -> Commit | None:
            return None

    class Elsewhere(NamedNode):
        def commit(self, height: int) -> Commit | None:
            return commit_of(NAMED, DECIDED[0].header, 1)

    async def scenario(view: View, reader: ChainReader) -> None:
        assert (await reader.index()).tip == DECIDED[-1].header.hash
        view.addresses.reverse()  # the honest one is asked first
        assert (await reader.index()).tip == DECIDED[-1].header.hash

    for liar in (Undecided(forged), Elsewhere(forged), Node(forged)):
        play([liar, NamedNode(DECIDED)], scenario, NAMED)


def test_without_named_nodes_the_difficulty_may_change() -> None:
    harder = mine_block(ELECTION, BLOCKS[-1].header, bits=0x20200000)

    async def scenario(view: View, reader: ChainReader) -> None:
        assert (await reader.index()).tip == harder.header.hash

    play([Node([*BLOCKS, harder])], scenario)


def test_a_node_that_hides_signed_blocks_keeps_them_from_nobody() -> None:
    async def scenario(view: View, reader: ChainReader) -> None:
        view.log.newest = SimpleNamespace(size=1 + 2 * len(DECIDED))
        assert (await reader.index()).height == len(DECIDED)

    play([NamedNode(DECIDED[:3]), NamedNode(DECIDED)], scenario, NAMED)


def test_a_body_that_does_not_hold_comes_from_the_next_node() -> None:
    """One whose votes are not those of its header, or that names another miner than the one who signed it."""
    others = [block._replace(votes=make_votes(NAMED, 1, first=700)) for block in DECIDED]
    parent = genesis_header(NAMED)
    stolen = mine_named(NAMED, parent, 2, DECIDED[0].votes).extras.miner  # of another height
    unsigned = [block._replace(extras=block.extras._replace(miner=stolen)) for block in DECIDED]

    async def scenario(view: View, reader: ChainReader) -> None:
        assert (await reader.index()).height == len(DECIDED)
        assert (await reader.block(7)).votes == DECIDED[6].votes

    for false in (others, unsigned):
        play([NamedNode(false), NamedNode(DECIDED)], scenario, NAMED)


def test_within_a_second_no_node_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_reader, "FRESH_SECONDS", 3600.0)
    node = Node(BLOCKS)

    async def scenario(view: View, reader: ChainReader) -> None:
        for _ in range(5):
            await reader.index()
        assert sum(isinstance(message, GetHeaders) for message in node.asked) == 1

    play([node], scenario)


def test_a_longer_branch_takes_the_place_of_a_shorter_one_and_never_the_other_way() -> None:
    other = mine_block(ELECTION, BLOCKS[2].header, make_votes(ELECTION, 1, first=900))
    longer = [*BLOCKS[:3], other, mine_block(ELECTION, other.header)]
    node = Node(BLOCKS[:4])

    async def scenario(view: View, reader: ChainReader) -> None:
        assert (await reader.index()).tip == BLOCKS[3].header.hash
        node.__init__(longer)  # type: ignore[misc]
        assert (await reader.index()).tip == longer[-1].header.hash
        node.__init__(BLOCKS[:4])  # type: ignore[misc]
        assert (await reader.index()).tip == longer[-1].header.hash

    play([node], scenario)


def test_the_next_node_goes_on_where_one_fails() -> None:
    honest, asked = Node(BLOCKS), 0

    def breaks(message: Message) -> Sequence[Message | VotenetError]:
        nonlocal asked
        asked += isinstance(message, GetBlocks)
        return honest(message) if asked < 4 else [Rejected("busy", "come back later")]

    async def scenario(view: View, reader: ChainReader) -> None:
        index = await reader.index()
        assert (index.height, index.tip) == (len(BLOCKS), BLOCKS[-1].header.hash)

    play([None, breaks, Node(BLOCKS)], scenario)


class Held:
    """An observer whose blocks come once `go` is set."""

    go, is_open, opened = asyncio.Event(), 0, 0

    def __init__(self, *_: object, **__: object) -> None:
        pass

    async def __aenter__(self) -> Held:
        Held.is_open, Held.opened = Held.is_open + 1, Held.opened + 1
        return self

    async def __aexit__(self, *_: object) -> None:
        Held.is_open -= 1

    async def blocks(self, headers: Sequence[Header]) -> AsyncIterator[Block]:
        assert Held.is_open <= 4
        await Held.go.wait()
        for header in headers:
            yield next(block for block in BLOCKS if block.header == header)


@pytest.mark.parametrize(
    ("readers", "at_once"),
    [
        (["127.0.0.1"] * 8, 4),
        (["10.0.0.1"] * 8, 2),
        (["10.0.0.1"] * 6 + ["10.0.0.2", "10.0.0.3"], 4),
    ],
)
def test_blocks_are_fetched_over_four_connections_of_which_one_client_has_two_at_most(
    monkeypatch: pytest.MonkeyPatch, readers: list[str], at_once: int
) -> None:
    Held.go, Held.is_open, Held.opened = asyncio.Event(), 0, 0

    async def scenario(view: View, reader: ChainReader) -> None:
        await reader.index()
        monkeypatch.setattr(chain_reader, "Observer", Held)
        async with asyncio.TaskGroup() as tasks:
            reads = [tasks.create_task(reader.block(n, who)) for n, who in enumerate(readers, start=1)]
            for _ in range(20):  # all that can go on goes on
                await asyncio.sleep(0)
            assert Held.is_open == at_once
            Held.go.set()
        assert [read.result() for read in reads] == BLOCKS[:8]
        assert Held.opened == 8

    play([Node(BLOCKS)], scenario)


def test_headers_that_do_not_hold_are_those_of_a_liar() -> None:
    lie = Node([BLOCKS[0], BLOCKS[1]._replace(header=BLOCKS[1].header._replace(bits=0x03000001))])

    async def scenario(view: View, reader: ChainReader) -> None:
        with pytest.raises(VotenetError) as refused:
            await reader.index()
        assert refused.value.code == "wrong-answer"

    play([lie], scenario)


def test_without_any_node_it_says_so() -> None:
    async def scenario(view: View, reader: ChainReader) -> None:
        with pytest.raises(VotenetError) as refused:
            await reader.index()
        assert refused.value.code == "unreachable"

    play([None, None], scenario)


def test_an_empty_chain_is_genesis_alone() -> None:
    async def scenario(view: View, reader: ChainReader) -> None:
        assert (await reader.index()).height == 0

    play([Honest([])], scenario)

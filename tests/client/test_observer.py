"""Observer against a peer that shakes hands as a node does, and then tells the truth or lies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
import pytest

from support.elections import (
    TRIVIAL_BITS,
    commit_of,
    key_of,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    mine_header,
    named_nodes,
)
from support.nodes import block_message
from votenet.client.observer import BLOCKS_AHEAD, Observer
from votenet.core.ledger.block import Block, Header, header_from_hex, votes_root
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Rejected, RemoteProtocolError, VotenetError
from votenet.network.transport import error_line
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.message import LinkRole, Message
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import MAX_HEADERS, GetBlocks, GetHeaders, Headers, NoBlock, Ping

ELECTION = make_election(bits=TRIVIAL_BITS)
NAMED = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))
Answers = Callable[[Message], Sequence[Message | VotenetError]]


def grow(bodies: Sequence[Sequence[HashedVote]]) -> list[Block]:
    blocks: list[Block] = []
    for body in bodies:
        blocks.append(mine_block(ELECTION, blocks[-1].header if blocks else None, body))
    return blocks


BLOCKS = grow([make_votes(ELECTION, 1 + n % 3, first=10 * n) for n in range(3 * BLOCKS_AHEAD)])


class Honest:
    """Answers as a node does that has these blocks."""

    page = MAX_HEADERS
    """Headers in an answer."""

    def __init__(self, blocks: Sequence[Block] = BLOCKS) -> None:
        self.headers = [block.header for block in blocks]
        self.bodies = {block.header.hash.hex(): block for block in blocks}

    def __call__(self, message: Message) -> Sequence[Message | VotenetError]:
        if isinstance(message, GetHeaders):
            places = {header.previous.hex(): index for index, header in enumerate(self.headers)}
            start = places.get(message.locator[0], len(self.headers))
            found = self.headers[start : start + self.page]
            return [Headers(headers=tuple(h.pack().hex() for h in found), id=message.id)]
        if isinstance(message, GetBlocks):
            return [block_message(self.bodies[text]) for text in message.hashes]
        return []


@contextlib.asynccontextmanager
async def peer(answers: Answers, network_hex: str = ELECTION.network_hex) -> AsyncIterator[Address]:
    """A server that shakes hands, announces a block unasked, pings, and answers."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        identity = LocalNode(key_of("node"), network_hex, "node:1")
        connection = Connection(identity, outbound=False, challenge=bytes(32))
        peer_info = False
        try:
            while line := await reader.readline():
                message, shakes = connection.receive(line[:-1], 0, 0)
                out: list[Message | VotenetError] = list(shakes)
                if not peer_info and connection.role is LinkRole.PEER:
                    peer_info = True
                    out += [Headers(headers=(BLOCKS[-1].header.pack().hex(),)), Ping(id=3)]
                if message is not None:
                    out += answers(message)
                for answer in out:
                    is_error = isinstance(answer, VotenetError)
                    writer.write((error_line(answer) if is_error else encode_message(answer)) + b"\n")
        except RemoteProtocolError as error:
            writer.write(error_line(error) + b"\n")
        finally:
            with contextlib.suppress(ConnectionError):
                writer.close()
                await writer.wait_closed()
            done.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
        await asyncio.wait_for(done.wait(), 60)


def read(
    answers: Answers, network_hex: str = ELECTION.network_hex, answer_timeout: float = 60.0
) -> tuple[list[Header], list[Block]]:
    async def main() -> tuple[list[Header], list[Block]]:
        async with (
            asyncio.timeout(60),
            peer(answers, network_hex) as address,
            Observer(address, ELECTION, answer_timeout=answer_timeout) as found,
        ):
            headers = await found.headers()
            return headers, [block async for block in found.blocks(headers)]

    return asyncio.run(main())


def test_it_reads_headers_and_blocks_in_order() -> None:
    headers, blocks = read(Honest())
    assert headers == [block.header for block in BLOCKS]
    assert blocks == BLOCKS
    assert read(Honest([])) == ([], [])


def test_a_chain_of_more_headers_than_one_answer_holds() -> None:
    long = grow([()] * (MAX_HEADERS + 5))
    honest = Honest(long)

    async def main() -> list[Header]:
        async with asyncio.timeout(60), peer(honest) as address, Observer(address, ELECTION) as found:
            return await found.headers()

    assert asyncio.run(main()) == honest.headers


def test_named_nodes_that_were_away_cut_their_answers_short_and_are_asked_again() -> None:
    class Away(Honest):
        """It has the commit of every second block, which an answer ends with."""

        page = 2

        def __call__(self, message: Message) -> Sequence[Message | VotenetError]:
            answers = super().__call__(message)
            if not answers or not isinstance(answer := answers[0], Headers) or not answer.headers:
                return answers
            last = header_from_hex(answer.headers[-1])
            commit = commit_of(NAMED, last, 1 + self.headers.index(last))
            return [msgspec.structs.replace(answer, commit=commit)]

    blocks = [mine_block(NAMED)]
    while len(blocks) < 6:
        blocks.append(mine_block(NAMED, blocks[-1].header))

    async def main() -> list[Header]:
        async with (
            asyncio.timeout(60),
            peer(Away(blocks), NAMED.network_hex) as address,
            Observer(address, NAMED) as found,
        ):
            return await found.headers()

    assert asyncio.run(main()) == [block.header for block in blocks]


def _instead(kind: type[Message], lie: Callable[[Message], Sequence[Message | VotenetError]]) -> Answers:
    honest = Honest()
    return lambda message: lie(message) if isinstance(message, kind) else honest(message)


def _headers(*headers: Header) -> Answers:
    packed = tuple(header.pack().hex() for header in headers)
    return _instead(GetHeaders, lambda m: [Headers(headers=packed, id=getattr(m, "id", None))])


def _block_with(votes: Sequence[HashedVote]) -> Answers:
    """The first block's header over other votes."""
    false = Block(BLOCKS[0].header, tuple(votes))
    return _instead(GetBlocks, lambda m: [block_message(false)])


def _forged() -> Answers:
    """A block that is well mined over a vote that breaks a rule."""
    bad = make_vote(ELECTION, "mallory", "Nobody")
    header = mine_header(BLOCKS[0].header._replace(merkle_root=votes_root([bad])))
    honest = Honest([Block(header, (bad,))])
    return honest


FIRST, SECOND = BLOCKS[0].header, BLOCKS[1].header
LIES: dict[str, tuple[str, Answers]] = {
    "a chain that hangs in the air": ("broken-chain", _headers(SECOND)),
    "a chain with a hole": ("broken-chain", _headers(FIRST, BLOCKS[2].header)),
    "headers that are easier than all of the election": (
        "bad-bits",
        _headers(mine_header(FIRST._replace(bits=0x2100FFFF))),
    ),
    "headers without work": ("bad-work", _headers(FIRST._replace(bits=0x03000001))),
    "a block that is not there": ("not-found", _instead(GetBlocks, lambda m: [NoBlock(hash="00" * 32)])),
    "another block": ("unexpected-message", _instead(GetBlocks, lambda m: [block_message(BLOCKS[1])])),
    "a vote left out": ("bad-merkle-root", _block_with([])),
    "a forged vote": ("unknown-candidate", _forged()),
    "an error line": ("busy", _instead(GetBlocks, lambda m: [Rejected("busy", "come back later")])),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_peer_that_lies_is_found_out(lie: str) -> None:
    code, answers = LIES[lie]
    with pytest.raises(VotenetError) as caught:
        read(answers)
    assert caught.value.code == code


def test_a_chain_that_named_nodes_have_not_decided_is_not_read() -> None:
    """It costs nothing to make, and would have no end."""

    async def main() -> None:
        async with (
            asyncio.timeout(60),
            peer(Honest([mine_block(NAMED)]), NAMED.network_hex) as address,
            Observer(address, NAMED) as found,
        ):
            await found.headers()

    with pytest.raises(Rejected) as refused:
        asyncio.run(main())
    assert refused.value.code == "bad-commit"


def test_a_node_of_another_election_refuses() -> None:
    with pytest.raises(VotenetError) as caught:
        read(Honest(), network_hex="ab" * 32)
    assert caught.value.code == "network-mismatch"


def test_silence_has_an_end() -> None:
    with pytest.raises(VotenetError) as caught:
        read(lambda message: [], answer_timeout=0.5)
    assert caught.value.code == "unreachable"

"""NodeConnection against a server that follows a script: answers, refusals, silence, nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from support.ports import free_port
from votenet.client.connection import NodeConnection
from votenet.errors import Rejected, RemoteProtocolError, Unreachable, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.peer_messages import GetPeers, Peers, Ping, Pong

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[NodeConnection]:
    """A client that is connected to a server which does what the script says, then closes."""

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        async with NodeConnection(Address("127.0.0.1", server.sockets[0].getsockname()[1])) as client:
            yield client
        await asyncio.wait_for(served.wait(), 60)


async def request(reader: asyncio.StreamReader) -> dict[str, object]:
    found = json.loads(await reader.readline())
    assert isinstance(found, dict)
    return found


def play(script: Script, test: Callable[[NodeConnection], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), scripted(script) as client:
            await test(client)

    asyncio.run(main())


def fails_with(script: Script, kind: type[VotenetError], code: str) -> None:
    """A ping to this script fails so, and the next one too."""

    async def test(client: NodeConnection) -> None:
        for _ in range(2):
            with pytest.raises(kind) as caught:
                await client.ask(Ping(), Pong)
            assert type(caught.value) is kind
            assert caught.value.code == code

    play(script, test)


def test_answers_find_their_questions_in_any_order() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one, two = await request(reader), await request(reader)
        for asked in (two, one):
            answer = (
                {"type": "peers", "addresses": ["a:1"]} if asked["type"] == "get_peers" else {"type": "pong"}
            )
            writer.write(json.dumps({**answer, "id": asked["id"]}).encode() + b"\n")
        await reader.read()

    async def test(client: NodeConnection) -> None:
        async with asyncio.TaskGroup() as tasks:
            pong = tasks.create_task(client.ask(Ping(), Pong))
            peers = tasks.create_task(client.ask(GetPeers(), Peers))
        assert isinstance(pong.result(), Pong)
        assert peers.result().addresses == ("a:1",)

    play(script, test)


def test_an_error_line_with_a_known_code_is_a_refusal() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b'{"error":{"code":"busy","message":"later"}}\n')
        await reader.read()

    fails_with(script, Rejected, "busy")


def test_an_error_line_with_a_new_code_keeps_it() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b'{"error":{"code":"from-next-year","message":"?"}}\n')
        await reader.read()

    fails_with(script, VotenetError, "from-next-year")


def test_all_waiting_calls_learn_of_a_closed_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)

    fails_with(script, Unreachable, "unreachable")


def test_a_line_that_is_no_message_ends_the_conversation() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"\xff\xfe nonsense\n")
        await reader.read()

    fails_with(script, RemoteProtocolError, "bad-json")


def test_another_answer_than_asked_for_is_not_expected() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(b'{"type":"peers","addresses":[],"id":%d}\n' % json.loads(line)["id"])

    fails_with(script, RemoteProtocolError, "unexpected-message")


def test_answers_to_no_question_are_passed_over() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await request(reader)
        writer.write(
            b'{"type":"pong"}\n{"type":"pong","id":4711}\n{"type":"no_block","hash":"%s"}\n' % (b"00" * 32)
        )
        writer.write(b'{"type":"pong","id":%d}\n' % asked["id"])
        await reader.read()

    async def test(client: NodeConnection) -> None:
        assert isinstance(await client.ask(Ping(), Pong), Pong)

    play(script, test)


def test_silence_times_out_and_a_late_answer_disturbs_no_call() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, second = await request(reader), await request(reader)
        writer.write(b'{"type":"pong","id":%d}\n{"type":"pong","id":%d}\n' % (first["id"], second["id"]))
        await reader.read()

    async def test(client: NodeConnection) -> None:
        with pytest.raises(Unreachable, match="no answer within"):
            await client.ask(Ping(), Pong, timeout=0.05)
        assert isinstance(await client.ask(Ping(), Pong), Pong)

    play(script, test)


def test_a_client_that_is_not_connected_says_so() -> None:
    async def main() -> None:
        with pytest.raises(Unreachable, match="not connected"):
            await NodeConnection(Address("127.0.0.1", 1)).ask(Ping(), Pong)
        port = free_port()
        with pytest.raises(Unreachable):
            async with NodeConnection(Address("127.0.0.1", port)):
                pytest.fail("nothing listens there")

    asyncio.run(main())

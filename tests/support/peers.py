"""Peers for the bootstrap server's tests: real listeners that answer, stay silent, or prove a key."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from votenet.core.keys import SigningKey
from votenet.errors import RemoteProtocolError
from votenet.network.listener import stop_accepting
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.messages import encode_message

PATIENCE = 60.0
"""Longer than any one thing here takes; a test that waits this long has failed."""
ALL_PATIENCE = 5 * PATIENCE
"""For a whole test: some make hundreds of connections, one after the other."""


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine; an exception that reached the event loop fails it, too."""
    escaped: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        async with asyncio.timeout(ALL_PATIENCE):
            await test()

    asyncio.run(main())
    assert escaped == []


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something holds; `run` ends it when it never does."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


@contextlib.contextmanager
def deaf() -> Iterator[Address]:
    """A socket whose queue of connections is full: the next one gets no answer at all."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
            # The first fills the queue, once it is in it.
            assert select.select([listening], [], [], PATIENCE)[0]
        yield Address("127.0.0.1", listening.getsockname()[1])


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def served(talk: Talk, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Address]:
    """Where each connection is handled by `talk`, and closed behind it; at the end all that are open are cut.

    An end of a connection while `talk` reads or writes ends it without a word.
    """
    open_ones: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        open_ones.discard(writer)

    server = await asyncio.start_server(handle, host, port)
    try:
        yield Address(host, server.sockets[0].getsockname()[1])
    finally:
        await stop_accepting([server])
        while open_ones:
            for writer in open_ones:
                writer.transport.abort()
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def listening(
    answer: Callable[[bytes], bytes], host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[Address, list[bytes]]]:
    """A peer that answers each line of a connection with `answer(line)`; and the lines it got."""
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            got.append(line)
            writer.write(answer(line))

    async with served(talk, host, port) as address:
        yield address, got


def greeting(key: SigningKey, network_hex: str) -> Callable[[bytes], bytes]:
    """For `listening`: answers `hello` as a node of this key and network does, and all else with a pong."""

    def answer(line: bytes) -> bytes:
        connection = Connection(LocalNode(key, network_hex, ""), outbound=False, challenge=os.urandom(32))
        try:
            _, lines = connection.receive(line.rstrip(b"\n"), 0, 0)
        except RemoteProtocolError as error:
            return b'{"error":{"code":"%s","message":""}}\n' % error.code.encode()
        return b"".join(encode_message(message) + b"\n" for message in lines) or b'{"type":"pong"}\n'

    return answer

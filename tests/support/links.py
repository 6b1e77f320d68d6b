"""Both ends of a connection, recorded."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from support.peers import ALL_PATIENCE
from votenet.errors import VotenetError
from votenet.network.link_limits import LinkLimits
from votenet.network.listener import Listener
from votenet.network.transport import Link
from votenet.protocol.wire.address import Address

LIMITS = LinkLimits(max_line=1000)


class Recorder:
    """Remembers what it is told; `on_line` decides what a server does with a line."""

    def __init__(self, on_line: Callable[[Link, bytes], None] | None = None) -> None:
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.ends: asyncio.Queue[VotenetError | None] = asyncio.Queue()
        self.links: list[Link] = []
        self._on_line = on_line or (lambda link, line: link.send_line(b"echo " + line))

    def link_opened(self, link: Link) -> None:
        self.links.append(link)

    def line_received(self, link: Link, line: bytes) -> None:
        self.lines.put_nowait(line)
        self._on_line(link, line)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self.ends.put_nowait(reason)


def run(test: Callable[[], Awaitable[None]]) -> None:
    escaped: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        async with asyncio.timeout(ALL_PATIENCE):
            await test()

    asyncio.run(main())
    assert escaped == []


@contextlib.asynccontextmanager
async def listening(handler: Recorder, limits: LinkLimits = LIMITS, **caps: Any) -> AsyncIterator[Address]:
    async with Listener(handler, Address("127.0.0.1", 0), limits, **caps) as listener:
        yield listener.address


async def code_at_end(reader: asyncio.StreamReader) -> str:
    return str(json.loads((await reader.read()).splitlines()[-1])["error"]["code"])

"""The page's server over real sockets, with nodes or without."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

import httpx

from votenet.core.election.roll import Roll
from votenet.protocol.wire.address import Address
from votenet.storage.genesis_file import read_genesis
from votenet.web.live_view import LiveView
from votenet.web.serving.server import serve_page
from votenet.web.settings import WebSettings

PATIENT: Final = {"dial_timeout": 60.0, "status_timeout": 60.0, "answer_timeout": 60.0}
"""Arguments of a LiveView in a test: no node is given up because the machine is busy."""


class Page(NamedTuple):
    address: Address
    view: LiveView
    client: httpx.AsyncClient

    async def exchange(self, request: bytes) -> bytes:
        """All that the server answers to these bytes until it closes, or cuts the connection.

        It cuts one that it closes before it has read all of them.
        """
        reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        writer.write(request)
        answer = await read_to_end(reader)
        writer.close()
        return answer


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side closes the connection, or cuts it."""
    parts: list[bytes] = []
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(1 << 20):
            parts.append(part)
    return b"".join(parts)


@contextlib.asynccontextmanager
async def serving(*nodes: Address, roll: Roll | None = None, **settings: Any) -> AsyncIterator[Page]:
    """A page at a free port; with nodes, as soon as one of them has answered."""
    given = replace(WebSettings(port=0, nodes=nodes), **settings)
    genesis = None if given.genesis is None else read_genesis(given.genesis)
    known = {"genesis": genesis, "network_id": given.network_id, "roll": roll}
    view = LiveView(nodes, bootstrap=given.bootstrap, **known, **PATIENT)
    async with view, serve_page(view, given) as address:
        if nodes:
            await view.changed(None)
        scheme = "https" if given.tls else "http"
        async with httpx.AsyncClient(
            base_url=f"{scheme}://{address}", timeout=60, trust_env=False, verify=not given.tls
        ) as client:
            yield Page(address, view, client)


async def until(holds: Callable[[], object]) -> None:
    """Wait for a condition of objects of this process."""
    while not holds():  # noqa: ASYNC110  nothing tells of all of them
        await asyncio.sleep(0.01)


def play(scenario: Callable[[Page], Awaitable[None]], *nodes: Address, **settings: Any) -> None:
    """Run a scenario against a page of its own."""

    async def main() -> None:
        async with asyncio.timeout(120), serving(*nodes, **settings) as page:
            await scenario(page)

    asyncio.run(main())

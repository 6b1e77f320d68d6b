"""HTTP/1.1 over one kept connection, as a browser speaks it: what the benches of the page need."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from votenet.protocol.wire.address import Address

ANSWER_SECONDS = 60.0


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Requests to one server, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader, self._writer, self._host = reader, writer, host

    async def get(self, path: str, *headers: str) -> Answer:
        return await self._ask(f"GET {path} HTTP/1.1", headers, b"")

    async def post(self, path: str, body: bytes) -> Answer:
        """As a script of the page itself sends it."""
        own = (
            f"Origin: http://{self._host}",
            "Sec-Fetch-Site: same-origin",
            "Content-Type: application/json",
        )
        return await self._ask(f"POST {path} HTTP/1.1", (*own, f"Content-Length: {len(body)}"), body)

    async def stream(self, path: str) -> asyncio.StreamReader:
        """A stream of events, after its headers."""
        self._send(f"GET {path} HTTP/1.1", ("Accept: text/event-stream",), b"")
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)
        assert head.startswith(b"HTTP/1.1 200 "), head
        return self._reader

    async def _ask(self, line: str, headers: tuple[str, ...], body: bytes) -> Answer:
        self._send(line, headers, body)
        return await asyncio.wait_for(self._read(), ANSWER_SECONDS)

    def _send(self, line: str, headers: tuple[str, ...], body: bytes) -> None:
        head = "\r\n".join((line, f"Host: {self._host}", *headers, "", ""))
        self._writer.write(head.encode() + body)

    async def _read(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                body += (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readexactly(2)
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(first.split()[1]), headers, body)


@contextlib.asynccontextmanager
async def connected(address: Address) -> AsyncIterator[Http]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield Http(reader, writer, str(address))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

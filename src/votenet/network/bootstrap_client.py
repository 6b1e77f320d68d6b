"""A client of the bootstrap port: register, list, remove (S5).

What lives here: one request on one connection, as the chapter's client does, and many on one
connection for imports. What must not: retries and the choice among several servers (the callers').
It works with the chapter's own server too, as far as that goes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from votenet.errors import Unreachable, VotenetError
from votenet.network.transport import Link, LinkLimits, connect
from votenet.protocol.address import Address
from votenet.protocol.bootstrap_messages import (
    MAX_PAGE,
    KnownPeer,
    decode_peers,
    decode_stats,
    decode_text,
    encode_request,
)
from votenet.protocol.peer_record import SignedRecord, SignedRemoval

DIAL_SECONDS: Final = 10.0
"""As the chapter's client: longer than any healthy connection takes, shorter than a person's patience."""
MAX_LIST_LINE: Final = 64 * 1024 * 1024
"""Longest answer read: the chapter's server sends a million peers in one line of 35 MB."""
PIPELINED: Final = 500
"""Requests sent ahead of their answers: 50 KB, well within the socket buffers of both sides."""


async def register(bootstrap: Address, payload: str | SignedRecord, timeout: float = DIAL_SECONDS) -> str:
    """Register an address (`host:port`, unkeyed) or a signed record; the server's answer line.

    Args:
        timeout: seconds for the connection, and again for the answer.

    Raises:
        Unreachable: no connection, or no answer in time.
        Rejected: with the server's code, e.g. not-owner, bad-address, stale-record.
        RemoteProtocolError: the other side is no bootstrap server.
    """
    return decode_text(await _ask(bootstrap, encode_request("REGISTER", payload), timeout))


async def remove(bootstrap: Address, payload: str | SignedRemoval, timeout: float = DIAL_SECONDS) -> str:
    """Remove an address or, with a signed removal, oneself; the server's answer line.

    Raises: as `register`; Rejected with code still-alive when a keyed peer still answers.
    """
    return decode_text(await _ask(bootstrap, encode_request("REMOVE", payload), timeout))


async def get_peers(
    bootstrap: Address, *, sample: int | None = None, timeout: float = DIAL_SECONDS
) -> list[KnownPeer]:
    """The chapter's list (all, or a sample of very many), or a random `sample` with node keys.

    Raises: as `register`.
    """
    payload: object = "" if sample is None else {"sample": sample}
    return decode_peers(await _ask(bootstrap, encode_request("GET_PEERS", payload), timeout)).peers


async def get_stats(bootstrap: Address, timeout: float = DIAL_SECONDS) -> dict[str, Any]:
    """The server's own numbers (docs/protocol-bootstrap.md). Raises: as `register`."""
    return decode_stats(await _ask(bootstrap, encode_request("GET_STATS"), timeout))


async def ping(peer: Address, timeout: float = DIAL_SECONDS) -> float:
    """Seconds in which a node answers a ping, the connection included. Raises: Unreachable."""
    began = time.perf_counter()
    await _ask(peer, b'{"type":"ping"}', timeout)
    return time.perf_counter() - began


async def all_peers(
    bootstrap: Address, *, page: int = MAX_PAGE, timeout: float = DIAL_SECONDS
) -> AsyncIterator[KnownPeer]:
    """Every registered peer in the order of registration, fetched page by page. Raises: as `register`."""
    cursor: int | None = 0
    while cursor is not None:
        request = encode_request("GET_PEERS", {"limit": page, "after": cursor})
        answer = decode_peers(await _ask(bootstrap, request, timeout))
        for peer in answer.peers:
            yield peer
        cursor = answer.next


async def register_many(
    bootstrap: Address, addresses: Sequence[str], timeout: float = DIAL_SECONDS
) -> list[str | VotenetError]:
    """Register addresses over one connection, pipelined; for each the answer or the refusal.

    Raises: Unreachable when the connection fails in between: those before it may be registered.
    """
    answers: list[str | VotenetError] = []
    lines = _Lines()
    link = await connect(lines, bootstrap, LinkLimits(max_line=MAX_LIST_LINE), timeout=timeout)
    try:
        for start in range(0, len(addresses), PIPELINED):
            some = addresses[start : start + PIPELINED]
            for address in some:
                link.send_line(encode_request("REGISTER", address, keep_open=True))
            for _ in some:
                line = await lines.next(bootstrap, timeout)
                try:
                    answers.append(decode_text(line))
                except VotenetError as error:
                    answers.append(error)
    finally:
        await lines.end(link)
    return answers


async def _ask(bootstrap: Address, request: bytes, timeout: float) -> bytes:
    """One line there, one line back."""
    lines = _Lines()
    link = await connect(lines, bootstrap, LinkLimits(max_line=MAX_LIST_LINE), timeout=timeout)
    try:
        link.send_line(request)
        return await lines.next(bootstrap, timeout)
    finally:
        await lines.end(link)


class _Lines:
    """LinkHandler: lines into a queue; the end of the link is a None."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._reason: VotenetError | None = None
        self._gone = asyncio.Event()

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        self._queue.put_nowait(line)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self._reason = reason
        self._queue.put_nowait(None)
        self._gone.set()

    async def end(self, link: Link) -> None:
        """Close it now: every answer that was wanted has come, and nothing is left to the end of the loop."""
        link.abort()
        await self._gone.wait()

    async def next(self, bootstrap: Address, timeout: float) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                line = await self._queue.get()
        except TimeoutError as error:
            raise Unreachable(f"{bootstrap} gave no answer within {timeout:g} s") from error
        if line is None:
            why = f": {self._reason.message}" if self._reason is not None else ""
            raise Unreachable(f"{bootstrap} closed the connection without an answer{why}")
        return line


__all__ = ["KnownPeer", "all_peers", "get_peers", "get_stats", "ping", "register", "register_many", "remove"]

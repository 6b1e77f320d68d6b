"""A client of the bootstrap port: register, list, remove. It works with the reference server, too."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from votenet.errors import Unreachable, VotenetError
from votenet.network.link_limits import LinkLimits
from votenet.network.resolver import LineQueue
from votenet.network.transport import Link, connect
from votenet.protocol.bootstrap.bootstrap_messages import (
    MAX_ANSWER_LINE,
    MAX_PAGE,
    KnownPeer,
    decode_peers,
    decode_stats,
    decode_text,
    encode_request,
)
from votenet.protocol.bootstrap.peer_record import SignedRecord, SignedRemoval
from votenet.protocol.wire.address import Address

SERVER_SECONDS: Final = 10.0
"""As the reference client: longer than any healthy connection takes, shorter than a person's patience."""
MAX_LIST_LINE: Final = 64 * 1024 * 1024
"""Longest list read: the reference server sends a million peers in one line of 35 MB."""
PIPELINED: Final = 500
"""Requests sent ahead of their answers: 50 KB, well within the socket buffers of both sides."""


async def register(bootstrap: Address, payload: str | SignedRecord) -> str:
    """Register an address (`host:port`, unkeyed) or a signed record; the server's answer line.

    Raises:
        Unreachable: no connection, or no answer in time.
        Rejected: with the server's code, e.g. not-owner, bad-address, stale-record.
        RemoteProtocolError: the other side is no bootstrap server.
    """
    return decode_text(await _ask(bootstrap, encode_request("REGISTER", payload)))


async def remove(bootstrap: Address, payload: str | SignedRemoval, timeout: float = SERVER_SECONDS) -> str:
    """Remove an address or, with a signed removal, oneself; the server's answer line.

    `timeout`: seconds for the connection, and again for the answer.

    Raises: as `register`; Rejected with code still-alive when a keyed peer still answers.
    """
    return decode_text(await _ask(bootstrap, encode_request("REMOVE", payload), timeout))


async def get_peers(
    bootstrap: Address,
    *,
    sample: int | None = None,
    most: int | None = None,
    max_line: int = MAX_LIST_LINE,
    timeout: float = SERVER_SECONDS,
) -> list[KnownPeer]:
    """The plain list (all, or a sample of very many), or a random `sample` with node keys.

    Args:
        most: so many entries of a longer list are kept, by chance: the reference server sends no samples.
        max_line: bytes of the longest list that is read.

    Raises: as `register`.
    """
    payload: object = "" if sample is None else {"sample": sample}
    line = await _ask(bootstrap, encode_request("GET_PEERS", payload), timeout, max_line)

    def some(peers: list[KnownPeer]) -> list[KnownPeer]:
        return peers if most is None or len(peers) <= most else random.SystemRandom().sample(peers, most)

    return decode_peers(line, some).peers


async def get_stats(bootstrap: Address) -> dict[str, Any]:
    """The server's own numbers (docs/protocol-bootstrap.md). Raises: as `register`."""
    return decode_stats(await _ask(bootstrap, encode_request("GET_STATS")))


async def ping(peer: Address, timeout: float = SERVER_SECONDS) -> float:
    """Seconds in which a node answers a ping, the connection included. Raises: Unreachable."""
    began = time.perf_counter()
    await _ask(peer, b'{"type":"ping"}', timeout)
    return time.perf_counter() - began


async def all_peers(bootstrap: Address, *, page: int = MAX_PAGE) -> AsyncIterator[KnownPeer]:
    """Every registered peer in the order of registration, fetched page by page. Raises: as `register`."""
    cursor: int | None = 0
    while cursor is not None:
        request = encode_request("GET_PEERS", {"limit": page, "after": cursor})
        line = await _ask(bootstrap, request, max_line=MAX_LIST_LINE)
        answer = await asyncio.to_thread(decode_peers, line)  # a server without pages sends a million
        for peer in answer.peers:
            yield peer
        cursor = answer.next


async def register_many(bootstrap: Address, addresses: Sequence[str]) -> list[str | VotenetError]:
    """Register addresses over one connection, pipelined; for each the answer or the refusal.

    Raises: Unreachable when the connection fails in between: those before it may be registered.
    """
    answers: list[str | VotenetError] = []
    async with _connected(bootstrap, SERVER_SECONDS) as (link, lines):
        for start in range(0, len(addresses), PIPELINED):
            some = addresses[start : start + PIPELINED]
            for address in some:
                link.send_line(encode_request("REGISTER", address, keep_open=True))
            for _ in some:
                line = await _next(lines, bootstrap, SERVER_SECONDS)
                try:
                    answers.append(decode_text(line))
                except VotenetError as error:
                    answers.append(error)
    return answers


async def _ask(
    bootstrap: Address, request: bytes, timeout: float = SERVER_SECONDS, max_line: int = MAX_ANSWER_LINE
) -> bytes:
    """One line there, one line back."""
    async with _connected(bootstrap, timeout, max_line) as (link, lines):
        link.send_line(request)
        return await _next(lines, bootstrap, timeout)


@contextlib.asynccontextmanager
async def _connected(
    bootstrap: Address, timeout: float, max_line: int = MAX_ANSWER_LINE
) -> AsyncIterator[tuple[Link, LineQueue]]:
    lines = LineQueue()
    link = await connect(lines, bootstrap, LinkLimits(max_line=max_line), timeout=timeout)
    try:
        yield link, lines
    finally:
        await lines.abort(link)


async def _next(lines: LineQueue, bootstrap: Address, timeout: float) -> bytes:
    try:
        line = await lines.next(timeout)
    except TimeoutError as error:
        raise Unreachable(f"{bootstrap} gave no answer within {timeout:g} s") from error
    if line is None:
        why = f": {lines.reason.message}" if lines.reason is not None else ""
        raise Unreachable(f"{bootstrap} closed the connection without an answer{why}")
    return line

"""A reader of somebody else's chain: joins one node as a peer that neither listens nor mines.

What lives here: Observer, headers and blocks over the peer protocol, each checked against its header.
What must not: signatures, counting, files (`votenet export` writes, `votenet audit` checks all of it).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Final

from votenet.core.block import Block, Header, check_body, check_sequence, genesis_header, header_from_hex
from votenet.core.election import Election
from votenet.core.keys import SigningKey
from votenet.core.vote import SealedVote, seal_all
from votenet.errors import Rejected, RemoteProtocolError, Unreachable, VotenetError
from votenet.network.client import ANSWER_SECONDS, refusal_in
from votenet.network.transport import Link, LinkLimits, connect
from votenet.protocol.address import Address
from votenet.protocol.connection import Connection, Identity
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.messages import (
    MAX_HEADERS,
    BlockMessage,
    GetBlocks,
    GetHeaders,
    Headers,
    Message,
    NoBlock,
    Ping,
    Pong,
    Role,
    encode_message,
)

BLOCKS_AHEAD: Final = 4
"""Blocks asked for before the first of them is handed out: 32 MiB at most, and no waiting in between."""


class Observer:
    """An open link to one node; an async context manager.

    Raises (on entry):
        Unreachable: nothing listens there, or it does not finish the handshake in time.
        Rejected: it refused, with its code; network-mismatch if it belongs to another election.
    """

    def __init__(self, address: Address, election: Election, *, dial_timeout: float = 10.0) -> None:
        self.address, self.election = address, election
        self._dial_timeout = dial_timeout
        identity = Identity(SigningKey(os.urandom(32)), election.network_hex, listen="", mines=False)
        self._connection = Connection(identity, outbound=True, challenge=os.urandom(32))
        self._link: Link | None = None
        self._asked = 0
        self._arrived: deque[Message] = deque()
        self._error: VotenetError | None = None
        self._news = asyncio.Event()
        self._gone = asyncio.Event()

    async def __aenter__(self) -> Observer:
        limits = LinkLimits(max_line=MAX_PEER_LINE)
        self._link = await connect(self, self.address, limits, timeout=self._dial_timeout)
        try:
            await self._until(lambda: self._connection.role is Role.PEER)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    # -- what it reads -------------------------------------------------------------------------

    async def headers(self) -> list[Header]:
        """The best branch of the node now, from genesis' successor to its tip: links and work hold.

        Raises:
            Rejected: broken-chain, bad-bits, bad-work; the headers do not hang together.
            Unreachable: the link broke, or an answer did not come in time.
        """
        found: list[Header] = []
        tip = genesis_header(self.election).hash
        while True:
            self._asked += 1
            self._send(GetHeaders(locator=(tip.hex(),), id=self._asked))
            answer = await self._next()
            assert isinstance(answer, Headers)
            headers = [header_from_hex(text) for text in answer.headers]
            if headers and headers[0].previous != tip:
                raise Rejected("broken-chain", f"the chain at {self.address} changed meanwhile: ask again")
            hashes, fault = check_sequence(headers)
            if fault is not None:
                raise fault
            found += headers
            if len(headers) < MAX_HEADERS:
                return found
            tip = hashes[-1]

    async def blocks(self, headers: Sequence[Header]) -> AsyncIterator[tuple[Header, Sequence[SealedVote]]]:
        """The votes of these blocks, in order; all rules of a block hold but for signatures.

        Raises:
            Rejected: not-found if the node does not have one; else as `check_body`.
            Unreachable: the link broke, or an answer did not come in time.
        """
        asked = 0
        for number, header in enumerate(headers):
            while asked < min(number + BLOCKS_AHEAD, len(headers)):
                self._send(GetBlocks(hashes=(headers[asked].hash.hex(),)))
                asked += 1
            answer = await self._next()
            if not isinstance(answer, BlockMessage):
                raise Rejected("not-found", f"{self.address} does not have block {header.hash.hex()}")
            if header_from_hex(answer.header) != header:
                raise RemoteProtocolError("unexpected-message", f"{self.address} sent another block")
            votes = tuple(seal_all(answer.votes))
            check_body(Block(header, votes), self.election)
            yield header, votes

    # -- LinkHandler ---------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        self._connection.dialled = link.dialled
        link.send_line(encode_message(self._connection.hello(0, 0, int(time.time()))))

    def line_received(self, link: Link, line: bytes) -> None:
        if line.startswith(b'{"error"'):
            self._fail(refusal_in(line))
            link.close()
            return
        try:
            message, answers = self._connection.receive(line, 0, 0, int(time.time()))
        except RemoteProtocolError as error:
            self._fail(error)
            link.refuse(error)
            return
        for answer in answers:
            link.send_line(encode_message(answer))
        if isinstance(message, Ping):
            link.send_line(encode_message(Pong(id=message.id)))
        elif isinstance(message, BlockMessage | NoBlock) or (
            isinstance(message, Headers) and message.id == self._asked  # others announce new blocks
        ):
            self._arrived.append(message)
        self._news.set()

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        why = f": {reason.message}" if reason is not None else ""
        self._fail(Unreachable(f"{self.address} closed the connection{why}"))
        self._gone.set()

    # -- inside --------------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        if self._link is not None:
            self._link.send_line(encode_message(message))

    async def _next(self) -> Message:
        """The next answer. Raises what broke the link, or Unreachable when none comes."""
        await self._until(lambda: bool(self._arrived))
        return self._arrived.popleft()

    async def _until(self, holds: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not holds():
                    if self._error is not None:
                        raise self._error
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise Unreachable(f"{self.address} gave no answer within {ANSWER_SECONDS:g} s") from error

    def _fail(self, error: VotenetError) -> None:
        self._error = self._error or error
        self._news.set()

    async def _close(self) -> None:
        if self._link is not None:
            self._link.abort()
            await self._gone.wait()

"""A reader of a node's whole chain: joins it as a peer that neither listens nor mines.

Headers and blocks come over the peer protocol, each checked against its header; an audit checks signatures.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final, Self

from votenet.client.connection import NODE_ANSWER_SECONDS, NodeConnection
from votenet.client.header_pages import check_page
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.block import (
    Block,
    Header,
    check_body,
    genesis_header,
    header_from_hex,
)
from votenet.core.ledger.extras import make_extras
from votenet.core.ledger.vote import hash_votes
from votenet.errors import Rejected, RemoteProtocolError
from votenet.network.transport import Link
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.framing import MAX_PEER_LINE
from votenet.protocol.wire.message import LinkRole
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import (
    MAX_HEADERS,
    BlockMessage,
    GetBlocks,
    GetHeaders,
    Headers,
    NoBlock,
    Ping,
    Pong,
)

BLOCKS_AHEAD: Final = 4
"""Blocks asked for before the first of them is handed out: 32 MiB at most, and no waiting in between."""
_HANDSHAKE: Final = 0
"""Stands for the handshake among the numbers of answers; blocks have negative ones, in their order."""


class Observer(NodeConnection):
    """A connection to one node as a peer; an async context manager.

    Raises (on entry):
        Unreachable: nothing listens there, or it does not finish the handshake in time.
        Rejected: it refused, with its code; network-mismatch if it belongs to another election.
    """

    max_line = MAX_PEER_LINE

    def __init__(
        self,
        address: Address,
        election: Election,
        *,
        dial_timeout: float = 10.0,
        answer_timeout: float = NODE_ANSWER_SECONDS,
    ) -> None:
        super().__init__(address, dial_timeout=dial_timeout, answer_timeout=answer_timeout)
        self.election = election
        identity = LocalNode(SigningKey(os.urandom(32)), election.network_hex, listen="", mines=False)
        self._peer = Connection(identity, outbound=True, challenge=os.urandom(32))
        self._blocks_arrived = 0

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            await self._answer(_HANDSHAKE)
        except BaseException:
            await self.close()
            raise
        return self

    async def headers(self) -> list[Header]:
        """The best branch of the node now, from genesis' successor to its tip: links and work hold.

        With named nodes a quorum of them has decided it.

        Raises:
            Rejected: broken-chain, bad-bits, bad-work, bad-commit; the headers do not hold.
            Unreachable: the link broke, or an answer did not come in time.
        """
        chain: list[Header] = []
        tip = genesis_header(self.election).hash
        while True:
            answer = await self.ask(GetHeaders(locator=(tip.hex(),)), Headers)
            headers = [header_from_hex(text) for text in answer.headers]
            if headers and headers[0].previous != tip:
                raise Rejected("broken-chain", f"the chain at {self.address} changed meanwhile: ask again")
            hashes = check_page(self.election, headers, len(chain) + len(headers), answer.commit)
            chain += headers
            if not headers or (len(headers) < MAX_HEADERS and not self.election.named):
                return chain  # named nodes cut a page behind the last commit that they have
            tip = hashes[-1]

    async def blocks(self, headers: Sequence[Header]) -> AsyncIterator[Block]:
        """These blocks, in order; all rules of a block hold except signatures.

        Not to be used again before it has ended.

        Raises:
            Rejected: not-found if the node does not have one; else as `check_body`.
            Unreachable: the link broke, or an answer did not come in time.
        """
        before, asked = self._blocks_arrived, 0
        for number, header in enumerate(headers, start=1):
            while asked < min(number - 1 + BLOCKS_AHEAD, len(headers)):
                asked += 1
                self._send(GetBlocks(hashes=(headers[asked - 1].hash.hex(),)), -(before + asked))
            answer = await self._answer(-(before + number))
            if not isinstance(answer, BlockMessage):
                raise Rejected("not-found", f"{self.address} does not have block {header.hash.hex()}")
            if header_from_hex(answer.header) != header:
                raise RemoteProtocolError("unexpected-message", f"{self.address} sent another block")
            extras = make_extras(answer.miner, answer.records, answer.closing)
            block = Block(header, tuple(hash_votes(answer.votes)), extras)
            check_body(block, self.election)
            yield block

    # -- LinkHandler ---------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        self._peer.dialled = link.dialled
        self._waiting[_HANDSHAKE] = asyncio.get_running_loop().create_future()
        link.send_line(encode_message(self._peer.hello(0, 0, int(time.time()))))

    def _take(self, link: Link, line: bytes) -> None:
        message, answers = self._peer.receive(line, 0, 0, int(time.time()))
        for answer in answers:
            link.send_line(encode_message(answer))
        if self._peer.role is LinkRole.PEER:
            self._answered(_HANDSHAKE, None)
        match message:
            case Ping(id=number):
                link.send_line(encode_message(Pong(id=number)))
            case BlockMessage() | NoBlock():
                self._blocks_arrived += 1
                self._answered(-self._blocks_arrived, message)
            case Headers(id=number):  # without an id it announces a new block
                self._answered(number, message)

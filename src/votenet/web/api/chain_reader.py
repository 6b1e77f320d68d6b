"""The chain index of a view, brought up to date when it is asked for, and blocks with their bodies."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from votenet.client.answers import wrong_answer
from votenet.client.connection import NodeConnection
from votenet.client.failover import another_may_do_better
from votenet.client.observer import Observer
from votenet.core.ledger.block import Block, Header, check_sequence, header_from_hex
from votenet.errors import NotRunning, RemoteProtocolError, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.peer_messages import MAX_HEADERS, GetHeaders, Headers
from votenet.web.api.chain_index import ChainIndex
from votenet.web.live_view import LiveView

READER_DIAL_SECONDS: Final = 3.0
BLOCK_SECONDS: Final = 10.0
"""For a block to come."""
FRESH_SECONDS: Final = 1.0
"""So often at most a node is asked for new blocks."""
MAX_OBSERVERS: Final = 4
"""Blocks are fetched over so many connections at a time, whatever the number of readers."""
KEPT_BLOCKS: Final = 8
"""Bodies that are kept, of those that were asked for last: a block has at most 8 MiB."""


class ChainReader:
    """Reads the chain of the best node once, and then what is new. Blocks are read when they are shown."""

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._election = view.snapshot.election.without_roll()
        self._index = ChainIndex(self._election)
        self._kept: LRUCache[bytes, Block] = LRUCache(KEPT_BLOCKS)
        self._updating, self._updated_at = asyncio.Lock(), float("-inf")
        self._observers = asyncio.Semaphore(MAX_OBSERVERS)

    async def index(self) -> ChainIndex:
        """The index, as it was less than FRESH_SECONDS ago.

        Raises:
            Unreachable: no node answers.
            VotenetError: chain-too-long.
        """
        async with self._updating:
            if time.monotonic() - self._updated_at > FRESH_SECONDS:
                await self._update()
                self._updated_at = time.monotonic()
            return self._index

    async def block(self, height: int) -> Block:
        """The block at a height of the index. Raises Unreachable, IndexError."""
        (block,) = [block async for block in self.blocks(height, height)]
        return block

    async def blocks(self, first: int, last: int) -> AsyncGenerator[Block, None]:
        """The blocks from one height up to another, which are in the index and above genesis."""
        rows = [self._index.row(height) for height in range(first, last + 1)]
        missing = [row.header for row in rows if row.hash not in self._kept]
        async with contextlib.aclosing(self._fetch(missing)) as fetched:
            for row in rows:
                block = self._kept.get(row.hash)
                if block is None:
                    block = await anext(fetched)
                    self._kept[row.hash] = block
                yield block

    # -- inside --------------------------------------------------------------------------------

    async def _update(self) -> None:
        headers = await self._view.ask(self._new_headers)
        if not headers:
            return
        fork = self._index.find_block(headers[0].previous)
        if fork is None:
            return
        if fork < self._index.height:
            if fork + len(headers) <= self._index.height:
                return  # a node that is behind takes nothing away
            self._index.cut(fork)
        async for block in self._fetch(headers):
            self._index.append(block)

    async def _new_headers(self, node: NodeConnection) -> Sequence[Header]:
        """What the node has behind the last block that is known here. Raises NotProven: wrong-answer."""
        found: list[Header] = []
        locator = [block_hash.hex() for block_hash in self._index.locator()]
        while True:
            page = (await node.ask(GetHeaders(locator=tuple(locator)), Headers)).headers
            headers = [header_from_hex(text) for text in page]
            hashes, fault = check_sequence(headers)
            if fault is not None:
                raise wrong_answer(node.address, f"headers that do not hold: {fault.message}")
            if found and headers and headers[0].previous != found[-1].hash:
                raise wrong_answer(node.address, "a chain that changes while it is read")
            found += headers
            if len(headers) < MAX_HEADERS:
                return found
            locator = [hashes[-1].hex()]

    async def _fetch(self, headers: Sequence[Header]) -> AsyncGenerator[Block, None]:
        """These blocks, of the first node that has them; the next node goes on where one fails."""
        done = 0
        failure: VotenetError = NotRunning("no node to ask")
        for address in self._view.addresses if headers else ():
            try:
                async for block in self._of_node(address, headers[done:]):
                    done += 1
                    yield block
            except RemoteProtocolError as error:
                failure = error
            except VotenetError as error:
                if not another_may_do_better(error) and error.code != "not-found":
                    raise
                failure = error
            if done == len(headers):
                return
        raise failure

    async def _of_node(self, address: Address, headers: Sequence[Header]) -> AsyncGenerator[Block, None]:
        reader = Observer(
            address, self._election, dial_timeout=READER_DIAL_SECONDS, answer_timeout=BLOCK_SECONDS
        )
        async with self._observers, reader as observer:
            async for block in observer.blocks(headers):
                yield block


_readers: WeakKeyDictionary[LiveView, ChainReader] = WeakKeyDictionary()


def reader_of(view: LiveView) -> ChainReader:
    """The reader of a view, made when it is first asked for. Raises Unreachable: no node has answered yet."""
    found = _readers.get(view)
    if found is None:
        found = _readers[view] = ChainReader(view)
    return found

"""The chain index of a view, brought up to date when it is asked for, and blocks with their bodies."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from votenet.client.answers import wrong_answer
from votenet.client.connection import NodeConnection
from votenet.client.header_pages import check_page
from votenet.client.observer import Observer
from votenet.core.ledger.block import Block, Header, header_from_hex
from votenet.core.ledger.statement import Commit
from votenet.core.records.miner import check_miner
from votenet.errors import NotRunning, Rejected, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.peer_messages import MAX_HEADERS, GetHeaders, Headers
from votenet.web.api.chain_index import ChainIndex
from votenet.web.api.fair_places import FairPlaces
from votenet.web.live_view import LiveView

READER_DIAL_SECONDS: Final = 3.0
BLOCK_SECONDS: Final = 10.0
"""For a block to come."""
FRESH_SECONDS: Final = 1.0
"""So often at most a node is asked for new blocks."""
MAX_OBSERVERS: Final = 4
"""Blocks are fetched over so many connections at a time, whatever the number of readers."""
MAX_OBSERVERS_OF_ONE: Final = 2
"""Of these, for one client."""
KEPT_BLOCKS: Final = 8
"""Bodies that are kept, of those that were asked for last: a block has at most 8 MiB."""

Turn = Callable[[], contextlib.AbstractAsyncContextManager[None]]
"""Waits until blocks may be fetched from a node, and holds a place until they are here."""


class ChainReader:
    """Reads the chain of the best node once, and then what is new. Blocks are read when they are shown."""

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._election = view.snapshot.election.without_roll()
        self._index = ChainIndex(self._election)
        self._kept: LRUCache[bytes, Block] = LRUCache(KEPT_BLOCKS)
        self._updating, self._updated_at = asyncio.Lock(), float("-inf")
        self._places = FairPlaces(MAX_OBSERVERS, MAX_OBSERVERS_OF_ONE)
        self._updates = asyncio.Semaphore(1)
        """What is new is never behind the blocks that readers ask for."""

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

    async def block(self, height: int, who: str = "") -> Block:
        """The block at a height of the index, for a client (`client_of`). Raises Unreachable, IndexError."""
        (block,) = [block async for block in self.blocks(height, height, who)]
        return block

    async def blocks(self, first: int, last: int, who: str = "") -> AsyncGenerator[Block, None]:
        """The blocks from one height up to another, which are in the index and above genesis."""
        turn = functools.partial(self._places.place, who)
        rows = [self._index.row(height) for height in range(first, last + 1)]
        # What is kept changes while blocks come: other readers, and this one, add and push out.
        held = {row.hash: block for row in rows if (block := self._kept.get(row.hash)) is not None}
        missing = [(row.height, row.header) for row in rows if row.hash not in held]
        async with contextlib.aclosing(self._fetch(missing, turn)) as fetched:
            for row in rows:
                block = held[row.hash] if row.hash in held else await anext(fetched)
                self._kept[row.hash] = block
                yield block

    # -- inside --------------------------------------------------------------------------------

    async def _update(self) -> None:
        await self._take(await self._view.ask(self._new_headers))
        newest = self._view.log.newest
        if newest is not None and self._index.leaves < newest.size:  # it is behind, or hides what is signed
            others = self._view.addresses[:1]
            await self._take(await self._view.ask(self._new_headers, other_than=others))

    async def _take(self, headers: Sequence[Header]) -> None:
        """Add these blocks to the index, where they are new."""
        fork = self._index.find_block(headers[0].previous) if headers else None
        if fork is None:
            return
        if fork < self._index.height:
            if self._election.named or fork + len(headers) <= self._index.height:
                return  # what is decided stays; and a node that is behind takes nothing away
            self._index.cut(fork)
        async for block in self._fetch(list(enumerate(headers, fork + 1)), lambda: self._updates):
            self._index.append(block)

    async def _new_headers(self, node: NodeConnection) -> Sequence[Header]:
        """What the node has behind the last block that is known here, each decided where nodes are named.

        Raises:
            NotProven: wrong-answer.
        """
        found: list[Header] = []
        locator = [block_hash.hex() for block_hash in self._index.locator()]
        while True:
            answer = await node.ask(GetHeaders(locator=tuple(locator)), Headers)
            headers = [header_from_hex(text) for text in answer.headers]
            if found and headers and headers[0].previous != found[-1].hash:
                raise wrong_answer(node.address, "a chain that changes while it is read")
            found += headers
            try:
                hashes = self._checked(
                    headers, found[0].previous if found else b"", len(found), answer.commit
                )
            except Rejected as error:
                raise wrong_answer(node.address, f"headers that do not hold: {error.message}") from error
            if not headers or (len(headers) < MAX_HEADERS and not self._election.named):
                return found  # named nodes cut a page behind the last commit that they have
            locator = [hashes[-1].hex()]

    def _checked(
        self, headers: Sequence[Header], fork: bytes, behind: int, commit: Commit | None
    ) -> Sequence[bytes]:
        """The hashes of headers whose links and work hold, and that named nodes have decided.

        Args:
            fork: the hash of the block in the index that they, and those of earlier answers, begin behind.
            behind: how many blocks the last one is behind that.
            commit: of the last one.

        Raises:
            Rejected: broken-chain, bad-bits, bad-work, bad-commit.
        """
        height = self._index.find_block(fork) if headers and self._election.named else 0
        if height is None:
            raise Rejected("bad-commit", "they do not stand on a block that is known")
        return check_page(self._election, headers, height + behind, commit)

    async def _fetch(self, wanted: Sequence[tuple[int, Header]], turn: Turn) -> AsyncGenerator[Block, None]:
        """The blocks with these heights and headers, of the first node that has them.

        The next node goes on where one fails or lies.
        """
        done = 0
        failure: VotenetError = NotRunning("no node to ask")
        for address in self._view.addresses if wanted else ():
            try:
                async for block in self._of_node(address, wanted[done:], turn):
                    done += 1
                    yield block
            except VotenetError as error:
                failure = error
            if done == len(wanted):
                return
        raise failure

    async def _of_node(
        self, address: Address, wanted: Sequence[tuple[int, Header]], turn: Turn
    ) -> AsyncGenerator[Block, None]:
        reader = Observer(
            address, self._election, dial_timeout=READER_DIAL_SECONDS, answer_timeout=BLOCK_SECONDS
        )
        async with turn(), reader as observer:
            heights = iter(wanted)
            async for block in observer.blocks([header for _, header in wanted]):
                height, _ = next(heights)
                check_miner(block, height, self._election)
                yield block


_readers: WeakKeyDictionary[LiveView, ChainReader] = WeakKeyDictionary()


def reader_of(view: LiveView) -> ChainReader:
    """The reader of a view, made when it is first asked for. Raises Unreachable: no node has answered yet."""
    found = _readers.get(view)
    if found is None:
        found = _readers[view] = ChainReader(view)
    return found

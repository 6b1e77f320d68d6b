"""The chain of one node as a list: who found and signed each block, what is in it, what stands beside it.

Headers, their work, signatures of commits and certificates, and bodies are checked here. That a node has
found a block of an election without named nodes, and how it moved between branches, is its own word.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, MutableMapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple

from votenet.client.answers import wrong_answer
from votenet.client.connection import NodeConnection
from votenet.client.failover import NODE_DIAL_SECONDS, ask_each
from votenet.client.log_view import LogView
from votenet.client.observer import Observer
from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, Header, check_sequence, genesis_header, header_from_hex
from votenet.core.ledger.extras import ClosingList, NotCounted, amendments_in
from votenet.core.records.miner import check_miner
from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.pow import work_of
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import (
    MAX_LISTED_BLOCKS,
    BlockList,
    GetBlockList,
    GetStatus,
    ListedBlock,
    NodeStatus,
    Switch,
)

TRIES: Final = 5
"""A chain that changes while it is read is read again so often."""


class BlockBody(NamedTuple):
    """What is in a block. `miner`: name of the named node that found it; `late`: votes that do not count."""

    votes: int
    miner: str | None
    closing: bool
    late: int
    amendments: tuple[Amendment, ...]


class ShownBlock(NamedTuple):
    """A block of a node. `work`: hashes that one with its target takes on average; `time` in Unix seconds.

    `best`: it is on the best branch; `own`: the node says that it has found it since its start.
    `round` and `signers` (names) are those of its commit; None and empty where this node has none of its own.
    """

    height: int
    header: Header
    hash: str
    previous: str
    time: int
    work: int
    best: bool
    own: bool
    round: int | None
    signers: tuple[str, ...]


class ShownChain(NamedTuple):
    """The last blocks of one node, and those beside them; parents first.

    `work`: of its whole chain. `final_height`: of the last block that a certificate covers, None for none,
    which `signed_by` have signed. `switches`: its reorganisations.
    """

    address: Address
    name: str
    tip: str
    height: int
    work: int
    final_height: int | None
    signed_by: tuple[str, ...]
    blocks: tuple[ShownBlock, ...]
    switches: tuple[Switch, ...]


Bodies = MutableMapping[str, BlockBody]
"""By hash, what is known of blocks."""


async def fetch_chain(node: NodeConnection, election: Election, last: int) -> ShownChain:
    """The last blocks of a node, without their bodies.

    Raises:
        Unreachable: it does not answer, or its chain changes all the time.
        Rejected: it refused.
        NotProven: wrong-answer; a header or a commit does not hold. split-view.
    """
    status = await node.ask(GetStatus(), NodeStatus)
    log = await LogView(election).look(node) if election.named else None
    for _ in range(TRIES):
        pages = await _pages(node, last)
        if _hang_together(pages):
            break
    else:
        raise Unreachable(f"the chain of {node.address} changes while it is read: ask again")
    try:
        blocks = [*_best(pages, election), *_aside(pages, election)]
    except Rejected as error:
        raise wrong_answer(node.address, f"blocks that do not hold: {error.message}") from error
    tip = max((block for block in blocks if block.best), key=lambda block: block.height)
    signers = () if log is None else election.node_names(log.certificate.signers)
    return ShownChain(
        address=node.address,
        name=status.name,
        tip=tip.hash,
        height=tip.height,
        work=int(status.work, 16),
        final_height=None if log is None else log.height,
        signed_by=signers,
        blocks=tuple(sorted(blocks, key=lambda block: block.height)),
        switches=pages[-1].switches,
    )


async def fetch_chains(
    addresses: Sequence[Address], election: Election, last: int
) -> list[tuple[Address, ShownChain | VotenetError]]:
    """What all these nodes show, asked at the same time, or why one does not."""

    return await ask_each(addresses, partial(fetch_chain, election=election, last=last))


async def fetch_bodies(node: Observer, blocks: Sequence[ShownBlock], bodies: Bodies) -> None:
    """Read these blocks, one after the other, and keep in `bodies` what is in them.

    Raises:
        Unreachable: it does not answer.
        Rejected: it does not have one, or one breaks a rule.
    """
    missing = [block for block in blocks if block.height and block.hash not in bodies]
    wanted = iter(missing)
    async for block in node.blocks([block.header for block in missing]):
        known = next(wanted)
        if node.election.named:
            check_miner(block, known.height, node.election)
        bodies[known.hash] = _body(block, node.election)


async def follow_chain(
    addresses: Sequence[Address], election: Election, last: int, interval: float, bodies: Bodies
) -> AsyncGenerator[ShownChain, None]:
    """What one node shows, again and again, every `interval` seconds; the next one where it fails.

    Raises:
        VotenetError: none of them answers; the error of the last one.
    """
    turn = failed = 0
    while True:
        try:
            address = addresses[turn]
            async with AsyncExitStack() as links:
                node = NodeConnection(address, dial_timeout=NODE_DIAL_SECONDS)
                await links.enter_async_context(node)
                reader: Observer | None = None
                while True:
                    shown = await fetch_chain(node, election, last)
                    if any(block.height and block.hash not in bodies for block in shown.blocks):
                        if reader is None:
                            reader = await links.enter_async_context(observer(address, election))
                        await fetch_bodies(reader, shown.blocks, bodies)
                    failed = 0
                    yield shown
                    await asyncio.sleep(interval)
        except Unreachable:
            failed += 1
            turn = (turn + 1) % len(addresses)
            if failed == len(addresses):
                raise


def observer(address: Address, election: Election) -> Observer:
    """A reader of a node's blocks. The roll of the election is not looked at."""
    return Observer(address, election.without_roll(), dial_timeout=NODE_DIAL_SECONDS)


# -- what a list says --------------------------------------------------------------------------------


async def _pages(node: NodeConnection, last: int) -> list[BlockList]:
    """The last blocks, as they were when each page was asked for; none where the chain grew too fast.

    Raises:
        NotProven: wrong-answer; a page is not the one that was asked for.
    """
    pages: list[BlockList] = []
    first = start = max((await node.ask(GetStatus(), NodeStatus)).height - last + 1, 0)
    while True:
        page = await node.ask(GetBlockList(first=first), BlockList)
        if page.first != first:
            raise wrong_answer(
                node.address, f"blocks from {page.first} on where those from {first} were asked"
            )
        pages.append(page)
        first += len(page.blocks)
        if not page.blocks or first > page.height:
            return pages
        if first - start > last + MAX_LISTED_BLOCKS:
            return []


def _hang_together(pages: Sequence[BlockList]) -> bool:
    """Whether each page begins behind the last block of the one before, and the last one ends with a tip."""
    for before, after in pairwise(pages):
        if before.first + len(before.blocks) != after.first or not before.blocks or not after.blocks:
            return False
        last, first = header_from_hex(before.blocks[-1].header), header_from_hex(after.blocks[0].header)
        if first.previous != last.hash:
            return False
    return bool(pages and pages[-1].blocks)


def _best(pages: Sequence[BlockList], election: Election) -> Iterator[ShownBlock]:
    """The blocks of the best branch. Raises Rejected: they do not hold."""
    height = pages[0].first
    listed = [block for page in pages for block in page.blocks]
    headers = [header_from_hex(block.header) for block in listed]
    if height == 0:
        if headers[0] != genesis_header(election):
            raise Rejected("broken-chain", "the first block is not that of this election")
        _check(headers[1:])
    else:
        _check(headers)
    for number, (block, header) in enumerate(zip(listed, headers, strict=True), height):
        yield _shown(block, header, number, election, best=True)


def _aside(pages: Sequence[BlockList], election: Election) -> Iterator[ShownBlock]:
    """The blocks of other branches. Raises Rejected: they do not hold."""
    first = pages[0].first
    heights = {header_from_hex(pages[0].blocks[0].header).previous: first - 1} if first else {}
    for page in pages:
        for height, block in enumerate(page.blocks, page.first):
            heights[header_from_hex(block.header).hash] = height
    for block in (block for page in pages for block in page.aside):
        header = header_from_hex(block.header)
        _check([header])
        if header.hash in heights:
            continue  # pages overlap
        if header.previous not in heights:
            raise Rejected("broken-chain", "a block stands on none that was shown")
        heights[header.hash] = heights[header.previous] + 1
        yield _shown(block, header, heights[header.hash], election, best=False)


def _check(headers: Sequence[Header]) -> None:
    _, fault = check_sequence(headers)
    if fault is not None:
        raise fault


def _shown(block: ListedBlock, header: Header, height: int, election: Election, *, best: bool) -> ShownBlock:
    commit, block_hash = block.commit, header.hash.hex()
    signers: tuple[str, ...] = ()
    if commit is not None:
        keys, quorum = election.statement_keys, election.quorum
        signers = election.node_names(commit.check(election.network_hex, height, block_hash, keys, quorum))
    return ShownBlock(
        height=height,
        header=header,
        hash=block_hash,
        previous=header.previous.hex(),
        time=header.time,
        work=work_of(header.bits),
        best=best,
        own=block.own,
        round=None if commit is None else commit.round,
        signers=signers,
    )


def _body(block: Block, election: Election) -> BlockBody:
    miner = block.extras.miner
    records = block.extras.records
    return BlockBody(
        votes=len(block.votes),
        miner=None if miner is None else election.definition.nodes[miner.node].name,
        closing=any(isinstance(one.value, ClosingList) for one in records),
        late=sum(isinstance(one.value, NotCounted) for one in records),
        amendments=tuple(amendments_in(records)),
    )

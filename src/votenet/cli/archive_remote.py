"""An archive out of a node elsewhere, fetched as it is written.

What lives here: the bridge from the event loop of an Observer to lines of a file, progress. What must
not: options (`archive.py`), the conversation (`network/observer.py`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeVar

from votenet.cli.actions import DIAL_SECONDS, fetch_election, read_genesis
from votenet.cli.archive_files import Progress
from votenet.core.archive import archive_lines
from votenet.core.election import Election
from votenet.errors import ConfigError
from votenet.network.client import NodeClient
from votenet.network.observer import Observer
from votenet.protocol.address import Address

T = TypeVar("T")


def remote_lines(address: Address, genesis: Path | None) -> Iterator[bytes]:
    """The archive of the node at `address`, line by line; blocks are fetched as they are asked for.

    Raises:
        ConfigError: network-mismatch; the node belongs to another election than `genesis`.
        Rejected, Unreachable: as Observer.
    """
    with asyncio.Runner() as runner:
        election = runner.run(_election_of(address))
        if genesis is not None and read_genesis(genesis).network_hex != election.network_hex:
            raise ConfigError(
                f"{address} belongs to network {election.network_hex}, not to that of {genesis}",
                code="network-mismatch",
                next_step="Name a node of that election, or leave --genesis out.",
            )
        yield from archive_lines(election, _blocks(runner, address, election))


async def _next(blocks: AsyncIterator[T]) -> T:
    return await anext(blocks)


async def _election_of(address: Address) -> Election:
    async with NodeClient(address, dial_timeout=DIAL_SECONDS) as client:
        return await fetch_election(client)


def _blocks(runner: asyncio.Runner, address: Address, election: Election) -> Iterator[tuple[bytes, bytes]]:
    observer = Observer(address, election, dial_timeout=DIAL_SECONDS)
    runner.run(observer.__aenter__())
    try:
        headers = runner.run(observer.headers())
        progress = Progress(str(address), len(headers), sys.stderr)
        blocks = observer.blocks(headers)
        for height in range(1, len(headers) + 1):
            header, votes = runner.run(_next(blocks))
            yield header.pack(), b",".join(sealed.record for sealed in votes)
            progress.at(height, height)
    finally:
        runner.run(observer.__aexit__(None, None, None))

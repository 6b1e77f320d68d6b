"""Real nodes on loopback, every pair linked, for the benches of a whole network.

What lives here: starting and ending the processes, clients of all of them, waiting until all have
counted. What must not: what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from record_chain import free_port
from votenet.core.election import Election
from votenet.errors import VotenetError
from votenet.network.client import NodeClient
from votenet.protocol.address import Address
from votenet.protocol.messages import GetResults, GetStatus, NodeStatus, Results

NODES: Final = 5
PATIENCE_SECONDS: Final = 240


@dataclass(frozen=True, slots=True)
class RunningNode:
    address: Address
    pid: int


@contextlib.contextmanager
def network(folder: Path, election: Election, nodes: int = NODES) -> Iterator[list[RunningNode]]:
    """Node processes over the data folders `node-0`… in `folder`, ended when the block is left."""
    genesis = folder / "genesis.json"
    genesis.write_bytes(election.to_file())
    with contextlib.ExitStack() as ports:
        addresses = [Address("127.0.0.1", ports.enter_context(free_port())) for _ in range(nodes)]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for index, address in enumerate(addresses):
            others = [option for other in addresses[:index] for option in ("--peer", str(other))]
            where = ["--data-dir", str(folder / f"node-{index}"), "--genesis", str(genesis)]
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "votenet", "node", *where, "--port", str(address.port), *others],
                    stderr=subprocess.DEVNULL,
                )
            )
        yield [RunningNode(a, process.pid) for a, process in zip(addresses, running, strict=True)]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


@contextlib.asynccontextmanager
async def clients(addresses: Sequence[Address]) -> AsyncIterator[list[NodeClient]]:
    """A connection to each node, once it listens."""
    async with contextlib.AsyncExitStack() as stack:
        end = time.monotonic() + PATIENCE_SECONDS
        made = []
        for address in addresses:
            while True:
                try:
                    made.append(await stack.enter_async_context(NodeClient(address)))
                    break
                except VotenetError:
                    if time.monotonic() > end:
                        raise
                    await asyncio.sleep(0.1)
        yield made


async def statuses(nodes: Sequence[NodeClient]) -> list[NodeStatus]:
    return list(await asyncio.gather(*(node.ask(GetStatus(), NodeStatus) for node in nodes)))


async def counts(nodes: Sequence[NodeClient]) -> list[Results]:
    return list(await asyncio.gather(*(node.ask(GetResults(), Results) for node in nodes)))


async def until_counted(nodes: Sequence[NodeClient], votes: int) -> None:
    """Until every node is linked to every other, and all have so many votes in the same chain."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = await statuses(nodes)
        agreed = len({status.tip for status in found}) == 1
        if agreed and all((s.votes, s.waiting, s.peers) == (votes, 0, len(nodes) - 1) for s in found):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"the nodes did not agree on {votes} votes")

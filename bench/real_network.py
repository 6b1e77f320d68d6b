"""Real nodes on loopback, every pair linked, for the benches of a whole network."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from record_chain import free_port
from support.elections import make_election, named_nodes
from support.named_programs import write_node_key
from votenet.cli.election.election_setup import named_difficulty
from votenet.client.connection import NodeConnection
from votenet.config import DEFAULT_DIFFICULTY
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll
from votenet.core.limits import MAX_BLOCK_VOTES
from votenet.errors import VotenetError
from votenet.pow import bits_for_zero_bits, measure_rate
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetResults, GetStatus, NodeStatus, Results

NODES: Final = 5
PATIENCE_SECONDS: Final = 240


@dataclass(frozen=True, slots=True)
class RunningNode:
    address: Address
    pid: int


def usual_election(*, named: bool = True, **fields: Any) -> Election:
    """An election as `votenet up --nodes 5` makes it here; `named` False: with --no-named-nodes."""
    difficulty = named_difficulty(measure_rate(time.perf_counter)) if named else DEFAULT_DIFFICULTY
    return make_election(
        bits=bits_for_zero_bits(difficulty),
        max_block_votes=MAX_BLOCK_VOTES,
        nodes=named_nodes(NODES) if named else (),
        **({"created": int(time.time())} | fields),
    )


@contextlib.contextmanager
def network(
    folder: Path,
    election: Election,
    *,
    program: Sequence[str] = ("-m", "votenet"),
    times: Path | None = None,
    roll: Roll | None = None,
    page: bool = False,
) -> Iterator[list[RunningNode]]:
    """NODES node processes over the data folders `node-0`… in `folder`, ended when the block is left.

    They are the election's named nodes, where it names any. `program`: what Python runs instead of votenet;
    `times`: where it leaves the files of `timed_node.py`, `times-0`…; `roll`: where the election has one;
    `page`: a page's server runs beside them, which knows them all, as `votenet up` starts it.
    """
    genesis = folder / "genesis.json"
    genesis.write_bytes(election.to_file())
    usual = ["--genesis", str(genesis)]
    if roll is not None:
        (folder / "roll.json").write_bytes(roll.to_file())
        usual += ["--roll", str(folder / "roll.json")]
    with contextlib.ExitStack() as ports:
        addresses = [Address("127.0.0.1", ports.enter_context(free_port())) for _ in range(NODES)]
        page_port = ports.enter_context(free_port())
    running: list[subprocess.Popen[bytes]] = []
    try:
        for index, address in enumerate(addresses):
            others = [option for other in addresses[:index] for option in ("--peer", str(other))]
            data_dir = folder / f"node-{index}"
            if election.named:
                write_node_key(data_dir, index)
            where = [*usual, "--data-dir", str(data_dir), "--port", str(address.port)]
            running.append(
                subprocess.Popen(
                    [sys.executable, *program, "node", *where, *others],
                    env={**os.environ, **({"BENCH_TIMES": str(times / f"times-{index}")} if times else {})},
                    stderr=subprocess.DEVNULL,
                )
            )
        if page:
            known = [option for address in addresses for option in ("--node", str(address))]
            served = [*known, "--port", str(page_port), *usual]
            running.append(
                subprocess.Popen([sys.executable, "-m", "votenet", "web", *served], stderr=subprocess.DEVNULL)
            )
        yield [RunningNode(a, process.pid) for a, process in zip(addresses, running, strict=False)]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


@contextlib.asynccontextmanager
async def clients(addresses: Sequence[Address]) -> AsyncIterator[list[NodeConnection]]:
    """A connection to each node, once it listens."""
    async with contextlib.AsyncExitStack() as stack:
        end = time.monotonic() + PATIENCE_SECONDS
        made = []
        for address in addresses:
            while True:
                try:
                    made.append(await stack.enter_async_context(NodeConnection(address)))
                    break
                except VotenetError:
                    if time.monotonic() > end:
                        raise
                    await asyncio.sleep(0.1)
        yield made


async def statuses(nodes: Sequence[NodeConnection]) -> list[NodeStatus]:
    return list(await asyncio.gather(*(node.ask(GetStatus(), NodeStatus) for node in nodes)))


async def counts(nodes: Sequence[NodeConnection]) -> list[Results]:
    return list(await asyncio.gather(*(node.ask(GetResults(), Results) for node in nodes)))


async def until_counted(nodes: Sequence[NodeConnection], votes: int) -> None:
    """Until all nodes are linked, and have so many votes in the same chain; with a certificate, if named."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = await statuses(nodes)
        agreed = len({status.tip for status in found}) == 1
        final = all(s.finality is None or s.finality.certificate == s.height for s in found)
        counted = all((s.votes, s.waiting, s.peers) == (votes, 0, len(nodes) - 1) for s in found)
        if agreed and final and counted:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"the nodes did not agree on {votes} votes")

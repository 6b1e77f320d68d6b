"""The cost of a vote for one node with cores of its own: the base of the model in docs/performance.md.

One real node, which does not mine, and this process as its four peers: real handshakes, votes encoded
beforehand, and whenever 4,000 have arrived the block that holds them, compact. Sending costs nearly nothing,
so the node has both cores, as with one node on each machine. The clock runs from the first vote until the
last block is counted. Every signature is checked.

No nodes are named: this is the cost of votes and of blocks alone. The line belongs to T3, which has five
nodes on two cores. The yardstick is what the cores could verify.

    make bench-node       pytest bench/bench_node.py --benchmark-only -s
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
import pytest

from lines import add_line
from record_chain import BLOCK_VOTES, RecordChain, Yardstick, build, node
from support.elections import key_of
from votenet.client.connection import NodeConnection
from votenet.core.ledger.mempool import short_id
from votenet.core.ledger.vote import Vote, hash_votes
from votenet.pow import sha256d
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus
from votenet.protocol.wire.connection import Connection, LocalNode, PeerInfo
from votenet.protocol.wire.framing import MAX_PEER_LINE
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import BlockVotes, CompactBlock, GetBlockVotes, Votes
from votenet.storage.blocks.chain_reader import read_chain

BLOCKS: Final = 10
LINKS: Final = 4
"""As in a network of five."""
IN_LINE: Final = 200
"""Votes in a line, as a node passes on what a client sent at once."""
ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Portion:
    """Votes as lines, and the block that they end in."""

    lines: Sequence[bytes]
    header: bytes
    votes: Sequence[Vote]
    """In block order, as `ids`."""
    ids: Sequence[bytes]


def portions(chain: RecordChain) -> list[Portion]:
    decoder, made = msgspec.json.Decoder(tuple[Vote, ...]), []
    for header, records, _ in islice(read_chain(chain.data_dir, chain.election), BLOCKS):
        votes = decoder.decode(b"[" + records + b"]")
        lines = [
            encode_message(Votes(votes=votes[start : start + IN_LINE])) + b"\n"
            for start in range(0, len(votes), IN_LINE)
        ]
        made.append(Portion(lines, header, votes, [hashed.id for hashed in hash_votes(votes)]))
    return made


async def _greet(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection
) -> PeerInfo:
    writer.write(encode_message(connection.hello(0, 0)) + b"\n")
    while connection.peer_info is None:
        _, answers = connection.receive((await reader.readline()).rstrip(b"\n"), 0, 0)
        for answer in answers:
            writer.write(encode_message(answer) + b"\n")
    return connection.peer_info


async def _feed(chain: RecordChain, port: int, work: Sequence[Portion]) -> float:
    """Seconds in which the node takes all of it."""
    async with asyncio.TaskGroup() as tasks, NodeConnection(Address("127.0.0.1", port)) as client:
        links = [await _link(chain, port, number) for number in range(LINKS)]
        listening = [tasks.create_task(_answer(reader, writer, work)) for reader, writer, _ in links]
        lines = [line for portion in work for line in portion.lines]
        began, known = time.perf_counter(), 0
        for number, (_, writer, _) in enumerate(links):
            tasks.create_task(_send(writer, lines[number::LINKS]))
        for number, portion in enumerate(work):
            known += len(portion.ids)
            await _until(client, lambda status, known=known: status.votes + status.waiting >= known)
            _, writer, peer_info = links[number % LINKS]
            ids = b"".join(short_id(vote_id, peer_info.seed) for vote_id in portion.ids)
            writer.write(encode_message(CompactBlock(header=portion.header, ids=ids)) + b"\n")
            await _until(client, lambda status, known=known: status.votes == known)
        seconds = time.perf_counter() - began
        for task in listening:
            task.cancel()
        for _, writer, _ in links:
            writer.close()
    return seconds


async def _link(
    chain: RecordChain, port: int, number: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, PeerInfo]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MAX_PEER_LINE)
    identity = LocalNode(key_of(f"bench peer {number}"), chain.election.network_hex, "", mines=False)
    connection = Connection(identity, outbound=True, challenge=os.urandom(32))
    return reader, writer, await _greet(reader, writer, connection)


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, work: Sequence[Portion]
) -> None:
    """Votes that were still being checked when their block came are asked for once more."""
    by_hash = {sha256d(portion.header).hex(): portion for portion in work}
    while line := await reader.readline():
        assert not line.startswith(b'{"error"'), line
        message = decode_message(line)
        if isinstance(message, GetBlockVotes):
            votes = by_hash[message.hash].votes
            missing = tuple(votes[position] for position in message.positions)
            writer.write(encode_message(BlockVotes(hash=message.hash, votes=missing)) + b"\n")


async def _send(writer: asyncio.StreamWriter, lines: Sequence[bytes]) -> None:
    for line in lines:
        writer.write(line)
        await writer.drain()


async def _listen(reader: asyncio.StreamReader) -> None:
    """What the node says is read, so that it is not held up."""
    while await reader.readline():
        pass


async def _until(client: NodeConnection, true: Callable[[NodeStatus], bool]) -> None:
    async with asyncio.timeout(60):
        while not true(await client.ask(GetStatus(), NodeStatus)):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def _busy(pid: int) -> tuple[float, float]:
    """Processor seconds of the loop's thread, and of all others."""
    threads = {thread.id: thread.user_time + thread.system_time for thread in psutil.Process(pid).threads()}
    loop = threads.pop(pid)
    return loop, sum(threads.values())


@pytest.mark.timeout(600)
def test_t3_one_node_alone(benchmark: Any, tmp_path: Path) -> None:
    source = tmp_path / "chain"
    source.mkdir()
    chain = build(source, BLOCKS * BLOCK_VOTES, named=False)
    work, yardstick = portions(chain), Yardstick()
    votes = sum(len(portion.ids) for portion in work)
    spent, taken = list[tuple[float, ...]](), list[float]()

    def fed_alone() -> float:
        yardstick.measure()
        with node(chain, tmp_path / f"node-{len(spent)}") as (pid, port):
            before = _busy(pid)
            seconds = asyncio.run(_feed(chain, port, work))
            spent.append(tuple(now - was for was, now in zip(before, _busy(pid), strict=True)))
        return seconds

    benchmark.pedantic(lambda: taken.append(fed_alone()), rounds=ROUNDS)
    seconds = statistics.median(taken)  # the benchmark's own clock runs from the start of the node
    rate, bound = votes / seconds, (os.cpu_count() or 1) * yardstick.rate
    loop, others = (1e6 * statistics.median(part) / votes for part in zip(*spent, strict=True))
    add_line(benchmark, "T3", "one node alone, fed by its peers", rate, "votes/s", ratio=rate / bound)
    share = 1e6 / yardstick.rate_by_cpu / (loop + others)
    print(f"    processor time of a vote: {loop:.0f} us in the loop's thread, {others:.0f} us in others;")
    busy = rate * (loop + others) / 1e6
    print(f"    {share:.0%} of both the signature; {busy:.2f} cores busy; bound {bound:,.0f}/s")
    benchmark.extra_info.update(loop_us=loop, others_us=others, bound=bound)

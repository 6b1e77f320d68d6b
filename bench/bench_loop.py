"""T2: how late the event loop of a node is while it mines, against the same node idle.

Run with: pytest bench/bench_loop.py --benchmark-only -s

`extra_info` holds the lag's percentiles in milliseconds for both; the target is a p99 under 5 ms while
mining.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from lines import add_line
from support.elections import key_of, make_election, make_vote
from votenet.client.connection import NodeConnection
from votenet.config import NodeConfig
from votenet.network.node.service import NodeService
from votenet.pow import bits_for_zero_bits
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus, SubmitVotes, VotesTaken
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.files import lock_data_dir

SECONDS = 3.0
INTERVAL = 0.001
HOPELESS = bits_for_zero_bits(60)


async def _lags(seconds: float) -> list[float]:
    """Lateness of wake-ups, in milliseconds."""
    late = []
    end = time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        await asyncio.sleep(INTERVAL)
        late.append((time.perf_counter() - now - INTERVAL) * 1000)
    return late


async def _measure(folder: Path, threads: int) -> tuple[list[float], list[float]]:
    election = make_election(bits=HOPELESS, created=int(time.time()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = Address("127.0.0.1", free.getsockname()[1])
    config = NodeConfig(
        host=address.host,
        port=address.port,
        advertise=str(address),
        data_dir=folder,
        genesis=folder / "genesis.json",
        threads=threads,
    )
    store = SqliteBlockStore(folder, election)
    stop = asyncio.Event()
    try:
        service = NodeService(config, election, key_of("bench"), store)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.run(stop))
            await asyncio.sleep(0.5)
            idle = await _lags(SECONDS)
            async with NodeConnection(address) as client:
                vote = make_vote(election, "v", "Alice", time=int(time.time())).vote
                await client.ask(SubmitVotes(votes=(vote,)), VotesTaken)
                assert (await client.ask(GetStatus(), NodeStatus)).mining
            mining = await _lags(SECONDS)
            stop.set()
    finally:
        store.close()
    return idle, mining


def _percentiles(late: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(late, n=1000)
    return {"p50": round(cuts[499], 3), "p99": round(cuts[989], 3), "max": round(max(late), 3)}


def _report(benchmark: Any, threads: int) -> None:
    with tempfile.TemporaryDirectory() as name, lock_data_dir(Path(name) / "data") as folder:
        idle, mining = benchmark.pedantic(
            lambda: asyncio.run(_measure(folder, threads)), rounds=1, iterations=1
        )
    found = {"idle": _percentiles(idle), "mining": _percentiles(mining)}
    benchmark.extra_info.update(found)
    what = f"p99 with {threads} miner thread{'s' if threads > 1 else ''}"
    add_line(benchmark, "T2", what, found["mining"]["p99"], "ms", goal=5.0, at_least=False)
    print(f"    {found} ms")


def test_t2_lag_with_one_miner_thread(benchmark: Any) -> None:
    _report(benchmark, threads=1)


def test_t2_lag_with_two_miner_threads(benchmark: Any) -> None:
    _report(benchmark, threads=2)

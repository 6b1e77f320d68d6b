"""T5: a fresh node fetches and fully verifies the chain of 80,101 real ballots from another node.

Two real processes over loopback: a named node of five, and a relay. The clock runs from the start of the
fresh node's interpreter until it says READY, which it does once it has every block that a peer told it of.
Then its status must name the tip and the number of votes. The yardstick, Ed25519 verifies a second of one
core, is measured before and after each round. `extra_info` holds votes a second, the ratio, and the peak of
resident memory.

    make bench-chain        pytest bench/bench_sync.py --benchmark-only -s
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import statistics
from pathlib import Path
from typing import Any

import psutil
import pytest

from lines import add_line
from record_chain import RecordChain, Yardstick, node, report
from votenet.client.connection import NodeConnection
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus

ROUNDS = 3
RSS_LIMIT_MB = 300


async def _status(port: int) -> NodeStatus:
    async with NodeConnection(Address("127.0.0.1", port)) as client:
        return await client.ask(GetStatus(), NodeStatus)


def _peak_rss_mb(pid: int) -> float:
    """VmHWM of proc_pid_status(5): the most memory that the process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError("the process is gone")


@pytest.mark.timeout(600)
def test_t5_sync(benchmark: Any, chain: RecordChain, tmp_path: Path) -> None:
    yardstick, peaks, busy = Yardstick(), list[float](), list[float]()
    started: list[tuple[int, int]] = []
    fresh = tmp_path / "fresh"

    with node(chain, chain.data_dir) as (_, source_port), contextlib.ExitStack() as running:
        source = asyncio.run(_status(source_port))

        def fetch() -> None:
            started.append(running.enter_context(node(chain, fresh, "--peer", f"127.0.0.1:{source_port}")))

        def between_rounds() -> None:
            for pid, port in started:
                status = asyncio.run(_status(port))
                assert (status.tip, status.votes) == (source.tip, chain.votes)
                peaks.append(_peak_rss_mb(pid))
                times = psutil.Process(pid).cpu_times()
                busy.append(times.user + times.system)
            started.clear()
            running.close()
            shutil.rmtree(fresh, ignore_errors=True)
            yardstick.measure()

        benchmark.pedantic(fetch, setup=between_rounds, rounds=ROUNDS)
        between_rounds()

    report(benchmark, "T5 sync", chain.votes, statistics.median(busy), yardstick, 1.4)
    peak = max(peaks)
    add_line(benchmark, "T5", "peak memory", peak, "MB", goal=RSS_LIMIT_MB, at_least=False)

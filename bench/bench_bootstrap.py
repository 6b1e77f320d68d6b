"""What the bootstrap server does in a second, with 1,000 peers and with 100,000 (target T7).

Run it: `python bench/bench_bootstrap.py [PEERS ...]`. A real server process on a real disk; clients
in this process, on the same machine, so they take their share of its processors. Columns:

    pipelined/s   registrations a second over 4 connections, 500 requests ahead of the answers
    one each/s    registrations a second, a connection for each, as the chapter's client does; 64 at a time
    sample ms     the chapter's GET_PEERS, 99th percentile of 300
    start s       exec to ready
    RSS MB        of the server at the end
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from votenet.network.bootstrap_client import get_peers, register, register_many
from votenet.protocol.address import Address
from votenet.protocol.registry import PeerEntry
from votenet.storage.peer_store import FILE_NAME
from votenet.storage.sqlite_peer_store import SqlitePeerStore

PIPELINED = 20_000
ONE_EACH = 3_000


def nowhere(block: int, number: int) -> str:
    """An address of this machine where nobody listens, so that notices cost what dead peers cost."""
    return f"127.{block + (number >> 16)}.{number >> 8 & 255}.{number & 255}:1"


def prepare(folder: Path, peers: int) -> None:
    """A registry of so many peers."""
    with contextlib.closing(SqlitePeerStore(folder / FILE_NAME)) as store, store.saving():
        for number in range(peers):
            store.put(PeerEntry(nowhere(10, number * 7919 % peers)))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[Address, psutil.Process, float]]:
    """A server process: where it listens, itself, and the seconds to ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        name = f"votenet-bench-{os.getpid()}-{os.urandom(4).hex()}"
        supervisor.bind("\0" + name)
        supervisor.settimeout(60)
        options = ["--port", "0", "--data-dir", str(folder), "--log-level", "error"]
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "votenet", "bootstrap", *options],
            env={**os.environ, "NOTIFY_SOCKET": "@" + name},
        ) as process:
            try:
                fields = dict(line.split("=", 1) for line in supervisor.recv(4096).decode().splitlines())
                ready = time.perf_counter() - began
                port = int(fields["STATUS"].rpartition(":")[2])
                yield Address("127.0.0.1", port), psutil.Process(process.pid), ready
            finally:
                process.send_signal(signal.SIGTERM)


async def pipelined(bootstrap: Address) -> float:
    lists = [[nowhere(40 + link, n) for n in range(PIPELINED // 4)] for link in range(4)]
    began = time.perf_counter()
    answers = await asyncio.gather(*(register_many(bootstrap, addresses, 60) for addresses in lists))
    assert all(answer == "Peer registered successfully" for found in answers for answer in found)
    return PIPELINED / (time.perf_counter() - began)


async def one_each(bootstrap: Address) -> float:
    places = asyncio.Semaphore(64)

    async def one(number: int) -> None:
        async with places:
            answer = await register(bootstrap, nowhere(50, number), 60)
            assert answer == "Peer registered successfully"

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(ONE_EACH)))
    return ONE_EACH / (time.perf_counter() - began)


async def sampled(bootstrap: Address) -> float:
    times = []
    for _ in range(300):
        began = time.perf_counter()
        await get_peers(bootstrap)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.quantiles(times, n=100)[98]


def main(sizes: list[int]) -> None:
    print(
        f"{'peers':>9} {'pipelined/s':>12} {'one each/s':>11} {'sample ms':>10} {'start s':>8} {'RSS MB':>7}"
    )
    for peers in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            prepare(folder, peers)
            with serving(folder) as (bootstrap, process, ready):
                sample = asyncio.run(sampled(bootstrap))
                fast = asyncio.run(pipelined(bootstrap))
                slow = asyncio.run(one_each(bootstrap))
                memory = process.memory_info().rss / 1e6
        print(f"{peers:>9,} {fast:>12,.0f} {slow:>11,.0f} {sample:>10.2f} {ready:>8.2f} {memory:>7.0f}")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1_000, 100_000])

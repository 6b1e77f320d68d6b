"""T11: the cost of a vote as the chain grows: votes a second with 10,000, 80,000 and 320,000 on the chain.

One chain is built, which five named nodes decided; copies of it are taken at each size. In every round, and
for each size in turn (so that a busy neighbour meets all), five real nodes start on copies and MORE votes,
signed beforehand, are cast. The clock runs until every node has checked every vote and has it on its disk;
when the next block is found is a matter of luck, and the same at each size. The time of the nodes'
processors is taken, too, which does not depend on what else the machine does. Memory is that of node 1
before the votes are cast.

    make bench-growth     BENCH_GROWTH=2000,10000 for a quick look
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest

from decided_chain import DecidedChain
from lines import add_line
from real_network import NODES, RunningNode, clients, network, statuses, until_counted, usual_election
from record_chain import record_ballots, record_names, sign
from votenet.ballots.paper import Ballot
from votenet.core.election.definition import Election
from votenet.lab.presigned import write_presigned
from votenet.lab.replay_senders import ReplayPlan, cast
from votenet.lab.replayer import SendingPace
from votenet.lab.voter_keys import DerivedKeys
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.files import lock_data_dir

SIZES = [int(size) for size in os.environ.get("BENCH_GROWTH", "10000,80000,320000").split(",")]
MORE = int(os.environ.get("BENCH_GROWTH_MORE", "5000"))
ROUNDS = int(os.environ.get("BENCH_GROWTH_ROUNDS", "3"))
BLOCK_VOTES = 5000
KEYS = DerivedKeys(bytes(range(32)))


def _ballots(election: Election) -> Iterator[Ballot]:
    """The record again and again, each time with other voters."""
    for copy in itertools.count():
        yield from record_ballots(election, f"copy{copy}-")


def _grow(folder: Path, made: DecidedChain, ballots: Iterator[Ballot], votes: int) -> None:
    """So many more votes on the chain in `folder`, in blocks as large as they may be, and its certificate."""
    election = made.election
    with lock_data_dir(folder):
        store = SqliteBlockStore(folder, election)
        try:
            while votes:
                batch = [sign(election, ballot) for ballot in islice(ballots, min(votes, BLOCK_VOTES))]
                votes -= len(batch)
                store.apply(made.add(batch))
            store.apply([made.certificate()])
        finally:
            store.close()


async def _until_known(nodes: Sequence[RunningNode], votes: int) -> None:
    async with clients([node.address for node in nodes]) as links:
        while True:
            if all(status.votes + status.waiting >= votes for status in await statuses(links)):
                return
            await asyncio.sleep(0.01)


async def _until_linked(nodes: Sequence[RunningNode], votes: int) -> None:
    async with clients([node.address for node in nodes]) as links:
        await until_counted(links, votes)


def _round(folder: Path, election: Election, source: Path, size: int, signed: Path) -> dict[str, float]:
    """One size once; see `measure`."""
    for index in range(NODES):
        shutil.copytree(source, folder / f"node-{index}")
    os.sync()  # else the disk writes the copies while the nodes wait for their own commits
    try:
        began = time.perf_counter()
        with network(folder, election) as nodes:
            asyncio.run(_until_linked(nodes, size))
            started = time.perf_counter() - began
            programs = [psutil.Process(node.pid) for node in nodes]
            memory = programs[0].memory_info().rss / 1e6
            busy = _busy(programs)
            began = time.perf_counter()
            plan, addresses = ReplayPlan(signed, None, MORE), tuple(node.address for node in nodes)
            assert cast(plan, addresses, KEYS, SendingPace(), 1, lambda _: None).accepted == MORE
            asyncio.run(_until_known(nodes, size + MORE))
            seconds, busy = time.perf_counter() - began, _busy(programs) - busy
            return {
                "rate": MORE / seconds,
                "cpu_us": 1e6 * busy / NODES / MORE,
                "memory": memory,
                "start": started,
            }
    finally:
        for index in range(NODES):
            shutil.rmtree(folder / f"node-{index}")


def _busy(programs: Sequence[psutil.Process]) -> float:
    times = [program.cpu_times() for program in programs]
    return sum(one.user + one.system for one in times)


def measure(folder: Path, sizes: Sequence[int], rounds: int) -> dict[int, dict[str, float]]:
    """By size, medians: votes/s, microseconds of a vote and node, MB of a node, seconds until linked."""
    election = usual_election(candidates=record_names(), created=1_700_000_000)
    ballots, made, built = _ballots(election), DecidedChain(election), 0
    for size in sizes:
        _grow(folder / "chain", made, ballots, size - built)
        shutil.copytree(folder / "chain", folder / f"chain-{size}")
        built = size
    signed = folder / "signed.jsonl"
    write_presigned(signed, election, islice(ballots, MORE), KEYS)
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(rounds):
        for size in sizes:
            for name, value in _round(folder, election, folder / f"chain-{size}", size, signed).items():
                found[size][name].append(value)
    return {size: {name: statistics.median(v) for name, v in by.items()} for size, by in found.items()}


@pytest.mark.timeout(1800)
def test_t11_growth(benchmark: Any, tmp_path: Path) -> None:
    medians = benchmark.pedantic(lambda: measure(tmp_path, SIZES, ROUNDS), rounds=1)
    benchmark.extra_info["medians"] = {str(size): row for size, row in medians.items()}
    smallest, largest = medians[SIZES[0]], medians[SIZES[-1]]
    for size, row in medians.items():
        ratio, goal = row["rate"] / smallest["rate"], 0.95 if size == SIZES[-1] else None
        add_line(benchmark, "T11", f"{size:,} on chain", row["rate"], "votes/s", ratio=ratio, goal=goal)
        print(
            f"    {row['cpu_us']:.0f} us of processor time a vote and node; "
            f"{row['memory']:.0f} MB; five nodes ready and linked in {row['start']:.1f} s"
        )
    memory = 1e6 * (largest["memory"] - smallest["memory"]) / (SIZES[-1] - SIZES[0])
    add_line(benchmark, "T11", "memory of a vote", memory, "bytes", at_least=False)
    cost, what = smallest["cpu_us"] / largest["cpu_us"], f"processor time at {SIZES[-1]:,}"
    add_line(benchmark, "T11", what, largest["cpu_us"], "us", ratio=cost, goal=0.95)

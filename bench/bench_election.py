"""T3: a whole election: real ballots, signed beforehand, over five real nodes that verify every signature.

The clock runs from the first request until every node has every vote in the same chain. Then all counts must
equal a direct count of the file. The bound is cores x Ed25519 verifies a second / nodes, measured in the
same run: what the signatures alone would allow on this machine.

    make bench-election     BENCH_ELECTION_VOTES=80101 for the whole record; 20,000 without
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from lines import add_line
from real_network import NODES, RunningNode, clients, counts, network, until_counted
from record_chain import RECORD, Yardstick
from support import make_election
from votenet.cli.ballots import Ballot, BallotColumns, distinct_choices
from votenet.cli.demo_run import direct_count
from votenet.cli.presigned import write_presigned
from votenet.cli.replay_senders import ReplayPlan, cast
from votenet.cli.replay_summary import Summary
from votenet.cli.replayer import Pace
from votenet.config import DEFAULT_DIFFICULTY
from votenet.core.limits import MAX_BLOCK_VOTES
from votenet.pow import bits_for_zero_bits

VOTES = int(os.environ.get("BENCH_ELECTION_VOTES", "20000"))
WHOLE_RECORD = 80_101
SENDERS = int(os.environ.get("BENCH_SENDERS", "1"))
SECRET = bytes(range(32))


async def _counted(nodes: list[RunningNode], votes: int, expected: Mapping[str, int]) -> None:
    """Linked and in agreement; the counts are as expected."""
    async with clients([node.address for node in nodes]) as links:
        await until_counted(links, votes)
        for found in await counts(links):
            assert {name: n for name, n in found.counts if n} == expected


def _busy(nodes: list[RunningNode]) -> float:
    times = [psutil.Process(node.pid).cpu_times() for node in nodes]
    return sum(one.user + one.system for one in times)


@pytest.mark.timeout(900)
def test_t3_election(benchmark: Any, tmp_path: Path) -> None:
    election = make_election(
        max_block_votes=MAX_BLOCK_VOTES,
        bits=bits_for_zero_bits(DEFAULT_DIFFICULTY),
        candidates=distinct_choices(RECORD, "rank1"),
        created=int(time.time()),
    )
    signed, yardstick = tmp_path / "signed.jsonl", Yardstick()
    rows = ReplayPlan(RECORD, BallotColumns(("rank1",)), WHOLE_RECORD, VOTES).rows()
    write_presigned(signed, election, (row for row in rows if isinstance(row, Ballot)), SECRET)
    plan, summaries = ReplayPlan(signed, None, VOTES), list[Summary]()

    with network(tmp_path, election) as nodes:
        asyncio.run(_counted(nodes, 0, {}))
        expected = direct_count(VOTES)  # of the file: reading that is no work of the network
        addresses = tuple(node.address for node in nodes)

        def run() -> None:
            pace = Pace(confirmations=2)
            summaries.append(cast(plan, addresses, SECRET, pace, SENDERS, lambda _: None))
            asyncio.run(_counted(nodes, VOTES, expected))

        yardstick.measure()
        busy, ours = _busy(nodes), time.process_time()
        benchmark.pedantic(run, rounds=1)
        busy, ours = _busy(nodes) - busy, time.process_time() - ours
        yardstick.measure()

    (summary,) = summaries
    assert summary.accepted == VOTES
    seconds, cores = benchmark.stats.stats.max, os.cpu_count() or 1
    bound = cores * yardstick.rate / NODES
    add_line(
        benchmark,
        "T3",
        f"{VOTES:,} votes",
        VOTES / seconds,
        "votes/s",
        ratio=VOTES / seconds / bound,
        goal=0.6,
    )
    benchmark.extra_info.update(
        bound=bound,
        accepted_per_second=summary.rate,
        latency_ms=summary.as_dict()["latency_ms"],
        node_cpu_us_per_vote=1e6 * busy / NODES / VOTES,
        generator_cpu_us_per_vote=1e6 * ours / VOTES,
    )
    at_nodes, here = 1e6 * busy / NODES / VOTES, 1e6 * ours / VOTES
    share = VOTES * NODES / yardstick.rate_by_cpu / busy
    print(f"    {seconds:.1f} s; bound {bound:,.0f}/s = {cores} cores x {yardstick.rate:,.0f} / {NODES}")
    print(f"    accepted at {summary.rate:,.0f}/s; processor time of a vote: {at_nodes:.0f} us at each node,")
    print(f"    {share:.0%} of it the signature; {here:.0f} us at the load generator")
    for name, times in summary.latency.items():
        print(f"    ms to {name}: {times.summary()}")

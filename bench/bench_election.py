"""T3: a whole election: real ballots, signed beforehand, over five real nodes that verify every signature.

The clock runs from the first request until every node has every vote in the same chain. Then all counts must
equal a direct count of the file. The bound is cores x Ed25519 verifies a second / nodes, measured in the
same run: what the signatures alone would allow on this machine.

    make bench-election     BENCH_ELECTION_VOTES=80101 for the whole record; 20,000 without
                            BENCH_ELECTION_CONTESTS=2 for votes with a motion beside the mayor
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from lines import add_line
from real_network import NODES, RunningNode, clients, counts, network, until_counted, usual_election
from record_chain import Yardstick, record_names
from votenet.ballots.paper import Ballot
from votenet.core.election.definition import Candidate, Contest, Election, Threshold
from votenet.lab.demo_record import motion_counts, record_ballots
from votenet.lab.presigned import write_presigned
from votenet.lab.replay_senders import ReplayPlan, cast
from votenet.lab.replay_summary import Summary
from votenet.lab.replayer import SendingPace
from votenet.lab.voter_keys import DerivedKeys

VOTES = int(os.environ.get("BENCH_ELECTION_VOTES", "20000"))
CONTESTS = int(os.environ.get("BENCH_ELECTION_CONTESTS", "1"))
"""2: each vote also has a choice in a motion, which follows from the ballot's number."""
NAMED = os.environ.get("BENCH_NAMED", "1") == "1"
"""Named nodes decide, as `votenet up` has it; 0: most work."""
PAGE = os.environ.get("BENCH_PAGE", "1") == "1"
"""A page's server runs beside the nodes, as `votenet up` has it."""
SENDERS = int(os.environ.get("BENCH_SENDERS", "1"))
KEYS = DerivedKeys(bytes(range(32)))


def _election() -> Election:
    election = usual_election(named=NAMED, candidates=record_names())
    if CONTESTS == 1:
        return election
    motion = Contest(
        id="2",
        title="Motion",
        method="motion",
        candidates=tuple(Candidate(name=name) for name in ("Yes", "No", "Abstain")),
        threshold=Threshold(basis="cast", share="simple"),
    )
    contests = (*election.definition.contests, motion)
    return Election(msgspec.structs.replace(election.definition, contests=contests))


async def _counted(nodes: list[RunningNode], votes: int, expected: Sequence[Mapping[str, int]]) -> None:
    """Linked and in agreement; the counts are as expected."""
    async with clients([node.address for node in nodes]) as links:
        await until_counted(links, votes)
        for found in await counts(links):
            told = [{name: n for name, n in one.counts if n} for one in found.contests]
            assert told == list(expected)


def _busy(nodes: list[RunningNode]) -> float:
    times = [psutil.Process(node.pid).cpu_times() for node in nodes]
    return sum(one.user + one.system for one in times)


@pytest.mark.timeout(900)
def test_t3_election(benchmark: Any, tmp_path: Path) -> None:
    election = _election()
    signed, yardstick = tmp_path / "signed.jsonl", Yardstick()
    record = record_ballots(VOTES)
    expected: list[Mapping[str, int]] = [Counter(one.ranks[0] for one in record), motion_counts(record)]
    rows = (
        Ballot(number, number, one.voter_id, ((one.ranks[0],), (one.motion,))[:CONTESTS])
        for number, one in enumerate(record, start=1)
    )
    write_presigned(signed, election, rows, KEYS)
    plan, summaries = ReplayPlan(signed, None, VOTES), list[Summary]()

    with network(tmp_path, election, page=PAGE) as nodes:
        asyncio.run(_counted(nodes, 0, [{}] * CONTESTS))
        addresses = tuple(node.address for node in nodes)

        def run() -> None:
            pace = SendingPace(confirmations=2)
            summaries.append(cast(plan, addresses, KEYS, pace, SENDERS, lambda _: None))
            asyncio.run(_counted(nodes, VOTES, expected[:CONTESTS]))

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
        f"{VOTES:,} votes" + (f" of {CONTESTS} contests" if CONTESTS > 1 else ""),
        VOTES / seconds,
        "votes/s",
        ratio=VOTES / seconds / bound,
        goal=0.62,
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

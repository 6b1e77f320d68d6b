"""How a vote and a block spread over 100 and 1,000 nodes, in virtual time: a table.

    make propagation      PYTHONPATH=tests python bench/propagation.py [--nodes 100] [--votes 100]

Real cores, links, handshakes and stores on the in-memory network (`tests/support/wide_network.py` has its
model); the wires are simulated. The same seed gives the same table on any machine. Votes are cast one by one,
RATE in the time between two blocks, each at a node of its own luck; the run ends when all nodes have all
of them in the same chain, and fails if that takes longer than PATIENCE.

Columns:

    vote, block      seconds from the first node that has it until 50, 90, 99, 100 % have it: median
    records          bytes that a node sends and receives for one vote, in sizes of the record
    busiest          the same of the node with most of them
    blocks, stale    of the best branch; beside it, as far as node-0 has heard of them
    deepest          most blocks that a node gave up for another branch
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from support.elections import make_election
from support.wide_network import COUNTRY, DIAL_SECONDS, HALL, SHARES, WORLD, Surroundings, WideNetwork

RATE: Final = 20.0
BEGIN: Final = DIAL_SECONDS + 4.0
"""Seconds after which all are linked in and have said what they had to say."""
PATIENCE: Final = 600.0
LINKS: Final = 16
"""Of a node, on average."""


@dataclass(frozen=True, slots=True)
class Case:
    """`mine_seconds`: of one miner at genesis difficulty; without, so that blocks come an interval apart."""

    name: str
    nodes: int
    around: Surroundings
    interval: int = 1
    miners: int | None = None
    mine_seconds: float | None = None

    @property
    def search_seconds(self) -> float:
        """All that are first among the miners they are linked to search at once
        (`protocol/node/mining.py`)."""
        miners = self.miners or self.nodes
        at_once = max(1.0, miners / (1 + LINKS * miners / self.nodes))
        return self.mine_seconds or self.interval * at_once


@dataclass(frozen=True, slots=True)
class Found:
    case: str
    nodes: int
    vote: Sequence[tuple[float, float]]
    block: Sequence[tuple[float, float]]
    records: float
    busiest: float
    kinds: dict[str, float]
    blocks: int
    stale: int
    deepest: int
    interval: float
    virtual: float
    real: float


def cases(sizes: Sequence[int]) -> list[Case]:
    made = [Case(around.name, size, around) for size in sorted(sizes) for around in (HALL, COUNTRY, WORLD)]
    for size in sorted(sizes):
        made += [
            Case("a country, a block every 10 s", size, COUNTRY, interval=10),
            Case("a country, 10 of them mine, every 10 s", size, COUNTRY, interval=10, miners=10),
        ]
    made.append(Case("a country, much too easy at first", min(sizes), COUNTRY, mine_seconds=0.7))
    return made


def run(case: Case, votes: int, seed: int) -> Found:
    began = time.perf_counter()
    election = make_election(block_seconds=case.interval)
    net = WideNetwork(
        election, case.nodes, case.around, seed=seed, miners=case.miners, mine_seconds=case.search_seconds
    )
    net.run(BEGIN)
    before, start = net.traffic(), net.now
    net.sent.clear()
    rate = RATE / case.interval
    cast = net.cast(votes, rate)
    net.run(votes / rate)
    while not net.settled(votes):
        if net.now - start > PATIENCE:
            raise TimeoutError(f"{case.name}, {case.nodes} nodes: no agreement after {PATIENCE:g} s")
        net.run(1.0)
    traffic = [after - was for was, after in zip(before, net.traffic(), strict=True)]
    unit = votes * statistics.mean(len(vote.record) for vote in cast)
    blocks, height = net.blocks()
    everywhere = [block for block in blocks if len(net.had[block]) == case.nodes]
    return Found(
        case=case.name,
        nodes=case.nodes,
        vote=net.spread([vote.id for vote in cast]),
        block=net.spread(everywhere),
        records=statistics.mean(traffic) / unit,
        busiest=max(traffic) / unit,
        kinds={kind: 2 * size / case.nodes / unit for kind, size in net.sent.most_common()},
        blocks=height,
        stale=len(blocks) - height,
        deepest=max(net.switches, default=0),
        interval=statistics.mean(net.intervals()) if height > 1 else math.nan,
        virtual=net.now - start,
        real=time.perf_counter() - began,
    )


def show(found: Found) -> str:
    def times(spread: Sequence[tuple[float, float]]) -> str:
        return " / ".join(f"{median:.2f}" for median, _ in spread)

    return (
        f"{found.nodes:>6,}  {found.case:<40}{times(found.vote):<29}{times(found.block):<29}"
        f"{found.records:>5.1f}{found.busiest:>9.1f}{found.blocks:>8}{found.stale:>7}{found.deepest:>9}"
    )


def main() -> int:
    options = argparse.ArgumentParser(description="How votes and blocks spread over many nodes.")
    options.add_argument("--nodes", type=int, action="append", help="100 and 1,000 without")
    options.add_argument("--votes", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    given = options.parse_args()
    percent = "/".join(f"{100 * share:.0f}" for share in SHARES)
    print(
        f"{'nodes':>6}  {'where':<40}{f'vote, s to {percent} %':<29}{f'block, s to {percent} %':<29}"
        f"{'records':>5}{'busiest':>7}{'blocks':>8}{'stale':>7}{'deepest':>9}",
        flush=True,
    )
    found = []
    with ProcessPoolExecutor(given.jobs) as pool:
        running = [
            pool.submit(run, case, given.votes, given.seed) for case in cases(given.nodes or [100, 1000])
        ]
        for one in running:
            found.append(one.result())
            print(show(found[-1]), flush=True)
    print(f"\n{given.votes} votes a case, {RATE:g} a block, seed {given.seed}; ", end="")
    print(f"{sum(one.virtual for one in found):,.0f} s in {sum(one.real for one in found):,.0f} s")
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

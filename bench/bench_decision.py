"""T14 and T22: how soon what named nodes decide is final.

T14: five real nodes named by their election, as `votenet up` makes it, on one machine; each notes when it
found a nonce and when it saved a certificate (`timed_node.py`). A voter at a time votes at the next node; the
next one votes when the vote before is final. `nonce to certificate`: from the nonce of a decided block until
the certificate of it is on the disk of a node; every node and every block counts. `vote to final`: from the
dialling of a node until the proof of the vote has been checked here.

The same at 100 ms between nodes, for each line in each direction, in virtual time: a search takes 0.3 s on
average, work at the nodes up to 20 ms (`tests/support/simulated_network.py`). Votes come at random moments.

T22: five real nodes, votes until the poll closes. From the last closing list on a node's disk until every
node has the certificate of the whole chain: the final result. Votes that were promised to count must count.

    make bench-final     pytest bench/bench_decision.py --benchmark-only -s
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from lines import add_line
from real_network import NODES, RunningNode, clients, counts, network, until_counted, usual_election
from support.elections import CREATED, key_of, make_votes
from support.named_network import NamedNetwork
from timed_node import read_times
from votenet.client import AsyncElectionClient
from votenet.client.connection import NodeConnection
from votenet.core.election.definition import Election
from votenet.core.election.quorum import enough_holders
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.node.events import Template
from votenet.protocol.wire.client_messages import SubmitVotes, VotesTaken

VOTES = int(os.environ.get("BENCH_DECISIONS", "150"))
SIMULATED = int(os.environ.get("BENCH_SIMULATED_DECISIONS", "400"))
CLOSINGS = int(os.environ.get("BENCH_CLOSINGS", "5"))
CLOSES_IN: Final = 8
"""Seconds from the start of the nodes to the end of the poll."""
MOST_VOTES: Final = 500
"""At one node: more than it gets in that time."""
LINE_SECONDS: Final = 0.1
PROGRAM: Final = str(Path(__file__).with_name("timed_node.py"))
FINAL_SECONDS: Final = 60
"""For a final result, until the bench gives up."""


class Times(NamedTuple):
    """What five nodes noted."""

    nonces: dict[str, float]
    blocks: dict[int, str]
    """The hash of each decided block, by height."""
    certificates: list[tuple[int, float]]
    """The height of a block, and when one node had the first certificate of it."""
    lists: list[float]

    def waits(self) -> list[float]:
        """Seconds from the nonce of each decided block to its certificate at each node.

        A certificate of a later block covers it, too.
        """
        return [at - self.nonces[self.blocks[height]] for height, at in self.certificates]


def read_all(folder: Path) -> Times:
    nonces: dict[str, float] = {}
    blocks: dict[int, str] = {}
    certificates: list[tuple[int, float]] = []
    lists: list[float] = []
    for index in range(NODES):
        done = 0
        for what, *of, at in read_times(folder / f"times-{index}"):
            if what == "nonce":
                nonces[of[0]] = float(at)
            elif what == "block":
                blocks[int(of[0])] = of[1]
            elif what == "list":
                lists.append(float(at))
            else:
                covered = range(done + 1, int(of[0]) + 1)
                certificates += [(height, float(at)) for height in covered]
                done = max(done, int(of[0]))
    return Times(nonces, blocks, certificates, lists)


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


# -- T14, real nodes ---------------------------------------------------------------------------------


async def _linked(nodes: Sequence[RunningNode]) -> None:
    async with clients([node.address for node in nodes]) as links:
        await until_counted(links, 0)


async def _votes_to_final(nodes: Sequence[RunningNode], election: Election, known: Path) -> list[float]:
    taken = []
    for number, node in zip(range(VOTES), itertools.cycle(nodes)):
        name, began = f"voter-{number}", time.perf_counter()
        async with AsyncElectionClient(
            str(node.address), network_id=election.network_hex, known=known
        ) as client:
            cast = await client.cast(name, "Alice", key=key_of(name))
            taken.append(time.perf_counter() - began)
            assert cast.state == "final", cast
    return taken


@pytest.mark.timeout(900)
def test_t14_real_nodes(benchmark: Any, tmp_path: Path) -> None:
    election = usual_election()
    finals: list[float] = []

    def run() -> None:
        with network(tmp_path, election, program=(PROGRAM,), times=tmp_path) as nodes:
            asyncio.run(_linked(nodes))
            finals.extend(asyncio.run(_votes_to_final(nodes, election, tmp_path / "known")))

    benchmark.pedantic(run, rounds=1)
    waits = read_all(tmp_path).waits()
    middle, worst = statistics.median(waits), p99(waits)
    add_line(benchmark, "T14", "nonce to certificate, p50", middle, "s", goal=0.2, at_least=False)
    add_line(benchmark, "T14", "nonce to certificate, p99", worst, "s", goal=1.0, at_least=False)
    final = statistics.median(finals)
    add_line(benchmark, "T14", "vote to final, quiet network, p50", final, "s", goal=1.5, at_least=False)
    print(f"    {len(waits)} certificates, slowest {max(waits):.2f} s")
    print(f"    {len(finals)} votes, p99 {p99(finals):.2f} s to final")


# -- T14, in virtual time ----------------------------------------------------------------------------


class DistantNodes(NamedNetwork):
    """Five named nodes with LINE_SECONDS between any two. Notes when each nonce is found."""

    def __init__(self, seed: int) -> None:
        self.found: dict[tuple[bytes, bytes], float] = {}
        """By the hash of the block before, and the Merkle root: they tell the blocks of one height apart."""
        self.certified = dict.fromkeys(range(NODES), 0)
        self.waits: list[float] = []
        super().__init__(NODES, seed=seed)
        self.line_seconds = LINE_SECONDS, LINE_SECONDS

    def search_seconds(self, template: Template) -> float:
        seconds = super().search_seconds(template)
        header = template.header
        self.found[header.previous, header.merkle_root] = self.now + seconds
        return seconds

    def _look(self, votes: int) -> bool:
        """Take down the certificates that are new, node by node. Whether all have one of so many votes."""
        for index, name in enumerate(self.names):
            core = self.core(name)
            assert core.checkpoints is not None
            certified = core.checkpoints.certified
            newest = 0 if certified is None else certified.height
            for height in range(self.certified[index] + 1, newest + 1):
                header = core.state.chain.best[height].header
                self.waits.append(self.now - self.found[header.previous, header.merkle_root])
            self.certified[index] = max(newest, self.certified[index])
        return self.all_count(votes) and self.all_certified()

    def play(self, votes: int) -> None:
        """Votes at random moments, half a second apart on average, until all are certified everywhere."""
        dice = random.Random(votes)
        for vote in make_votes(self.election, votes):
            self.cast([vote], dice.choice(self.names))
            self.run_until(lambda: self._look(votes), dice.expovariate(2.0))
        assert self.run_until(lambda: self._look(votes), 120.0), "not all votes are certified"


@pytest.mark.timeout(600)
def test_t14_distant_nodes(benchmark: Any) -> None:
    made = DistantNodes(seed=14)
    benchmark.pedantic(lambda: made.play(SIMULATED), rounds=1)
    assert len(made.waits) == NODES * made.core(made.names[0]).state.chain.tip.height
    worst, what = p99(made.waits), "nonce to certificate at 100 ms (virtual time), p99"
    add_line(benchmark, "T14", what, worst, "s", goal=2.0, at_least=False)
    print(f"    {len(made.waits)} certificates, median {statistics.median(made.waits):.2f} s")


# -- T22 ---------------------------------------------------------------------------------------------


async def _vote_until_closed(link: NodeConnection, election: Election, votes: Sequence[HashedVote]) -> int:
    """Vote at one node, one vote after the other; how many are promised to count: enough nodes hold them."""
    closes, promised = election.definition.closes or 0, 0
    for vote in votes:
        if time.time() >= closes:
            break
        question = SubmitVotes(votes=(vote.vote,), acceptances=True)
        (outcome,) = (await link.ask(question, VotesTaken, timeout=60)).outcomes
        in_time = [made for made in outcome.acceptances if made.time < closes]
        promised += len(in_time) >= enough_holders(NODES)
    return promised


async def _play_to_the_end(nodes: Sequence[RunningNode], election: Election) -> int:
    """Votes at all nodes until the poll closes, the last just before; how many the final result counts."""
    votes = make_votes(election, NODES * MOST_VOTES)
    async with clients([node.address for node in nodes]) as links:
        await until_counted(links, 0)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_vote_until_closed(link, election, votes[at::NODES]))
                for at, link in enumerate(links)
            ]
        end = time.monotonic() + FINAL_SECONDS
        while time.monotonic() < end:
            found = await counts(links)
            same, promised = len({one.tip for one in found}) == 1, sum(task.result() for task in tasks)
            if same and all(one.over and one.final_height == one.height for one in found):
                assert found[0].votes >= promised, "a vote is not counted that was promised to be"
                return found[0].votes
            await asyncio.sleep(0.05)
    raise TimeoutError("there is no final result")


@pytest.mark.timeout(900)
def test_t22_final_result(benchmark: Any, tmp_path: Path) -> None:
    numbers = itertools.count()
    taken: list[float] = []

    def closing() -> None:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        election = usual_election(created=CREATED, closes=int(time.time()) + CLOSES_IN)
        with network(folder, election, program=(PROGRAM,), times=folder) as nodes:
            votes = asyncio.run(_play_to_the_end(nodes, election))
        assert votes, f"this machine is too busy: five nodes were not up within {CLOSES_IN} s"
        times = read_all(folder)
        assert len(times.lists) == NODES
        tip = max(times.blocks)
        ends = [at for height, at in times.certificates if height == tip]
        assert len(ends) == NODES
        taken.append(max(ends) - max(times.lists))
        print(f"    {votes} votes in {tip} blocks: final {taken[-1]:.2f} s after the last closing list")

    benchmark.pedantic(closing, rounds=CLOSINGS)
    what = f"last closing list to the final result, slowest of {CLOSINGS}"
    add_line(benchmark, "T22", what, max(taken), "s", goal=3.0, at_least=False)
    print(f"    median {statistics.median(taken):.2f} s")

"""One node with a long chain, one address with the most expensive questions, and an honest client.

For a quick look, with another commit's interpreter where two are compared:

    ADVERSARY_PYTHON=/elsewhere/.venv/bin/python PYTHONPATH=tests:bench python bench/dearest.py get_proof-60 …
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from adversary.arena import Node, player
from adversary.long_chain import VOTERS, build_long_chain, long_election
from adversary.prices import CASES
from support.elections import key_of
from votenet.client.connection import NodeConnection
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import sign_vote
from votenet.errors import VotenetError
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus, SubmitVotes, VotesTaken

PAUSE_SECONDS = 0.005
AFTER_SECONDS = 1.0
"""By when everything must be as before."""
CALM_SECONDS = 2.0
PATIENCE = 240.0

Times = list[tuple[float, float]]
"""When an answer was wanted, and how long it took."""


@dataclass(frozen=True, slots=True)
class Case:
    """Seconds and bytes. `busy`: the node's processor time for each second of play."""

    name: str
    vote: float
    status: float
    longest: float
    after: float
    memory: int
    busy: float
    lines: int


class Bench:
    """The node, mining, and its honest client. Each adversary has an address of its own."""

    def __init__(self, folder: Path, election: Election, votes: int) -> None:
        genesis = folder / "genesis.json"
        genesis.write_bytes(election.to_file())
        build_long_chain(folder / "node", election, votes=votes)
        self.election, self._genesis = election, genesis
        self.node = Node(folder / "node", genesis)
        self._numbers, self._hosts = itertools.count(1), itertools.count(2)

    async def calm(self) -> tuple[float, float]:
        """p99 of a vote and of a status while no other client asks."""
        votes, states = await self._honest(asyncio.sleep(CALM_SECONDS))
        return p99(votes), p99(states)

    async def case(self, name: str, seconds: float) -> Case:
        process = psutil.Process(self.node.process.pid)
        self.node.forget_peak()
        busy = sum(process.cpu_times()[:2])
        ended: list[tuple[float, float]] = []
        told: dict[str, int] = {}

        async def play() -> None:
            source = f"127.0.0.{next(self._hosts)}"
            told.update(await player("prices.py", name, self.node.address, source, seconds, self._genesis))
            ended.append((time.perf_counter(), sum(process.cpu_times()[:2]) - busy))
            await asyncio.sleep(AFTER_SECONDS + CALM_SECONDS)

        votes, states = await self._honest(play())
        end, spent = ended[0]
        during = [[pair for pair in times if pair[0] <= end] for times in (votes, states)]
        after = [pair for pair in votes + states if pair[0] > end + AFTER_SECONDS]
        return Case(
            name, p99(during[0]), p99(during[1]), max(seconds for _, seconds in votes + states),
            p99(after), self.node.memory("VmHWM"), spent / seconds, told["lines"],
        )  # fmt: skip

    async def _honest(self, meanwhile: object) -> tuple[Times, Times]:
        votes, states, stop = Times(), Times(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._votes(votes, stop))
            tasks.create_task(self._asks(states, stop))
            try:
                await meanwhile  # type: ignore[misc]
            finally:
                stop.set()
        return votes, states

    async def _votes(self, times: Times, stop: asyncio.Event) -> None:
        async with NodeConnection(self.node.address) as client:
            while not stop.is_set():
                name = f"honest-{next(self._numbers)}"
                hashed = sign_vote(key_of(name), network_hex=self.election.network_hex, voter_id=name,
                                   choices=[["Alice"]], time=int(time.time()))  # fmt: skip
                began = time.perf_counter()
                taken = await client.ask(SubmitVotes(votes=(hashed.vote,)), VotesTaken, PATIENCE)
                times.append((began, time.perf_counter() - began))
                assert [outcome.error for outcome in taken.outcomes] == [None]
                await asyncio.sleep(PAUSE_SECONDS)

    async def _asks(self, times: Times, stop: asyncio.Event) -> None:
        async with NodeConnection(self.node.address) as client:
            while not stop.is_set():
                began = time.perf_counter()
                await client.ask(GetStatus(), NodeStatus, PATIENCE)
                times.append((began, time.perf_counter() - began))
                await asyncio.sleep(PAUSE_SECONDS)


def p99(times: Times) -> float:
    """0 if nothing was asked."""
    found = sorted(seconds for _, seconds in times)
    return found[min(len(found) * 99 // 100, len(found) - 1)] if found else 0.0


@contextlib.contextmanager
def opened(folder: Path, votes: int = VOTERS) -> Iterator[Bench]:
    """A bench whose node listens; it is ended when the block is left."""
    bench = Bench(folder, long_election(int(time.time()) - 3600), votes)
    try:
        asyncio.run(bench.node.listens())
        yield bench
    finally:
        with contextlib.suppress(VotenetError):
            bench.node.end()


def main(names: Sequence[str], seconds: float = 4.0) -> None:
    with tempfile.TemporaryDirectory(prefix="votenet-dearest-") as folder, opened(Path(folder)) as bench:
        vote, status = asyncio.run(bench.calm())
        print(f"{'idle':22} vote {vote * 1e3:8.1f} ms  status {status * 1e3:8.1f} ms", flush=True)
        for name in names or CASES:
            case = asyncio.run(bench.case(name, seconds))
            print(
                f"{name:22} vote {case.vote * 1e3:8.1f} ms  status {case.status * 1e3:8.1f} ms  longest "
                f"{case.longest * 1e3:8.1f}  1 s after {case.after * 1e3:7.1f}  {case.memory / 1e6:4.0f} MB  "
                f"busy {case.busy:4.2f}  {case.lines} lines",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])

"""The cost of bad input for honest voters; counts stay exact under it. Five real nodes.

Each case casts VOTES good votes in some bad company, as fast as the nodes take them, while an honest client
casts HONEST votes, one at a time, by the clock. Its latency is what the case is judged by. After each case
all nodes must agree and have exactly the good votes.

    nothing else   only the honest client
    overload       good votes, in a closed loop with 16 connections to each node
    duplicates     every ballot sent three times, each time to other nodes, at once
    conflicts      two different votes of every voter, to all nodes at once: one of them stands
    half invalid   after each good vote one whose signature is false

    make bench-overload     pytest bench/bench_overload.py --benchmark-only -s
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lines import add_line
from real_network import NODES, clients, counts, network, until_counted
from support.elections import make_election
from votenet.ballots.paper import Ballot
from votenet.config import DEFAULT_DIFFICULTY
from votenet.core.election.definition import Election
from votenet.core.limits import MAX_BLOCK_VOTES
from votenet.lab.presigned import SignedBallot, sign_ballot
from votenet.lab.replay_summary import Summary
from votenet.lab.replayer import Replayer, SendingPace
from votenet.lab.voter_keys import DerivedKeys
from votenet.pow import bits_for_zero_bits
from votenet.protocol.wire.address import Address

VOTES = int(os.environ.get("BENCH_OVERLOAD_VOTES", "15000"))
HONEST_RATE = 20.0
HONEST = 60
KEYS = DerivedKeys(bytes(range(32)))

Stream = tuple[Sequence[Address], list[SignedBallot]]
"""Which nodes, and what they are sent."""
Plan = Callable[[Election, Sequence[Address]], list[Stream]]


def _signed(election: Election, name: str, choice: int = 0, votes: int = VOTES) -> list[SignedBallot]:
    names = election.names
    made = (Ballot(n, n, f"{name}-{n}", ((names[(n + choice) % len(names)],),)) for n in range(1, votes + 1))
    return [sign_ballot(ballot, election, KEYS) for ballot in made]


def nothing_else(election: Election, nodes: Sequence[Address]) -> list[Stream]:
    return []


def overload(election: Election, nodes: Sequence[Address]) -> list[Stream]:
    return [(nodes, _signed(election, "overload"))]


def duplicates(election: Election, nodes: Sequence[Address]) -> list[Stream]:
    votes = _signed(election, "duplicates")
    return [(nodes[:2], votes), (nodes[2:4], votes), (nodes[4:], votes)]


def conflicts(election: Election, nodes: Sequence[Address]) -> list[Stream]:
    one, other = _signed(election, "conflicts"), _signed(election, "conflicts", choice=1)
    return [([node], [one, other][index % 2]) for index, node in enumerate(nodes)]


def half_invalid(election: Election, nodes: Sequence[Address]) -> list[Stream]:
    good, bad = _signed(election, "good"), _signed(election, "false")
    mixed = []
    for vote, false in zip(good, bad, strict=True):
        begin = false.record.index(b'"signature":"') + len(b'"signature":"')
        digit = b"1" if false.record[begin : begin + 1] == b"0" else b"0"
        record = false.record[:begin] + digit + false.record[begin + 1 :]
        mixed += [vote, SignedBallot(false.line, record)]
    return [(nodes, mixed)]


CASES: list[Plan] = [nothing_else, overload, duplicates, conflicts, half_invalid]


async def _case(
    streams: list[Stream], honest: list[SignedBallot], nodes: Sequence[Address]
) -> tuple[Summary, Summary, float]:
    """What became of the streams and of the honest votes; seconds until the streams were answered."""
    began = time.perf_counter()

    async def stream(to: Sequence[Address], votes: list[SignedBallot]) -> Summary:
        clients_each = 16 if len(streams) == 1 else 2
        return await Replayer(to, KEYS, SendingPace(clients=clients_each)).run(votes, lambda *_: None)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(stream(to, votes)) for to, votes in streams]
        pace = SendingPace(batch=1, rate=HONEST_RATE, confirmations=1)
        voter = tasks.create_task(Replayer(nodes, KEYS, pace).run(honest, lambda *_: None))
        total = Summary()
        for task in running:
            total.merge(await task)
        seconds = time.perf_counter() - began
    return total, voter.result(), seconds


async def _agreed(nodes: Sequence[Address], votes: int) -> None:
    async with clients(nodes) as links:
        await until_counted(links, votes)
        assert len({found.contests[0].counts for found in await counts(links)}) == 1


@pytest.mark.timeout(900)
def test_overload(benchmark: Any, tmp_path: Path) -> None:
    election = make_election(
        max_block_votes=MAX_BLOCK_VOTES, bits=bits_for_zero_bits(DEFAULT_DIFFICULTY), created=int(time.time())
    )
    found: dict[str, tuple[Summary, Summary, float]] = {}

    def run() -> None:
        expected = 0
        with network(tmp_path, election) as running:
            nodes = [node.address for node in running]
            asyncio.run(_agreed(nodes, 0))
            for plan in CASES:
                name = plan.__name__.replace("_", " ")
                streams = plan(election, nodes)
                honest = _signed(election, f"honest {name}", votes=HONEST)
                found[name] = asyncio.run(_case(streams, honest, nodes))
                expected += HONEST + (VOTES if streams else 0)
                asyncio.run(_agreed(nodes, expected))

    benchmark.pedantic(run, rounds=1)
    for name, (others, honest, seconds) in found.items():
        assert honest.accepted == HONEST
        times = {key: value.summary() for key, value in honest.latency.items()}
        what = f"honest votes, {name}: p99 to accepted"
        add_line(benchmark, "T3", what, times["accepted"]["p99"], "ms", at_least=False)
        print(
            f"    p99 to a block {times['in_block']['p99']:,.0f} ms; the others' {others.read:,} votes in "
            f"{seconds:.1f} s: {others.accepted:,} accepted, {others.repeated:,} there already, "
            f"refused {dict(others.refused)}"
        )
        benchmark.extra_info[name] = {"others": others.as_dict(), "honest": honest.as_dict()}
    assert found["half invalid"][0].refused == {"bad-signature": VOTES}
    assert found["duplicates"][0].refusals == 0
    assert set(found["conflicts"][0].refused) <= {"already-voted"}
    assert NODES == 5, "the cases name five nodes"

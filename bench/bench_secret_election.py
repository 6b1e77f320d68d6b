"""T17, a whole election: encrypted ballots, made beforehand, over five real nodes that check every proof.

One contest of five candidates of whom one is chosen. The clock runs from the first request until every node
has every vote in the same chain, with its certificate. The bound is cores x ballots a second / nodes, from
the check of a ballot in this process just before and after: what the proofs alone would allow here.

    pytest bench/bench_secret_election.py --benchmark-only -s     BENCH_SECRET_VOTES=200 for a quick look
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from lines import add_line
from real_network import NODES, clients, counts, network, until_counted, usual_election
from support.secret_definitions import SecretSetup, contest
from votenet.core.election.definition import Election
from votenet.lab.presigned import write_signed
from votenet.lab.replay_senders import ReplayPlan, cast
from votenet.lab.replayer import SendingPace
from votenet.lab.voter_keys import DerivedKeys
from votenet.protocol.wire.address import Address
from votenet.secret.ballot import check_ballot
from votenet.secret.group import Point

VOTES = int(os.environ.get("BENCH_SECRET_VOTES", "2000"))
GOAL_SECONDS = 45.0
"""Of 2,000 ballots."""
CANDIDATES = 5
BATCH = 20
"""Votes of a request: some 80 KB, whose proofs take a node some 60 ms."""
CHECKED = 50
"""Ballots whose checks are the yardstick."""
NO_KEYS = DerivedKeys(bytes(32))
"""The votes are signed before they are sent."""


def made_now(votes: int) -> SecretSetup:
    """An election of so many voters that has begun, with the chain that `votenet up --nodes 5` makes."""
    names = [f"Candidate {number}" for number in range(1, CANDIDATES + 1)]
    setup = SecretSetup([contest("Who?", names)], weights=(1,) * votes)
    chain, now = usual_election().definition.chain, int(time.time())
    setup.definition = setup.define(chain=chain, created=now, closes=now + 24 * 3600)
    return setup


def records(setup: SecretSetup) -> list[bytes]:
    """The vote of each voter, signed: the candidates take turns."""
    chosen = [[[int(place == one) for place in range(CANDIDATES)]] for one in range(CANDIDATES)]
    when = setup.definition.created
    return [
        setup.vote(voter, chosen[number % CANDIDATES], time=when).record
        for number, voter in enumerate(setup.voters)
    ]


def seconds_of_a_check(setup: SecretSetup) -> float:
    """Of one ballot in this process, one core."""
    secret = setup.election.secret
    assert secret is not None
    ballots = [setup.ballot(voter, [[1, 0, 0, 0, 0]]).encode() for voter in setup.voters[:CHECKED]]
    roll = {Point.read(setup.public_credential(voter)) for voter in setup.voters[:CHECKED]}
    began = time.thread_time()
    for ballot in ballots:
        check_ballot(secret, ballot, roll)
    return (time.thread_time() - began) / len(ballots)


async def until_all_have(addresses: Sequence[Address], votes: int) -> None:
    """Linked and in agreement; still encrypted."""
    async with clients(addresses) as links:
        await until_counted(links, votes)
        assert [(one.votes, one.contests) for one in await counts(links)] == [(votes, ())] * NODES


@pytest.mark.timeout(900)
def test_t17_election(benchmark: Any, tmp_path: Path) -> None:
    setup, signed = made_now(VOTES), tmp_path / "signed.jsonl"
    election: Election = setup.election
    write_signed(signed, election, records(setup))
    plan, check = ReplayPlan(signed, None, VOTES), seconds_of_a_check(setup)

    with network(tmp_path, election, roll=setup.roll) as nodes:
        addresses = tuple(node.address for node in nodes)
        asyncio.run(until_all_have(addresses, 0))
        programs = [psutil.Process(node.pid) for node in nodes]

        def busy() -> float:
            return sum(sum(program.cpu_times()[:2]) for program in programs)

        def run() -> int:
            summary = cast(plan, addresses, NO_KEYS, SendingPace(batch=BATCH), 1, lambda _: None)
            asyncio.run(until_all_have(addresses, VOTES))
            return summary.accepted

        before = busy()
        assert benchmark.pedantic(run, rounds=1) == VOTES
        spent = (busy() - before) / NODES / VOTES

    check = (check + seconds_of_a_check(setup)) / 2
    seconds, cores = benchmark.stats.stats.max, os.cpu_count() or 1
    goal = GOAL_SECONDS if VOTES == 2000 else None
    what = f"{VOTES:,} ballots of {CANDIDATES} candidates, {NODES} nodes"
    add_line(benchmark, "T17", what, seconds, "s", goal=goal, at_least=False)
    rate, bound = VOTES / seconds, cores / check / NODES
    add_line(benchmark, "T17", "the same as a rate, against the proofs alone", rate, "/s", ratio=rate / bound)
    add_line(benchmark, "T17", "a ballot at each node", spent * 1e3, "ms", ratio=spent / check)

"""T12: bytes that a node sends and receives for one vote, in a network of five.

Five real processes over loopback, every pair linked, named by the election, as `votenet up` makes it. The
votes are real ballots, signed, given to the five nodes in turn. Each node counts the bytes of its sockets
to peers (`get_status`, `votenet status --json`); what is counted runs from the first submission until every
node has every vote in its chain and a certificate of it, and a second more: votes, acceptances,
announcements, proposals, what nodes sign to decide and to certify, what is asked for, pings. Divided by
nodes, votes, and the size of the vote record.

    pytest bench/bench_propagation.py --benchmark-only -s

`stream`: as fast as the nodes take them, 100 in a request. `one at a time`: the next vote is cast when the
one before is in a block, so that every vote also pays for a block of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from lines import add_line
from real_network import NODES, clients, network, statuses, until_counted, usual_election
from record_chain import record_ballots, record_names, sign
from votenet.client.connection import NodeConnection
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import NodeStatus, SubmitVotes, VotesTaken

STREAM = 5000
BATCH = 100
ALONE = 15
TARGET = 2.7


async def _submit(client: NodeConnection, votes: Sequence[HashedVote]) -> None:
    """Ask for the acceptances of the named nodes, too, as `votenet vote` does."""
    question = SubmitVotes(votes=tuple(vote.vote for vote in votes), acceptances=True)
    taken = await client.ask(question, VotesTaken, timeout=60)
    assert all(outcome.error is None for outcome in taken.outcomes)


async def _stream(clients: Sequence[NodeConnection], votes: Sequence[HashedVote], before: int) -> None:
    async def feed(client: NodeConnection, share: Sequence[HashedVote]) -> None:
        for start in range(0, len(share), BATCH):
            await _submit(client, share[start : start + BATCH])

    async with asyncio.TaskGroup() as tasks:
        for index, client in enumerate(clients):
            tasks.create_task(feed(client, votes[index::NODES]))
    await until_counted(clients, before + len(votes))


async def _one_at_a_time(clients: Sequence[NodeConnection], votes: Sequence[HashedVote], before: int) -> None:
    for index, vote in enumerate(votes):
        await _submit(clients[index % NODES], [vote])
        await until_counted(clients, before + index + 1)


async def _measure(addresses: Sequence[Address], votes: Sequence[HashedVote]) -> dict[str, dict[str, float]]:
    found = {}
    async with clients(addresses) as nodes:
        await until_counted(nodes, 0)
        counted = 0
        for name, way, share in (
            ("stream", _stream, votes[:STREAM]),
            ("one at a time", _one_at_a_time, votes[STREAM:]),
        ):
            before = await statuses(nodes)
            await way(nodes, share, counted)
            await asyncio.sleep(1.0)
            after = await statuses(nodes)
            counted += len(share)
            traffic = [_bytes(new) - _bytes(old) for old, new in zip(before, after, strict=True)]
            record = sum(len(vote.record) for vote in share) / len(share)
            found[name] = {
                "bytes_per_vote_and_node": sum(traffic) / NODES / len(share),
                "record_bytes": record,
                "ratio": sum(traffic) / NODES / len(share) / record,
                "busiest_node": max(traffic) / len(share) / record,
                "blocks": after[0].height - before[0].height,
            }
    return found


def _bytes(status: NodeStatus) -> int:
    return status.peer_bytes_sent + status.peer_bytes_received


@pytest.mark.timeout(900)
def test_t12_bytes_for_a_vote(benchmark: Any, tmp_path: Path) -> None:
    election = usual_election(candidates=record_names())
    votes = [sign(election, ballot) for ballot in islice(record_ballots(election), STREAM + ALONE)]

    def run() -> dict[str, dict[str, float]]:
        with network(tmp_path, election) as nodes:
            return asyncio.run(_measure([node.address for node in nodes], votes))

    found = benchmark.pedantic(run, rounds=1, iterations=1)
    for name, row in found.items():
        size = row["bytes_per_vote_and_node"]
        add_line(benchmark, "T12", name, size, "bytes", ratio=row["ratio"], goal=TARGET, at_least=False)
        print(
            f"    record {row['record_bytes']:.0f} bytes, busiest node {row['busiest_node']:.2f} of it, "
            f"{row['blocks']:.0f} blocks"
        )
    benchmark.extra_info.update(found)

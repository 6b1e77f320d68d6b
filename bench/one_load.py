"""One network under one load: latencies of the sender, costs of the nodes.

Every load gets a network of its own, so that none inherits the waiting votes of the one before.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from real_network import clients, network, statuses, until_counted
from support.elections import make_election
from votenet.ballots.paper import Ballot
from votenet.config import DEFAULT_DIFFICULTY
from votenet.core.election.definition import Election
from votenet.core.limits import MAX_BLOCK_VOTES
from votenet.lab.presigned import write_presigned
from votenet.lab.replay_senders import ReplayPlan, cast
from votenet.lab.replay_summary import Latencies
from votenet.lab.replayer import SendingPace
from votenet.lab.voter_keys import DerivedKeys
from votenet.pow import bits_for_zero_bits, bits_to_target, target_to_bits
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import NodeStatus

KEYS: Final = DerivedKeys(bytes(range(32)))


@dataclass(frozen=True, slots=True)
class Load:
    """`clients`: connections in all, each to one node in turn; `rate`: votes a second by the clock, or None:
    the next request when one is answered. Blocks come `interval` seconds apart, `block_votes` in one."""

    votes: int
    nodes: int = 5
    clients: int = 10
    batch: int = 200
    rate: float | None = None
    interval: int = 1
    block_votes: int = MAX_BLOCK_VOTES
    follow: bool = True
    """Into blocks. Without, latencies in blocks are 0."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Rates in votes a second: until the last was accepted; until the last was in a block everywhere.
    Latencies in seconds. What a node spent on a vote is their mean; `memory` is of the largest, in MB."""

    accepted: float
    counted: float
    accepted_p50: float
    accepted_p99: float
    in_block_p50: float
    in_block_p99: float
    cpu_us: float
    bytes_to_peers: float
    memory: float
    blocks: int


def measure(load: Load) -> Seen:
    with tempfile.TemporaryDirectory(prefix="votenet-load-") as name:
        folder, election = Path(name), _election(load)
        names = election.names
        ballots = (Ballot(n, n, f"v{n}", ((names[n * n % len(names)],),)) for n in range(load.votes))
        write_presigned(folder / "signed", election, ballots, KEYS)
        with network(folder, election, load.nodes) as nodes:
            addresses = tuple(node.address for node in nodes)
            before = asyncio.run(_settled(addresses, 0))
            programs = [psutil.Process(node.pid) for node in nodes]
            busy = _busy(programs)
            places = tuple(addresses[number % load.nodes] for number in range(load.clients))
            pace = SendingPace(batch=load.batch, clients=1, rate=load.rate, confirmations=int(load.follow))
            plan, began = ReplayPlan(folder / "signed", None, load.votes), time.monotonic()
            summary = cast(plan, places, KEYS, pace, 1, lambda _: None)
            assert summary.accepted == load.votes
            after = asyncio.run(_settled(addresses, load.votes))
            seconds, shared = time.monotonic() - began, load.nodes * load.votes
            accepted, in_block = summary.latency["accepted"], summary.latency.get("in_block", Latencies())
            return Seen(
                accepted=summary.rate,
                counted=load.votes / seconds,
                accepted_p50=accepted.percentile(50),
                accepted_p99=accepted.percentile(99),
                in_block_p50=in_block.percentile(50),
                in_block_p99=in_block.percentile(99),
                cpu_us=1e6 * (_busy(programs) - busy) / shared,
                bytes_to_peers=(_bytes(after) - _bytes(before)) / shared,
                memory=max(program.memory_info().rss for program in programs) / 1e6,
                blocks=after[0].height,
            )


def _election(load: Load) -> Election:
    """At a difficulty at which blocks come an interval apart from the beginning."""
    target = bits_to_target(bits_for_zero_bits(DEFAULT_DIFFICULTY)) // load.interval
    return make_election(
        bits=target_to_bits(target),
        title="Board 2027",
        created=int(time.time()),
        block_seconds=load.interval,
        max_block_votes=load.block_votes,
    )


async def _settled(addresses: Sequence[Address], votes: int) -> list[NodeStatus]:
    async with clients(addresses) as links:
        await until_counted(links, votes)
        return await statuses(links)


def _busy(programs: Sequence[psutil.Process]) -> float:
    times = [program.cpu_times() for program in programs]
    return sum(one.user + one.system for one in times)


def _bytes(found: Sequence[NodeStatus]) -> int:
    return sum(status.peer_bytes_sent + status.peer_bytes_received for status in found)

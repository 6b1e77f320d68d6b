"""T4: `votenet vote` as typed: from the start of the command to its printed receipt.

Five real nodes at the default difficulty. A voter at a time, each with a key that the command makes; the
next one votes when the one before has the receipt, so every vote waits for a block of its own. The start of
the command is the time from exec until it connects to a node: to a socket of this bench, which
answers nothing. Beside it stands what a bare interpreter takes, in the same run.

    make bench-vote     pytest bench/bench_vote.py --benchmark-only -s
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lines import add_line
from real_network import clients, network, until_counted
from support import make_election
from votenet.config import DEFAULT_DIFFICULTY
from votenet.core.limits import MAX_BLOCK_VOTES
from votenet.pow import bits_for_zero_bits
from votenet.protocol.address import Address

ROUNDS = int(os.environ.get("BENCH_VOTES", "25"))
STARTS = 15


async def _linked(addresses: list[Address]) -> None:
    async with clients(addresses) as links:
        await until_counted(links, 0)


def _vote(voter: str, node: str, home: Path, stdout: int) -> subprocess.Popen[bytes]:
    env = {**os.environ, "VOTENET_HOME": str(home)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # no user compiles all modules at each start
    return subprocess.Popen(
        [sys.executable, "-m", "votenet", "vote", voter, "Alice", "--node", node],
        env=env,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
    )


def _start_seconds(home: Path, number: int) -> float:
    """From exec of the command until it dials."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        began = time.perf_counter()
        process = _vote(f"start-{number}", f"127.0.0.1:{server.getsockname()[1]}", home, subprocess.DEVNULL)
        link, _ = server.accept()
        taken = time.perf_counter() - began
        link.close()
        assert process.wait(30) == 1, "nobody answered it"
    return taken


def _bare_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return time.perf_counter() - began


@pytest.mark.timeout(600)
def test_t4_vote(benchmark: Any, tmp_path: Path) -> None:
    election = make_election(
        max_block_votes=MAX_BLOCK_VOTES, bits=bits_for_zero_bits(DEFAULT_DIFFICULTY), created=int(time.time())
    )
    home = tmp_path / "home"
    starts, bare = [], []
    for number in range(STARTS):
        starts.append(_start_seconds(home, number))
        bare.append(_bare_seconds())
    numbers = itertools.count()
    with network(tmp_path, election) as nodes:
        asyncio.run(_linked([node.address for node in nodes]))

        def vote() -> None:
            number = next(numbers)
            process = _vote(f"voter-{number}", str(nodes[number % len(nodes)].address), home, subprocess.PIPE)
            out, _ = process.communicate(timeout=120)
            assert process.returncode == 0, out
            assert b"Your vote is in block " in out, out

        benchmark.pedantic(vote, rounds=ROUNDS)

    taken = benchmark.stats.stats.data
    add_line(benchmark, "T4", "p50 to the receipt", statistics.median(taken), "s", goal=1.5, at_least=False)
    add_line(benchmark, "T4", "p50 of CLI start", statistics.median(starts), "s", goal=0.2, at_least=False)
    interpreter = statistics.median(bare)
    print(f"    slowest of {ROUNDS} {max(taken):.2f} s; a bare interpreter starts in {interpreter:.3f} s")

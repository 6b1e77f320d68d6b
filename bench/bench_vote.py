"""T4: `votenet vote` as typed, until it says that the vote is final.

`votenet up --nodes 5` makes the network. A voter at a time, each with a key that the command makes; the next
one votes when the vote before is final, so every vote waits for a block of its own. The clock runs from exec
until the command ends. The start of the command is the time from exec until it connects to a node: to a
socket of this bench, which answers nothing. Beside it stands what a bare interpreter takes, in the same run.

    make bench-vote     pytest bench/bench_vote.py --benchmark-only -s
"""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import pytest

from lines import add_line
from typed import votenet
from votenet.config import InstanceDirs

ROUNDS = int(os.environ.get("BENCH_VOTES", "25"))
STARTS = 15


def _start_seconds(number: int) -> float:
    """From exec of the command until it dials."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        node = f"127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "votenet", "vote", f"start-{number}", "Alice", "--node", node]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        link, _ = server.accept()
        taken = time.perf_counter() - began
        link.close()
        assert process.wait(30) == 1, "no node answered it"
    return taken


def _bare_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return time.perf_counter() - began


@pytest.mark.timeout(600)
def test_t4_vote(benchmark: Any, dirs: InstanceDirs) -> None:
    starts, bare = [], []
    for number in range(STARTS):
        starts.append(_start_seconds(number))
        bare.append(_bare_seconds())
    numbers = itertools.count()
    votenet("up", "--nodes", "5", "--detach")

    def vote() -> None:
        said = votenet("vote", f"voter-{next(numbers)}", "Alice")
        assert "Your vote is final, signed by " in said, said

    benchmark.pedantic(vote, rounds=ROUNDS)

    taken = benchmark.stats.stats.data
    add_line(benchmark, "T4", "p50 to final", statistics.median(taken), "s", goal=1.5, at_least=False)
    add_line(benchmark, "T4", "p50 of CLI start", statistics.median(starts), "s", goal=0.12, at_least=False)
    interpreter = statistics.median(bare)
    print(f"    slowest of {ROUNDS} {max(taken):.2f} s; a bare interpreter starts in {interpreter:.3f} s")

"""T8, T9, T10: how soon a network is ready, how soon a killed node is back, the cost of idle programs.

All nodes are named by their election, as `votenet up` makes it.

T8: `votenet up --nodes 5 --detach` as typed, from exec until it returns, which it does when all are ready:
they listen, have shaken hands and caught up, and the page listens. Beside it stands, in every round, what
five bare Python interpreters take that are started at once.

T9: three nodes with a chain of 10,000 real ballots. From kill -9 of one, through a handle on its process,
until the supervisor reports that it is ready again, which the node says once it has caught up; then it
must count every vote. Detection is the time until the supervisor reports the death. Both are read from its
stream of events as they arrive here. Before each round the node's failures are forgiven (`votenet start`),
so that every round is a first failure, which is restarted at once.

T10: five idle nodes and an idle page, some seconds after they became ready: processor time and resident
memory. The time is that of the scheduler, in nanoseconds: a program that wakes for 0.3 ms a second is seldom
met by the clock's ticks, by which `ps` counts, and then for 10 ms each.

    make bench-supervisor     pytest bench/bench_supervisor.py --benchmark-only -s
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from lines import add_line
from typed import votenet
from votenet.client.failover import ask_each
from votenet.config import InstanceDirs
from votenet.processes.control import ask, converse
from votenet.protocol.wire.address import parse_address
from votenet.protocol.wire.client_messages import GetResults, Results

UPS = int(os.environ.get("BENCH_UPS", "7"))
KILLS = int(os.environ.get("BENCH_KILLS", "15"))
BALLOTS = 10_000
IDLE_SECONDS = float(os.environ.get("BENCH_IDLE_SECONDS", "20"))
VICTIM = "node-2"


def five_bare_interpreters() -> float:
    began = time.perf_counter()
    started = [subprocess.Popen([sys.executable, "-c", ""]) for _ in range(5)]
    assert [process.wait(60) for process in started] == [0] * 5
    return time.perf_counter() - began


def nodes(dirs: InstanceDirs) -> list[dict[str, Any]]:
    programs = ask(dirs, {"command": "status"})["programs"]
    assert {program["state"] for program in programs} == {"ready"}
    return [program for program in programs if program["role"] == "node"]


def page(dirs: InstanceDirs) -> dict[str, Any]:
    (found,) = (p for p in ask(dirs, {"command": "status"})["programs"] if p["role"] == "web")
    return dict(found)


@pytest.mark.timeout(600)
def test_t8_up(benchmark: Any, dirs: InstanceDirs) -> None:
    bare: list[float] = []

    def down() -> None:
        votenet("down")
        bare.append(five_bare_interpreters())

    votenet("up", "--nodes", "5", "--detach")  # the election is made once, by the first
    benchmark.pedantic(lambda: votenet("up", "--nodes", "5", "--detach"), setup=down, rounds=UPS)
    assert len(nodes(dirs)) == 5
    assert page(dirs)["state"] == "ready"
    taken = statistics.median(benchmark.stats.stats.data)
    add_line(benchmark, "T8", "median of up --detach", taken, "s", goal=1.5, at_least=False)
    yardstick = statistics.median(bare)
    add_line(benchmark, "T8", "in starts of five bare interpreters", taken / yardstick, "times")


def kill(pid: int, home: Path) -> float:
    """kill -9 through a handle on the process that works in our home; when that was."""
    handle = os.pidfd_open(pid)
    try:
        assert str(home).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        began = time.perf_counter()
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    return began


def votes_at(address: str) -> int:
    ((_, found),) = asyncio.run(
        ask_each([parse_address(address)], lambda node: node.ask(GetResults(), Results))
    )
    assert isinstance(found, Results), found
    return found.votes


@pytest.mark.timeout(600)
def test_t9_kill(benchmark: Any, dirs: InstanceDirs) -> None:
    candidates = ("--candidates-from", "minneapolis-2013", "--choice-column", "rank1")
    votenet("up", "--nodes", "3", "--detach", "--no-web", *candidates)
    votenet("replay", "minneapolis-2013", "--choice", "rank1", "--sample", str(BALLOTS))
    votenet("wait", "--for", "results")
    detected: list[float] = []
    backs: list[float] = []

    def round_of_kill() -> None:
        ask(dirs, {"command": "start", "names": [VICTIM], "wait": 0})
        victim = next(node for node in nodes(dirs) if node["name"] == VICTIM)
        with contextlib.closing(converse(dirs, {"command": "events"}, timeout=60)) as events:
            for _ in range(4):  # how the programs are now
                next(events)
            began = kill(victim["pid"], dirs.state)
            died = False
            for event in events:
                if event["name"] != VICTIM:
                    continue
                if not died:
                    died = True
                    detected.append(time.perf_counter() - began)
                if event["state"] == "ready":
                    backs.append(time.perf_counter() - began)
                    break
        assert votes_at(victim["address"]) == BALLOTS

    benchmark.pedantic(round_of_kill, rounds=KILLS, warmup_rounds=1)
    del detected[0], backs[0]
    assert len(detected) == len(backs) == KILLS
    back, seen = statistics.median(backs), statistics.median(detected)
    add_line(benchmark, "T9", "median to ready and caught up", back, "s", goal=0.4, at_least=False)
    add_line(benchmark, "T9", "median to detection", 1000 * seen, "ms", goal=10, at_least=False)
    print(
        f"    slowest of {KILLS}: back after {max(backs):.2f} s, detected after {1000 * max(detected):.1f} ms"
    )


def scheduled(pid: int) -> float:
    """Seconds of processor time of all threads that a process has now."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@pytest.mark.timeout(600)
def test_t10_idle(benchmark: Any, dirs: InstanceDirs) -> None:
    votenet("up", "--nodes", "5", "--detach")
    processes = [psutil.Process(program["pid"]) for program in (*nodes(dirs), page(dirs))]
    supervisor = psutil.Process(ask(dirs, {"command": "status"})["supervisor"]["pid"])
    time.sleep(5)  # after the start: the processor time of the first seconds is not that of idling

    def used() -> list[float]:
        return [scheduled(process.pid) for process in (*processes, supervisor)]

    before, began = used(), time.perf_counter()
    benchmark.pedantic(lambda: time.sleep(IDLE_SECONDS), rounds=1)
    seconds = time.perf_counter() - began
    shares = [100 * (now - then) / seconds for now, then in zip(used(), before, strict=True)]
    *memory, page_memory = (process.memory_info().rss / 1e6 for process in processes)
    *busy, page_busy, supervisor_busy = shares
    add_line(benchmark, "T10", "RSS of the largest node", max(memory), "MB", goal=50, at_least=False)
    add_line(benchmark, "T10", "processor of the busiest node", max(busy), "%", goal=0.5, at_least=False)
    add_line(benchmark, "T10", "RSS of the page", page_memory, "MB", goal=45, at_least=False)
    add_line(benchmark, "T10", "processor of the page", page_busy, "%", goal=0.2, at_least=False)
    add_line(benchmark, "T10", "processor of the supervisor", supervisor_busy, "%")

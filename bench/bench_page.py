"""T15, T16, T18: the page under a meeting that votes, with a full hall of spectators, and its size.

The network is what `votenet up --nodes 5` starts, with its page; the voters and spectators are connections of
this process, on the same cores.

T15: voters come at random moments of ten seconds. Each opens a connection, loads the booth with all that it
names, posts a vote that was signed before, and asks once a second until the vote is final. *Received* is the
time from the post to its answer, which comes when the vote is on a node's disk. Then a node is asked for the
count: each vote must be in it.

T16: event streams that stay open, while nothing happens: memory and processor of the page's server, and how
long its stop takes with all of them open.

T18: what a browser loads for the booth, and `verify.html`, as the server sends them to one that takes gzip.

    make bench-page     pytest bench/bench_page.py --benchmark-only -s
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import re
import resource
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from http_client import Answer, Http, connected
from lines import add_line
from support.elections import make_vote
from typed import votenet
from votenet.config import InstanceDirs
from votenet.core.ledger.vote import HashedVote
from votenet.processes.control import ask
from votenet.protocol.wire.address import Address, parse_address
from votenet.storage.genesis_file import read_genesis

VOTERS = int(os.environ.get("BENCH_VOTERS", "500"))
WITHIN_SECONDS = 10.0
STREAMS = int(os.environ.get("BENCH_STREAMS", "1000"))
IDLE_SECONDS = float(os.environ.get("BENCH_IDLE_SECONDS", "20"))
PATIENCE_SECONDS = 120.0
GZIP = "Accept-Encoding: gzip"
_LOADED = re.compile(r"""(?:src|href)=["'](/static/[^"']+)["']""")


def start(dirs: InstanceDirs) -> tuple[Address, dict[str, Any]]:
    """The page's address, and the status of its network."""
    votenet("up", "--nodes", "5", "--detach")
    status = ask(dirs, {"command": "status"})
    return parse_address(page_of(status)["address"]), status


def page_of(status: dict[str, Any]) -> dict[str, Any]:
    (page,) = (program for program in status["programs"] if program["role"] == "web")
    assert page["state"] == "ready", page
    return page


# -- T15 -------------------------------------------------------------------------------------------


class Voter(NamedTuple):
    """How voting went for one voter: seconds from the post to the answer, and until final."""

    received: float
    final: float
    answers: list[int]


async def loaded(http: Http, path: str) -> list[Answer]:
    """A page of the server and everything that it names."""
    page = await http.get(path, GZIP)
    text = (gzip.decompress(page.body) if page.headers.get("content-encoding") else page.body).decode()
    return [page, *[await http.get(name, GZIP) for name in dict.fromkeys(_LOADED.findall(text))]]


async def vote(page: Address, vote: HashedVote, after: float) -> Voter:
    await asyncio.sleep(after)
    async with connected(page) as http:
        answers = [answer.status for answer in await loaded(http, "/vote")]
        began = time.perf_counter()
        posted = await http.post("/api/v1/votes", vote.record)
        received = time.perf_counter() - began
        answers.append(posted.status)
        while time.perf_counter() < began + PATIENCE_SECONDS:
            found = await http.get(f"/api/v1/vote?voter={vote.voter_id}")
            answers.append(found.status)
            if found.status == 200 and json.loads(found.body)["state"] == "final":
                break
            await asyncio.sleep(1)
        return Voter(received, time.perf_counter() - began, answers)


async def meeting(page: Address, votes: Iterable[HashedVote]) -> list[Voter]:
    moments = random.Random(15)
    async with asyncio.TaskGroup() as tasks:
        coming = [tasks.create_task(vote(page, one, moments.uniform(0, WITHIN_SECONDS))) for one in votes]
    return [task.result() for task in coming]


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


@pytest.mark.timeout(600)
def test_t15_meeting(benchmark: Any, dirs: InstanceDirs) -> None:
    page, status = start(dirs)
    election = read_genesis(Path(status["genesis"]))
    votes = [make_vote(election, f"voter-{n}", time=int(time.time())) for n in range(VOTERS)]
    went = benchmark.pedantic(lambda: asyncio.run(meeting(page, votes)), rounds=1)
    counted = json.loads(votenet("results", "--json"))
    refused = sum(status >= 500 for voter in went for status in voter.answers)
    others = sorted({status for voter in went for status in voter.answers if status != 200})
    lost = VOTERS - counted["votes"] - counted["waiting"]
    received = [voter.received for voter in went]
    add_line(benchmark, "T15", "p99 received", p99(received), "s", goal=1.0, at_least=False)
    add_line(benchmark, "T15", "answers 5xx", refused, "answers", goal=0, at_least=False)
    add_line(benchmark, "T15", "votes lost", lost, "votes", goal=0, at_least=False)
    add_line(benchmark, "T15", "p99 final", p99([voter.final for voter in went]), "s")
    median = statistics.median(received)
    print(
        f"    p50 received {median:.3f} s, longest {max(received):.3f} s; answers but 200: {others or 'none'}"
    )


# -- T16 -------------------------------------------------------------------------------------------


async def drain(stream: asyncio.StreamReader) -> int:
    """Read a stream to its end; how many bytes that were."""
    size = 0
    while data := await stream.read(65536):
        size += len(data)
    return size


async def spectators(dirs: InstanceDirs, page: Address, process: psutil.Process) -> dict[str, float]:
    """Open all streams, watch the server for a while, then stop it."""
    async with contextlib.AsyncExitStack() as opened, asyncio.TaskGroup() as tasks:
        for _ in range(STREAMS):
            http = await opened.enter_async_context(connected(page))
            stream = await http.stream("/api/v1/events")
            await asyncio.wait_for(stream.readuntil(b"\n\n"), 60)  # the state as it is now
            tasks.create_task(drain(stream))
        await asyncio.sleep(5)  # opening them is not having them open
        before, began = sum(process.cpu_times()[:2]), time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        share = 100 * (sum(process.cpu_times()[:2]) - before) / (time.perf_counter() - began)
        memory = process.memory_info().rss / 1e6
        began = time.perf_counter()
        request = {"command": "stop", "names": ["web"], "grace": 10, "wait": 30}
        (stopped,) = (await asyncio.to_thread(ask, dirs, request, timeout=60))["programs"]
        seconds = time.perf_counter() - began
        assert (stopped["state"], stopped["cause"]) == ("stopped", "exit 0, as asked"), stopped
    return {"share": share, "memory": memory, "stop": seconds}


@pytest.mark.timeout(600)
def test_t16_streams(benchmark: Any, dirs: InstanceDirs) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, STREAMS + 256), hard))
    try:
        page, status = start(dirs)
        process = psutil.Process(page_of(status)["pid"])
        found = benchmark.pedantic(lambda: asyncio.run(spectators(dirs, page, process)), rounds=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    of = f"with {STREAMS:,} streams"
    add_line(benchmark, "T16", f"RSS {of}", found["memory"], "MB", goal=60, at_least=False)
    add_line(benchmark, "T16", f"processor {of}", found["share"], "%", goal=5, at_least=False)
    add_line(benchmark, "T16", f"stop {of}", found["stop"], "s", goal=1, at_least=False)


# -- T18 -------------------------------------------------------------------------------------------


async def sizes(page: Address) -> dict[str, int]:
    """Bytes as they are sent."""
    async with connected(page) as http:
        booth = await loaded(http, "/vote")
        verify = await http.get("/verify.html", GZIP)
    assert [answer.status for answer in (*booth, verify)] == [200] * (len(booth) + 1)
    assert verify.headers.get("content-encoding") == "gzip", verify.headers
    asked = _LOADED.findall(gzip.decompress(verify.body).decode())
    return {"booth": sum(len(one.body) for one in booth), "verify": len(verify.body), "asked": len(asked)}


@pytest.mark.timeout(600)
def test_t18_sizes(benchmark: Any, dirs: InstanceDirs) -> None:
    page, _ = start(dirs)
    found = benchmark.pedantic(lambda: asyncio.run(sizes(page)), rounds=1)
    add_line(benchmark, "T18", "the booth, everything", found["booth"] / 1024, "KB", goal=60, at_least=False)
    add_line(benchmark, "T18", "verify.html", found["verify"] / 1024, "KB", goal=60, at_least=False)
    add_line(benchmark, "T18", "requests of verify.html", found["asked"], "requests", goal=0, at_least=False)

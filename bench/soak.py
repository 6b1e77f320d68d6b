"""A network and its page under steady load for a long time, with a fault in every minute.

    make soak MINUTES=60        python bench/soak.py --minutes 60 [--rate VOTES_A_SECOND] [--browsers 50]

A supervised network of five named nodes and a page, in a folder of its own. First the knee: how many votes
a second it takes into blocks in a closed loop. Then votes are sent to the nodes at SHARE of that, but
MOST_VOTES at most in all, by the clock (open loop), minute after minute; votes that were due while a node was
away count from when they were due. Beside them browsers vote on the page and look around (soak_browsers.py),
and the signed logs of all nodes are followed as `votenet watch` does it. In every minute something fails, in
turn: a node, the page or the bootstrap server is killed with -9, a node hangs, the network falls apart, a
node's links are slow. After each minute memory and descriptors of every program are read, and how long votes
took.

At the end the network is left to settle, voting is closed, and the final result is fetched.

What must hold (exit code 1 if not): nothing lost, nothing twice, none refused, all nodes alike; no answer of
the page but 200, 503 and 429; nothing that was final is undone, every receipt that a browser got verifies and
its log is the log at the end; the audited final result counts exactly what was cast; memory grows by no more
than votes need (PER_VOTE), descriptors not at all, latencies not from the first third of the minutes to the
last; programs were started again exactly as often as they were killed. `--json FILE` keeps every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from soak_browsers import Browsers
from votenet.ballots.paper import Ballot
from votenet.client.connection import NodeConnection
from votenet.client.log_view import LogView
from votenet.client.log_watch import LogWatch
from votenet.client.receipts import certificate_of
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.errors import NotProven
from votenet.lab.replay_summary import Summary
from votenet.lab.replayer import Replayer, SendingPace
from votenet.lab.voter_keys import DerivedKeys
from votenet.protocol.wire.address import Address, parse_address
from votenet.storage.genesis_file import read_genesis
from votenet.storage.known_elections import KnownElections

NODES = 5
SHARE, MOST_VOTES = 0.6, 1_000_000
KNEE_VOTES = 12_000
BATCH = 50
KEYS = DerivedKeys(bytes(range(32)))
CANDIDATES = ("Ann", "Bo", "Cy")
FAULT_AT = 15.0
"""Seconds into each minute."""
PER_VOTE = 1500
"""Bytes that a vote on the chain may take in a node (it is about 900: bench_growth.py)."""
MEMORY_SLACK, DESCRIPTOR_SLACK = 64e6, 20
LATENCY_FACTOR, LATENCY_SLACK_MS = 2.0, 250.0
SETTLE_SECONDS = 120.0
WATCH_SECONDS = 2.0
CLOSE_IN, FINAL_SECONDS = "+75s", "300"


@dataclass(frozen=True, slots=True)
class Fault:
    """`{n}` in a command stands for a node, another one each time, and `{others}` for all others."""

    begin: str
    end: str = ""
    seconds: float = 0.0
    killed: bool = False


FAULTS = (
    Fault("kill {n}", killed=True),
    Fault("pause {n}", "resume {n}", 10),
    Fault("kill web", killed=True),
    Fault("partition {n} / {others}", "heal", 15),
    Fault("kill bootstrap", killed=True),
    Fault("slow {n} 300ms", "slow {n} 0ms", 20),
    Fault("kill {n}", killed=True),
    Fault("partition node-1,node-2 / node-3,node-4,node-5", "heal", 8),
)


@dataclass(frozen=True, slots=True)
class Minute:
    """What was seen at the end of a minute; memory in bytes and descriptors by program."""

    fault: str
    accepted: int
    by_browsers: int
    memory: dict[str, int]
    descriptors: dict[str, int]
    accepted_p99_ms: float
    in_block_p90_ms: float
    page_received_p90_ms: float
    page_final_p90_ms: float
    waiting: int


class Soak:
    """One run. `breaches` are what did not hold."""

    def __init__(self, minutes: int, rate: float | None, seconds: float, browsers: int) -> None:
        self._minutes, self._rate, self._seconds = minutes, rate, seconds
        self._home = Path(tempfile.mkdtemp(prefix="votenet-soak-"))
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("VOTENET_")}
        self._env["VOTENET_HOME"] = str(self._home)
        self._count = browsers
        self._cast = 0
        self._choices: Counter[str] = Counter()
        self._kills = 0
        self.looks = 0
        self.history: list[Minute] = []
        self.breaches: list[str] = []

    def run(self) -> None:
        try:
            names = [option for name in CANDIDATES for option in ("--candidate", name)]
            self._command("up", "--nodes", str(NODES), "--detach", *names)
            self._election = read_genesis(Path(self._ps()["genesis"]))
            self._knee()
            asyncio.run(self._soak())
            self._judge()
        finally:
            self._command("down", check=False)
            shutil.rmtree(self._home, ignore_errors=True)

    def as_dict(self) -> dict[str, Any]:
        return {
            "minutes": self._minutes,
            "rate": self._rate,
            "votes": self._cast,
            "browsers": self._count,
            "answers": dict(self._browsers.told),
            "looks": self.looks,
            "breaches": self.breaches,
            "history": [asdict(minute) for minute in self.history],
        }

    async def _soak(self) -> None:
        receipts = self._home / "receipts.jsonl"
        page = next(p for p in self._programs().values() if p["role"] == "web")
        self._browsers = Browsers(parse_address(page["address"]), self._election, self._count, receipts)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            people = tasks.create_task(self._browsers.run())
            for number in range(self._minutes):
                self.history.append(await self._minute(number))
                self._say(self.history[-1])
            self._browsers.stop()
            await people
            await asyncio.to_thread(self._settle)
            await self._browsers.fetch_missing()
            await asyncio.to_thread(self._end)
            await self._check_receipts(receipts)
            watching.cancel()
        told = ", ".join(f"{count:,} {what}" for what, count in sorted(self._browsers.told.items()))
        print(f"{self._count} browsers: {len(self._browsers.cast):,} votes; {told}", flush=True)
        self.breaches += sorted(set(self._browsers.breaches))

    # -- load ----------------------------------------------------------------------------------

    def _knee(self) -> None:
        """Set the rate, and warm everything up."""
        began = time.monotonic()
        summary = asyncio.run(self._load("knee", KNEE_VOTES, SendingPace()))
        waited = Replayer(self._addresses(), KEYS).wait_until_counted(lambda _: None, SETTLE_SECONDS)
        if not asyncio.run(waited):
            self.breaches.append(f"{KNEE_VOTES:,} votes were not in blocks after {SETTLE_SECONDS:g} s")
        found = KNEE_VOTES / (time.monotonic() - began)
        self._check_taken(summary, KNEE_VOTES)
        self._rate = self._rate or min(SHARE * found, MOST_VOTES / (self._minutes * self._seconds))
        print(
            f"closed loop, into blocks: {found:,.0f} votes/s; {self._rate:,.0f} votes/s from now on",
            flush=True,
        )

    async def _load(self, name: str, votes: int, pace: SendingPace) -> Summary:
        self._cast += votes
        names = [CANDIDATES[n % len(CANDIDATES)] for n in range(1, votes + 1)]
        self._choices.update(names)
        ballots = (Ballot(n, n, f"{name}-{n}", ((choice,),)) for n, choice in enumerate(names, 1))
        return await Replayer(self._addresses(), KEYS, pace).run(ballots, lambda _: None)

    async def _minute(self, number: int) -> Minute:
        assert self._rate is not None
        votes = int(self._rate * self._seconds)
        pace = SendingPace(BATCH, rate=self._rate, confirmations=1, follow_seconds=30.0)
        before = len(self._browsers.received), len(self._browsers.final)
        ends = time.monotonic() + self._seconds
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(self._load(f"m{number}", votes, pace))
            await asyncio.sleep(min(FAULT_AT, self._seconds / 4))
            fault = await self._fault(number)
            await asyncio.sleep(max(0.0, ends - time.monotonic()))
        self._check_taken(load.result(), votes)
        return await asyncio.to_thread(self._look, fault, load.result(), before)

    async def _fault(self, number: int) -> str:
        """The fault of this minute, begun and ended."""
        fault, names = FAULTS[number % len(FAULTS)], [f"node-{n}" for n in range(1, NODES + 1)]
        node = names[number // len(FAULTS) * 3 % NODES - number % NODES]
        others = ",".join(name for name in names if name != node)
        begin, end = (text.format(n=node, others=others) for text in (fault.begin, fault.end))
        self._kills += fault.killed
        await asyncio.to_thread(self._command, *begin.split())
        if end:
            await asyncio.sleep(min(fault.seconds, self._seconds / 4))
            await asyncio.to_thread(self._command, *end.split())
        return begin

    async def _watch(self) -> None:
        """As `votenet watch`: what one node has shown as signed is part of all that any shows later."""
        following = LogWatch(self._addresses(), KnownElections(self._home / "known"))
        while True:
            try:
                await following.look()
            except NotProven as error:
                self.breaches.append(f"watch: {error}")
                return
            self.looks += 1
            await asyncio.sleep(WATCH_SECONDS)

    def _check_taken(self, summary: Summary, votes: int) -> None:
        """A vote may be accepted by a node that dies before it says so, and is repeated at the next."""
        taken = summary.accepted + summary.repeated
        if taken != votes or summary.refused:
            self.breaches.append(f"{taken:,} of {votes:,} votes taken, refused: {dict(summary.refused)}")

    # -- looking -------------------------------------------------------------------------------

    def _look(self, fault: str, summary: Summary, before: tuple[int, int]) -> Minute:
        programs = self._programs()
        for name, program in programs.items():
            if program["state"] != "ready":
                self.breaches.append(f"{name} is {program['state']} at the end of its minute")
        alive = {name: psutil.Process(program["pid"]) for name, program in programs.items()}
        received, final = self._browsers.received[before[0] :], self._browsers.final[before[1] :]
        return Minute(
            fault=fault,
            accepted=summary.accepted,
            by_browsers=len(received),
            memory={name: process.memory_info().rss for name, process in alive.items()},
            descriptors={name: _descriptors(process) for name, process in alive.items()},
            accepted_p99_ms=1000 * summary.latency["accepted"].percentile(99),
            in_block_p90_ms=1000 * summary.latency["in_block"].percentile(90),
            page_received_p90_ms=1000 * _p90(received),
            page_final_p90_ms=1000 * _p90(final),
            waiting=max(program["waiting"] or 0 for program in programs.values()),
        )

    def _settle(self) -> None:
        """Until all nodes agree and nothing waits; then every vote must be there, once."""
        self._cast += len(self._browsers.cast)
        self._choices += self._browsers.choices
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            found = self._command("results", "--all-nodes", "--json", check=False)
            nodes = found.get("nodes", [])
            calm = found.get("agree") and len(nodes) == NODES and not any(n["waiting"] for n in nodes)
            if calm or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if not calm:
            self.breaches.append(f"the nodes do not agree after {SETTLE_SECONDS:g} s")
        for node in nodes:
            if node["votes"] != self._cast:
                self.breaches.append(f"{node['node']} counts {node['votes']:,} votes, not {self._cast:,}")
        restarts = sum(program["restarts"] for program in self._programs().values())
        if restarts != self._kills:
            self.breaches.append(f"{restarts} restarts for {self._kills} kills")

    def _end(self) -> None:
        """Voting closes; the final result and its audit count what was cast."""
        result, archive = self._home / "result.json", self._home / "election.jsonl"
        self._command("election", "close", CLOSE_IN, "--reason", "the soak is over", "--wait", "60")
        self._command("wait", "--for", "final", "--timeout", FINAL_SECONDS)
        self._command("results", "--final", "-o", str(result))
        self._command("export", "-o", str(archive))
        self._command("audit", str(archive), "--compare", str(result))
        (contest,) = json.loads(result.read_text())["contests"]
        counted, cast = dict(contest["counts"]), {name: self._choices[name] for name in CANDIDATES}
        if counted != cast:
            self.breaches.append(f"the final result counts {counted}, but {cast} were cast")
        print(f"final result, audited: {counted}", flush=True)

    async def _check_receipts(self, receipts: Path) -> None:
        """Each verifies, and its log is the beginning of the log that is final now."""
        now, final, count, sizes = int(time.time()), set[str](), 0, set[int]()
        view = LogView(self._election, KnownElections(self._home / "known"))
        async with NodeConnection(self._addresses()[0]) as node:
            for line in receipts.read_bytes().splitlines(keepends=True):
                try:
                    receipt = decode_receipt(line)
                    report = check_receipt(receipt, now, self._election.network_hex)
                    certificate = certificate_of(receipt, self._election) if report.final else None
                    if certificate is not None and certificate.size not in sizes:
                        await view.check(node, certificate)
                        sizes.add(certificate.size)
                except NotProven as error:
                    self.breaches.append(f"a receipt does not hold: {error}")
                    continue
                count += 1
                final |= {report.voter_id} if report.final else set()
                if self._browsers.cast.get(report.voter_id) != report.vote_id:
                    self.breaches.append(f"the receipt of {report.voter_id} is of another vote")
        print(
            f"{count:,} receipts verify; {len(final):,} votes with a final one, of {len(sizes):,} "
            f"certificates; {self.looks:,} looks at the log of each node",
            flush=True,
        )
        if final != set(self._browsers.cast):
            self.breaches.append(f"{len(final):,} final receipts of {len(self._browsers.cast):,} votes")

    def _judge(self) -> None:
        if len(self.history) < 2:
            return
        first, last = self.history[0], self.history[-1]
        votes = sum(minute.accepted + minute.by_browsers for minute in self.history[1:])
        for name, before in first.memory.items():
            grown = last.memory[name] - before
            if grown > PER_VOTE * votes + MEMORY_SLACK:
                self.breaches.append(f"{name} grew by {grown / 1e6:,.0f} MB in {votes:,} votes")
            more = last.descriptors[name] - first.descriptors[name]
            if more > DESCRIPTOR_SLACK:
                self.breaches.append(f"{name} has {more} more open descriptors")
        third = max(1, len(self.history) // 3)
        latencies = ("accepted_p99_ms", "in_block_p90_ms", "page_received_p90_ms", "page_final_p90_ms")
        for what in latencies:
            early = statistics.median(getattr(minute, what) for minute in self.history[:third])
            late = statistics.median(getattr(minute, what) for minute in self.history[-third:])
            print(f"{what}: {early:,.0f} in the first third, {late:,.0f} in the last")
            if late > LATENCY_FACTOR * early + LATENCY_SLACK_MS:
                self.breaches.append(f"{what} grew from {early:,.0f} to {late:,.0f}")
        grown = max(last.memory[name] - first.memory[name] for name in first.memory)
        print(f"memory: the most that a program grew is {grown / 1e6:,.0f} MB, in {votes:,} votes")

    def _say(self, minute: Minute) -> None:
        print(
            f"minute {len(self.history)}: {minute.fault}; {minute.accepted:,} accepted, p99 "
            f"{minute.accepted_p99_ms:,.0f} ms; in block p90 {minute.in_block_p90_ms:,.0f} ms; page: "
            f"{minute.by_browsers} votes, received p90 {minute.page_received_p90_ms:,.0f} ms, final p90 "
            f"{minute.page_final_p90_ms:,.0f} ms; waiting {minute.waiting:,}; memory up to "
            f"{max(minute.memory.values()) / 1e6:,.0f} MB, descriptors up to "
            f"{max(minute.descriptors.values())}",
            flush=True,
        )

    # -- the network ---------------------------------------------------------------------------

    def _command(self, *command: str, check: bool = True) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "votenet", *command],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=360,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"votenet {' '.join(command)} failed: {done.stderr[-500:]}")
        return json.loads(done.stdout) if "--json" in command and done.stdout else {}

    def _ps(self) -> dict[str, Any]:
        found: dict[str, Any] = self._command("ps", "--json")
        return found

    def _programs(self) -> dict[str, dict[str, Any]]:
        """By name; ready ones first looked for again for a while, since a killed one is on its way back."""
        deadline = time.monotonic() + 30
        while True:
            programs = {program["name"]: program for program in self._ps()["programs"]}
            if all(p["state"] == "ready" for p in programs.values()) or time.monotonic() > deadline:
                return programs
            time.sleep(0.2)

    def _addresses(self) -> list[Address]:
        return [parse_address(p["address"]) for p in self._programs().values() if p["role"] == "node"]


def _descriptors(process: psutil.Process) -> int:
    """Open descriptors but for connections: those of browsers come and go."""
    return process.num_fds() - sum(
        one.status == psutil.CONN_ESTABLISHED for one in process.net_connections("tcp")
    )


def _p90(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=10)[8] if len(seconds) > 1 else 0.0


def main() -> int:
    options = argparse.ArgumentParser(description="Steady load, a fault in every minute.")
    options.add_argument("--minutes", type=int, default=20)
    options.add_argument(
        "--rate",
        type=float,
        help=f"votes a second to the nodes; without, {SHARE:.0%} of the knee, {MOST_VOTES:,} votes at most",
    )
    options.add_argument("--browsers", type=int, default=50)
    options.add_argument("--seconds", type=float, default=60.0, help="length of a minute, for a quick look")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    given = options.parse_args()
    soak = Soak(given.minutes, given.rate, given.seconds, given.browsers)
    soak.run()
    if given.json is not None:
        given.json.write_text(json.dumps(soak.as_dict(), indent=1))
    for breach in soak.breaches:
        print(f"BREACH: {breach}")
    print("soak: " + ("breached" if soak.breaches else "nothing grew, nothing was lost, nothing was undone"))
    return 1 if soak.breaches else 0


if __name__ == "__main__":
    sys.exit(main())

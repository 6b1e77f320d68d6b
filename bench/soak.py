"""A network under steady load for a long time, a node killed with -9 every minute.

    make soak MINUTES=20        python bench/soak.py --minutes 20 [--rate VOTES_A_SECOND]

A supervised network of five nodes in a folder of its own. First the knee: how many votes a second it takes
into blocks in a closed loop. Then votes are sent at SHARE of that, by the clock (open loop), minute after
minute; in each another node is killed. After each minute memory and descriptors of every program are read,
and how long votes took to be accepted and to get into a block; votes that were due while a node was away
count from when they were due. At the end the network is left to settle and its counts are taken.

What must hold (exit code 1 if not): nothing lost, nothing twice, none refused, all nodes alike; memory grows
by no more than votes need (PER_VOTE), descriptors not at all, latencies not from the first third
of the minutes to the last. `--json FILE` keeps every figure.
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from votenet.ballots.paper import Ballot
from votenet.lab.replay_summary import Summary
from votenet.lab.replayer import Replayer, SendingPace
from votenet.lab.voter_keys import DerivedKeys
from votenet.protocol.wire.address import Address, parse_address

NODES = 5
SHARE = 0.6
KNEE_VOTES = 12_000
BATCH = 50
KEYS = DerivedKeys(bytes(range(32)))
CANDIDATES = ("Ann", "Bo", "Cy")
KILL_AT = 15.0
"""Seconds into each minute."""
PER_VOTE = 1500
"""Bytes that a vote on the chain may take in a node (it is about 900: bench_growth.py)."""
MEMORY_SLACK, DESCRIPTOR_SLACK = 64e6, 20
LATENCY_FACTOR, LATENCY_SLACK_MS = 2.0, 250.0
SETTLE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Minute:
    """What was seen at the end of a minute; memory in bytes and descriptors by program."""

    killed: str
    accepted: int
    memory: dict[str, int]
    descriptors: dict[str, int]
    accepted_p99_ms: float
    in_block_p90_ms: float
    waiting: int


class Soak:
    """One run. `faults` are the breaches found."""

    def __init__(self, minutes: int, rate: float | None, seconds: float) -> None:
        self._minutes, self._rate, self._seconds = minutes, rate, seconds
        self._home = Path(tempfile.mkdtemp(prefix="votenet-soak-"))
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("VOTENET_")}
        self._env["VOTENET_HOME"] = str(self._home)
        self._cast = 0
        self.history: list[Minute] = []
        self.faults: list[str] = []

    def run(self) -> None:
        try:
            names = [option for name in CANDIDATES for option in ("--candidate", name)]
            self._command("up", "--nodes", str(NODES), "--detach", *names)
            self._knee()
            for number in range(self._minutes):
                self.history.append(asyncio.run(self._minute(number)))
                self._say(self.history[-1])
            self._settle()
            self._judge()
        finally:
            self._command("down", check=False)
            shutil.rmtree(self._home, ignore_errors=True)

    def as_dict(self) -> dict[str, Any]:
        return {
            "minutes": self._minutes,
            "rate": self._rate,
            "votes": self._cast,
            "faults": self.faults,
            "history": [asdict(minute) for minute in self.history],
        }

    # -- load ----------------------------------------------------------------------------------

    def _knee(self) -> None:
        """Set the rate, and warm everything up."""
        began = time.monotonic()
        summary = asyncio.run(self._load("knee", KNEE_VOTES, SendingPace()))
        waited = Replayer(self._addresses(), KEYS).wait_until_counted(lambda _: None, SETTLE_SECONDS)
        if not asyncio.run(waited):
            self.faults.append(f"{KNEE_VOTES:,} votes were not in blocks after {SETTLE_SECONDS:g} s")
        found = KNEE_VOTES / (time.monotonic() - began)
        self._check_taken(summary, KNEE_VOTES)
        self._rate = self._rate or SHARE * found
        print(
            f"closed loop, into blocks: {found:,.0f} votes/s; {self._rate:,.0f} votes/s from now on",
            flush=True,
        )

    async def _load(self, name: str, votes: int, pace: SendingPace) -> Summary:
        self._cast += votes
        ballots = (
            Ballot(n, n, f"{name}-{n}", ((CANDIDATES[n % len(CANDIDATES)],),)) for n in range(1, votes + 1)
        )
        return await Replayer(self._addresses(), KEYS, pace).run(ballots, lambda _: None)

    async def _minute(self, number: int) -> Minute:
        victim = f"node-{number % NODES + 1}"
        assert self._rate is not None
        votes = int(self._rate * self._seconds)
        pace = SendingPace(BATCH, rate=self._rate, confirmations=1, follow_seconds=30.0)
        async with asyncio.TaskGroup() as tasks:
            load = tasks.create_task(self._load(f"m{number}", votes, pace))
            await asyncio.sleep(min(KILL_AT, self._seconds / 2))
            await asyncio.to_thread(self._command, "kill", victim)
        summary = load.result()
        self._check_taken(summary, votes)
        return self._look(victim, summary)

    def _look(self, victim: str, summary: Summary) -> Minute:
        programs = self._programs()
        self._all_ready(programs)
        alive = {name: psutil.Process(program["pid"]) for name, program in programs.items()}
        return Minute(
            killed=victim,
            accepted=summary.accepted,
            memory={name: process.memory_info().rss for name, process in alive.items()},
            descriptors={name: process.num_fds() for name, process in alive.items()},
            accepted_p99_ms=1000 * summary.latency["accepted"].percentile(99),
            in_block_p90_ms=1000 * summary.latency["in_block"].percentile(90),
            waiting=max(program["waiting"] or 0 for program in programs.values()),
        )

    def _check_taken(self, summary: Summary, votes: int) -> None:
        """A vote may be accepted by a node that dies before it says so, and is repeated at the next."""
        taken = summary.accepted + summary.repeated
        if taken != votes or summary.refused:
            self.faults.append(f"{taken:,} of {votes:,} votes taken, refused: {dict(summary.refused)}")

    # -- looking -------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Until all nodes agree and nothing waits; then every vote must be there, once."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            found = self._command("results", "--all-nodes", "--json", check=False)
            nodes = found.get("nodes", [])
            calm = found.get("agree") and len(nodes) == NODES and not any(n["waiting"] for n in nodes)
            if calm or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if not calm:
            self.faults.append(f"the nodes do not agree after {SETTLE_SECONDS:g} s")
        for node in nodes:
            if node["votes"] != self._cast:
                self.faults.append(f"{node['node']} counts {node['votes']:,} votes, {self._cast:,} were cast")
        restarts = sum(program["restarts"] for program in self._programs().values())
        if restarts != self._minutes:
            self.faults.append(f"{restarts} restarts for {self._minutes} kills")

    def _judge(self) -> None:
        if len(self.history) < 2:
            return
        first, last = self.history[0], self.history[-1]
        votes = sum(minute.accepted for minute in self.history[1:])
        for name, before in first.memory.items():
            grown = last.memory[name] - before
            if grown > PER_VOTE * votes + MEMORY_SLACK:
                self.faults.append(f"{name} grew by {grown / 1e6:,.0f} MB in {votes:,} votes")
            more = last.descriptors[name] - first.descriptors[name]
            if more > DESCRIPTOR_SLACK:
                self.faults.append(f"{name} has {more} more open descriptors")
        third = max(1, len(self.history) // 3)
        for what in ("accepted_p99_ms", "in_block_p90_ms"):
            early = statistics.median(getattr(minute, what) for minute in self.history[:third])
            late = statistics.median(getattr(minute, what) for minute in self.history[-third:])
            print(f"{what}: {early:,.0f} in the first third, {late:,.0f} in the last")
            if late > LATENCY_FACTOR * early + LATENCY_SLACK_MS:
                self.faults.append(f"{what} grew from {early:,.0f} to {late:,.0f}")
        grown = max(last.memory[name] - first.memory[name] for name in first.memory)
        print(f"memory: the most that a program grew is {grown / 1e6:,.0f} MB, in {votes:,} votes")

    def _say(self, minute: Minute) -> None:
        print(
            f"minute {len(self.history)}: killed {minute.killed}; {minute.accepted:,} accepted, p99 "
            f"{minute.accepted_p99_ms:,.0f} ms; in block p90 {minute.in_block_p90_ms:,.0f} ms; waiting "
            f"{minute.waiting:,}; memory up to {max(minute.memory.values()) / 1e6:,.0f} MB, descriptors up "
            f"to {max(minute.descriptors.values())}",
            flush=True,
        )

    def _all_ready(self, programs: dict[str, dict[str, Any]]) -> None:
        for name, program in programs.items():
            if program["state"] != "ready":
                self.faults.append(f"{name} is {program['state']} at the end of its minute")

    # -- the network ---------------------------------------------------------------------------

    def _command(self, *command: str, check: bool = True) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "votenet", *command],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"votenet {command[0]} failed: {done.stderr[-500:]}")
        return json.loads(done.stdout) if "--json" in command and done.stdout else {}

    def _programs(self) -> dict[str, dict[str, Any]]:
        """By name; ready ones first looked for again for a while, since a killed one is on its way back."""
        deadline = time.monotonic() + 30
        while True:
            programs = {program["name"]: program for program in self._command("ps", "--json")["programs"]}
            if all(p["state"] == "ready" for p in programs.values()) or time.monotonic() > deadline:
                return programs
            time.sleep(0.2)

    def _addresses(self) -> list[Address]:
        return [parse_address(p["address"]) for p in self._programs().values() if p["role"] == "node"]


def main() -> int:
    options = argparse.ArgumentParser(description="Steady load, a kill every minute.")
    options.add_argument("--minutes", type=int, default=20)
    options.add_argument("--rate", type=float, help=f"votes a second; without, {SHARE:.0%} of the knee")
    options.add_argument("--seconds", type=float, default=60.0, help="length of a minute, for a quick look")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    given = options.parse_args()
    soak = Soak(given.minutes, given.rate, given.seconds)
    soak.run()
    if given.json is not None:
        given.json.write_text(json.dumps(soak.as_dict(), indent=1))
    for fault in soak.faults:
        print(f"BREACH: {fault}")
    print("soak: " + ("breached" if soak.faults else "nothing grew, nothing was lost"))
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())

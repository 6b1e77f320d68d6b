"""The steps of the demonstration: everything through the same commands that a user types.

What lives here: Demo. What must not: shortcuts; the only things done by hand are the kill -9 (and, to be
in time for it, the question how many votes are in), and the direct count of the file, which shares no
code with the replay or the tally.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from votenet.cli.ballots import SHIPPED
from votenet.errors import VotenetError
from votenet.processes.spec import votenet_program

RECORD: Final = "minneapolis-2013"
VICTIM: Final = "node-3"
KILL_AFTER: Final = 0.3
"""Share of the ballots that are cast when the victim is killed."""
RECOVERY_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
KILL_POLL_SECONDS: Final = 0.01
"""Between two looks for the moment of the kill: the whole replay may last less than two seconds."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    passed: bool
    found: str


class Demo:
    """One demonstration, in a folder that is deleted afterwards."""

    def __init__(self, ballots: int, nodes: int, say: Callable[[str], None]) -> None:
        self._ballots, self._nodes, self._say = ballots, nodes, say
        self._victim = VICTIM if nodes >= 3 else f"node-{nodes}"
        self._home = Path(tempfile.mkdtemp(prefix="votenet-demo-"))
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("VOTENET_")}
        self._env["VOTENET_HOME"] = str(self._home)
        self._checks: list[Check] = []
        self._counts: list[tuple[str, int, int]] = []

    def run(self, *, keep: bool = False) -> tuple[list[Check], list[tuple[str, int, int]]]:
        """All steps; returns the checks and (candidate, our count, the file's count)."""
        try:
            self._start()
            self._cast()
            self._wait_for_all()
            self._compare()
            self._second_vote()
        except VotenetError as error:
            self._check("every step could be taken", False, error.message)
        finally:
            self._stop()
            if keep:
                self._say(f"chains and logs are in {self._home}")
            else:
                shutil.rmtree(self._home, ignore_errors=True)
        return self._checks, self._counts

    # -- steps ---------------------------------------------------------------------------------

    def _start(self) -> None:
        self._say(f"starting {self._nodes} nodes and a bootstrap server")
        began = time.monotonic()
        options = (
            "--title",
            "Minneapolis, mayor, 2013",
            "--candidates-from",
            RECORD,
            "--choice-column",
            "rank1",
        )
        self._command("up", "--nodes", str(self._nodes), "--detach", *options)
        states = [program["state"] for program in self._programs()]
        self._check(
            f"{self._nodes} nodes and the bootstrap server are ready",
            states == ["ready"] * (self._nodes + 1),
            f"in {time.monotonic() - began:.1f} s",
        )

    def _cast(self) -> None:
        self._say(f"casting {self._ballots:,} real ballots over all nodes")
        sample = ("--choice", "rank1", "--sample", str(self._ballots), "--prefix", "mpls-", "--json")
        replay = subprocess.Popen(
            self._argv("replay", RECORD, *sample),
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            killed_at = self._kill_in_the_middle(replay)
            out, err = replay.communicate(timeout=60 + self._ballots / 100)
        finally:
            if replay.poll() is None:
                replay.kill()
                replay.wait()
        if not out:
            raise VotenetError(
                f"the replay failed: {err.decode(errors='replace').strip()[-300:]}", code="command-failed"
            )
        summary = json.loads(out)
        taken = summary["accepted"] + summary["repeated"]
        self._check(
            f"{self._victim} killed with -9 while votes were being cast",
            killed_at is not None,
            f"when {killed_at:,} votes were known to a node"
            if killed_at is not None
            else "the replay was over",
        )
        self._check(
            "every ballot was accepted once, over all nodes",
            taken == self._ballots and not summary["refused"],
            f"{taken:,} accepted at {summary['votes_per_second']:,.0f} a second, "
            f"{sum(summary['refused'].values())} refused",
        )

    def _kill_in_the_middle(self, replay: subprocess.Popen[bytes]) -> int | None:
        """Kill the victim once a third of the votes are in; the votes known then, or None if too late."""
        programs = {p["name"]: p for p in self._programs()}
        program, other = programs[self._victim], programs["node-1"]
        while replay.poll() is None:
            known = _known_votes(other["address"])
            if known >= KILL_AFTER * self._ballots:
                self._kill(program)
                self._say(f"killed {self._victim} (pid {program['pid']}) with -9")
                return known if replay.poll() is None else None
            time.sleep(KILL_POLL_SECONDS)
        return None

    def _kill(self, program: dict[str, Any]) -> None:
        """By a handle on the very process that works in our folder, never by a bare number."""
        handle = os.pidfd_open(program["pid"])
        try:
            command = Path(f"/proc/{program['pid']}/cmdline").read_bytes()
            if str(self._home).encode() in command:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)

    def _wait_for_all(self) -> None:
        self._say("waiting until every node has every vote")
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            victim = next(p for p in self._programs() if p["name"] == self._victim)
            states = self._command("status", "--json", check=False)
            tips = {s.get("tip") for s in states}
            waiting = sum(s.get("waiting", 1) for s in states)
            back = victim["state"] == "ready" and victim["restarts"] > 0
            if back and len(tips) == 1 and not waiting and len(states) == self._nodes:
                break
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        self._check(
            f"{self._victim} is back and has caught up",
            back and len(tips) == 1,
            f"restarted {victim['restarts']} time(s), after: {victim['cause']}",
        )

    def _compare(self) -> None:
        found = self._command("results", "--all-nodes", "--json")
        nodes = found["nodes"]
        self._check(
            "every node gives the same count and the same tip",
            found["agree"] and len(nodes) == self._nodes,
            f"{len(nodes)} nodes, height {nodes[0]['height']}, tip {nodes[0]['tip'][:16]}",
        )
        ours, theirs = nodes[0]["counts"], direct_count(self._ballots)
        names = sorted({*ours, *theirs}, key=lambda name: (-theirs[name], name))
        self._counts = [
            (name, ours.get(name, 0), theirs[name]) for name in names if ours.get(name, 0) or theirs[name]
        ]
        wrong = [name for name, a, b in self._counts if a != b]
        self._check(
            "the counts equal a direct count of the file",
            not wrong and sum(ours.values()) == self._ballots,
            f"{sum(ours.values()):,} votes for {len(self._counts)} candidates"
            + (f"; different: {wrong[:3]}" if wrong else ""),
        )

    def _second_vote(self) -> None:
        voter, name = "mpls-000001", next(name for name, _, _ in self._counts)
        refused = subprocess.run(
            self._argv("vote", voter, name), env=self._env, capture_output=True, text=True, check=False
        )
        self._check(
            "a second vote of a voter is refused",
            refused.returncode == 1 and "has already voted" in refused.stderr,
            "refused" if refused.returncode == 1 else refused.stdout[:100],
        )

    def _stop(self) -> None:
        self._say("stopping everything")
        began = time.monotonic()
        stopped = subprocess.run(
            self._argv("down"), env=self._env, capture_output=True, text=True, check=False
        )
        left = [pid for pid in _pids() if str(self._home).encode() in _command_line(pid)]
        self._check(
            "everything is stopped, no process is left",
            stopped.returncode == 0 and not left,
            f"in {time.monotonic() - began:.1f} s" if not left else f"left: {left}",
        )

    # -- tools ---------------------------------------------------------------------------------

    def _argv(self, *command: str) -> list[str]:
        return [*votenet_program(), *command]

    def _command(self, *command: str, check: bool = True) -> Any:
        """Run a command as a user would; its JSON if it prints any. Raises VotenetError."""
        done = subprocess.run(
            self._argv(*command), env=self._env, capture_output=True, text=True, check=False, timeout=120
        )
        if check and done.returncode != 0:
            raise VotenetError(
                f"votenet {command[0]} failed: {(done.stderr or done.stdout).strip()[-400:]}",
                code="command-failed",  # what to do next is in what it said
            )
        return json.loads(done.stdout) if "--json" in command else None

    def _programs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._command("ps", "--json")["programs"]
        return found

    def _check(self, what: str, passed: bool, found: str) -> None:
        self._checks.append(Check(what, passed, found))
        self._say(f"{'ok' if passed else 'FAILED'}: {what}: {found}")


def direct_count(ballots: int) -> Counter[str]:
    """First choices of `ballots` lines spread evenly over the record: plain csv and a Counter."""
    packed = resources.files("votenet").joinpath("data", SHIPPED[RECORD]).read_bytes()
    rows = list(csv.reader(io.StringIO(lzma.decompress(packed).decode("utf-8"))))[1:]
    return Counter(rows[index * len(rows) // ballots][0] for index in range(ballots))


def _known_votes(address: str) -> int:
    """Votes that a node has on its chain or waiting, asked with one line as any program may."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(b'{"type":"get_results"}\n')
        found = json.loads(link.makefile("rb").readline())
    return int(found["votes"]) + int(found["waiting"])


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""

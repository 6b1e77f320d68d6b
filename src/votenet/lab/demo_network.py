"""What every election of the demonstration has: a folder of its own, commands, checks, an end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil

from votenet.errors import VotenetError
from votenet.processes.spec import votenet_program

DEMO_RECOVERY_SECONDS: Final = 60.0
DEMO_POLL_SECONDS: Final = 0.05
LONGER: Final = 4
"""So many times longer are the hours of the next trial, where those of one were too short."""
MOST_SECONDS: Final = 3_000
"""Longer hours are not tried."""
UNTIL_FINAL_SECONDS: Final = 120.0
"""For how long after closing the result may take to be final."""
GRACE_SECONDS: Final = 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DemoCheck:
    """One check of the demonstration, with its observation."""

    what: str
    passed: bool
    seen: str


@dataclass(frozen=True, slots=True)
class DemoCount:
    """One contest: what was decided, and (candidate, votenet's count, the count by hand)."""

    title: str
    decided: str
    counts: list[tuple[str, int, int]]


class TooLate(Exception):
    """For this machine the hours are too short: voting has closed before all ballots were in blocks, or they
    were in blocks before the victim was killed."""


Outcome = tuple[list[DemoCheck], list[DemoCount]]


def within_hours(seconds: int, trial: Callable[[int], T], say: Callable[[str], None]) -> T:
    """What `trial` returns with the first hours that are long enough for it. Raises VotenetError."""
    while seconds <= MOST_SECONDS:
        with contextlib.suppress(TooLate):
            return trial(seconds)
        seconds *= LONGER
        say("the voting hours were too short for this machine: once more, with longer ones")
    raise VotenetError(
        "this machine needs too long to cast the ballots",
        code="demo-failed",
        next_step="End other programs, or cast fewer ballots: --ballots",
    )


class DemoNetwork(ABC):
    """One election, in a folder that is deleted afterwards. Voting is open for `seconds`."""

    def __init__(self, nodes: int, seconds: int, say: Callable[[str], None]) -> None:
        self._nodes, self._seconds, self._say = nodes, seconds, say
        self._home = Path(tempfile.mkdtemp(prefix="votenet-demo-"))
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("VOTENET_")}
        self._env["VOTENET_HOME"] = str(self._home)
        self._checks: list[DemoCheck] = []
        self._counts: list[DemoCount] = []
        self._closes = 0

    def run(self, *, keep: bool = False) -> Outcome:
        """All steps. Raises TooLate, when everything is stopped and deleted."""
        try:
            self._vote()
            self._end()
        except TooLate:
            keep = False
            raise
        except VotenetError as error:
            self._check("every step could be taken", False, error.message)
        finally:
            self._stop()
            if keep:
                self._say(f"chains and logs are in {self._home}")
            else:
                shutil.rmtree(self._home, ignore_errors=True)
        return self._checks, self._counts

    def _vote(self) -> None:
        """All that is done while voting is open. Raises TooLate; also for a step that failed after that."""
        try:
            self._while_open()
        except VotenetError:
            if time.time() >= self._closes:
                raise TooLate from None
            raise

    @abstractmethod
    def _while_open(self) -> None:
        """From the start to the last vote; sets `_closes`."""

    @abstractmethod
    def _end(self) -> None:
        """From the last vote to the last check."""

    def _wait_until_final(self) -> dict[str, Any]:
        """What all nodes answer once voting is closed and each has the final result."""
        left = max(0.0, self._closes - time.time())
        self._say(f"waiting until voting closes, in {left:.0f} s, and the result is final")
        patience = left + UNTIL_FINAL_SECONDS
        self._command("wait", "--for", "final", "--timeout", f"{patience:.0f}", timeout=patience + 60)
        return self._all_nodes(lambda node: bool(node["final"]))

    def _all_nodes(self, ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What all nodes answer, once they agree and each is ready, or the time is up.

        Raises VotenetError when no node has answered by then.
        """
        deadline = time.monotonic() + DEMO_RECOVERY_SECONDS
        while True:
            found: dict[str, Any] = self._command("results", "--all-nodes", "--json", check=False)
            is_over = time.monotonic() > deadline
            if "nodes" in found:  # else no node answered in time, and this is the error
                there = [node for node in found["nodes"] if ready(node)]
                if (found["agree"] and len(there) == self._nodes) or is_over:
                    return found
            elif is_over:
                raise VotenetError("no node says what it has counted", code="command-failed")
            time.sleep(DEMO_POLL_SECONDS)

    def _stop(self) -> None:
        self._say("stopping everything")
        began = time.monotonic()
        stopped = self._run("down")
        left = [process.pid for process in psutil.process_iter() if works_in(process, self._home)]
        self._check(
            "everything is stopped, no process is left",
            stopped.returncode == 0 and not left,
            f"in {time.monotonic() - began:.1f} s" if not left else f"left: {left}",
        )

    # -- tools ---------------------------------------------------------------------------------

    def _run(
        self, *command: str, timeout: float | None = None, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with `given` on its standard input.

        Raises VotenetError when it takes longer than `timeout` seconds.
        """
        argv = [*votenet_program(), *command]
        try:
            return subprocess.run(
                argv,
                env=self._env,
                input=given,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise VotenetError(
                f"votenet {command[0]}: not over after {timeout:g} s", code="command-failed"
            ) from error

    def _command(self, *command: str, check: bool = True, timeout: float = 120, given: str = "") -> Any:
        """Run a command as a user would; its JSON if it prints any. Raises VotenetError."""
        done = self._run(*command, timeout=timeout, given=given)
        if check and done.returncode != 0:
            raise VotenetError(
                f"votenet {command[0]} failed: {(done.stderr or done.stdout).strip()[-400:]}",
                code="command-failed",  # what to do next is in what it said
            )
        return json.loads(done.stdout) if "--json" in command else None

    def _programs(self) -> list[dict[str, Any]]:
        return list(self._command("ps", "--json")["programs"])

    def _check(self, what: str, passed: bool, seen: str) -> None:
        self._checks.append(DemoCheck(what, passed, seen))
        self._say(f"{'ok' if passed else 'FAILED'}: {what}: {seen}")


def works_in(process: psutil.Process, folder: Path) -> bool:
    """Whether a process names this folder in its command, or works in one below it."""
    try:
        below = folder in Path(process.cwd()).parents  # as the page does, which keeps no file there
        return below or any(str(folder) in word for word in process.cmdline())
    except psutil.Error:
        return False

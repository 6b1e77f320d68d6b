"""One chaos run: a network of its own, votes, faults, and every invariant after each of them.

Everything is done as a user does it, by commands or by the requests that they send to the supervisor.
Only the supervisor itself is killed by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from votenet.client.failover import ask_each
from votenet.config import InstanceDirs
from votenet.errors import Command, NextStep, VotenetError
from votenet.lab import chaos_checks as checks
from votenet.lab.chaos_checks import Broken
from votenet.lab.chaos_load import Load
from votenet.lab.chaos_plan import CHAOS_STEP_SECONDS, ENDS, Planner, Step, StepKind
from votenet.lab.chaos_recorder import Recorder, Recording
from votenet.processes.control import ask
from votenet.processes.instance import load_network
from votenet.processes.spec import ProgramSpec, expand, votenet_program
from votenet.protocol.wire.address import Address, parse_address
from votenet.protocol.wire.client_messages import GetResults, Results
from votenet.storage.genesis_file import read_genesis

CHAOS_RECOVERY_SECONDS: Final = 60.0
"""In which all programs are ready after a fault; as many again until all nodes agree."""
STOP_SECONDS: Final = 25.0
"""For `down`: nodes, then the bootstrap server, each within its grace of 10 s."""
COMMAND_SECONDS: Final = 120.0
FAULT_SECONDS: Final = 6.0
LONGEST: Final = 3.0
"""A machine too slow for a fault in every FAULT_SECONDS gets this many times the duration asked for."""
CHAOS_POLL_SECONDS: Final = 0.02
DIFFICULTY: Final = "8"
APART: Final = (StepKind.PAUSE, StepKind.PARTITION)
"""While one of these lasts, nodes cannot agree."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step that was done, `at` seconds into the run.

    `ready`: seconds until all programs were ready again. `agreed`: seconds from there until all nodes agreed,
    None where a fault kept them apart.
    """

    at: float
    step: Step
    ready: float
    agreed: float | None


@dataclass(slots=True)
class ChaosResult:
    """The result of a run. `recording`: what the nodes stood on, where that was asked for."""

    seed: int
    nodes: int
    steps: list[StepResult] = field(default_factory=list)
    votes: int = 0
    seconds: float = 0.0
    stop_seconds: float | None = None
    broken: VotenetError | None = None
    options: tuple[str, ...] = ()
    recording: Recording | None = None

    @property
    def again(self) -> Command:
        """The command that makes the same faults."""
        return Command("chaos", "--seed", str(self.seed), "--nodes", str(self.nodes), *self.options)

    @property
    def faults(self) -> int:
        return sum(done.step.is_fault for done in self.steps)


class Chaos:
    """One run in `home`, an empty folder that VOTENET_HOME names; `dirs` is an instance in it.

    `seconds`: how long faults are made. `planner` chooses them, by default from the seed. `named`: the
    election names the nodes. `record`: look at what they stand on all the time. `slow_blocks`: as rarely as
    `votenet up` has them come.
    """

    def __init__(
        self,
        home: Path,
        dirs: InstanceDirs,
        seed: int,
        seconds: float,
        nodes: int,
        say: Callable[[str], None],
        planner: Planner | None = None,
        *,
        named: bool = True,
        record: bool = False,
        slow_blocks: bool = False,
    ) -> None:
        self.seconds = seconds
        self._named, self._record, self._slow_blocks = named, record, slow_blocks
        self._recorder: Recorder | None = None
        self._home, self._dirs, self._say = home, dirs, say
        self._env = {key: value for key, value in os.environ.items() if not key.startswith("VOTENET_")}
        self._env["VOTENET_HOME"] = str(home)
        self._planner = planner or Planner(seed, nodes)
        self._lasting: dict[StepKind, Step] = {}
        self._specs: dict[str, ProgramSpec] = {}
        self._outcome = ChaosResult(seed, nodes)

    def run(self) -> ChaosResult:
        """Run all of it. A broken invariant is in the outcome; the network is stopped in any case."""
        try:
            self._up(self._outcome.nodes)
            self._began = time.monotonic()
            election = read_genesis(self._dirs.genesis)
            with self._recording(), Load(election, self._addresses()) as load:
                self._faults(load)
                self._outcome.seconds = time.monotonic() - self._began
                self._last_words(load)
            self._down()
            if not self._outcome.faults:
                raise Broken(checks.SOMETHING_DONE, "no fault was injected").advising(
                    NextStep("Give it more time: {}", Command("chaos", "--duration", "120"))
                )
        except VotenetError as error:
            self._outcome.broken = error
        finally:
            self._command("down", "-i", self._dirs.instance, "--timeout", "2", check=False)
        return self._outcome

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        """Look at all nodes while the block runs, where that was asked for."""
        if not self._record:
            yield
            return
        with Recorder(self._names(), self._began) as self._recorder:
            self._outcome.recording = self._recorder.recording
            yield

    # -- steps ---------------------------------------------------------------------------------

    def _faults(self, load: Load) -> None:
        self._agree(load)
        load.resume()
        while not is_over(self.seconds, time.monotonic() - self._began, self._outcome.faults):
            began = time.monotonic()
            self._take(self._planner.next(), load)
            time.sleep(max(began + CHAOS_STEP_SECONDS - time.monotonic(), 0.0))
        for step in self._planner.closing():
            self._take(step, load)

    def _take(self, step: Step, load: Load) -> None:
        """One step, the recovery from it, and the invariants."""
        began = time.monotonic()
        before = {program["name"]: program for program in self._programs()}
        self._do(step, before)
        programs = self._settled(step, before)
        ready = time.monotonic() - began
        load.aim(self._addresses())
        if self._recorder is not None:
            self._recorder.aim(self._names())
        checks.one_incarnation(self._dirs, programs)
        checks.no_other_restart(before, programs, before if step.kind is StepKind.ROLLING else _killed(step))
        self._judge_ends(programs)
        agreed = None if any(kind in self._lasting for kind in APART) else self._agree(load)
        load.resume()
        if load.refused:
            raise Broken(checks.NO_VOTE_REFUSED, load.refused[0])
        self._outcome.steps.append(StepResult(began - self._began, step, ready, agreed))
        told = "" if agreed is None else f", agreed after {agreed:.2f} s more"
        self._say(f"{began - self._began:6.1f} s  {step}: ready after {ready:.2f} s{told}")

    def _do(self, step: Step, before: dict[str, Any]) -> None:
        names = list(step.names)
        match step.kind:
            case StepKind.KILL | StepKind.KILL_BOOTSTRAP:
                self._ask("signal", names=names, signal=int(signal.SIGKILL))
            case StepKind.KILL_SUPERVISOR:
                self._kill_supervisor(before)
            case StepKind.PAUSE | StepKind.RESUME:
                self._ask(step.kind.value, names=names)
            case StepKind.PARTITION:
                self._follow("partition", groups=[list(group) for group in step.groups])
            case StepKind.HEAL:
                self._follow("heal")
            case StepKind.SLOW | StepKind.FAST:
                self._follow("slow", names=names, delay=step.value)
            case StepKind.SCALE:
                self._problems(self._ask("change", nodes=int(step.value)))
            case StepKind.ROLLING:
                self._problems(self._ask("rolling", names=[]))
        self._note(step)

    def _note(self, step: Step) -> None:
        if step.kind in ENDS:
            self._lasting[step.kind] = step
        self._lasting = {kind: one for kind, one in self._lasting.items() if ENDS[kind] is not step.kind}

    def _kill_supervisor(self, before: dict[str, Any]) -> None:
        pid = self._status()["supervisor"]["pid"]
        handle = os.pidfd_open(pid)
        try:
            if self._status()["supervisor"]["pid"] == pid:  # still: the handle is of that very process
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
        self._up(len(before) - 1)
        adopted = {program["name"]: program["pid"] for program in self._programs()}
        if adopted != {name: program["pid"] for name, program in before.items()}:
            raise Broken(checks.ONE_INCARNATION, "a program of a killed supervisor was not adopted")

    # -- waiting -------------------------------------------------------------------------------

    def _settled(self, step: Step, before: dict[str, Any]) -> list[dict[str, Any]]:
        """All programs ready (those that are paused: paused), the killed ones as new incarnations."""
        paused = self._lasting[StepKind.PAUSE].names if StepKind.PAUSE in self._lasting else ()
        killed = {name: before[name]["incarnation"] for name in _killed(step)}
        deadline = time.monotonic() + CHAOS_RECOVERY_SECONDS
        while True:
            programs = self._programs()
            wrong = [
                f"{one['name']} is {one['state']}"
                for one in programs
                if one["state"] != ("paused" if one["name"] in paused else "ready")
                or one["incarnation"] <= killed.get(one["name"], 0)
            ]
            if not wrong:
                return programs
            if time.monotonic() > deadline:
                raise Broken(
                    checks.RECOVERS, f"{CHAOS_RECOVERY_SECONDS:g} s after {step}: {', '.join(wrong)}"
                )
            time.sleep(CHAOS_POLL_SECONDS)

    def _agree(self, load: Load) -> float:
        """Seconds until all nodes have one tip and count every acknowledged vote. No new votes come after it,
        until `load.resume`."""
        began = time.monotonic()
        if not load.quiet(CHAOS_RECOVERY_SECONDS):
            raise Broken(checks.NO_VOTE_REFUSED, f"some votes got no answer for {CHAOS_RECOVERY_SECONDS:g} s")
        deadline = time.monotonic() + CHAOS_RECOVERY_SECONDS
        while missing := checks.agreement(self._views(), len(load.acknowledged)):
            if time.monotonic() > deadline:
                invariant = checks.NO_VOTE_LOST if "counted" in missing else checks.ALL_AGREE
                raise Broken(invariant, f"{missing}, after {CHAOS_RECOVERY_SECONDS:g} s")
            time.sleep(CHAOS_POLL_SECONDS)
        return time.monotonic() - began

    def _last_words(self, load: Load) -> None:
        """Nothing is broken any more: every acknowledged vote by its id, checked outside of the network."""
        self._agree(load)
        archive = self._home / "election.jsonl"
        node = str(self._addresses()[0])
        self._command("export", "-i", self._dirs.instance, "-o", str(archive), "--node", node)
        self._command("audit", str(archive))
        self._outcome.votes = checks.no_vote_lost(archive, load.acknowledged)

    def _judge_ends(self, programs: Sequence[dict[str, Any]]) -> None:
        ends = checks.one_cause(self._dirs.logs, programs)
        policy = load_network(self._dirs).policy
        checks.restart_limit(ends, policy.limit, policy.window)

    def _down(self) -> None:
        began = time.monotonic()
        self._command("down", "-i", self._dirs.instance)
        seconds = self._outcome.stop_seconds = time.monotonic() - began
        if seconds > STOP_SECONDS:
            raise Broken(checks.STOPS_IN_TIME, f"it took {seconds:.1f} s")
        checks.one_cause(self._dirs.logs, [])
        checks.nothing_left(self._dirs, list(self._specs.values()))

    # -- tools ---------------------------------------------------------------------------------

    def _up(self, nodes: int) -> None:
        options = ["--detach", "--no-web", "--nodes", str(nodes)]
        options += [] if self._slow_blocks else ["--difficulty", DIFFICULTY]
        options += [] if self._named else ["--no-named-nodes"]
        self._command("up", "-i", self._dirs.instance, *options)
        self._remember()

    def _remember(self) -> None:
        """Everything that has ever run, for the last look."""
        self._specs.update({spec.name: spec for spec in expand(load_network(self._dirs), self._dirs)})

    def _status(self) -> dict[str, Any]:
        return ask(self._dirs, {"command": "status"})

    def _programs(self) -> list[dict[str, Any]]:
        return list(self._status()["programs"])

    def _addresses(self) -> list[Address]:
        self._remember()
        return [parse_address(text) for text in self._status()["nodes"]]

    def _names(self) -> dict[str, Address]:
        """The nodes that should run, by name."""
        return {
            one["name"]: parse_address(one["address"]) for one in self._programs() if one["role"] == "node"
        }

    def _views(self) -> dict[str, tuple[int, str, int] | None]:
        answers = asyncio.run(ask_each(self._addresses(), lambda node: node.ask(GetResults(), Results)))
        return {
            str(address): (answer.votes, answer.tip, answer.waiting) if isinstance(answer, Results) else None
            for address, answer in answers
        }

    def _ask(self, command: str, **fields: Any) -> dict[str, Any]:
        return ask(self._dirs, {"command": command, **fields}, timeout=COMMAND_SECONDS)

    def _follow(self, command: str, **fields: Any) -> None:
        if late := self._ask(command, **fields)["late"]:
            raise Broken(checks.RECOVERS, f"{', '.join(late)}: {command} is not in force in time")

    def _problems(self, answer: dict[str, Any]) -> None:
        if answer["problems"]:
            raise Broken(checks.NOTHING_LEFT, "; ".join(answer["problems"]))

    def _command(self, *command: str, check: bool = True) -> None:
        """A command as a user types it. Raises VotenetError with what it said."""
        done = subprocess.run(
            [*votenet_program(), *command],
            env=self._env, cwd=self._home, capture_output=True, text=True, check=False,
            timeout=COMMAND_SECONDS,
        )  # fmt: skip
        if check and done.returncode:
            said = (done.stderr or done.stdout).strip()[-600:]
            raise VotenetError(f"votenet {command[0]}, exit {done.returncode}: {said}", code="command-failed")


def is_over(asked: float, passed: float, faults: int) -> bool:
    """Whether a run has lasted the seconds asked for, with a fault in every FAULT_SECONDS of them.

    A slow machine gets up to LONGEST times as long for its faults.
    """
    return passed >= asked and (faults >= int(asked / FAULT_SECONDS) or passed >= LONGEST * asked)


def _killed(step: Step) -> tuple[str, ...]:
    return step.names if step.kind in (StepKind.KILL, StepKind.KILL_BOOTSTRAP) else ()

"""One program as the supervisor holds it: plan, record, process, and what is known of it.

What lives here: `Slot`, the look that the supervisor takes at each once a second. What must not:
decisions about a program (`machine.py`), anything about other programs.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Final

from votenet.config import InstanceDirs
from votenet.processes import procfs
from votenet.processes.child import Child
from votenet.processes.identity import Identity
from votenet.processes.machine import Event, Hung, PauseChanged, Phase, Program, State, Timer
from votenet.processes.spec import ProgramSpec, Role
from votenet.processes.status import Sight, Vitals
from votenet.processes.watchdog import Verdict, judge

OUT = (State.FAILED, State.REMOVED)
"""Known to be out: nothing to wait for."""
JOIN_SECONDS: Final = 2.0
"""For nodes that start together to find each other; one that is cut off keeps nobody waiting."""


@dataclass(slots=True)
class Slot:
    """One program: its plan, its record, and the process that now carries it."""

    spec: ProgramSpec
    program: Program
    child: Child | None = None
    sight: Sight = field(default_factory=Sight)
    vitals: Vitals = field(default_factory=Vitals)
    timers: dict[Timer, tuple[int, asyncio.TimerHandle]] = field(default_factory=dict)
    alerted: bool = False
    """People were told that its chain stands still."""

    @property
    def settled(self) -> bool:
        """Ready, or out and known to be out, or stopped as somebody asked."""
        program = self.program
        stopped = program.state is State.STOPPED and program.epoch > 0 and not program.wanted
        return program.state is State.READY or program.state in OUT or stopped

    def alone(self, now: float) -> bool:
        """A node that was ready before there was any peer, and has not told of one since."""
        ready_at = self.sight.ready_at
        return (
            self.spec.role is Role.NODE
            and self.program.state is State.READY
            and self.vitals.peers == 0
            and ready_at is not None
            and now - ready_at < JOIN_SECONDS
        )

    def look(self, now: float) -> list[Event]:
        """What the kernel says about the process now, as events; also measures it.

        Anybody may look at any time. Silence is judged elsewhere: it proves nothing to one who was away.

        Args:
            now: monotonic seconds.
        """
        stat = procfs.read_stat(self.child.pid) if self.child is not None else None
        if stat is None:
            return []
        self.sight.measure(stat, now)
        if stat.paused == self.program.paused:
            return []
        return [PauseChanged(self.program.incarnation, stat.paused)]

    def judge_silence(self, now: float, hang_seconds: float, lost: float) -> list[Event]:
        """Whether its main loop hangs. Only for the one caller that knows whether it was late itself.

        Args:
            now: monotonic seconds.
            hang_seconds: silence that is a hang.
            lost: seconds of the silence in which this supervisor could hear nobody.
        """
        if self.child is None or self.vitals.beat_at is None or self.program.phase is not Phase.ALIVE:
            return []
        self.vitals.beat_at = min(self.vitals.beat_at + lost, now)
        verdict = judge(now - self.vitals.beat_at, hang_seconds, procfs.read_stat(self.child.pid))
        if verdict is Verdict.EXCUSED:
            self.vitals.beat_at = now
        return [Hung(self.program.incarnation)] if verdict is Verdict.HUNG else []

    def ended(self, last_lines: list[str]) -> None:
        """Forget the process; its chain is still there."""
        self.child = None
        self.vitals = Vitals(height=self.vitals.height, tip=self.vitals.tip)
        self.sight = Sight(log=self.sight.log, last_lines=tuple(last_lines))

    def identity(self, dirs: InstanceDirs, intent: str) -> Identity:
        """Its record as it is to be written now."""
        child = self.child
        return Identity(
            instance=dirs.instance,
            name=self.spec.name,
            incarnation=self.program.incarnation,
            intent=intent,
            address=str(self.spec.address),
            pid=child.pid if child else 0,
            start_ticks=child.start_ticks if child else 0,
            boot_id=procfs.boot_id(),
            pid_namespace=procfs.pid_namespace(),
            supervisor=os.getpid(),
        )

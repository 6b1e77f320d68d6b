"""One program as the supervisor holds it: spec, state machine, process, and what is known of it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from votenet.config import InstanceDirs
from votenet.processes import procfs
from votenet.processes.child import Child
from votenet.processes.heartbeat import Heartbeat, SilenceVerdict, judge_silence
from votenet.processes.identity import IdentityRecord
from votenet.processes.machine import Event, Hung, PauseChanged, Phase, ProgramState, State, Timer
from votenet.processes.spec import ProgramRole, ProgramSpec

OUT_STATES: Final = (State.FAILED, State.REMOVED)
"""Known to be out: nothing to wait for."""
PAGE_SECONDS: Final = 10.0
"""So long a network that is ready waits for its page; voters at a shell need none."""
JOIN_SECONDS: Final = 10.0
"""For nodes that start together to find each other; a node that is cut off keeps no command waiting."""
CPU_SECONDS: Final = 0.9
"""Shortest time over which use of the processor is measured: ticks are 10 ms."""
LAST_LINES: Final = 20
"""Log lines shown of a program that failed or was removed."""


@dataclass(slots=True)
class ProcessSample:
    """What the kernel and the log tell of a program's process. Times are monotonic seconds."""

    pid: int | None = None
    started_at: float | None = None
    ready_at: float | None = None
    log: Path | None = None
    last_lines: tuple[str, ...] = ()
    cpu: float | None = None
    """Percent of one core over the last second."""
    memory: int | None = None
    """Resident bytes."""
    cpu_mark: tuple[int, float] | None = None
    """Clock ticks used, and when that was measured."""

    def measure(self, stat: procfs.ProcessStat, now: float) -> None:
        """Take over memory and use of the processor."""
        self.memory = stat.memory
        used, then = self.cpu_mark or (stat.cpu_ticks, now)
        if now - then >= CPU_SECONDS:
            self.cpu = round((stat.cpu_ticks - used) / procfs.TICKS_PER_SECOND / (now - then) * 100, 1)
            used, then = stat.cpu_ticks, now
        self.cpu_mark = used, then


@dataclass(slots=True)
class ManagedProgram:
    spec: ProgramSpec
    machine: ProgramState
    child: Child | None = None
    sample: ProcessSample = field(default_factory=ProcessSample)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    timers: dict[Timer, tuple[int, asyncio.TimerHandle]] = field(default_factory=dict)
    alerted: bool = False
    """People were told that its chain stands still."""
    launched: tuple[str, ...] = ()
    """The arguments that its process was started with."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def is_node(self) -> bool:
        return self.spec.role is ProgramRole.NODE

    @property
    def is_page(self) -> bool:
        return self.spec.role is ProgramRole.WEB

    @property
    def state(self) -> State:
        return self.machine.state

    @property
    def outdated(self) -> bool:
        """Whether its process runs with other arguments than its next one will."""
        return self.child is not None and self.launched != self.spec.argv

    @property
    def settled(self) -> bool:
        """Ready, or known to be out, or stopped by a command."""
        stopped = self.state is State.STOPPED and self.machine.epoch > 0 and not self.machine.wanted
        return self.state is State.READY or self.state in OUT_STATES or stopped

    def keeps_waiting(self, now: float) -> bool:
        """Whether the network is not ready without it. Of a page its first start counts, and not for long."""
        if not self.is_page or self.machine.starts == 0:
            return not self.settled
        started = self.sample.started_at
        under_way = self.state is State.STARTING or self.machine.phase is Phase.ENDED  # why, is known soon
        first = under_way and self.machine.restarts == 0 and not self.machine.was_ready
        return first and started is not None and now - started < PAGE_SECONDS

    def alone(self, now: float) -> bool:
        """A node that became ready without peers, and has reported none since."""
        ready_at = self.sample.ready_at
        return (
            self.is_node
            and self.state is State.READY
            and self.heartbeat.peers == 0
            and ready_at is not None
            and now - ready_at < JOIN_SECONDS
        )

    def look(self, now: float) -> list[Event]:
        """Measure the process; returns its changes as events.

        Silence is judged elsewhere: it proves nothing to a caller that was away.
        """
        stat = procfs.read_stat(self.child.pid) if self.child is not None else None
        if stat is None:
            return []
        self.sample.measure(stat, now)
        if stat.paused == self.machine.paused:
            return []
        return [PauseChanged(self.machine.incarnation, stat.paused)]

    def judge_silence(self, now: float, hang_seconds: float, lost: float) -> list[Event]:
        """`Hung` if the main loop hangs. The caller must know how late it was itself.

        Args:
            hang_seconds: silence that is a hang.
            lost: seconds of the silence in which this supervisor could hear no heartbeat.
        """
        beat = self.heartbeat
        if self.child is None or beat.beat_at is None or self.machine.phase is not Phase.ALIVE:
            return []
        beat.beat_at = min(beat.beat_at + lost, now)
        verdict = judge_silence(now - beat.beat_at, hang_seconds, procfs.read_stat(self.child.pid))
        if verdict is SilenceVerdict.EXCUSED:
            beat.beat_at = now
        return [Hung(self.machine.incarnation)] if verdict is SilenceVerdict.HUNG else []

    def ended(self, last_lines: list[str]) -> None:
        """Forget the process; its chain is still there."""
        self.child = None
        self.heartbeat = Heartbeat(height=self.heartbeat.height, tip=self.heartbeat.tip)
        self.sample = ProcessSample(log=self.sample.log, last_lines=tuple(last_lines))

    def identity(self, dirs: InstanceDirs, intent: str) -> IdentityRecord:
        """Its record on disk, as it is now."""
        child = self.child
        return IdentityRecord(
            instance=dirs.instance,
            name=self.name,
            incarnation=self.machine.incarnation,
            intent=intent,
            address=str(self.spec.address),
            pid=child.pid if child else 0,
            start_ticks=child.start_ticks if child else 0,
            boot_id=procfs.boot_id(),
            pid_namespace=procfs.pid_namespace(),
            supervisor=os.getpid(),
        )

    def status(self, now: float) -> dict[str, Any]:
        """Its part of a status answer (docs/supervisor.md); times in seconds."""
        machine, sample, beat = self.machine, self.sample, self.heartbeat
        state = machine.state
        down = state in (State.FAILED, State.REMOVED)
        return {
            "name": self.spec.name,
            "role": self.spec.role.value,
            "state": state.value,
            "pid": sample.pid,
            "address": str(self.spec.address),
            "incarnation": machine.incarnation,
            "restarts": machine.restarts,
            "outdated": self.outdated,
            "uptime": _since(sample.started_at, now),
            "ready_for": _since(sample.ready_at, now) if state is State.READY else None,
            "cause": str(machine.exit_cause) if machine.exit_cause else None,
            "problem": machine.problem or None,
            "next_try_in": None if machine.retry_at is None else round(max(machine.retry_at - now, 0.0), 3),
            "cpu": sample.cpu,
            "memory": sample.memory,
            "alert": beat.alert(now) or None,
            "height": beat.height,
            "peers": beat.peers,
            "waiting": beat.waiting,
            "tip": beat.tip,
            "finality": msgspec.to_builtins(beat.finality) if beat.finality else None,
            "links": msgspec.to_builtins(beat.links) if beat.links else None,
            "says": beat.text or None,
            "heard_ago": _since(beat.heard_at, now),
            "data_dir": str(self.spec.data_dir),
            "log": str(sample.log) if sample.log else None,
            "last_lines": list(sample.last_lines) if down else [],
        }


def _since(then: float | None, now: float) -> float | None:
    return None if then is None else round(max(now - then, 0.0), 3)

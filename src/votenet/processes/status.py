"""What `votenet ps` is told: programs and network as plain data.

What lives here: `Vitals` (what a program says about itself), the dicts of a status answer. What must
not: asking anybody; a status never waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from votenet.network.link_faults import LinkFaults, decode
from votenet.processes.machine import Program, State
from votenet.processes.procfs import TICKS_PER_SECOND, ProcessStat
from votenet.processes.spec import NetworkSpec, ProgramSpec
from votenet.processes.watchdog import STALL_SECONDS
from votenet.protocol.address import Address

CPU_SECONDS = 0.9
"""Shortest stretch over which use of the processor is measured: ticks are 10 ms."""
LAST_LINES = 20
"""Log lines shown of a program that failed or was removed."""


@dataclass(slots=True)
class Vitals:
    """What a program's main loop reported last; None until it did."""

    height: int | None = None
    peers: int | None = None
    waiting: int | None = None
    tip: str | None = None
    links: LinkFaults | None = None
    """What is wrong with its links, as asked for."""
    text: str = ""
    heard_at: float | None = None
    beat_at: float | None = None
    """Of the last heartbeat; None for a program that sends none, which is then not watched."""
    grew_at: float | None = None
    """When its chain grew last, or no vote waited."""

    def hear(self, fields: Mapping[str, str], now: float) -> None:
        """Take over the fields of one notification; a value of the wrong form is left out."""
        self.heard_at = now
        if "WATCHDOG" in fields:
            self.beat_at = now
        before = self.height
        self.height = _number(fields.get("X_HEIGHT"), self.height)
        self.peers = _number(fields.get("X_PEERS"), self.peers)
        self.waiting = _number(fields.get("X_WAITING"), self.waiting)
        self.tip = fields.get("X_TIP", self.tip)
        self.text = fields.get("STATUS", self.text)
        with contextlib.suppress(ValueError, RecursionError):
            self.links = decode(fields["X_LINKS"].encode()) if "X_LINKS" in fields else self.links
        if self.grew_at is None or self.height != before or not self.waiting:
            self.grew_at = now

    def alert(self, now: float) -> str:
        """A sentence when votes wait and no block comes; '' else. Never a reason to restart."""
        if self.grew_at is None or not self.waiting or now - self.grew_at < STALL_SECONDS:
            return ""
        return f"no block for {now - self.grew_at:.0f} s while {self.waiting} votes wait"


@dataclass(slots=True)
class Sight:
    """What the supervisor knows of a running process besides the state machine's record."""

    pid: int | None = None
    started_at: float | None = None
    ready_at: float | None = None
    log: Path | None = None
    last_lines: tuple[str, ...] = ()
    cpu: float | None = None
    """Of one core, in percent, over the last second."""
    memory: int | None = None
    """Resident bytes."""
    cpu_mark: tuple[int, float] | None = None
    """Clock ticks it had used at that monotonic time."""

    def measure(self, stat: ProcessStat, now: float) -> None:
        """Take over what the kernel says about the process."""
        self.memory = stat.memory
        used, then = self.cpu_mark or (stat.cpu_ticks, now)
        if now - then >= CPU_SECONDS:
            self.cpu = round((stat.cpu_ticks - used) / TICKS_PER_SECOND / (now - then) * 100, 1)
            used, then = stat.cpu_ticks, now
        self.cpu_mark = used, then


def network_status(network: NetworkSpec) -> dict[str, Any]:
    """What a status answer tells of the plan of a network, as it is now."""
    return {
        "genesis": network.genesis,
        "bootstrap": str(network.bootstrap),
        "nodes": [str(Address(network.host, port)) for port in network.node_ports],
        "settings": {
            "node_args": list(network.node_args),
            "hang_seconds": network.hang_seconds,
            "policy": msgspec.to_builtins(network.policy),
        },
    }


def program_status(
    spec: ProgramSpec, program: Program, sight: Sight, vitals: Vitals, now: float
) -> dict[str, Any]:
    """One program as the status answer carries it; times in seconds."""
    state = program.state
    down = state in (State.FAILED, State.REMOVED)
    return {
        "name": spec.name,
        "role": spec.role.value,
        "state": state.value,
        "pid": sight.pid,
        "address": str(spec.address),
        "incarnation": program.incarnation,
        "restarts": program.restarts,
        "uptime": _since(sight.started_at, now),
        "ready_for": _since(sight.ready_at, now) if state is State.READY else None,
        "cause": str(program.cause) if program.cause else None,
        "problem": program.problem or None,
        "next_try_in": None if program.retry_at is None else round(max(program.retry_at - now, 0.0), 3),
        "cpu": sight.cpu,
        "memory": sight.memory,
        "alert": vitals.alert(now) or None,
        "height": vitals.height,
        "peers": vitals.peers,
        "waiting": vitals.waiting,
        "tip": vitals.tip,
        "links": msgspec.to_builtins(vitals.links) if vitals.links else None,
        "says": vitals.text or None,
        "heard_ago": _since(vitals.heard_at, now),
        "data_dir": str(spec.data_dir),
        "log": str(sight.log) if sight.log else None,
        "last_lines": list(sight.last_lines) if down else [],
    }


def _since(then: float | None, now: float) -> float | None:
    return None if then is None else round(max(now - then, 0.0), 3)


def _number(text: str | None, otherwise: int | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 18):
        return otherwise
    return int(text)

"""What a program's main loop reports, and what its silence means.

Programs send `WATCHDOG=1` from their main loop once a second. A silence has innocent reasons: the process
was paused, it waits in the kernel for a disk, this supervisor itself got no processor, the machine slept.
Only what is left is a hang.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from votenet.network.link_faults import LinkFaults, decode
from votenet.processes.procfs import ProcessStat

STALL_SECONDS: Final = 120.0
"""Votes wait and the chain does not grow for this long: told to people, never a reason to restart."""


class FinalityReport(msgspec.Struct, frozen=True):
    """What one node knows of what is final. Named nodes are written as indexes.

    `height` is that of its newest certificate, `index` its own, None at a relay. `reachable` are the named
    nodes that it is joined to, and itself.
    """

    height: int
    index: int | None
    named: int
    quorum: int
    reachable: tuple[int, ...]


@dataclass(slots=True)
class Heartbeat:
    """The last report; fields are None until there is one. Times are monotonic seconds."""

    height: int | None = None
    peers: int | None = None
    waiting: int | None = None
    tip: str | None = None
    links: LinkFaults | None = None
    finality: FinalityReport | None = None
    """None where the election names no nodes."""
    text: str = ""
    heard_at: float | None = None
    beat_at: float | None = None
    """None for a program that sends no heartbeat: it is not watched."""
    grew_at: float | None = None
    """When its chain grew last, or no vote waited."""

    def update(self, fields: Mapping[str, str], now: float) -> None:
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
        with contextlib.suppress(msgspec.MsgspecError, RecursionError):
            if "X_FINALITY" in fields:
                self.finality = msgspec.json.decode(fields["X_FINALITY"], type=FinalityReport)
        if self.grew_at is None or self.height != before or not self.waiting:
            self.grew_at = now

    def alert(self, now: float) -> str:
        """A sentence when votes wait and no block comes; '' otherwise."""
        if self.grew_at is None or not self.waiting or now - self.grew_at < STALL_SECONDS:
            return ""
        votes = "1 vote waits" if self.waiting == 1 else f"{self.waiting} votes wait"
        return f"no block for {now - self.grew_at:.0f} s while {votes}"


class SilenceVerdict(Enum):
    FINE = "fine"
    EXCUSED = "excused"
    """Silent for a reason that is no fault of its main loop: the patience starts anew."""
    HUNG = "hung"


def judge_silence(silence: float, limit: float, stat: ProcessStat | None) -> SilenceVerdict:
    """What the silence of a program means.

    Args:
        silence: seconds since its last heartbeat.
        limit: seconds that are too long.
        stat: the process as the kernel sees it now; None when it is gone (its death is told elsewhere).
    """
    if stat is None or stat.dead or stat.paused:
        return SilenceVerdict.EXCUSED
    if silence < limit:
        return SilenceVerdict.FINE
    return SilenceVerdict.EXCUSED if stat.waits_for_disk else SilenceVerdict.HUNG


class LatenessMeter:
    """Measures how late this process was itself: in that time it could hear no heartbeat.

    Args:
        period: seconds between two calls of `lost`, as planned.
    """

    def __init__(self, period: float, now: float, since_boot: float) -> None:
        self._period, self._now, self._asleep = period, now, since_boot - now

    def lost(self, now: float, since_boot: float) -> float:
        """Seconds since the last call in which this process did not run.

        Infinite when that was more than a period, or the machine slept: then every silent program gets its
        whole patience again.

        Args:
            now: CLOCK_MONOTONIC, which stands still while the machine sleeps.
            since_boot: CLOCK_BOOTTIME, which does not.
        """
        asleep = since_boot - now
        surplus = max(now - self._now - self._period, 0.0)
        slept = asleep - self._asleep > self._period
        self._now, self._asleep = now, asleep
        return math.inf if slept or surplus > self._period else surplus


def _number(text: str | None, otherwise: int | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 18):
        return otherwise
    return int(text)

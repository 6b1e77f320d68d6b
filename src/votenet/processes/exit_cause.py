"""Why a process ended, as data and as a sentence."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import Enum
from typing import Final

EXIT_MEANINGS: Final = {
    0: "ended by itself, not asked to",
    1: "a failure",
    2: "wrong usage",
    64: "wrong usage",
    74: "the disk or the database refused",
    75: "another process holds its data",
    78: "bad configuration",
}
"""The exit codes of votenet's own programs (`errors.py`, sysexits.h)."""


class ExitKind(Enum):
    EXITED = "exited"
    SIGNALLED = "signalled"
    NOT_STARTED = "not-started"
    UNKNOWN = "unknown"
    """It was adopted (only a parent learns how its child ended), or `detail` says why."""


@dataclass(frozen=True, slots=True)
class ExitCause:
    """The end of one incarnation.

    `code` is the exit code or the signal's number. `requested`: the supervisor asked for this end, so it
    is no failure. `detail` says what no exit code tells.
    """

    kind: ExitKind
    code: int = 0
    core: bool = False
    requested: bool = False
    detail: str = ""

    def __str__(self) -> str:
        if self.kind is ExitKind.NOT_STARTED:
            text = f"could not be started: {self.detail or 'unknown reason'}"
        elif self.kind is ExitKind.SIGNALLED:
            text = f"killed by {signal_name(self.code)}" + (", core dumped" if self.core else "")
        elif self.kind is ExitKind.UNKNOWN:
            text = "ended; how is not known"
            text += "" if self.detail else ", because an earlier supervisor had started it"
        else:
            meaning = "" if self.requested else EXIT_MEANINGS.get(self.code, "")
            text = f"exit {self.code}" + (f" ({meaning})" if meaning else "")
        if self.detail and self.kind is not ExitKind.NOT_STARTED:
            text = f"{self.detail}; {text}"
        return f"{text}, as asked" if self.requested else text


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

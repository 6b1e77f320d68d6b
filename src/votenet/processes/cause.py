"""Why a process ended, as data.

What lives here: `Cause` and its sentence for people. What must not: waiting for processes, and
what to do about an end (that is `restart.py`).
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import Enum
from typing import Final

EXIT_MEANINGS: Final = {
    0: "ended by itself though nobody asked it to",
    1: "a failure",
    2: "wrong usage",
    64: "wrong usage",
    74: "the disk or the database refused",
    75: "another process holds its data",
    78: "bad configuration",
}
"""What the exit codes of votenet's own programs say (`errors.py`, sysexits.h)."""


class Kind(Enum):
    """How a process ended."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    NOT_STARTED = "not-started"
    UNKNOWN = "unknown"
    """Nobody was told: it was adopted (only a parent hears how its child ended), or `detail` says why."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One end of one incarnation.

    `code` is the exit code or the signal's number; `requested` is true when the supervisor had
    asked for this end, which is never a failure. `detail` says what no exit code tells.
    """

    kind: Kind
    code: int = 0
    core: bool = False
    requested: bool = False
    detail: str = ""

    def __str__(self) -> str:
        if self.kind is Kind.NOT_STARTED:
            text = f"could not be started: {self.detail or 'unknown reason'}"
        elif self.kind is Kind.SIGNALLED:
            text = f"killed by {signal_name(self.code)}" + (", core dumped" if self.core else "")
        elif self.kind is Kind.UNKNOWN:
            text = "ended; how is not known"
            text += "" if self.detail else ", because an earlier supervisor had started it"
        else:
            meaning = "" if self.requested else EXIT_MEANINGS.get(self.code, "")
            text = f"exit {self.code}" + (f" ({meaning})" if meaning else "")
        if self.detail and self.kind is not Kind.NOT_STARTED:
            text = f"{self.detail}; {text}"
        return f"{text}, as asked" if self.requested else text


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

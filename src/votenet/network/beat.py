"""When an idle program does its regular work: all of it at one moment, with all programs of the machine.

Each time that an idle program, or an idle processor, wakes up costs more than the little that it does then.
"""

from __future__ import annotations

import time


def until_beat(period: float) -> float:
    """Seconds until the next beat of a period; beats of a second, and of parts of it, fall together.

    After work that took until just before a beat, that one is left out.
    """
    left = period - time.monotonic() % period
    return left if left > period / 4 else left + period

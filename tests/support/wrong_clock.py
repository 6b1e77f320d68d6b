"""votenet on a machine whose clock is wrong.

Started as

    python wrong_clock.py SECONDS node run …

SECONDS are ahead of the true time, or behind it if negative. Timers are not touched.
"""

from __future__ import annotations

import sys
import time


def main(seconds: str, *arguments: str) -> None:
    ahead, true_time, true_ns = int(seconds), time.time, time.time_ns
    time.time = lambda: true_time() + ahead
    time.time_ns = lambda: true_ns() + ahead * 1_000_000_000
    sys.argv = ["votenet", *arguments]
    from votenet.__main__ import main as run

    run()


if __name__ == "__main__":
    main(*sys.argv[1:])

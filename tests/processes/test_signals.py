"""Signals that reach the process that was meant, or nobody."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

from votenet.processes import procfs
from votenet.processes.signals import signal_exactly


def test_a_signal_needs_the_right_start_time(start: Callable[..., subprocess.Popen[str]]) -> None:
    sleeper = start()
    stat = procfs.read_stat(sleeper.pid)
    assert stat is not None
    assert not signal_exactly(sleeper.pid, stat.start_ticks + 1, signal.SIGKILL)
    assert sleeper.poll() is None
    assert signal_exactly(sleeper.pid, stat.start_ticks, signal.SIGTERM)
    assert sleeper.wait(10) == -signal.SIGTERM
    assert not signal_exactly(sleeper.pid, stat.start_ticks, signal.SIGKILL)

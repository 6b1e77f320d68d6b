"""Signals that reach the process that was meant, or nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
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


INHERITS = """
import signal, subprocess, sys
from votenet.processes.signals import reset_inherited
assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
reset_inherited()
assert subprocess.run([sys.executable, "-c", "raise SystemExit(7)"]).returncode == 7
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
print(blocked, signal.getsignal(signal.SIGTERM).name, signal.getsignal(signal.SIGHUP).name)
"""


def test_what_was_inherited_is_undone_but_nohup() -> None:
    def spoil() -> None:
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])

    done = subprocess.run(
        [sys.executable, "-c", INHERITS], preexec_fn=spoil, capture_output=True, text=True, check=False
    )
    assert done.stdout == "set() SIG_DFL SIG_IGN\n", done.stderr

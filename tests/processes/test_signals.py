"""Signals reach the intended process, or none."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from support.refused_calls import PIDFD_OPEN, PIDFD_SEND_SIGNAL, command
from votenet.processes import procfs
from votenet.processes.signals import signal_exactly


def test_a_signal_needs_the_right_start_time(start: Callable[..., subprocess.Popen[str]]) -> None:
    sleeper = start()
    stat = procfs.read_stat(sleeper.pid)
    assert stat is not None
    assert not signal_exactly(sleeper.pid, stat.start_ticks + 1, signal.SIGKILL)
    assert sleeper.poll() is None
    assert signal_exactly(sleeper.pid, stat.start_ticks, signal.SIGTERM)
    assert sleeper.wait(60) == -signal.SIGTERM
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


def test_inherited_signal_settings_are_undone_except_nohup() -> None:
    def spoil() -> None:
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])

    done = subprocess.run(
        [sys.executable, "-c", INHERITS], preexec_fn=spoil, capture_output=True, text=True, check=False
    )
    assert done.stdout == "set() SIG_DFL SIG_IGN\n", done.stderr


@pytest.mark.parametrize("call", [PIDFD_OPEN, PIDFD_SEND_SIGNAL])
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_a_kernel_without_pidfds_is_named_before_anything_is_started(call: int, number: int) -> None:
    code = "from votenet.processes.signals import need_pidfds; need_pidfds()"
    done = subprocess.run(
        command({call: number}, sys.executable, "-c", code), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ConfigError: the kernel refuses pidfd_open or pidfd_send_signal" in done.stderr
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_refused_signal_is_not_taken_for_a_process_that_is_gone() -> None:
    code = (
        "import os, signal; from votenet.processes import procfs; "
        "from votenet.processes.signals import signal_exactly; "
        "signal_exactly(os.getpid(), procfs.read_stat(os.getpid()).start_ticks, signal.SIGTERM)"
    )
    refused = command({PIDFD_OPEN: errno.ENOSYS}, sys.executable, "-c", code)
    done = subprocess.run(refused, capture_output=True, text=True, check=False)
    assert "ConfigError: the kernel refuses" in done.stderr

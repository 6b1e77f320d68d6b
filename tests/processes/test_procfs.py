"""Who a process is, and signals that reach only it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from votenet.processes import procfs


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose name would break a careless reader of /proc/PID/stat."""
    link = tmp_path / "a) R 1 (b"
    link.symlink_to(sys.executable)
    process = subprocess.Popen([str(link), "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_ourselves() -> None:
    stat = procfs.read_stat(os.getpid())
    assert stat is not None
    assert (stat.group, stat.session) == (os.getpgrp(), os.getsid(0))
    assert not stat.dead
    assert not stat.paused
    assert stat.start_ticks > 0
    assert os.getpid() in [found.pid for found in procfs.all_processes()]
    assert procfs.environment(os.getpid())["PATH"]
    assert procfs.boot_id()


def test_a_strange_process_name_and_a_missing_process(sleeper: subprocess.Popen[bytes]) -> None:
    stat = procfs.read_stat(sleeper.pid)
    assert stat is not None
    assert (stat.pid, stat.session) == (sleeper.pid, sleeper.pid)
    assert procfs.members(sleeper.pid) == []
    assert procfs.read_stat(2**22 + 1) is None
    assert procfs.environment(2**22 + 1) == {}


def test_a_zombie_is_dead(sleeper: subprocess.Popen[bytes]) -> None:
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    stat = procfs.read_stat(sleeper.pid)
    assert stat is not None
    assert stat.dead


def test_ephemeral_range_is_above_our_ports() -> None:
    first, last = procfs.ephemeral_range()
    assert 1 < first < last <= 65535


def test_arguments_and_age_of_a_process() -> None:
    own = procfs.read_stat(os.getpid())
    assert own is not None
    assert procfs.command_line(os.getpid())[0] == sys.orig_argv[0]
    assert 0 < own.age < 86400
    assert own.memory > 1_000_000
    assert procfs.command_line(0) == ()

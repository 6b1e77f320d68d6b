"""What a dead supervisor leaves: found, asked, killed, and looked for again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

from votenet.config import InstanceDirs
from votenet.processes import procfs
from votenet.processes.identity import last_incarnations
from votenet.processes.reconcile import end_leftovers

Start = Callable[..., "subprocess.Popen[str]"]
Record = Callable[..., None]
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); " + SLEEP


def end(dirs: InstanceDirs, grace: float = 5.0) -> tuple[int, list[str], list[str]]:
    said: list[str] = []
    count, problems = end_leftovers(dirs, grace, said.append)
    return count, problems, said


def test_scenario_03_a_recorded_leftover_is_stopped(dirs: InstanceDirs, start: Start, record: Record) -> None:
    process = start(tagged=False)
    record(process)
    count, problems, said = end(dirs)
    assert (count, problems) == (1, [])
    assert f"pid {process.pid}" in said[0]
    assert process.wait(10) == -signal.SIGTERM


def test_scenario_04_a_child_without_a_record_is_found_by_its_tag(dirs: InstanceDirs, start: Start) -> None:
    process = start()
    assert end(dirs)[:2] == (1, [])
    assert process.wait(10) == -signal.SIGTERM


def test_a_stubborn_leftover_and_its_children_are_killed(
    dirs: InstanceDirs, start: Start, record: Record
) -> None:
    process = start(PARENT, lines=2)
    record(process)
    count, problems, said = end(dirs, grace=0.3)
    assert (count, problems) == (2, [])
    assert any("killing" in line for line in said)
    assert procfs.members(process.pid) == []


def test_scenario_07_a_stopped_leftover_hears_us(dirs: InstanceDirs, start: Start) -> None:
    process = start()
    process.send_signal(signal.SIGSTOP)
    assert end(dirs)[:2] == (1, [])
    assert process.wait(10) == -signal.SIGTERM


def test_nothing_at_all(dirs: InstanceDirs) -> None:
    assert end(dirs) == (0, [], [])
    assert last_incarnations(dirs) == {}

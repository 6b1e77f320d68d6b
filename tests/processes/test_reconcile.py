"""What a dead supervisor leaves: found by record and tag, ended, and no stranger ever touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from votenet.config import InstanceDirs
from votenet.processes import procfs
from votenet.processes.identity import (
    TAG_VARIABLE,
    Identity,
    last_incarnations,
    leftovers,
    read_identities,
    records_dir,
    tag,
    write_identity,
)
from votenet.processes.instance import make_dirs
from votenet.processes.logs import log_path
from votenet.processes.reconcile import end_leftovers

Start = Callable[..., "subprocess.Popen[str]"]
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); " + SLEEP


@pytest.fixture
def start(dirs: InstanceDirs) -> Iterator[Start]:
    """A process in its own session; tagged as a program of the instance unless told otherwise."""
    make_dirs(dirs)
    started: list[subprocess.Popen[str]] = []

    def begin(code: str = SLEEP, *, tagged: bool = True, lines: int = 1) -> subprocess.Popen[str]:
        env = {**os.environ, **({TAG_VARIABLE: tag(dirs, "node-1")} if tagged else {})}
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline() == "up\n"
        return process

    yield begin
    for process in started:
        for member in procfs.members(process.pid):
            os.kill(member.pid, signal.SIGKILL)
        process.kill()
        process.communicate()


def record(dirs: InstanceDirs, process: subprocess.Popen[str], **changes: object) -> None:
    stat = procfs.read_stat(process.pid)
    assert stat is not None
    fields: dict[str, object] = {
        "instance": "t",
        "name": "node-1",
        "incarnation": 3,
        "intent": "running",
        "address": "127.0.0.1:3000",
        "pid": process.pid,
        "start_ticks": stat.start_ticks,
        "boot_id": procfs.boot_id(),
    }
    write_identity(dirs, Identity(**{**fields, **changes}))  # type: ignore[arg-type]


def end(dirs: InstanceDirs, grace: float = 5.0) -> tuple[int, list[str], list[str]]:
    said: list[str] = []
    count, problems = end_leftovers(dirs, grace, said.append)
    return count, problems, said


def test_scenario_03_a_recorded_leftover_is_stopped(dirs: InstanceDirs, start: Start) -> None:
    process = start(tagged=False)
    record(dirs, process)
    count, problems, said = end(dirs)
    assert (count, problems) == (1, [])
    assert f"pid {process.pid}" in said[0]
    assert process.wait(10) == -signal.SIGTERM


def test_scenario_04_a_child_without_a_record_is_found_by_its_tag(dirs: InstanceDirs, start: Start) -> None:
    process = start()
    assert end(dirs)[:2] == (1, [])
    assert process.wait(10) == -signal.SIGTERM


def test_a_stubborn_leftover_and_its_own_children_are_killed(dirs: InstanceDirs, start: Start) -> None:
    process = start(PARENT, lines=2)
    record(dirs, process)
    count, problems, said = end(dirs, grace=0.3)
    assert (count, problems) == (2, [])
    assert any("killing" in line for line in said)
    assert procfs.members(process.pid) == []


def test_scenario_07_a_stopped_leftover_hears_us(dirs: InstanceDirs, start: Start) -> None:
    process = start()
    process.send_signal(signal.SIGSTOP)
    assert end(dirs)[:2] == (1, [])
    assert process.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize(
    "changes",
    [
        {"start_ticks": 1},
        {"boot_id": "another-boot"},
        {"intent": "stopped"},
        {"intent": "starting", "pid": 0, "start_ticks": 0},
    ],
    ids=["reused pid", "other boot", "ended", "never told"],
)
def test_scenario_05_a_stranger_is_never_touched(
    dirs: InstanceDirs, start: Start, changes: dict[str, object]
) -> None:
    stranger = start(tagged=False)
    record(dirs, stranger, **changes)
    assert leftovers(dirs) == []
    assert end(dirs) == (0, [], [])
    assert stranger.poll() is None


def test_programs_of_another_instance_are_strangers(dirs: InstanceDirs, start: Start, home: Path) -> None:
    from votenet.config import instance_dirs

    process = start()
    assert leftovers(instance_dirs("other")) == []
    assert [left.pid for left in leftovers(dirs)] == [process.pid]


def test_scenario_19_a_corrupt_record_hides_nobody(dirs: InstanceDirs, start: Start) -> None:
    process = start()
    record(dirs, process)
    (records_dir(dirs) / "node-1.json").write_bytes(b'{"v":1,"insta')
    assert read_identities(dirs) == {"node-1": None}
    assert end(dirs)[:2] == (1, [])
    assert process.wait(10) == -signal.SIGTERM


def test_counting_goes_on_after_records_and_logs(dirs: InstanceDirs, start: Start) -> None:
    process = start(tagged=False)
    record(dirs, process, intent="stopped")
    log_path(dirs.logs, "node-1", 2).touch()
    log_path(dirs.logs, "node-2", 8).touch()
    assert last_incarnations(dirs) == {"node-1": 3, "node-2": 8}
    (records_dir(dirs) / "node-1.json").write_bytes(b"")
    assert last_incarnations(dirs) == {"node-1": 2, "node-2": 8}


def test_nothing_at_all(dirs: InstanceDirs) -> None:
    assert end(dirs) == (0, [], [])
    assert last_incarnations(dirs) == {}

"""Who was started: records and tags, and that no stranger is ever taken for one of ours."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable

import pytest

from votenet.config import InstanceDirs, instance_dirs
from votenet.processes.identity import last_incarnations, leftovers, read_identities, records_dir
from votenet.processes.logs import log_path
from votenet.processes.reconcile import end_leftovers

Start = Callable[..., "subprocess.Popen[str]"]
Record = Callable[..., None]


@pytest.mark.parametrize(
    "changes",
    [
        {"start_ticks": 1},
        {"boot_id": "another-boot"},
        {"intent": "stopped"},
        {"pid_namespace": 1},
        {"intent": "starting", "pid": 0, "start_ticks": 0},
    ],
    ids=["reused pid", "other boot", "ended", "other pid namespace", "never told"],
)
def test_scenario_05_a_stranger_is_never_touched(
    dirs: InstanceDirs, start: Start, record: Record, changes: dict[str, object]
) -> None:
    stranger = start(tagged=False)
    record(stranger, **changes)
    assert leftovers(dirs) == []
    assert end_leftovers(dirs, 1.0, print) == (0, [])
    assert stranger.poll() is None


def test_programs_of_another_instance_are_strangers(dirs: InstanceDirs, start: Start) -> None:
    process = start()
    assert leftovers(instance_dirs("other")) == []
    assert [left.pid for left in leftovers(dirs)] == [process.pid]


def test_a_copied_folder_touches_no_program_of_the_original(
    dirs: InstanceDirs, start: Start, record: Record
) -> None:
    """`votenet up` in a copy stopped the network that ran in the original: the copy has its pids, too."""
    process = start()
    record(process)
    copy = instance_dirs("copy")
    shutil.copytree(dirs.state, copy.state)
    assert end_leftovers(copy, 1.0, print) == (0, [])
    assert process.poll() is None
    assert [left.pid for left in leftovers(dirs)] == [process.pid]


def test_a_folder_that_was_moved_keeps_its_programs(dirs: InstanceDirs, start: Start, record: Record) -> None:
    process = start()
    record(process)
    moved = instance_dirs("moved")
    dirs.state.rename(moved.state)
    assert [left.pid for left in leftovers(moved)] == [process.pid]


def test_scenario_19_a_corrupt_record_hides_no_program(
    dirs: InstanceDirs, start: Start, record: Record
) -> None:
    process = start()
    record(process)
    told_wrong = (records_dir(dirs) / "node-1.json").read_bytes().replace(b"127.0.0.1:", b"127.0.0.1:7")
    for broken in (b'{"v":1,"instance":"\xff"}', b'{"x":' + b"[" * 100_000, b'{"v":1,"insta', told_wrong):
        (records_dir(dirs) / "node-1.json").write_bytes(broken)
        assert read_identities(dirs) == {"node-1": None}
    assert end_leftovers(dirs, 60.0, print) == (1, [])
    assert process.wait(60) == -signal.SIGTERM


def test_counting_goes_on_after_records_and_logs(dirs: InstanceDirs, start: Start, record: Record) -> None:
    process = start(tagged=False)
    record(process, intent="stopped")
    log_path(dirs.logs, "node-1", 2).touch()
    log_path(dirs.logs, "node-2", 8).touch()
    (dirs.logs / "node-2.².log").touch()  # a digit, and no number
    assert last_incarnations(dirs) == {"node-1": 3, "node-2": 8}
    (records_dir(dirs) / "node-1.json").write_bytes(b"")
    assert last_incarnations(dirs) == {"node-1": 2, "node-2": 8}

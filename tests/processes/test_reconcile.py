"""What a dead supervisor leaves: found, asked, killed, and looked for again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from votenet.config import InstanceDirs
from votenet.processes import procfs
from votenet.processes.identity import last_incarnations, records_dir
from votenet.processes.parent_death import PARENT_VARIABLE
from votenet.processes.reconcile import adoptable, end_leftovers
from votenet.processes.spec import ProgramRole, ProgramSpec
from votenet.protocol.wire.address import Address

Start = Callable[..., "subprocess.Popen[str]"]
Record = Callable[..., None]
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); " + SLEEP


def end(dirs: InstanceDirs, grace: float = 60.0) -> tuple[int, list[str], list[str]]:
    said: list[str] = []
    count, problems = end_leftovers(dirs, grace, said.append)
    return count, problems, said


def test_scenario_03_a_recorded_leftover_is_stopped(dirs: InstanceDirs, start: Start, record: Record) -> None:
    process = start(tagged=False)
    record(process)
    count, problems, said = end(dirs)
    assert (count, problems) == (1, [])
    assert f"pid {process.pid}" in said[0]
    assert process.wait(60) == -signal.SIGTERM


def test_scenario_04_a_child_without_a_record_is_found_by_its_tag(dirs: InstanceDirs, start: Start) -> None:
    process = start()
    assert end(dirs)[:2] == (1, [])
    assert process.wait(60) == -signal.SIGTERM


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
    assert process.wait(60) == -signal.SIGTERM


def test_nothing_at_all(dirs: InstanceDirs) -> None:
    assert end(dirs) == (0, [], [])
    assert last_incarnations(dirs) == {}


def spec_of(process: subprocess.Popen[str], name: str = "node-1") -> ProgramSpec:
    """The plan that this very process fulfils."""
    argv = procfs.command_line(process.pid)
    return ProgramSpec(name, ProgramRole.NODE, Address("127.0.0.1", 3000), Path("/d"), argv)


def test_scenario_03_which_programs_are_adopted(dirs: InstanceDirs, start: Start, record: Record) -> None:
    process = start()
    record(process)
    found = adoptable(dirs, [spec_of(process), spec_of(process, "node-2")])
    assert {name: identity.pid for name, identity in found.items()} == {"node-1": process.pid}


@pytest.mark.parametrize(
    "changes",
    [{"start_ticks": 1}, {"boot_id": "another"}, {"intent": "stopped"}, {"pid": 1}],
    ids=["reused pid", "other boot", "ended", "another process"],
)
def test_scenario_05_a_process_that_differs_from_its_record_is_not_adopted(
    dirs: InstanceDirs, start: Start, record: Record, changes: dict[str, object]
) -> None:
    process = start()
    record(process, **changes)
    assert adoptable(dirs, [spec_of(process)]) == {}


def test_without_a_tag_a_record_or_the_same_arguments_it_may_not(
    dirs: InstanceDirs, start: Start, record: Record
) -> None:
    untagged = start(tagged=False)
    record(untagged)
    assert adoptable(dirs, [spec_of(untagged)]) == {}
    process = start()
    other = replace(spec_of(process), argv=(*spec_of(process).argv, "--no-mine"))
    record(process)
    assert adoptable(dirs, [other]) == {}
    (records_dir(dirs) / "node-1.json").write_bytes(b"{")
    assert adoptable(dirs, [spec_of(process)]) == {}


def test_a_program_tied_to_its_supervisor_is_not_adopted(
    dirs: InstanceDirs, start: Start, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PARENT_VARIABLE, "1")
    process = start()
    record(process)
    assert adoptable(dirs, [spec_of(process)]) == {}


def test_an_adopted_program_keeps_its_children(dirs: InstanceDirs, start: Start, record: Record) -> None:
    kept, other = start(PARENT, lines=2), start()
    record(kept)
    count, problems = end_leftovers(dirs, 60.0, lambda text: None, {kept.pid})
    assert (count, problems) == (1, [])
    assert other.wait(60) == -signal.SIGTERM
    assert kept.poll() is None
    assert len(procfs.members(kept.pid)) == 1

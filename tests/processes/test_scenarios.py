"""Scenarios of docs/supervisor.md that concern no single module: real processes, real signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from votenet.config import InstanceDirs
from votenet.processes import logs
from votenet.processes.child import NO_MEMORY
from votenet.processes.control import ask
from votenet.processes.identity import TAG_VARIABLE, leftovers, read_identities, tag
from votenet.processes.machine import RestartRequested, StartRequested, State, StopRequested
from votenet.processes.reconcile import end_leftovers
from votenet.processes.restart import RestartPolicy

Network = Callable[..., Any]
CONTROL_GROUPS = Path("/sys/fs/cgroup")

KILLED_BETWEEN_START_AND_RECORD = """
import asyncio, msgspec, os, signal, sys
from votenet.config import instance_dirs
from votenet.processes import launcher
from votenet.processes.instance import Claim, claim
from votenet.processes.spec import NetworkSpec
from votenet.processes.supervisor import Supervisor
spec = msgspec.json.decode(sys.argv[1], type=NetworkSpec)
write = launcher.write_identity
def record(dirs, identity):
    if identity.intent == "running" and identity.name == "node-1":
        os.kill(os.getpid(), signal.SIGKILL)
    write(dirs, identity)
launcher.write_identity = record
dirs = instance_dirs("t")
claimed = Claim(claim(dirs), [])
asyncio.run(Supervisor(spec, dirs, claimed, say=lambda text: None, parent_death=False).run())
"""


def test_scenario_04_a_supervisor_killed_between_start_and_record_leaves_nothing_unfound(
    network: Network, dirs: InstanceDirs, is_alive: Callable[[int], bool]
) -> None:
    net = network()
    net.claim.release()
    spec = msgspec.json.encode(net.spec).decode()
    done = subprocess.run([net.spec.program[0], "-c", KILLED_BETWEEN_START_AND_RECORD, spec], check=False)
    assert done.returncode == -signal.SIGKILL
    record = read_identities(dirs)["node-1"]
    assert record is not None
    assert (record.intent, record.pid) == ("starting", 0), "nothing on disk tells of the child"
    deadline = time.monotonic() + 60
    while len(found := {left.name: left.pid for left in leftovers(dirs)}) < 2:
        assert time.monotonic() < deadline, "an exec that is under way has no environment, but not for long"
    assert set(found) == {"bootstrap", "node-1"}
    count, problems = end_leftovers(dirs, 60.0, lambda text: None)
    assert (count, problems) == (2, [])
    assert not any(is_alive(pid) for pid in found.values())
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        assert net.machine("node-1").incarnation == 2, "the lost one is counted"

    assert net.play(scenario) == []


def test_scenario_04_one_that_the_first_look_missed_is_ended_when_it_holds_the_data(network: Network) -> None:
    net = network(plans={"node-1": {"exits": [75]}})
    sleep = [net.spec.program[0], "-c", "import time; time.sleep(600)"]
    names = ("node-1", "node-2")  # the second is not in the way of node-1
    ours = ({**os.environ, TAG_VARIABLE: tag(net.dirs, name)} for name in names)
    strays = [subprocess.Popen(sleep, env=env) for env in ours]

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.READY)

    try:
        assert net.play(scenario) == []
        assert strays[0].wait(60) == -signal.SIGTERM
        assert strays[1].poll() is None
    finally:
        for stray in strays:
            stray.kill()
            stray.wait()


def test_scenario_09_a_crash_loop_costs_little_and_its_logs_are_bounded(network: Network) -> None:
    policy = RestartPolicy(
        first_delay=0.05, max_delay=0.2, reset_after=200.0, limit=8, window=300.0, retry_removed=0.2
    )
    net = network(plans={"node-1": {"exit_always": 1}}, policy=policy)

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.REMOVED)
        used = time.process_time()
        began = time.monotonic()
        await net.until(lambda: net.machine("node-1").incarnation >= 14)
        share = (time.process_time() - used) / (time.monotonic() - began)
        assert share < 0.5, "the supervisor waits between the tries"
        kept = logs.list_logs(net.dirs.logs, "node-1")
        assert len(kept) <= logs.KEEP_INCARNATIONS
        assert kept[-1].incarnation >= 13

    assert net.play(scenario) == []


def test_scenario_10_one_that_dies_a_while_after_it_was_ready_still_reaches_the_limit(
    network: Network,
) -> None:
    net = network(plans={"node-1": {"die_after": 0.3}})  # as eleven seconds are to the real policy

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.REMOVED)
        assert net.machine("node-1").incarnation == net.spec.policy.limit
        assert sum("node-1: ready" in line for line in net.said) == net.spec.policy.limit
        await net.until(lambda: net.removed == ["node-1"])

    assert net.play(scenario) == []


def test_scenario_11_the_last_command_wins_in_every_state(network: Network) -> None:
    slow = RestartPolicy(first_delay=300.0, max_delay=300.0, reset_after=600.0, limit=3, window=1000.0)
    net = network(nodes=4, plans={"node-1": {"exits": [1, 1]}, "node-2": {"slow": 0.5}}, policy=slow)

    async def scenario(net: Any) -> None:
        def tell(name: str, *events: Any) -> None:
            for event in events:
                net.table.dispatch(net.program(name), event)

        await net.reaches("node-1", State.BACKOFF)
        tell("node-1", StopRequested(30.0))
        tell("node-2", StopRequested(30.0), StartRequested(), StopRequested(30.0))
        await net.reaches("node-3", State.READY)
        tell("node-3", RestartRequested(30.0), StopRequested(30.0))
        await net.reaches("node-4", State.READY)
        first = net.pid("node-4")
        tell("node-4", StopRequested(30.0), RestartRequested(30.0), RestartRequested(30.0))
        for name in ("node-1", "node-2", "node-3"):
            await net.reaches(name, State.STOPPED)
        await net.until(lambda: net.state("node-4") is State.READY and net.pid("node-4") != first)
        assert net.machine("node-4").incarnation == 2
        living = {left.name for left in leftovers(net.dirs)}
        assert living == {"bootstrap", "node-4"}

    assert net.play(scenario) == []


EVERY_STATE: dict[str, dict[str, Any]] = {
    "node-1": {},
    "node-2": {"slow": 300},
    "node-3": {"exits": [1]},
    "node-4": {"stop_self": True},
    "node-5": {"exit_always": 78},
    "node-6": {"ignore_term": True},
    "node-7": {"hang": True},
    "node-8": {"grandchild": True},
}


@pytest.mark.parametrize(
    "numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT, signal.SIGINT]]
)
def test_scenario_14_a_signal_meets_every_state(
    network: Network, is_alive: Callable[[int], bool], numbers: list[signal.Signals]
) -> None:
    """One signal: each in its own way, within the grace. A second interrupt: all of them now."""
    waits = RestartPolicy(first_delay=300.0, max_delay=300.0, reset_after=600.0, limit=3, window=1000.0)
    grace = 1.0 if len(numbers) == 1 else 600.0
    plans = {**EVERY_STATE, "bootstrap": {"ready": False}}
    net = network(nodes=8, plans=plans, policy=waits, grace=grace, hang_seconds=600.0)
    pids: list[int] = []

    async def scenario(net: Any) -> None:
        wanted = {"node-1": State.READY, "node-2": State.STARTING, "node-4": State.PAUSED,
                  "node-5": State.FAILED, "node-7": State.READY, "node-8": State.READY}  # fmt: skip
        await net.reaches("node-6", State.READY)
        net.table.dispatch(net.program("node-6"), StopRequested(300.0))
        await net.until(lambda: net.machine("node-3").incarnation == 2)
        await net.reaches("node-3", State.READY)
        net.program("node-3").child.send(signal.SIGKILL)
        await net.reaches("node-3", State.BACKOFF)
        for name, state in wanted.items():
            await net.reaches(name, state)
        net.plan(**EVERY_STATE)
        await net.until(lambda: net.machine("node-3").at_rest)
        assert (net.state("node-3"), net.state("node-6")) == (State.BACKOFF, State.STOPPING)
        pids.extend(left.pid for left in leftovers(net.dirs))
        assert len(pids) == 8, "seven programs and a grandchild"
        for number in numbers:
            os.kill(os.getpid(), number)
            await net.reaches("node-1", State.STOPPING)
        await net.until(lambda: net.table.stopped)

    assert net.play(scenario) == []
    assert not any(map(is_alive, pids))
    assert {program.state for program in net.table.programs.values()} == {State.STOPPED}
    assert [program.machine.incarnation for program in net.table.programs.values()] == [
        1,
        1,
        1,
        2,
        1,
        1,
        1,
        1,
        1,
    ]


def _limit_memory(folder: Path, size: int) -> None:
    """Make a control group with so much memory and no swap, of version 1 or 2. Raises OSError."""
    if folder.parent == CONTROL_GROUPS:
        (CONTROL_GROUPS / "cgroup.subtree_control").write_text("+memory")
    folder.mkdir()
    limits = {"memory.limit_in_bytes": size, "memory.max": size, "memory.swap.max": 0}
    found = [(folder / name, limit) for name, limit in limits.items() if (folder / name).exists()]
    if not found:
        raise OSError(0, "no memory controller")
    for path, limit in found:
        path.write_text(str(limit))


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with little memory; skips where none can be made."""
    first = CONTROL_GROUPS / "memory"
    folder = (first if first.is_dir() else CONTROL_GROUPS) / f"votenet-test-{os.getpid()}"
    try:
        _limit_memory(folder, 64 * 2**20)
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"needs root and control groups with memory: {error.strerror}")
    yield folder
    deadline = time.monotonic() + 60
    while (folder / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    folder.rmdir()


def test_scenario_16_one_that_the_kernel_kills_for_lack_of_memory_comes_back_with_its_cause(
    network: Network, small_group: Path
) -> None:
    net = network(nodes=2, plans={"node-1": {"eat": True}})

    async def scenario(net: Any) -> None:
        await net.all_ready()
        (small_group / "cgroup.procs").write_text(str(net.pid("node-1")))
        net.plan()
        (net.program("node-1").spec.data_dir / "eat").touch()
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        await net.reaches("node-1", State.READY)
        cause = str(net.machine("node-1").exit_cause)
        assert cause == f"{NO_MEMORY}; killed by SIGKILL"
        assert net.machine("node-2").incarnation == 1

    assert net.play(scenario) == []


def test_scenario_16_a_supervisor_out_of_descriptors_lives_names_the_cause_and_recovers(
    network: Network,
) -> None:
    net = network(nodes=2)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        hoard: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):  # noqa: PT012
                while True:
                    hoard.append(os.dup(0))
            net.program("node-1").child.send(signal.SIGKILL)
            await net.until(lambda: "Too many open files" in str(net.machine("node-1").exit_cause))
        finally:
            for descriptor in hoard:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        net.table.dispatch(net.program("node-1"), StartRequested())
        await net.reaches("node-1", State.READY)
        assert net.machine("node-2").incarnation == 1

    assert net.play(scenario) == []


@pytest.mark.parametrize("jump", [-3600.0, 86400.0])
def test_scenario_17_a_jump_of_the_wall_clock_kills_no_program_and_forgives_no_failure(
    network: Network, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    net = network(nodes=2, plans={"node-1": {"exits": [1]}}, hang_seconds=60.0)
    real = time.time

    async def scenario(net: Any) -> None:
        await net.all_ready()
        before = net.machine("node-1").history
        assert before.streak == 1
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        heard = {name: program.heartbeat.heard_at for name, program in net.table.programs.items()}
        await net.until(
            lambda: all(
                (program.heartbeat.heard_at or 0) > heard[name] + 1.5
                for name, program in net.table.programs.items()
            )
        )
        assert [program.machine.incarnation for program in net.table.programs.values()] == [1, 2, 1]
        assert net.machine("node-1").history == before
        net.program("node-1").child.send(signal.SIGKILL)
        await net.until(lambda: net.machine("node-1").history.streak == 2)
        await net.reaches("node-1", State.READY)

    assert net.play(scenario) == []


def test_scenario_17_on_a_machine_that_sleeps_silence_is_no_hang(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(plans={"node-1": {"hang": True}}, hang_seconds=1.0)
    real, looks = time.clock_gettime, 0

    def sleepy(clock: int) -> float:
        """Before every look the machine was asleep for ten minutes."""
        nonlocal looks
        looks += clock == time.CLOCK_BOOTTIME
        return real(clock) + 600.0 * looks * (clock == time.CLOCK_BOOTTIME)

    async def scenario(net: Any) -> None:
        monkeypatch.setattr(time, "clock_gettime", sleepy)
        await net.reaches("node-1", State.READY)
        net.plan()
        bootstrap, looked = net.program("bootstrap").heartbeat, looks
        await net.until(lambda: looks >= looked + 3 and (bootstrap.heard_at or 0) > 0)
        assert net.machine("node-1").incarnation == 1, "silent for longer than the patience"
        monkeypatch.setattr(time, "clock_gettime", real)
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        assert "its main loop hung" in str(net.machine("node-1").exit_cause)

    assert net.play(scenario) == []


def test_scenario_19_a_cleaner_of_temporary_folders_takes_nothing_from_us(network: Network) -> None:
    """Without its sockets a supervisor hears no heartbeat, and cannot be asked to stop."""
    net = network(plans={"node-1": {"slow": 0.5}})

    async def scenario(net: Any) -> None:
        await net.reaches("bootstrap", State.READY)
        shutil.rmtree(net.dirs.run)
        await net.reaches("node-1", State.READY)
        heard = {name: program.heartbeat.heard_at for name, program in net.table.programs.items()}
        await net.until(
            lambda: all(
                (program.heartbeat.heard_at or 0) > heard[name]
                for name, program in net.table.programs.items()
            )
        )
        assert [program.machine.incarnation for program in net.table.programs.values()] == [1, 1]
        answer = await asyncio.to_thread(ask, net.dirs, {"command": "ping"}, timeout=60)
        assert answer["pid"] == os.getpid()
        assert sum("our socket was removed" in line for line in net.said) == 1

    assert net.play(scenario) == []


def test_scenario_19_without_its_folder_no_program_counts_as_hung(network: Network, tmp_path: Path) -> None:
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        shutil.rmtree(net.dirs.run)
        net.dirs.run.symlink_to(tmp_path)  # a folder that another program put there
        await net.hears("cannot be made again")
        # Only now: one that was heard and then got no processor for a second would count as hung.
        net.table.network = replace(net.spec, hang_seconds=1.0)
        began = net.program("node-1").sample.cpu_mark[1]
        await net.until(lambda: net.program("node-1").sample.cpu_mark[1] > began + 3.0)
        net.table.network = net.spec
        assert [program.machine.incarnation for program in net.table.programs.values()] == [1, 1]
        net.dirs.run.unlink()
        await net.hears("there again")
        assert not list(tmp_path.iterdir())

    assert net.play(scenario) == []

"""The supervisor with real, misbehaving children. Numbers are those of docs/supervisor.md."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pkgutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.processes import in_pid_namespace, need_pid_namespace
from votenet.config import InstanceDirs
from votenet.errors import ConfigError, Unreachable, VotenetError
from votenet.processes import launcher, logs, machine, managed_program, procfs, program_table
from votenet.processes import supervisor as supervisor_module
from votenet.processes.control import ask
from votenet.processes.identity import read_identities
from votenet.processes.machine import RestartRequested, StartRequested, State, StopRequested
from votenet.processes.ports import is_free
from votenet.processes.restart import RestartPolicy
from votenet.processes.signals import signal_exactly

FOREGROUND = """
import asyncio, msgspec, sys
from votenet.config import instance_dirs
from votenet.processes.instance import Claim, claim
from votenet.processes.spec import NetworkSpec
from votenet.processes.supervisor import Supervisor
spec = msgspec.json.decode(sys.argv[1], type=NetworkSpec)
dirs = instance_dirs("t")
asyncio.run(Supervisor(spec, dirs, Claim(claim(dirs), []), say=lambda text: print(text, flush=True)).run())
"""
Network = Callable[..., Any]
PIDS = Callable[[int], bool]


async def eventually(condition: Callable[[], bool]) -> None:
    """For what no event of the supervisor tells."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_everything_starts_bootstrap_first_and_stops_bootstrap_last(
    network: Network, is_alive: PIDS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "BOOTSTRAP_HEAD_START", 60.0)  # its start may take seconds
    net = network(nodes=3)
    pids: list[int] = []

    async def scenario(net: Any) -> None:
        await net.all_ready()
        pids.extend(net.pid(name) for name in net.table.programs)
        status = net.table.status()
        assert status["phase"] == "running"
        names = [program["name"] for program in status["programs"]]
        assert names == ["bootstrap", "node-1", "node-2", "node-3"]
        node = status["programs"][1]
        assert (node["height"], node["peers"], node["waiting"], node["tip"]) == (7, 2, 0, "ab" * 32)
        assert node["says"] == "fine"
        assert status["nodes"] == [f"127.0.0.1:{port}" for port in net.spec.node_ports]

    assert net.play(scenario) == []
    ready = [line.split(":")[0] for line in net.said if ": ready" in line]
    stopped = [line.split(":")[0] for line in net.said if ": stopped" in line]
    assert ready[0] == "bootstrap"
    assert stopped[-1] == "bootstrap"
    assert not any(is_alive(pid) for pid in pids)
    assert all(is_free("127.0.0.1", port) for port in (net.spec.bootstrap_port, *net.spec.node_ports))
    assert logs.tail(logs.log_path(net.dirs.logs, "node-1", 1), 1)[0].endswith("exit 0, as asked")
    assert not net.dirs.control_socket.exists()
    assert not net.dirs.notify_socket.exists()
    assert {record.intent for record in read_identities(net.dirs).values() if record} == {"stopped"}


def test_the_page_is_kept_like_a_node_and_stops_first(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "PAGE_STOP_SECONDS", 60.0)
    net = network(nodes=2, page=True)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        assert list(net.table.programs) == ["bootstrap", "node-1", "node-2", "web"]
        assert net.table.status()["page"] == f"http://127.0.0.1:{net.spec.page.port}"
        before = net.pid("web")
        os.kill(before, signal.SIGKILL)
        await net.until(lambda: net.machine("web").incarnation == 2)
        await net.reaches("web", State.READY)
        assert net.machine("node-1").incarnation == 1

    assert net.play(scenario) == []
    stopped = [line.split(":")[0] for line in net.said if ": stopped" in line]
    assert (stopped[0], stopped[-1]) == ("web", "bootstrap")
    assert net.removed == [], "it is in no registry"


@pytest.mark.parametrize("plan", [{"exit_always": 78}, {"exit_always": 1}, {"ready": False}])
def test_votes_are_taken_where_the_page_does_not_start(
    network: Network, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managed_program, "PAGE_SECONDS", 0.5)
    told: list[dict[str, Any]] = []
    net = network(nodes=1, page=True, plans={"web": plan}, settled=told.append)

    async def scenario(net: Any) -> None:
        await eventually(lambda: bool(told))
        states = {program["name"]: program["state"] for program in told[0]["programs"]}
        assert states.pop("web") != "ready"
        assert states == {"bootstrap": "ready", "node-1": "ready"}
        assert net.table.status()["phase"] == "running"

    assert net.play(scenario) == []


def test_a_page_that_does_not_stop_keeps_no_node_running(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "PAGE_STOP_SECONDS", 0.1)
    net = network(nodes=1, page=True, plans={"web": {"ignore_term": True}}, grace=600.0)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        net.supervisor.request_stop()
        await net.reaches("bootstrap", State.STOPPED)
        net.program("web").child.send(signal.SIGKILL)

    assert net.play(scenario) == []
    stopped = [line.split(":")[0] for line in net.said if ": stopped" in line]
    assert stopped == ["node-1", "bootstrap", "web"]


def test_scenario_01_a_killed_node_comes_back_at_once(network: Network) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        first, other = net.pid("node-1"), net.pid("node-2")
        os.kill(first, signal.SIGKILL)
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        await net.reaches("node-1", State.READY)
        status = net.table.status()["programs"][1]
        assert status["cause"].endswith("killed by SIGKILL")  # `perhaps out of memory`, if another test was
        assert status["restarts"] == 1
        assert status["pid"] not in (None, first)
        assert net.pid("node-2") == other
        assert "SIGKILL" in logs.tail(logs.log_path(net.dirs.logs, "node-1", 1), 1)[0]

    assert net.play(scenario) == []


def test_scenario_06_a_node_that_ignores_term_is_killed_on_time(network: Network) -> None:
    net = network(plans={"node-1": {"ignore_term": True}}, grace=600.0)
    took: list[float] = []

    async def scenario(net: Any) -> None:
        await net.all_ready()
        began = time.monotonic()
        net.table.dispatch(net.program("node-1"), StopRequested(0.5))
        await net.reaches("node-1", State.STOPPED)
        took.append(time.monotonic() - began)
        assert str(net.machine("node-1").exit_cause) == "killed by SIGKILL, as asked"

    assert net.play(scenario) == []
    assert took[0] >= 0.5


def test_scenario_06_a_grandchild_that_holds_the_port_is_ended(network: Network, is_alive: PIDS) -> None:
    net = network(plans={"node-1": {"grandchild": True}})
    left: list[int] = []

    async def scenario(net: Any) -> None:
        await net.all_ready()
        path = net.dirs.data_dir("node-1") / "grandchild"
        left.append(int(path.read_text()))
        os.kill(net.pid("node-1"), signal.SIGKILL)
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        await net.reaches("node-1", State.READY)
        left.append(int(path.read_text()))
        assert not is_alive(left[0])

    assert net.play(scenario) == []
    assert len(set(left)) == 2
    assert not any(is_alive(pid) for pid in left)


def test_scenario_07_a_stopped_node_is_shown_paused_and_can_be_stopped(network: Network) -> None:
    net = network(plans={"node-1": {"stop_self": True}})

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.PAUSED)
        os.kill(net.pid("node-1"), signal.SIGCONT)
        await net.reaches("node-1", State.READY)
        os.kill(net.pid("node-1"), signal.SIGSTOP)
        await eventually(lambda: net.table.status()["programs"][1]["state"] == "paused")
        net.table.dispatch(net.program("node-1"), StopRequested(30.0))
        await net.reaches("node-1", State.STOPPED)
        assert str(net.machine("node-1").exit_cause) == "exit 0, as asked"

    assert net.play(scenario) == []


def test_scenario_09_a_crash_loop_is_removed_and_tried_again(network: Network) -> None:
    policy = RestartPolicy(
        first_delay=0.05, max_delay=0.2, reset_after=200.0, limit=3, window=300.0, retry_removed=1.5
    )
    net = network(nodes=2, plans={"node-1": {"exit_always": 1}}, policy=policy)

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.REMOVED)
        program = net.table.status()["programs"][1]
        assert program["state"] == "removed"
        assert program["cause"] == "exit 1 (a failure)"
        assert 0 <= program["next_try_in"] <= 1.5
        assert any("node-1 start 3" in line for line in program["last_lines"])
        assert net.machine("node-1").starts == 3
        await net.until(lambda: net.machine("node-1").starts == 4)
        await net.reaches("node-1", State.REMOVED)
        net.plan()
        await net.reaches("node-1", State.READY)
        await net.reaches("node-2", State.READY)
        assert net.removed[:2] == ["node-1", "node-1"]  # a try may have come between, too

    assert net.play(scenario) == []
    assert len(logs.list_logs(net.dirs.logs, "node-1")) <= logs.KEEP_INCARNATIONS


def test_scenario_09_give_up_does_not_try_again(network: Network) -> None:
    policy = RestartPolicy(first_delay=0.05, limit=2, window=300.0, reset_after=200.0, retry_removed=None)
    net = network(plans={"node-1": {"exit_always": 1}}, policy=policy)

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.REMOVED)
        assert not net.program("node-1").timers
        assert net.table.all_settled or net.state("bootstrap") is not State.READY

    assert net.play(scenario) == []


@pytest.mark.parametrize("code", [64, 78])
def test_scenario_09_bad_configuration_is_not_restarted(network: Network, code: int) -> None:
    net = network(plans={"node-1": {"exit_always": code}})

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.FAILED)
        assert net.machine("node-1").starts == 1
        assert not net.program("node-1").timers
        assert net.table.status()["programs"][1]["last_lines"]
        net.plan()
        net.table.dispatch(net.program("node-1"), StartRequested())
        await net.reaches("node-1", State.READY)

    assert net.play(scenario) == []


def test_locked_data_is_waited_for(network: Network) -> None:
    net = network(plans={"node-1": {"exits": [75, 75, 75, 75]}})

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.READY)
        assert net.machine("node-1").starts == 5
        assert net.removed == []

    assert net.play(scenario) == []


def test_scenario_11_two_restarts_at_once_leave_one_incarnation(network: Network, is_alive: PIDS) -> None:
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        program, first = net.program("node-1"), net.pid("node-1")
        for _ in range(2):
            net.table.dispatch(program, RestartRequested())
        await net.until(lambda: program.machine.incarnation == 2 and program.state is State.READY)
        assert not is_alive(first)
        for event in (RestartRequested(), StopRequested(), StartRequested(), StopRequested()):
            net.table.dispatch(program, event)
        await net.reaches("node-1", State.STOPPED)
        assert program.machine.incarnation == 2

    assert net.play(scenario) == []


def test_scenario_13_nodes_do_not_wait_for_a_slow_bootstrap(network: Network) -> None:
    net = network(plans={"bootstrap": {"ready": False}})

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.READY)
        assert net.state("bootstrap") is State.STARTING
        assert net.table.status()["phase"] == "starting"

    assert net.play(scenario) == []


def test_scenario_13_a_killed_bootstrap_comes_back_and_no_node_minds(network: Network) -> None:
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        node = net.pid("node-1")
        os.kill(net.pid("bootstrap"), signal.SIGKILL)
        await net.until(lambda: net.machine("bootstrap").incarnation == 2)
        await net.reaches("bootstrap", State.READY)
        assert net.pid("node-1") == node

    assert net.play(scenario) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_scenario_14_a_signal_stops_everything_once(network: Network, number: signal.Signals) -> None:
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        os.kill(os.getpid(), number)
        await net.until(lambda: net.table.stopped)

    assert net.play(scenario) == []
    assert net.supervisor.stop_signal is number
    assert all(
        str(program.machine.exit_cause) == "exit 0, as asked" for program in net.table.programs.values()
    )


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_scenario_14_an_interrupt_after_a_first_signal_kills(network: Network, first: signal.Signals) -> None:
    net = network(nodes=2, plans={"*": {"ignore_term": True}}, grace=600.0)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        os.kill(os.getpid(), first)
        await net.reaches("node-1", State.STOPPING)
        os.kill(os.getpid(), signal.SIGINT)
        await net.until(lambda: net.table.stopped)

    assert net.play(scenario) == []
    assert net.supervisor.stop_signal is first, "which the exit code tells"


def test_scenario_14_stop_while_starting(network: Network) -> None:
    net = network(nodes=2, plans={"*": {"slow": 300}}, grace=0.5)

    async def scenario(net: Any) -> None:
        await net.reaches("bootstrap", State.STARTING)

    assert net.play(scenario) == []
    assert net.state("node-1") is State.STOPPED


def test_scenario_18_a_port_taken_by_a_stranger_in_between_is_named(network: Network) -> None:
    net = network(plans={"node-1": {"exit_always": 1}})
    stranger = socket.socket()

    async def scenario(net: Any) -> None:
        stranger.bind(("127.0.0.1", net.spec.node_ports[0]))
        stranger.listen()
        await net.until(lambda: bool(net.machine("node-1").problem))
        assert f"port {net.spec.node_ports[0]} is still held by pid {os.getpid()}" in (
            net.machine("node-1").problem
        )

    with stranger:
        problems = net.play(scenario)
    assert len(problems) == 1
    assert problems[0].startswith("node-1: port")


def test_slow_start_is_not_a_failure(network: Network) -> None:
    net = network(plans={"node-1": {"slow": 0.7}})

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.READY)
        assert net.machine("node-1").starts == 1

    assert net.play(scenario) == []


def test_only_the_child_itself_can_say_that_it_is_ready(network: Network) -> None:
    net = network(plans={"node-1": {"ready": False}})

    async def scenario(net: Any) -> None:
        await net.reaches("bootstrap", State.READY)
        await net.until(lambda: net.program("node-1").child is not None)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)  # the queue may be full of heartbeats, which only this loop reads
            loop, place = asyncio.get_running_loop(), str(net.dirs.notify_socket)
            await loop.sock_sendto(stranger, b"READY=1\nX_HEIGHT=99", place)
        os.kill(net.pid("bootstrap"), signal.SIGKILL)  # an event that comes later than the datagram
        await net.until(lambda: net.machine("bootstrap").incarnation == 2)
        assert net.state("node-1") is State.STARTING
        assert net.program("node-1").heartbeat.height is None

    assert net.play(scenario) == []


def test_a_program_that_does_not_exist_is_a_cause_not_a_crash(network: Network) -> None:
    net = network()
    for program in net.table.programs.values():
        program.spec = replace(program.spec, argv=("/nonexistent/votenet",))

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.REMOVED)
        assert "could not be started" in str(net.machine("node-1").exit_cause)

    assert net.play(scenario) == []


def test_an_unreachable_bootstrap_does_not_keep_a_node_from_being_removed(network: Network) -> None:
    tried: list[str] = []

    async def unreachable(program: Any, spec: Any) -> None:
        tried.append(program.name)
        raise Unreachable("nobody there")

    net = network(plans={"node-1": {"exit_always": 1}}, unregistrar=unreachable)

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.REMOVED)
        await net.until(lambda: any("nobody there" in line for line in net.said))

    assert net.play(scenario) == []
    assert tried[0] == "node-1"


def test_settled_is_told_once_also_when_something_is_out(network: Network) -> None:
    told: list[dict[str, Any]] = []
    net = network(nodes=2, plans={"node-2": {"exit_always": 78}}, settled=told.append)

    async def scenario(net: Any) -> None:
        await net.until(lambda: bool(told))
        os.kill(net.pid("node-1"), signal.SIGKILL)
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        await net.reaches("node-1", State.READY)

    assert net.play(scenario) == []
    assert [[program["state"] for program in status["programs"]] for status in told] == [
        ["ready", "ready", "failed"]
    ]


def test_a_lost_terminal_does_not_stop_the_supervisor(network: Network) -> None:
    def broken(text: str) -> None:
        raise OSError(5, "Input/output error")

    net = network(say=broken)

    async def scenario(net: Any) -> None:
        await net.all_ready()

    assert net.play(scenario) == []


def test_a_caller_that_is_still_connected_at_the_end_leaves_no_socket(network: Network) -> None:
    """While its supervisor waits for that caller, the socket's file is gone already, and stays away."""
    net = network()

    with socket.socket(socket.AF_UNIX) as caller:

        async def scenario(net: Any) -> None:
            await net.all_ready()
            caller.connect(str(net.dirs.control_socket))

        assert net.play(scenario) == []
    assert not net.dirs.control_socket.exists()
    assert not any("socket was removed" in line for line in net.said)


def test_incarnations_are_counted_over_supervisors(network: Network, dirs: InstanceDirs) -> None:
    for number in (1, 2):
        net = network()

        async def scenario(net: Any) -> None:
            await net.all_ready()

        assert net.play(scenario) == []
        assert net.machine("node-1").incarnation == number
    assert [log.incarnation for log in logs.list_logs(dirs.logs, "node-1")] == [1, 2]


def test_scenario_03_children_die_with_a_killed_foreground_supervisor(
    network: Network, dirs: InstanceDirs, is_alive: PIDS
) -> None:
    net = network()  # only for its ports, plan and folders; the supervisor runs in another process
    net.claim.release()
    spec = msgspec.json.encode(net.spec).decode()
    argv = [net.spec.program[0], "-c", FOREGROUND, spec]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "node-1: ready" in line:
                break
        pids = [record.pid for record in read_identities(dirs).values() if record]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        process.kill()
    asyncio.run(eventually(lambda: not any(map(is_alive, pids))))
    assert "node-1 stops" in "".join(logs.tail(logs.log_path(dirs.logs, "node-1", 1), 1)), "cleanly"


def test_scenario_08_a_hung_main_loop_is_seen_dumped_and_restarted(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "HUNG_GRACE", 60.0)
    net = network(plans={"node-1": {"hang": True}}, hang_seconds=1.0)

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.READY)
        first = net.pid("node-1")
        net.plan()
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        await net.reaches("node-1", State.READY)
        assert net.pid("node-1") != first
        assert str(net.machine("node-1").exit_cause).startswith("its main loop hung; killed by SIGABRT")
        assert net.machine("node-1").history.streak == 1
        dump = "\n".join(logs.tail(logs.log_path(net.dirs.logs, "node-1", 1), 30))
        assert "in _hang" in dump

    assert net.play(scenario) == []


def test_scenario_08_a_paused_or_mute_program_does_not_hang(network: Network) -> None:
    net = network(nodes=2, plans={"node-2": {"mute": True}})

    async def scenario(net: Any) -> None:
        await net.all_ready()
        paused = {name: net.program(name) for name in ("bootstrap", "node-1")}
        await net.until(lambda: all(program.heartbeat.beat_at for program in paused.values()))
        for program in paused.values():
            program.child.send(signal.SIGSTOP)
        await eventually(lambda: {one["state"] for one in net.table.status()["programs"][:2]} == {"paused"})
        # Only while none is there that beats: one that gets no processor for so long would count as hung.
        patience, net.table.network = net.spec, replace(net.spec, hang_seconds=0.5)
        for _ in range(4):  # each look excuses the silence so far
            beat = paused["node-1"].heartbeat
            await net.until(lambda beat=beat, last=beat.beat_at: beat.beat_at != last)
        net.table.network = patience
        for program in paused.values():
            program.child.send(signal.SIGCONT)
        await eventually(lambda: {one["state"] for one in net.table.status()["programs"]} == {"ready"})
        assert [program.machine.incarnation for program in net.table.programs.values()] == [1, 1, 1]

    assert net.play(scenario) == []


def test_a_stop_that_ended_in_a_kill_is_told_to_the_bootstrap(network: Network) -> None:
    net = network(nodes=2, plans={"node-1": {"ignore_term": True}})

    async def scenario(net: Any) -> None:
        await net.all_ready()
        for name, grace in (("node-1", 0.1), ("node-2", 30.0)):
            net.table.dispatch(net.program(name), StopRequested(grace))
        await net.until(lambda: net.removed == ["node-1"])

    assert net.play(scenario) == []
    assert net.removed == ["node-1"]


@pytest.mark.parametrize(
    "place", ["votenet.processes.launcher.logs.tail", "votenet.processes.child.Child.died"]
)
def test_a_mistake_in_following_one_program_costs_that_program_a_restart_and_no_other(
    network: Network, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    net = network(nodes=2)
    real = pkgutil.resolve_name(place)
    failed = 0

    def once(*args: Any) -> Any:
        nonlocal failed
        failed += 1
        if failed == 1:
            raise ZeroDivisionError("of ours")
        return real(*args)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        other = net.pid("node-2")
        monkeypatch.setattr(place, once)
        if place.endswith("died"):
            net.table.dispatch(net.program("node-1"), RestartRequested())
        else:
            os.kill(net.pid("node-1"), signal.SIGKILL)
        await net.until(lambda: net.machine("node-1").incarnation >= 2)
        await net.until(lambda: failed > 0 or not place.endswith("died"))
        if place.endswith("died"):
            os.kill(net.pid("node-1"), signal.SIGKILL)
            await net.until(lambda: net.machine("node-1").incarnation >= 3)
        await net.reaches("node-1", State.READY)
        assert net.pid("node-2") == other
        assert any("a mistake in votenet: ZeroDivisionError: of ours" in line for line in net.said)

    assert net.play(scenario) == []


def test_a_mistake_while_one_is_looked_at_is_told_and_the_supervisor_looks_on(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network()
    looks = 0

    def broken(path: object) -> None:
        nonlocal looks
        looks += 1
        raise ZeroDivisionError("of ours")

    async def scenario(net: Any) -> None:
        await net.all_ready()
        monkeypatch.setattr(logs, "trim", broken)
        async with asyncio.timeout(60):
            await eventually(lambda: looks >= 4)
        assert sum("of ours" in line for line in net.said) == 2, "once for each program, not at every look"
        assert [program.machine.incarnation for program in net.table.programs.values()] == [1, 1]

    assert net.play(scenario) == []


def test_a_mistake_in_a_decision_fails_one_program_and_a_stop_still_ends(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(nodes=2)
    real = program_table.step

    def broken(program: Any, event: Any, *rest: Any) -> Any:
        if isinstance(event, StartRequested) and program.incarnation == 0 and not net.said_once:
            net.said_once = True
            raise ZeroDivisionError("of ours")
        return real(program, event, *rest)

    net.said_once = False
    monkeypatch.setattr(program_table, "step", broken)

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.READY)
        await net.reaches("node-2", State.READY)
        assert net.state("bootstrap") is State.STOPPED
        net.table.dispatch(net.program("bootstrap"), StartRequested())
        await net.reaches("bootstrap", State.READY)

    assert net.play(scenario) == []


def test_an_ignored_sigchld_is_not_inherited(network: Network, dirs: InstanceDirs, is_alive: PIDS) -> None:
    """With it the kernel reaps children itself, and no parent learns how they ended."""
    net = network(nodes=2)
    net.claim.release()
    spec = msgspec.json.encode(net.spec).decode()
    process = subprocess.Popen(
        [net.spec.program[0], "-c", FOREGROUND, spec],
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        status = _wait_running(dirs)
        os.kill(status["programs"][1]["pid"], signal.SIGKILL)
        status = _wait_running(dirs, lambda status: status["programs"][1]["restarts"] == 1)
        assert status["programs"][1]["cause"].endswith("killed by SIGKILL")
        pids = [program["pid"] for program in status["programs"]]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, process.stdout.read() if process.stdout else ""
        assert not any(map(is_alive, pids))
    finally:
        process.kill()
        process.communicate()


def _wait_running(
    dirs: InstanceDirs, condition: Callable[[dict[str, Any]], bool] = lambda status: True
) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(VotenetError):
            status = ask(dirs, {"command": "status"})
            if status["phase"] == "running" and condition(status):
                return status
        assert time.monotonic() < deadline, "it did not come to run"
        time.sleep(0.05)


@pytest.mark.long
def test_a_stop_that_was_frozen_in_the_middle_does_not_end_in_a_kill_at_once(
    network: Network, dirs: InstanceDirs
) -> None:
    """The programs were frozen as well: they had no time to stop."""
    net = network(plans={"node-1": {"slow_stop": 12.0}}, grace=10.0)
    net.claim.release()
    spec = msgspec.json.encode(net.spec).decode()
    process = subprocess.Popen(
        [net.spec.program[0], "-c", FOREGROUND, spec], stdout=subprocess.PIPE, text=True
    )
    try:
        pids = [program["pid"] for program in _wait_running(dirs)["programs"]]
        process.send_signal(signal.SIGTERM)
        log = logs.log_path(dirs.logs, "node-1", 1)
        asyncio.run(eventually(lambda: "has heard TERM" in log.read_text()))
        for pid in (*pids, process.pid):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(net.spec.grace + 2 * program_table.LATE_KILL_SECONDS)
        for pid in (process.pid, *pids):
            os.kill(pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=150)
        assert process.returncode == 0
        assert "killing" not in said, said
    finally:
        process.kill()
        process.communicate()


def test_ready_watchdog_and_stopping_are_sent_to_the_supervisors_parent(
    network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    net = network(nodes=2)
    path = tmp_path_factory.mktemp("n") / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "5000000")
        told: list[str] = []

        def hears(line: str) -> bool:
            with contextlib.suppress(BlockingIOError):
                while True:
                    told.extend(manager.recv(4096).decode().split("\n"))
            return line in told

        async def scenario(net: Any) -> None:
            await net.all_ready()
            await eventually(lambda: hears("READY=1"))
            before = told.count("WATCHDOG=1")
            await eventually(lambda: hears("READY=1") and told.count("WATCHDOG=1") >= before + 2)
            child = procfs.environment(net.pid("node-1"))
            assert child["NOTIFY_SOCKET"] == str(net.dirs.notify_socket)
            assert "WATCHDOG_USEC" not in child, "that was meant for us"

        assert net.play(scenario) == []
        assert hears("STOPPING=1")
    assert told.count("READY=1") == 1
    assert "STATUS=3 of 3 programs are ready" in told
    assert told.index("READY=1") < told.index("STOPPING=1")


def test_as_process_1_it_reaps_the_orphans_of_its_programs(network: Network, dirs: InstanceDirs) -> None:
    need_pid_namespace()
    net = network(plans={"node-1": {"orphan": 600}})
    net.claim.release()
    spec = msgspec.json.encode(net.spec).decode()
    argv = in_pid_namespace(net.spec.program[0], "-c", FOREGROUND, spec)
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        _wait_running(dirs)
        (inside,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

        def orphans() -> list[procfs.ProcessStat]:
            found = [stat for stat in procfs.all_processes() if stat.parent == int(inside)]
            return [stat for stat in found if stat.dead or "sleep" in procfs.command_line(stat.pid)]

        deadline = time.monotonic() + 60
        while not orphans():
            assert time.monotonic() < deadline, "no orphan came"
        for orphan in orphans():
            signal_exactly(orphan.pid, orphan.start_ticks, signal.SIGKILL)
        while orphans():
            assert time.monotonic() < deadline, "it stays a zombie"
            time.sleep(0.1)
        os.kill(int(inside), signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_scenario_06_a_grandchild_that_made_itself_a_daemon_is_ended_too(
    network: Network, is_alive: PIDS
) -> None:
    net = network(plans={"node-1": {"daemon": True}})
    daemons: list[int] = []

    async def scenario(net: Any) -> None:
        await net.all_ready()
        path = net.dirs.data_dir("node-1") / "daemon"
        daemons.append(int(path.read_text()))
        stat = procfs.read_stat(daemons[0])
        assert stat is not None
        assert net.pid("node-1") not in (stat.session, stat.group, stat.parent)
        os.kill(net.pid("node-1"), signal.SIGKILL)
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        await net.reaches("node-1", State.READY)
        assert not is_alive(daemons[0])
        daemons.append(int(path.read_text()))

    assert net.play(scenario) == []
    assert not any(map(is_alive, daemons))


@pytest.mark.parametrize("away", ["removed", "renamed"])
def test_a_log_that_others_take_away_is_still_bounded(
    network: Network, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    net = network()
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 64 * 1024)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        log = logs.log_path(net.dirs.logs, "bootstrap", 1)
        with net.program("bootstrap").child.output.open("ab") as output:
            if away == "removed":
                log.unlink()
            else:
                log.rename(log.with_suffix(".old"))
            output.write(b"x" * 99_999 + b"\n")
            output.flush()
            await eventually(lambda: os.fstat(output.fileno()).st_blocks * 512 <= 64 * 1024)

    assert net.play(scenario) == []


def test_a_mistake_in_writing_a_record_costs_nothing(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network()
    real = launcher.write_identity

    def broken(dirs: InstanceDirs, identity: Any) -> None:
        if identity.intent == "running":
            raise ZeroDivisionError("of ours")
        real(dirs, identity)

    monkeypatch.setattr(launcher, "write_identity", broken)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        assert [program.machine.incarnation for program in net.table.programs.values()] == [1, 1]
        assert any("a mistake in votenet" in line for line in net.said)

    assert net.play(scenario) == []


@pytest.mark.parametrize(("number", "step"), [(errno.EMFILE, "ulimit -n"), (errno.ENOTSUP, "VOTENET_HOME")])
def test_a_socket_that_cannot_be_made_has_a_next_step_for_its_cause(
    network: Network, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    net = network()

    def refused(path: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(supervisor_module, "NotifySocket", refused)
    try:
        with pytest.raises(ConfigError) as caught:
            asyncio.run(net.supervisor.run())
    finally:
        net.claim.release()
    assert step in caught.value.next_step

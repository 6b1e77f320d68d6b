"""Planned work on a running network of scripted programs: scale, other settings, rolling restarts."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from support.ports import free_port
from votenet.errors import Locked, SomeFailed, VotenetError
from votenet.processes.control import ask, converse
from votenet.processes.identity import leftovers
from votenet.processes.instance import load_network, save_network
from votenet.processes.machine import KillRequested, RestartRequested, StartRequested, State, StopRequested
from votenet.processes.ports import is_free
from votenet.processes.restart import RestartPolicy
from votenet.storage.files import is_locked

Network = Callable[..., Any]


async def call(net: Any, command: str, **fields: Any) -> Mapping[str, Any]:
    return await asyncio.to_thread(ask, net.dirs, {"command": command, **fields}, timeout=150)


async def refused(net: Any, command: str, **fields: Any) -> VotenetError:
    with pytest.raises(VotenetError) as caught:
        await call(net, command, **fields)
    return caught.value


def pids(net: Any) -> dict[str, int]:
    return {name: net.pid(name) for name in net.table.programs}


def test_scenario_12_scale_5_3_7(network: Network, is_alive: Callable[[int], bool]) -> None:
    net = network(nodes=5, plans={"node-5": {"ignore_term": True}})

    async def scenario(net: Any) -> None:
        await net.all_ready()
        before, stubborn = pids(net), net.program("node-5")
        async with asyncio.TaskGroup() as tasks:
            change = tasks.create_task(call(net, "change", nodes=3))
            await net.reaches("node-4", State.STOPPED)
            net.table.dispatch(stubborn, KillRequested())  # it would take its whole grace
        answer = change.result()
        assert (answer["changed"], answer["nodes"]) == (["node-4", "node-5"], 3)
        assert list(net.table.programs) == ["bootstrap", "node-1", "node-2", "node-3"]
        assert not is_alive(before["node-4"])
        assert not is_alive(before["node-5"])
        freed = net.spec.node_ports[3:]
        assert all(is_free("127.0.0.1", port) for port in freed)
        await net.until(lambda: net.removed == ["node-5"])  # node-4 says so itself
        assert load_network(net.dirs).node_ports == net.spec.node_ports[:3]
        net.plan()
        answer = await call(net, "change", nodes=7)
        assert answer["changed"] == ["node-4", "node-5", "node-6", "node-7"]
        status = net.table.status()
        assert [p["state"] for p in status["programs"]] == ["ready"] * 8
        assert [p["incarnation"] for p in status["programs"]] == [1, 1, 1, 1, 2, 2, 1, 1]
        assert len({p["address"] for p in status["programs"]}) == 8
        after = pids(net)
        kept = ("bootstrap", "node-1", "node-2", "node-3")
        assert {name: before[name] for name in kept} == {name: after[name] for name in kept}
        assert (await call(net, "change", nodes=7))["changed"] == []
        held = [lock.path for lock in net.claim.ports]
        assert len(held) == 4
        assert all(map(is_locked, held))
        await call(net, "change", nodes=3)
        assert net.claim.ports == []
        assert not any(path.exists() for path in held)

    assert net.play(scenario) == []


def test_a_change_that_cannot_be_saved_changes_nothing(network: Network) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        net.dirs.state.joinpath("network.json").mkdir()  # nothing can be renamed over a folder
        before = pids(net)
        assert (await refused(net, "change", nodes=4)).exit_code in (1, 74)
        assert (pids(net), net.claim.ports) == (before, [])

    assert net.play(scenario) == []


def test_new_settings_restart_changed_programs_one_by_one(network: Network) -> None:
    net = network(nodes=2)
    save_network(net.dirs, net.spec)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        before = pids(net)
        answer = await call(net, "change", settings={"node_args": ["--kernel", "generic"]})
        assert answer["changed"] == ["node-1", "node-2"]
        assert pids(net)["bootstrap"] == before["bootstrap"]
        assert [net.machine(name).incarnation for name in net.table.programs] == [1, 2, 2]
        assert net.program("node-2").spec.argv[-2:] == ("--kernel", "generic")
        answer = await call(net, "change", settings={"hang_seconds": 40})
        assert (answer["changed"], net.table.network.hang_seconds) == ([], 40)

    assert net.play(scenario) == []


def test_the_same_change_again_completes_one_that_was_interrupted(network: Network) -> None:
    net = network(nodes=3)
    wanted = {"settings": {"node_args": ["--kernel", "generic"]}}

    async def scenario(net: Any) -> None:
        await net.all_ready()
        before = pids(net)
        net.plan(node_1={"exit_always": 78})
        assert "not restarted: node-2, node-3" in (await refused(net, "change", **wanted)).message
        again = await refused(net, "change", **wanted)
        assert isinstance(again, SomeFailed)
        assert "node-1 is failed: exit 78" in again.message
        assert "not restarted: node-2, node-3" in again.message
        assert "votenet restart node-1" in again.next_step
        assert [net.pid(name) for name in ("node-2", "node-3")] == [before["node-2"], before["node-3"]]
        net.plan()
        net.table.dispatch(net.program("node-1"), StartRequested())
        await net.reaches("node-1", State.READY)
        first = net.pid("node-1")
        answer = await call(net, "change", **wanted)
        assert (answer["changed"], answer["nodes"]) == (["node-2", "node-3"], 3)
        after = pids(net)
        assert (after["node-1"], after["bootstrap"]) == (first, before["bootstrap"])
        assert not {after["node-2"], after["node-3"]} & set(before.values())
        assert (await call(net, "change", **wanted))["changed"] == []

    assert net.play(scenario) == []


def test_another_page_restarts_the_page_alone(network: Network) -> None:
    net = network(nodes=1, page=True)
    spec = net.spec.web

    async def scenario(net: Any) -> None:
        await net.all_ready()
        before = pids(net)
        kiosk = msgspec.to_builtins(replace(spec, kiosk=True))
        assert (await call(net, "change", settings={"web": kiosk}))["changed"] == ["web"]
        after = pids(net)
        assert after.pop("web") != before.pop("web")
        assert after == before
        assert net.program("web").spec.argv[-1] == "--kiosk"
        # Another port: its lock is taken, that of the old one let go.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            taken = probe.getsockname()[1]
            probe.listen()
            refusal = await refused(
                net, "change", settings={"web": msgspec.to_builtins(replace(spec, port=taken))}
            )
            assert (refusal.code, net.table.network.page.port) == ("port-taken", spec.port)
        assert (await call(net, "change", settings={"web": {"port": spec.port, "on": False}}))["nodes"] == 1
        assert "web" not in net.table.programs
        assert is_free("127.0.0.1", spec.port)
        elsewhere = {**kiosk, "port": free_port()}
        await call(net, "change", settings={"web": elsewhere}, nodes=2)
        assert net.table.status()["programs"][-1]["address"] == f"127.0.0.1:{elsewhere['port']}"
        assert list(net.table.programs) == ["bootstrap", "node-1", "node-2", "web"]
        assert load_network(net.dirs).page.kiosk

    assert net.play(scenario) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"nodes": 0}, "bad-message"),
        ({"nodes": 65}, "bad-message"),
        ({"nodes": "3"}, "bad-message"),
        ({"nodes": True}, "bad-message"),
        ({"settings": {"port": 1}}, "bad-message"),
        ({"settings": {"node_args": "--no-mine"}}, "bad-message"),
        ({"settings": {"hang_seconds": 0.1}}, "bad-configuration"),
        ({"settings": {"policy": {"limit": 0}}}, "bad-restart-policy"),
        ({"settings": {"policy": {"limit": 30}}}, "bad-restart-policy"),
    ],
)
def test_a_bad_change_is_refused(network: Network, fields: dict[str, Any], code: str) -> None:
    net = network()

    async def scenario(net: Any) -> None:
        await net.reaches("node-1", State.READY)
        assert (await refused(net, "change", **fields)).code == code
        assert net.table.network == net.spec

    assert net.play(scenario) == []


def test_rolling_never_has_two_away(network: Network) -> None:
    net = network(nodes=3)
    order: list[tuple[str, str]] = []

    async def scenario(net: Any) -> None:
        await net.all_ready()
        net.table.dispatch(net.program("node-2"), StopRequested())
        await net.reaches("node-2", State.STOPPED)
        net.plan(**{"*": {"slow": 0.2}})
        request = {"command": "rolling"}
        events = await asyncio.to_thread(lambda: list(converse(net.dirs, request, timeout=150)))
        order.extend((event["name"], event["state"]) for event in events[:-1])
        assert events[-1]["restarted"] == ["node-1", "node-3", "bootstrap"], "what was stopped stays so"
        assert net.state("node-2") is State.STOPPED

    assert net.play(scenario) == []
    away: set[str] = set()
    for name, state in order:
        away = away - {name} if state == "ready" else away | {name}
        assert len(away) <= 1, order
    assert [name for name, state in order if state == "ready"] == ["node-1", "node-3", "bootstrap"]


def test_rolling_ends_at_the_first_that_does_not_come_back(network: Network) -> None:
    net = network(nodes=3)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        untouched = net.pid("node-3")
        net.plan(node_2={"exit_always": 78})
        error = await refused(net, "rolling", names=["node-1", "node-2", "node-3"])
        assert isinstance(error, SomeFailed)
        assert "node-2 is failed: exit 78" in error.message
        assert "not restarted: node-3" in error.message
        assert net.pid("node-3") == untouched
        assert net.table.rollout == ""

    assert net.play(scenario) == []


def test_rolling_waits_until_a_node_has_caught_up(network: Network) -> None:
    net = network(nodes=2, plans={"node-2": {"height": 9}})

    async def scenario(net: Any) -> None:
        await net.all_ready()
        await net.until(lambda: net.program("node-2").heartbeat.height == 9)
        net.plan(node_2={"height": 9}, node_1={"height": 8})
        async with asyncio.TaskGroup() as tasks:
            rolling = tasks.create_task(call(net, "rolling", names=["node-1"]))
            await net.until(lambda: net.machine("node-1").incarnation == 2)
            await net.reaches("node-1", State.READY)
            await net.until(lambda: net.program("node-1").heartbeat.height == 8)
            assert not rolling.done(), "ready, but behind"
            error = await refused(net, "change", nodes=3)
            assert (type(error), error.code, error.exit_code) == (Locked, "busy", 75)
            assert net.table.status()["plan"] == "restart --rolling"
            while not rolling.done():  # its own next report says 8 again
                net.program("node-1").heartbeat.update({"X_HEIGHT": "9"}, 0.0)
                net.table.wake()
                await asyncio.sleep(0.01)

    assert net.play(scenario) == []


def test_a_plan_ends_when_the_network_stops(network: Network) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        net.plan(**{"*": {"ready": False}})
        async with asyncio.TaskGroup() as tasks:
            rolling = tasks.create_task(refused(net, "rolling"))
            await net.until(lambda: net.machine("node-1").incarnation == 2)
            net.supervisor.request_stop()
            assert (await rolling).code == "stopping"

    assert net.play(scenario) == []


def test_a_command_that_comes_between_ends_the_plan(network: Network) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        net.plan(node_1={"ready": False})
        async with asyncio.TaskGroup() as tasks:
            rolling = tasks.create_task(refused(net, "rolling"))
            await net.until(lambda: net.machine("node-1").incarnation == 2)
            await call(net, "stop", names=["node-1"])
            assert (await rolling).code == "overtaken"

    assert net.play(scenario) == []


def test_a_crash_of_another_node_is_waited_for(network: Network) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        net.plan(node_2={"slow": 0.3})
        os.kill(net.pid("node-2"), signal.SIGKILL)
        await net.until(lambda: net.machine("node-2").incarnation == 2)
        await call(net, "rolling", names=["node-1"])
        assert net.state("node-2") is State.READY
        told = [line for line in net.said if line.startswith(("node-2: ready", "node-1: restarting"))]
        assert told[-1].startswith("node-1: restarting"), told

    assert net.play(scenario) == []


def test_one_that_never_became_ready_can_be_restarted_too(network: Network) -> None:
    net = network(nodes=2, plans={"node-1": {"ready": False}})

    async def scenario(net: Any) -> None:
        await net.reaches("node-2", State.READY)
        await net.reaches("bootstrap", State.READY)
        net.plan()
        assert (await call(net, "rolling", names=["node-1"]))["restarted"] == ["node-1"]
        assert net.state("node-1") is State.READY

    assert net.play(scenario) == []


def test_scenario_12_a_node_can_be_removed_and_return_from_every_state(
    network: Network, is_alive: Callable[[int], bool]
) -> None:
    slow = RestartPolicy(first_delay=300.0, max_delay=300.0, reset_after=600.0, limit=3, window=1000.0)
    plans = {"node-2": {"exits": [1, 1]}, "node-3": {"slow": 300}, "node-4": {"ignore_term": True},
             "node-5": {"stop_self": True}, "node-6": {"exit_always": 78}}  # fmt: skip
    net = network(nodes=6, plans=plans, policy=slow, grace=0.5)

    async def scenario(net: Any) -> None:
        await net.reaches("node-4", State.READY)
        net.table.dispatch(net.program("node-4"), RestartRequested(300.0))
        await net.reaches("node-2", State.BACKOFF)
        await net.until(lambda: net.machine("node-2").incarnation == 2)
        await net.reaches("node-5", State.PAUSED)
        await net.reaches("node-6", State.FAILED)
        states = {name: net.state(name) for name in ("node-3", "node-4")}
        assert states == {"node-3": State.STARTING, "node-4": State.STOPPING}
        running = [program.child.pid for program in net.table.programs.values() if program.child]
        net.table.dispatch(net.program("node-4"), KillRequested())  # it would take its five minutes
        answer = await call(net, "change", nodes=1)
        assert answer["changed"] == ["node-2", "node-3", "node-4", "node-5", "node-6"]
        assert list(net.table.programs) == ["bootstrap", "node-1"]
        assert [pid for pid in running if is_alive(pid)] == [net.pid("bootstrap"), net.pid("node-1")]
        assert {left.name for left in leftovers(net.dirs)} == {"bootstrap", "node-1"}
        assert all(is_free("127.0.0.1", port) for port in net.spec.node_ports[1:])
        net.plan()
        await call(net, "change", nodes=6)
        numbers = [program.machine.incarnation for program in net.table.programs.values()]
        assert numbers == [1, 1, 3, 2, 2, 2, 2], "one more each: nothing was started in between"

    assert net.play(scenario) == []

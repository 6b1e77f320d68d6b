"""Commands to a running supervisor, through its socket."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from votenet import __version__
from votenet.errors import VotenetError
from votenet.processes.control import ask, converse
from votenet.processes.machine import State, StopRequested

Network = Callable[..., Any]


async def call(net: Any, command: str, **fields: Any) -> dict[str, Any]:
    return await asyncio.to_thread(ask, net.dirs, {"command": command, **fields}, timeout=150)


async def refused(net: Any, command: str, **fields: Any) -> str:
    with pytest.raises(VotenetError) as caught:
        await call(net, command, **fields)
    return caught.value.code


def test_ping_and_status(network: Network) -> None:
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        assert (await call(net, "ping"))["version"] == __version__
        status = await call(net, "status")
        assert status["instance"] == "t"
        assert status["bootstrap"] == str(net.spec.bootstrap)
        assert status["supervisor"]["detached"] is False
        program = status["programs"][1]
        assert program["pid"] == net.pid("node-1")
        assert program["log"].endswith("node-1.1.log")
        assert program["heard_ago"] is not None

    assert net.play(scenario) == []


def test_stop_start_restart_one_node(network: Network) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        other = net.pid("node-2")
        (stopped,) = (await call(net, "stop", names=["node-1"]))["programs"]
        assert (stopped["state"], stopped["pid"]) == ("stopped", None)
        (started,) = (await call(net, "start", names=["node-1"], wait=50))["programs"]
        assert (started["state"], started["incarnation"]) == ("ready", 2)
        answer = await call(net, "restart", names=["node-1", "node-1"], wait=50)
        assert [program["incarnation"] for program in answer["programs"]] == [3]
        assert net.pid("node-2") == other

    assert net.play(scenario) == []


def test_scenario_11_a_later_command_ends_the_wait_for_an_earlier_one(network: Network) -> None:
    net = network(plans={"node-1": {"ignore_term": True}}, grace=0.3)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            stopping = tasks.create_task(call(net, "stop", names=["node-1"], grace=0.5))
            await net.reaches("node-1", State.STOPPING)
            await call(net, "start", names=["node-1"], wait=50)
            assert stopping.done() or (await stopping)
        await net.reaches("node-1", State.READY)
        assert net.machine("node-1").incarnation == 2

    assert net.play(scenario) == []


@pytest.mark.parametrize(
    ("command", "fields", "code"),
    [
        ("dance", {}, "unknown-type"),
        ("stop", {}, "bad-message"),
        ("stop", {"names": []}, "bad-message"),
        ("stop", {"names": "node-1"}, "bad-message"),
        ("stop", {"names": ["node-1", "node-9"]}, "no-such-node"),
        ("stop", {"names": ["node-1", "x*"]}, "no-such-node"),
        ("signal", {"names": ["node-1"]}, "bad-message"),
        ("signal", {"names": ["node-1"], "signal": "KILL"}, "bad-message"),
        ("signal", {"names": ["node-1"], "signal": 0}, "bad-message"),
        ("signal", {"names": ["node-1"], "signal": 99}, "bad-message"),
        ("signal", {"names": ["node-1"], "signal": float("inf")}, "bad-message"),
        ("pause", {"names": ["node-9"]}, "no-such-node"),
        ("rolling", {"names": ["node-9"]}, "no-such-node"),
        ("stop", {"names": ["node-1"], "grace": -1}, "bad-message"),
        ("stop", {"names": ["node-1"], "grace": True}, "bad-message"),
        ("start", {"names": ["node-1"], "wait": "long"}, "bad-message"),
        ("down", {"grace": "now"}, "bad-message"),
    ],
)
def test_bad_fields_change_nothing(
    network: Network, command: str, fields: Mapping[str, Any], code: str
) -> None:
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        epoch = net.machine("node-1").epoch
        assert await refused(net, command, **fields) == code
        assert net.machine("node-1").epoch == epoch
        assert not net.table.stopping

    assert net.play(scenario) == []


def test_down_streams_events_and_answers_last(network: Network) -> None:
    net = network(nodes=2, plans={"node-2": {"ignore_term": True}})
    events: list[dict[str, Any]] = []

    async def scenario(net: Any) -> None:
        await net.all_ready()
        request = {"command": "down", "grace": 0.3}
        events.extend(await asyncio.to_thread(lambda: list(converse(net.dirs, request, timeout=150))))

    assert net.play(scenario) == []
    *states, last = events
    assert last == {"v": 1, "ok": True, "stopped": ["bootstrap", "node-1", "node-2"], "problems": []}
    order = [(event["name"], event["state"]) for event in states]
    assert order.index(("node-2", "stopped")) < order.index(("bootstrap", "stopping"))
    assert order[-1] == ("bootstrap", "stopped")


def test_a_signal_is_a_fault_not_a_request(network: Network) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        await call(net, "signal", names=["node-*"], signal=9)
        for name in ("node-1", "node-2"):
            await net.until(lambda name=name: net.machine(name).incarnation == 2)
            await net.reaches(name, State.READY)
            assert str(net.machine(name).exit_cause) == "killed by SIGKILL"
            assert net.machine(name).history.streak == 1
        await call(net, "stop", names=["node-1"])
        assert await refused(net, "signal", names=["node-2", "node-1"], signal=9) == "not-running"
        assert net.machine("node-2").incarnation == 2, "nothing by half"

    assert net.play(scenario) == []


def test_scenario_07_pause_resume_and_stop_while_paused(network: Network) -> None:
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        (paused,) = (await call(net, "pause", names=["node-1"]))["programs"]
        assert paused["state"] == "paused"
        (resumed,) = (await call(net, "resume", names=["node-1"]))["programs"]
        assert (resumed["state"], resumed["incarnation"]) == ("ready", 1)
        await call(net, "pause", names=["node-1"])
        (stopped,) = (await call(net, "stop", names=["node-1"]))["programs"]
        assert (stopped["state"], stopped["cause"]) == ("stopped", "exit 0, as asked")
        assert await refused(net, "pause", names=["node-1"]) == "not-running"

    assert net.play(scenario) == []


def test_events_tell_every_change_and_why(network: Network) -> None:
    net = network()
    events: list[dict[str, Any]] = []

    async def scenario(net: Any) -> None:
        await net.all_ready()
        lines = await asyncio.to_thread(converse, net.dirs, {"command": "events"}, timeout=150)
        for _ in range(2):
            events.append(await asyncio.to_thread(next, lines))
        net.table.dispatch(net.program("node-1"), StopRequested())
        while events[-1]["state"] != "stopped":
            events.append(await asyncio.to_thread(next, lines))
        lines.close()

    assert net.play(scenario) == []
    told = [(event["name"], event["state"], event["incarnation"]) for event in events]
    assert told == [
        ("node-1", "ready", 1), ("bootstrap", "ready", 1),
        ("node-1", "stopping", 1), ("node-1", "stopped", 1),
    ]  # fmt: skip
    assert events[-1]["cause"] == "exit 0, as asked"
    assert all(event["time"] > 1e9 for event in events)


def test_a_stopping_network_starts_nothing(network: Network) -> None:
    net = network(plans={"node-1": {"ignore_term": True}}, grace=300.0)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        net.supervisor.request_stop()
        assert await refused(net, "start", names=["node-1"]) == "stopping"
        assert (await call(net, "status"))["phase"] == "stopping"
        net.supervisor.request_stop(now=True)

    assert net.play(scenario) == []


def test_down_now_does_not_wait(network: Network) -> None:
    net = network(plans={"*": {"ignore_term": True}}, grace=60.0)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        assert (await call(net, "down", now=True))["ok"]

    assert net.play(scenario) == []


def test_a_signal_that_was_not_sent_is_said_to_be_so(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(nodes=2)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        pid, real = net.pid("node-1"), signal.pidfd_send_signal

        def filtered(pidfd: int, number: int) -> None:
            if pidfd == net.program("node-1").child.pidfd:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            real(pidfd, number)

        monkeypatch.setattr(signal, "pidfd_send_signal", filtered)
        told = (await call(net, "signal", names=["node-1", "node-2"], signal=signal.SIGUSR2))["signals"]
        assert [(one["name"], one["sent"]) for one in told] == [("node-1", False), ("node-2", True)]
        assert told[0]["pid"] == pid

    assert net.play(scenario) == []

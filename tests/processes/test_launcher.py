"""Starting, adopting and following processes, by real supervisors over scripted programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.processes.conftest import Net

from votenet.config import InstanceDirs
from votenet.processes import logs, procfs
from votenet.processes.identity import read_identities
from votenet.processes.machine import State

Network = Callable[..., Any]
Alive = Callable[[int], bool]
DETACHED = """
import asyncio, msgspec, sys
from votenet.config import instance_dirs
from votenet.processes.instance import Claim, claim
from votenet.processes.spec import NetworkSpec
from votenet.processes.supervisor import Supervisor
spec, dirs = msgspec.json.decode(sys.argv[1], type=NetworkSpec), instance_dirs("t")
say = lambda text: print(text, flush=True)
asyncio.run(Supervisor(spec, dirs, Claim(claim(dirs), []), say=say, parent_death=False).run())
"""


def orphan(net: Any) -> dict[str, int]:
    """A detached supervisor of this network in a process of its own, killed when all was ready."""
    net.claim.release()
    argv = [sys.executable, "-c", DETACHED, msgspec.json.encode(net.spec).decode()]
    waiting = {"bootstrap", *(f"node-{number + 1}" for number in range(len(net.spec.node_ports)))}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while waiting:
            line = process.stdout.readline()
            assert line, "it ended before all was ready"
            waiting -= {line.split(":")[0]} if ": ready" in line else set()
        process.kill()
    return {name: record.pid for name, record in read_identities(net.dirs).items() if record}


def test_scenario_03_a_detached_network_is_adopted_watched_restarted_and_stopped(
    network: Network, dirs: InstanceDirs, is_alive: Alive
) -> None:
    first = network(nodes=2)
    left = orphan(first)
    assert all(map(is_alive, left.values())), "detached: they go on"
    net = Net(dirs, first.spec, parent_death=False)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        assert {name: net.pid(name) for name in net.table.programs} == left
        assert [net.machine(name).incarnation for name in net.table.programs] == [1, 1, 1]
        assert net.table.status()["programs"][1]["uptime"] > 0
        os.kill(left["node-1"], signal.SIGKILL)
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        await net.reaches("node-1", State.READY)
        assert not net.program("node-1").child.adopted

    assert net.play(scenario) == []
    assert not any(map(is_alive, left.values()))
    assert "adopted" in "".join(logs.tail(logs.log_path(dirs.logs, "node-1", 1), 9))
    assert "node-2 stops" in "".join(logs.tail(logs.log_path(dirs.logs, "node-2", 1), 2)), "cleanly"


def test_scenario_06_leftovers_of_an_adopted_program_are_ended(
    network: Network, dirs: InstanceDirs, is_alive: Alive
) -> None:
    first = network(plans={"node-1": {"grandchild": True}})
    left = orphan(first)
    net = Net(dirs, first.spec, parent_death=False)
    grandchild = int((dirs.data_dir("node-1") / "grandchild").read_text())

    async def scenario(net: Any) -> None:
        await net.all_ready()
        net.plan()
        os.kill(left["node-1"], signal.SIGKILL)
        await net.until(lambda: net.machine("node-1").incarnation == 2)
        assert not is_alive(grandchild)

    assert net.play(scenario) == []


def test_one_that_dies_before_it_can_be_adopted_is_started(network: Network, dirs: InstanceDirs) -> None:
    first = network()
    left = orphan(first)
    os.kill(left["node-1"], signal.SIGKILL)
    net = Net(dirs, first.spec, parent_death=False)

    async def scenario(net: Any) -> None:
        await net.all_ready()
        assert net.pid("bootstrap") == left["bootstrap"]
        assert net.machine("node-1").incarnation == 2

    assert net.play(scenario) == []


def test_a_program_works_elsewhere_so_it_gets_no_relative_module_path(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("src", *sys.path)))
    net = network()

    async def scenario(net: Any) -> None:
        await net.all_ready()
        given = procfs.environment(net.pid("node-1"))["PYTHONPATH"]
        assert given.split(os.pathsep)[0] == str(tmp_path / "src")

    assert net.play(scenario) == []

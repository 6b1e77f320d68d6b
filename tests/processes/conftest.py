"""What the tests of this room share: a home of their own, free ports, a network of scripted children."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import ConfigError
from votenet.processes import ports, procfs
from votenet.processes.identity import leftovers
from votenet.processes.instance import claim
from votenet.processes.machine import State
from votenet.processes.restart import RestartPolicy
from votenet.processes.signals import signal_exactly
from votenet.processes.spec import NetworkSpec, ProgramSpec
from votenet.processes.supervisor import Slot, Supervisor

BAD_CHILD = (sys.executable, str(Path(__file__).with_name("bad_child.py")))
PATIENCE = 20.0
FAST = RestartPolicy(first_delay=0.05, max_delay=0.2, reset_after=20.0, limit=3, window=30.0, wait_delay=0.1)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """VOTENET_HOME for one test; a short path, because sockets lie below it."""
    path = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(path))
    monkeypatch.setenv("BAD_CHILD", str(path / "plan.json"))
    return path


@pytest.fixture
def dirs(home: Path) -> Iterator[InstanceDirs]:
    """An instance's folders; fails if a process of it outlives the test."""
    found = instance_dirs("t")
    yield found
    left = leftovers(found)
    for process in left:
        signal_exactly(process.pid, process.start_ticks, signal.SIGKILL)
    if home not in found.run.parents:
        shutil.rmtree(found.run, ignore_errors=True)
    assert not left, "processes outlived the test"


@pytest.fixture
def lease_ports() -> Iterator[Callable[[int], ports.Block]]:
    """Blocks of free ports far from the usual ones, locked until the test ends."""
    leases: list[ports.Lease] = []

    def take(nodes: int) -> ports.Block:
        while True:
            first = random.randrange(20000, 30000)
            with contextlib.suppress(ConfigError):
                leases.append(ports.choose(nodes, bootstrap_port=first, node_port=first + 1))
                return leases[-1].block

    yield take
    for lease in leases:
        lease.release()


class Net:
    """A supervisor in this process over scripted children, and what a test wants to ask it."""

    def __init__(self, dirs: InstanceDirs, spec: NetworkSpec, **settings: Any) -> None:
        self.dirs, self.spec, self.said, self.removed = dirs, spec, [], []
        self._lock = claim(dirs)

        async def remover(program: ProgramSpec, network: NetworkSpec) -> None:
            self.removed.append(program.name)

        defaults: dict[str, Any] = {"policy": FAST, "remover": remover, "say": self.said.append}
        self.supervisor = Supervisor(spec, dirs, **{**defaults, **settings})

    def plan(self, **plans: dict[str, Any]) -> None:
        """What each program does from its next start on; `_` in a name stands for `-`."""
        Path(os.environ["BAD_CHILD"]).write_text(
            json.dumps({key.replace("_", "-"): value for key, value in plans.items()})
        )

    def slot(self, name: str) -> Slot:
        return self.supervisor.slots[name]

    def state(self, name: str) -> State:
        return self.slot(name).program.state

    def pid(self, name: str) -> int:
        child = self.slot(name).child
        assert child is not None
        return child.pid

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait for an event that makes the condition true."""
        async with asyncio.timeout(seconds):
            await self.supervisor.until(condition)

    async def reaches(self, name: str, state: State) -> None:
        try:
            await self.until(lambda: self.state(name) is state)
        except TimeoutError:
            pytest.fail(f"{name} is {self.state(name)}, not {state}; said: {self.said}")

    async def all_ready(self) -> None:
        for name in self.supervisor.slots:
            await self.reaches(name, State.READY)

    def play(self, scenario: Callable[[Net], Awaitable[None]]) -> list[str]:
        """Run the network around a scenario and stop it; returns the problems of the stop."""
        with asyncio.Runner() as runner:
            return runner.run(self._play(scenario))

    async def _play(self, scenario: Callable[[Net], Awaitable[None]]) -> list[str]:
        try:
            async with asyncio.timeout(3 * PATIENCE), asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self.supervisor.run())
                await asyncio.sleep(0)
                try:
                    await scenario(self)
                finally:
                    self.supervisor.request_stop()
                return await running
        finally:
            self._lock.release()


@pytest.fixture
def network(dirs: InstanceDirs, lease_ports: Callable[[int], ports.Block]) -> Callable[..., Net]:
    """Makes a Net: `network(nodes=2, plans={"node-1": {...}}, grace=1.0)`."""

    def make(nodes: int = 1, plans: dict[str, Any] | None = None, grace: float = 5.0, **settings: Any) -> Net:
        block = lease_ports(nodes)
        spec = NetworkSpec(
            instance=dirs.instance,
            genesis=str(dirs.genesis),
            bootstrap_port=block.bootstrap,
            node_ports=block.nodes,
            program=BAD_CHILD,
            grace=grace,
        )
        Path(os.environ["BAD_CHILD"]).write_text(json.dumps(plans or {}))
        return Net(dirs, spec, **settings)

    return make


def alive(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and not stat.dead


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    return alive

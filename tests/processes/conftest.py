"""What the tests of this room share: a home of their own, free ports, a network of scripted children."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.ports import first_of_block
from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import ConfigError, NoSuchNode
from votenet.processes import ports, procfs
from votenet.processes.control_server import ControlServer, Progress
from votenet.processes.identity import TAG_VARIABLE, IdentityRecord, leftovers, tag, write_identity
from votenet.processes.instance import Claim, claim, make_dirs
from votenet.processes.machine import ProgramState, State
from votenet.processes.managed_program import ManagedProgram
from votenet.processes.restart import RestartPolicy
from votenet.processes.signals import signal_exactly
from votenet.processes.spec import NetworkSpec, ProgramSpec, WebSpec
from votenet.processes.supervisor import Supervisor

BAD_CHILD = (sys.executable, str(Path(__file__).with_name("bad_child.py")))
PATIENCE = 60.0
FAST = RestartPolicy(
    first_delay=0.05, max_delay=0.2, reset_after=200.0, limit=3, window=300.0, wait_delay=0.1
)


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


def free_block(nodes: int) -> ports.PortBlock:
    """Ports that no other test process uses: of the usual ones another may take some at any moment."""
    while True:
        first = first_of_block(1 + nodes)
        with contextlib.suppress(ConfigError):
            lease = ports.choose(nodes, bootstrap_port=first, node_port=first + 1)
            lease.release()
            return lease.block


@pytest.fixture
def lease_ports() -> Iterator[Callable[[int], ports.PortBlock]]:
    """Blocks of free ports far from the usual ones, locked until the test ends."""
    leases: list[ports.Lease] = []

    def take(nodes: int) -> ports.PortBlock:
        while True:
            first = first_of_block(1 + nodes)
            with contextlib.suppress(ConfigError):
                leases.append(ports.choose(nodes, bootstrap_port=first, node_port=first + 1))
                return leases[-1].block

    yield take
    for lease in leases:
        lease.release()


def write_plan(plans: Mapping[str, Any]) -> None:
    """What the scripted programs do. One may start and read it now, so the file changes at once."""
    path = Path(os.environ["BAD_CHILD"])
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(plans))
    fresh.replace(path)


class Net:
    """A supervisor in this process over scripted children, and what a test wants to ask it."""

    def __init__(self, dirs: InstanceDirs, spec: NetworkSpec, **settings: Any) -> None:
        self.dirs, self.spec, self.said, self.removed = dirs, spec, [], []
        self.claim = Claim(claim(dirs), [])

        async def unregistrar(program: ProgramSpec, network: NetworkSpec) -> None:
            self.removed.append(program.name)

        defaults: dict[str, Any] = {"unregistrar": unregistrar, "say": self.said.append}
        self.supervisor = Supervisor(spec, dirs, self.claim, **{**defaults, **settings})
        self.table = self.supervisor.table

    def plan(self, **plans: dict[str, Any]) -> None:
        """What each program does from its next start on; `_` in a name stands for `-`."""
        write_plan({key.replace("_", "-"): value for key, value in plans.items()})

    def program(self, name: str) -> ManagedProgram:
        return self.table.programs[name]

    def machine(self, name: str) -> ProgramState:
        return self.program(name).machine

    def state(self, name: str) -> State:
        return self.program(name).state

    def pid(self, name: str) -> int:
        child = self.program(name).child
        assert child is not None
        return child.pid

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait for an event that makes the condition true."""
        async with asyncio.timeout(seconds):
            await self.table.until(condition)

    async def hears(self, words: str) -> None:
        """Wait until the supervisor has said this: no event tells of it."""
        async with asyncio.timeout(PATIENCE):
            while not any(words in line for line in self.said):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def reaches(self, name: str, state: State) -> None:
        try:
            await self.until(lambda: self.state(name) is state)
        except TimeoutError:
            pytest.fail(f"{name} is {self.state(name)}, not {state}; said: {self.said}")

    async def all_ready(self) -> None:
        for name in self.table.programs:
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
            self.claim.release()


@pytest.fixture
def network(dirs: InstanceDirs, lease_ports: Callable[[int], ports.PortBlock]) -> Callable[..., Net]:
    """Makes a Net: `network(nodes=2, plans={"node-1": {...}}, grace=1.0)`."""

    def make(
        nodes: int = 1,
        plans: dict[str, Any] | None = None,
        grace: float = 30.0,
        policy: RestartPolicy = FAST,
        hang_seconds: float = 20.0,
        page: bool = False,
        **settings: Any,
    ) -> Net:
        block = lease_ports(nodes + page)
        *node_ports, last = block.nodes
        spec = NetworkSpec(
            instance=dirs.instance,
            genesis=str(dirs.genesis),
            bootstrap_port=block.bootstrap,
            node_ports=tuple(node_ports) if page else block.nodes,
            web=WebSpec(port=last) if page else None,
            program=BAD_CHILD,
            grace=grace,
            policy=policy,
            hang_seconds=hang_seconds,
        )
        write_plan(plans or {})
        return Net(dirs, spec, **settings)

    return make


def alive(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and not stat.dead


def is_paused(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and stat.paused


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    return alive


async def echo(request: dict[str, Any], progress: Progress) -> Mapping[str, Any]:
    if request["command"] == "refuse":
        raise NoSuchNode("no node 'x'")
    if request["command"] == "stream":
        for number in range(3):
            await progress({"event": "state", "number": number})
    if request["command"] == "mistake":
        raise ZeroDivisionError("of ours")
    if request["command"] == "hang":
        await asyncio.sleep(60)
    return {"heard": request["command"]}


@contextlib.contextmanager
def serve_control(dirs: InstanceDirs) -> Iterator[None]:
    """A control server in a thread, as the client end is synchronous."""
    make_dirs(dirs)
    started, loop_box, stop_box = threading.Event(), [], []

    async def serve() -> None:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks, ControlServer(dirs.control_socket, echo, tasks):
            loop_box.append(asyncio.get_running_loop())
            stop_box.append(stop)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60)
    try:
        yield
    finally:
        loop_box[0].call_soon_threadsafe(stop_box[0].set)
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def serving() -> Callable[[InstanceDirs], contextlib.AbstractContextManager[None]]:
    """A control server that echoes, for the length of a `with`."""
    return serve_control


SLEEP = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def start(dirs: InstanceDirs) -> Iterator[Callable[..., subprocess.Popen[str]]]:
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
            signal_exactly(member.pid, member.start_ticks, signal.SIGKILL)
        process.kill()
        process.communicate()


@pytest.fixture
def record(dirs: InstanceDirs) -> Callable[..., None]:
    """Writes what a supervisor would have recorded about a process."""

    def write(process: subprocess.Popen[str], **changes: object) -> None:
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
        write_identity(dirs, IdentityRecord(**{**fields, **changes}))  # type: ignore[arg-type]

    return write

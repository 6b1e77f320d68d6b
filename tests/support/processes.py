"""Real `votenet` programs by hand: nodes and a bootstrap server as child processes, ended with the test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.elections import make_election, make_vote
from support.ports import free_port
from votenet.client.connection import NodeConnection
from votenet.core.election.definition import Election
from votenet.errors import VotenetError
from votenet.processes import procfs
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus, SubmitVotes, VotesTaken
from votenet.protocol.wire.peer_messages import GetPeers, Peers

PATIENCE = 60.0
LAST_LINES = 100
"""Of a log, in the report of a failed test."""


def how_it_ended(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def how_it_stands(process: subprocess.Popen[Any]) -> str:
    """How a child of this test has ended; or, while it is there, its state, its work and where it waits."""
    code = process.poll()
    if code is not None:
        return how_it_ended(code)
    stat, waits_in = procfs.read_stat(process.pid), ""
    with contextlib.suppress(OSError):
        waits_in = Path(f"/proc/{process.pid}/wchan").read_text()
    assert stat is not None, "not reaped before poll"
    worked = stat.cpu_ticks / procfs.TICKS_PER_SECOND
    age, state = f"{stat.age:.1f} s", f"in state {stat.state} in {waits_in}"
    return f"pid {stat.pid} runs: {age} old, {worked:.1f} s of work, {state}"


def dump_stacks(process: subprocess.Popen[Any]) -> None:
    """End a Python program that does not go on: it writes to stderr where each thread is."""
    if process.poll() is None:
        process.send_signal(signal.SIGABRT)
        process.send_signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)


class Programs:
    """Programs of one election. `prefix` of a program runs it elsewhere, e.g. in a namespace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.election: Election = make_election(created=int(time.time()))
        (folder / "genesis.json").write_bytes(self.election.to_file())
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str, prefix: Sequence[str] = ()) -> None:
        self.start_python(name, "-m", "votenet", *command, prefix=prefix)

    def start_python(self, name: str, *arguments: str, prefix: Sequence[str] = ()) -> None:
        unwanted = ("VOTENET_", "BOOTSTRAP_PORT", "NOTIFY_SOCKET")
        env = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
        env["VOTENET_HOME"] = str(self.folder / "home")
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*prefix, sys.executable, *arguments], stdout=log, stderr=log, env=env
            )

    def node(self, name: str, address: Address, *options: str, prefix: Sequence[str] = ()) -> Address:
        where = ("--data-dir", str(self.folder / name), "--genesis", str(self.folder / "genesis.json"))
        self.start(name, "node", *where, "--listen", str(address), "--name", name, *options, prefix=prefix)
        return address

    def bootstrap(self, address: Address, prefix: Sequence[str] = ()) -> Address:
        where = ("--host", address.host, "--port", str(address.port))
        self.start("boot", "bootstrap", *where, "--data-dir", str(self.folder / "boot"), prefix=prefix)
        return address

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> None:
        """As its operator does."""
        process = self.running.pop(name)
        process.terminate()
        process.wait(timeout=PATIENCE)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_for(
        self,
        condition: Callable[[], object],
        seconds: float = PATIENCE,
        seen: Callable[[], object] = lambda: "",
    ) -> None:
        """Return once it is true; fail after so many seconds, or as soon as a program has ended by itself."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = any(process.poll() is not None for process in self.running.values())
            if ended or time.monotonic() > deadline:
                pytest.fail(f"{seen()}\n{self._tell()}")
            time.sleep(0.1)

    def _tell(self) -> str:
        """How each program stands, with the end of its log; those that run say where, and end of it."""
        told = []
        for name, process in self.running.items():
            stands = how_it_stands(process)
            dump_stacks(process)
            told += [f"{name}: {stands}", *self.log(name).splitlines()[-LAST_LINES:]]
        return "\n".join(told)

    def end(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def programs(folder: Path) -> Iterator[Programs]:
    made = Programs(folder)
    try:
        yield made
    finally:
        made.end()


def free_addresses(count: int) -> list[Address]:
    return [Address("127.0.0.1", free_port()) for _ in range(count)]


def status(address: Address) -> NodeStatus | None:
    """None while no node answers."""

    async def ask() -> NodeStatus:
        async with NodeConnection(address, dial_timeout=20.0) as client:
            return await client.ask(GetStatus(), NodeStatus, timeout=30.0)

    with contextlib.suppress(VotenetError):
        return asyncio.run(ask())
    return None


def known(address: Address) -> int:
    """How many addresses a node has in its book; -1 while it does not answer."""
    found = status(address)
    return -1 if found is None else found.known_peers


def named(address: Address) -> set[str]:
    """What a node answers to get_peers; empty while it does not."""

    async def ask() -> set[str]:
        async with NodeConnection(address, dial_timeout=20.0) as client:
            return set((await client.ask(GetPeers(), Peers, timeout=30.0)).addresses)

    with contextlib.suppress(VotenetError):
        return asyncio.run(ask())
    return set()


def cast(address: Address, election: Election, voter: str) -> None:
    """One vote, accepted by this node. Raises VotenetError."""
    vote = make_vote(election, voter, time=int(time.time()))

    async def ask() -> None:
        async with NodeConnection(address, dial_timeout=20.0) as client:
            taken = await client.ask(SubmitVotes(votes=(vote.vote,)), VotesTaken)
            assert taken.outcomes[0].error is None, taken

    asyncio.run(ask())


def in_pid_namespace(*argv: str) -> tuple[str, ...]:
    """A command as process 1 of a pid namespace of its own, with a /proc of its own."""
    return ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *argv)


def need_pid_namespace() -> None:
    try:
        subprocess.run(in_pid_namespace("true"), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root: unshare --pid --mount-proc")

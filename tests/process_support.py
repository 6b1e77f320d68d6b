"""Real `votenet` programs by hand: nodes and a bootstrap server as child processes, ended with the test.

What lives here: Programs. What must not: assertions about votes or peers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from support import make_election, make_vote
from votenet.core.election import Election
from votenet.errors import VotenetError
from votenet.network.client import NodeClient
from votenet.protocol.address import Address
from votenet.protocol.messages import GetPeers, GetStatus, NodeStatus, Peers, SubmitVotes, VotesTaken

PATIENCE = 60.0


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
    """Ports of loopback below those that outgoing connections take."""
    found: list[Address] = []
    while len(found) < count:
        port = random.randrange(15000, 30000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(Address("127.0.0.1", port))
    return list(dict.fromkeys(found)) if len(set(found)) == count else free_addresses(count)


def status(address: Address) -> NodeStatus | None:
    """None while nobody answers."""

    async def ask() -> NodeStatus:
        async with NodeClient(address, dial_timeout=2.0) as client:
            return await client.ask(GetStatus(), NodeStatus, timeout=5.0)

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
        async with NodeClient(address, dial_timeout=2.0) as client:
            return set((await client.ask(GetPeers(), Peers, timeout=5.0)).addresses)

    with contextlib.suppress(VotenetError):
        return asyncio.run(ask())
    return set()


def cast(address: Address, election: Election, voter: str) -> None:
    """One vote, accepted by this node. Raises VotenetError."""
    vote = make_vote(election, voter, time=int(time.time()))

    async def ask() -> None:
        async with NodeClient(address, dial_timeout=2.0) as client:
            taken = await client.ask(SubmitVotes(votes=(vote.vote,)), VotesTaken)
            assert taken.outcomes[0].error is None, taken

    asyncio.run(ask())


def wait_for(condition: Callable[[], object], what: Callable[[], str], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def in_pid_namespace(*argv: str) -> tuple[str, ...]:
    """A command as process 1 of a pid namespace of its own, with a /proc of its own."""
    return ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *argv)


def need_pid_namespace() -> None:
    try:
        subprocess.run(in_pid_namespace("true"), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root: unshare --pid --mount-proc")

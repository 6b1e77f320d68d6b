"""Fixtures for the commands: the command line in this process, and a real node to talk to."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import make_election
from votenet.cli import main
from votenet.core.election import Election
from votenet.protocol.address import Address


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """The `votenet` command, run in this process with a home of its own."""
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VOTENET_NODE", raising=False)

    def call(*args: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["votenet", *args])
        with pytest.raises(SystemExit) as stopped:
            main.run()
        shown = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Outcome(stopped.value.code, shown.out, shown.err)

    return call


@dataclass(frozen=True)
class RunningNode:
    """A real node process and the election it serves."""

    address: Address
    election: Election
    genesis: Path


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """One `votenet node` that mines at an easy target, for all tests of a module."""
    election = make_election(created=int(time.time()))
    with node_of(election, tmp_path_factory.mktemp("node")) as running:
        yield running


@contextmanager
def node_of(election: Election, folder: Path, *options: str) -> Iterator[RunningNode]:
    """A `votenet node` of this election, until the end of the block."""
    genesis = folder / "genesis.json"
    genesis.write_bytes(election.to_file())
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = Address("127.0.0.1", free.getsockname()[1])
    command = [
        "node",
        "--data-dir",
        str(folder / "data"),
        "--genesis",
        str(genesis),
        "--port",
        str(address.port),
        *options,
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "votenet", *command], stderr=log)
        try:
            _wait_until_it_listens(process, address, folder / "log")
            yield RunningNode(address, election, genesis)
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0, (folder / "log").read_text()


def _wait_until_it_listens(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

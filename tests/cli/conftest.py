"""Fixtures for the commands: the command line in this process, and a real node to talk to."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.elections import keys_of_node, make_election, named_nodes
from support.ports import free_port
from votenet.cli import main
from votenet.core.election.definition import Election
from votenet.protocol.wire.address import Address
from votenet.storage.key_store import NODE_KEY_NAME


@dataclass(frozen=True)
class CommandResult:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., CommandResult]]:
    """The `votenet` command, run in this process with a home of its own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VOTENET_NODE", raising=False)

    def call(*args: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["votenet", *args])
        with pytest.raises(SystemExit) as stopped:
            main.run()
        shown = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return CommandResult(stopped.value.code, shown.out, shown.err)

    yield call
    for number, handler in handlers.items():  # some commands set them for the rest of their process
        signal.signal(number, handler)


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


@pytest.fixture(scope="module")
def named_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """The only named node of an election: what it decides is final."""
    election = make_election(created=int(time.time()), nodes=named_nodes(1), title="Named")
    with node_of(election, tmp_path_factory.mktemp("named")) as running:
        yield running


@contextmanager
def node_of(election: Election, folder: Path, *options: str) -> Iterator[RunningNode]:
    """A `votenet node` of this election, until the end of the block: its first named node if it has some."""
    genesis = folder / "genesis.json"
    genesis.write_bytes(election.to_file())
    address = Address("127.0.0.1", free_port())
    if election.named:
        write_node_key(folder / "data", 0)
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
            assert process.wait(timeout=150) == 0, (folder / "log").read_text()


def write_node_key(data_dir: Path, index: int) -> None:
    """The key file of a node of `named_nodes`."""
    key = keys_of_node(index).node
    record = {
        "kind": "votenet-key-1", "owner": "node", "public_key": key.public_hex, "secret_seed": key.seed.hex()
    }  # fmt: skip
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data_dir / NODE_KEY_NAME).touch(0o600)
    (data_dir / NODE_KEY_NAME).write_text(json.dumps(record), encoding="utf-8")


def _wait_until_it_listens(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

"""A registered node that is busy stays registered, though strangers say that it is gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adversary.arena import PATIENCE, PYTHON, Node
from support.elections import make_election
from support.ports import free_port

STRANGER = "127.0.0.77"


class Bootstrap:
    """One `votenet bootstrap`, ended by its own handle. It trusts no client on loopback."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir()
        self._log = (folder / "log").open("wb")
        options = ["--port", str(self.port), "--data-dir", str(folder), "--no-trust-loopback"]
        self.process = subprocess.Popen(
            [PYTHON, "-m", "votenet", "bootstrap", *options],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            env={**os.environ, "VOTENET_HOME": str(folder)},
        )  # fmt: skip

    def log(self) -> str:
        return Path(self._log.name).read_text()

    def ask(self, line: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), 10.0, (STRANGER, 0)) as conn:
            conn.sendall(line.encode() + b"\n")
            with conn.makefile() as file:
                return file.readline()

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0
        self._log.close()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)  # no more than the server answers one address


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[Bootstrap]:
    server = Bootstrap(tmp_path / "bootstrap")
    try:
        until(lambda: "event=listening" in server.log())
        yield server
    finally:
        server.end()


@pytest.mark.e2e
def test_a_node_that_is_paused_for_seconds_stays_registered(bootstrap: Bootstrap, tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(make_election(created=int(time.time()) - 60).to_file())
    node = Node(tmp_path / "node", genesis, "--bootstrap", f"127.0.0.1:{bootstrap.port}", "--no-mine")
    address = str(node.address)

    def listed() -> bool:
        return address in [entry["address"] for entry in json.loads(bootstrap.ask('{"type":"GET_PEERS"}'))]

    try:
        until(listed)
        node.process.send_signal(signal.SIGSTOP)  # as busy as can be: its kernel takes connections
        answer = bootstrap.ask(json.dumps({"type": "REMOVE", "payload": address}))
        assert json.loads(answer)["error"]["code"] == "being-checked", answer
        assert listed()
        node.process.send_signal(signal.SIGCONT)
        until(lambda: "still-alive" in bootstrap.log())
        assert listed()
    finally:
        node.process.send_signal(signal.SIGCONT)
        node.end()

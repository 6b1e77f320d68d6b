"""`votenet peers` against a real server: output, files, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from votenet.cli.peers import peers as commands
from votenet.errors import NotRunning
from votenet.network.bootstrap_client import get_peers
from votenet.protocol.wire.address import Address


def environment(home: Path, **extra: str) -> dict[str, str]:
    unwanted = ("VOTENET_", "BOOTSTRAP_PORT", "NOTIFY_SOCKET")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**clean, "VOTENET_HOME": str(home), **extra}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that runs for all tests of this file."""
    home = tmp_path_factory.mktemp("home")
    with contextlib.ExitStack() as stack:
        supervisor = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        name = f"votenet-test-{os.getpid()}-{os.urandom(6).hex()}"
        supervisor.bind("\0" + name)
        supervisor.settimeout(60)
        command = [sys.executable, "-m", "votenet", "bootstrap", "--port", "0"]
        variables = environment(home, NOTIFY_SOCKET="@" + name)
        process = stack.enter_context(subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL))
        stack.callback(process.kill)
        ready = dict(line.split("=", 1) for line in supervisor.recv(4096).decode().splitlines())
        yield ready["STATUS"].removeprefix("listening on ")


def peers(home: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "votenet", "peers", *arguments]
    result = subprocess.run(
        command, env=environment(home, **extra), capture_output=True, text=True, timeout=150, check=False
    )
    assert "Traceback" not in result.stderr
    return result


def test_register_list_and_remove(server: str, tmp_path: Path) -> None:
    where = {"VOTENET_BOOTSTRAP": server}
    first = peers(tmp_path, "register", "localhost:3999", **where)
    assert (first.returncode, first.stdout) == (0, "Peer registered successfully\n")
    again = peers(tmp_path, "register", "localhost:3999", "--json", "--bootstrap", server)
    assert json.loads(again.stdout) == {"answer": "Peer already registered"}
    listed = peers(tmp_path, "list", **where)
    assert listed.stdout == "localhost:3999  -\n"
    assert listed.stderr == f"1 peers at {server}\n"
    sampled = peers(tmp_path, "list", "--sample", "3", "--json", **where)
    assert json.loads(sampled.stdout) == [{"address": "localhost:3999", "node_key": None, "network_id": None}]
    removed = peers(tmp_path, "remove", "localhost:3999", **where)
    assert (removed.returncode, removed.stdout) == (0, "Peer removed successfully\n")
    missing = peers(tmp_path, "remove", "localhost:3999", **where)
    assert (missing.returncode, missing.stdout) == (4, "Peer not found\n")


def test_export_and_import(server: str, tmp_path: Path) -> None:
    where = {"VOTENET_BOOTSTRAP": server}
    file = tmp_path / "peers.json"
    file.write_text(json.dumps([{"address": f"localhost:{port}"} for port in range(1, 701)]))
    first = peers(tmp_path, "import", str(file), **where)
    assert (first.returncode, first.stdout) == (0, "700 read, 700 registered, 0 refused\n")
    again = peers(tmp_path, "import", str(file), "--json", **where)
    assert json.loads(again.stdout) == {"read": 700, "registered": 0, "refused": []}
    exported = peers(tmp_path, "export", str(tmp_path / "out.json"), **where)
    assert exported.returncode == 0
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(file.read_text())
    assert json.loads(peers(tmp_path, "export", **where).stdout) == json.loads(file.read_text())
    file.write_text('[{"address":"localhost:1000"},{"address":""}]')
    broken = peers(tmp_path, "import", str(file), **where)
    assert broken.returncode == 78
    assert "bad-peers-file" in broken.stderr
    assert "localhost:1000" not in peers(tmp_path, "export", **where).stdout
    nowhere = peers(tmp_path, "export", str(tmp_path / "none" / "out.json"), **where)
    assert nowhere.returncode == 74


def test_mistakes_have_a_sentence_and_an_exit_code(server: str, tmp_path: Path) -> None:
    where = {"VOTENET_BOOTSTRAP": server}
    bad = peers(tmp_path, "register", "localhost:70000", "--json", **where)
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["error"]["code"] == "bad-address"
    assert "host:port" in bad.stderr
    assert peers(tmp_path, "register", **where).returncode == 2
    assert peers(tmp_path, "forget", "a:1", **where).returncode == 2
    assert peers(tmp_path, "list", "--bootstrap", "nowhere").returncode == 1
    dead = peers(tmp_path, "list", "--bootstrap", "127.0.0.1:1")
    assert dead.returncode == 1
    assert "cannot be reached" in dead.stderr


def test_without_a_network_it_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.targets, "instance_bootstrap", lambda instance: Address("127.0.0.1", 1))
    target = commands.Target(None, "default")
    with pytest.raises(NotRunning, match="no bootstrap server") as caught:
        target.run(get_peers(target.address))
    assert caught.value.exit_code == 3
    assert "votenet up" in caught.value.next_step


def test_help_teaches_with_examples(tmp_path: Path) -> None:
    for command in ("register", "list", "remove", "import", "export"):
        shown = peers(tmp_path, command, "--help")
        assert f"votenet peers {command}" in shown.stdout
        assert "--bootstrap HOST:PORT" in shown.stdout


def test_ping_names_silent_peers(server: str, tmp_path: Path) -> None:
    one = peers(tmp_path, "ping", server)  # any votenet program answers with a line
    assert one.returncode == 0
    assert one.stdout.startswith(f"{server}  ")
    assert one.stdout.endswith(" ms\n")
    two = peers(tmp_path, "ping", server, "127.0.0.1:1", "--json")
    assert two.returncode == 6
    rows = json.loads(two.stdout)
    assert [row["error"] is None for row in rows] == [True, False]
    where = {"VOTENET_BOOTSTRAP": server}
    peers(tmp_path, "register", "127.0.0.1:1", **where)
    registered = peers(tmp_path, "ping", **where)
    assert registered.returncode == 6
    silent, of = re.search(r"(\d+) of (\d+) peers do not answer", registered.stderr).groups()  # type: ignore[union-attr]
    assert 1 <= int(silent) <= int(of), "tests before this one may have left peers of theirs"
    assert peers(tmp_path, "ping", "nonsense").returncode != 0
    peers(tmp_path, "remove", "127.0.0.1:1", **where)

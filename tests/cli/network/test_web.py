"""`votenet web` as it is typed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

from support.elections import key_of, make_election
from support.ports import free_port
from support.tls import certificate
from votenet.cli.network.web import NO_ROLL
from votenet.core.election.roll import Roll
from votenet.web.files import hashes

STREAMS = 200


def test_the_hashes_need_no_network(cli: Callable[..., CommandResult]) -> None:
    shown = cli("web", "--hashes")
    assert shown.code == 0
    assert shown.out.splitlines() == [f"{digest}  {name}" for name, digest in hashes()]
    assert json.loads(cli("web", "--hashes", "--json").out) == dict(hashes())


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("", 3, "--node HOST:PORT"),
        ("--node nonsense", 2, "nonsense"),
        ("--network-id 12", 2, "64 hexadecimal digits"),
        ("--trusted-proxy everybody", 2, "everybody"),
        ("--public-url vote.example.org", 2, "https://vote.example.org"),
        ("--tls-cert a.pem", 2, "--tls-key"),
        ("--node 127.0.0.1:1 --tls-cert a.pem --tls-key b.pem", 78, "bad-certificate"),
        ("--node 127.0.0.1:1 --host 203.0.113.1", 78, "cannot-listen"),
        ("--node 127.0.0.1:1 --port 0 --metrics 0.0.0.0:0", 78, "metrics-not-loopback"),
        ("--node 127.0.0.1:1 --roll none.json", 78, "roll-missing"),
    ],
)
def test_what_is_wrong_is_said_with_a_next_step(
    cli: Callable[..., CommandResult],
    options: str,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = cli("web", *options.split())
    assert shown.code == code, shown.err
    assert said in shown.err
    assert "Traceback" not in shown.err


@contextlib.contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    """`votenet web` as systemd starts it, once it is ready: the process, its port, what it has notified."""
    said: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(folder / "notify"))
        told.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, "-m", "votenet", "web", "--port", "0", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "VOTENET_HOME": str(folder), "NOTIFY_SOCKET": str(folder / "notify")},
        )  # fmt: skip
        try:
            while "WATCHDOG=1" not in said:
                said += told.recv(4096).decode().splitlines()
            address = next(line for line in said if line.startswith("STATUS=listening"))
            yield process, int(address.rpartition(":")[2]), said
        finally:
            process.kill()
            process.communicate()


def test_under_systemd_it_says_when_it_is_ready_and_ends_with_its_readers(tmp_path: Path) -> None:
    """Open streams, idle connections and half a request do not keep it: exit code 0, no trace."""
    with running(tmp_path, "--node", f"127.0.0.1:{free_port()}") as (process, port, said):
        assert "READY=1" in said
        links = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(STREAMS)]
        for link in links:
            link.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        for link in links:
            assert link.recv(12) == b"HTTP/1.1 200"
        links += [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(2)]
        links[-1].sendall(b"GET /results HTTP/1.1\r\nHost: x\r\n")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        for link in links:
            link.close()
    assert process.returncode == 0
    assert "event=stopped" in errors
    assert "Traceback" not in errors
    assert "Exception" not in errors


def test_metrics_have_a_port_of_their_own(tmp_path: Path) -> None:
    metrics = free_port()
    options = ("--node", f"127.0.0.1:{free_port()}", "--metrics", f"127.0.0.1:{metrics}")
    with running(tmp_path, *options) as (_, port, _):
        assert exchange(port, "/nothing").startswith("HTTP/1.1 404")
        assert exchange(port, "/metrics").startswith("HTTP/1.1 404")
        numbers = exchange(metrics, "/metrics")
    assert re.search(r'votenet_web_answers_total\{status="404"\} 2', numbers)
    assert "votenet_web_nodes_up 0" in numbers


def test_a_page_without_the_roll_or_with_an_old_certificate_says_so_to_its_owner(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(make_election(roll=Roll([("ann", key_of("ann").public_hex)])).to_file())
    cert, key = certificate(tmp_path, days=-1)
    options = ("--node", f"127.0.0.1:{free_port()}", "--genesis", str(genesis))
    with running(tmp_path, *options, "--tls-cert", str(cert), "--tls-key", str(key)) as (process, _, _):
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert NO_ROLL in errors
    assert f"{cert} has expired" in errors


def exchange(port: int, path: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: link.recv(65536), b"")).decode()

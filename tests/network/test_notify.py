"""sd_notify datagrams."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from votenet.network.notify import notify


def test_a_supervisor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "n.sock"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n.sock"))
        assert notify(READY=1, STATUS="listening on\n127.0.0.1:4000", X_PEERS=3)
        assert supervisor.recv(4096) == b"READY=1\nSTATUS=listening on 127.0.0.1:4000\nX_PEERS=3"


def test_an_abstract_socket_has_an_at_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"votenet-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        assert notify(STOPPING=1)
        assert supervisor.recv(4096) == b"STOPPING=1"


@pytest.mark.parametrize("target", [None, "", "relative", "/nowhere/at/all.sock", "@gone", "/" + "x" * 200])
def test_without_a_supervisor_nothing_happens(target: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if target is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", target)
    assert not notify(READY=1)


def test_a_supervisor_that_does_not_read_stops_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "n.sock"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n.sock"))
        told = [notify(WATCHDOG=1, STATUS="x" * 1000) for _ in range(2000)]
        assert told[0]
        assert not told[-1]

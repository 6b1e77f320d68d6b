"""What the process manager above the supervisor hears."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from votenet.processes.announce import Announcer

FINE = {"bootstrap": "ready", "node-1": "ready"}


def listen(path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.bind(str(path))
    found.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    return found


def test_ready_is_said_once_over_a_real_socket(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listen(tmp_path_factory.mktemp("n") / "s", monkeypatch) as manager:
        announcer = Announcer()
        announcer.look({**FINE, "node-1": "starting"}, settled=False)
        announcer.look(FINE, settled=True)
        announcer.look(FINE, settled=True)
        announcer.stopping()
        announcer.stopping()
        announcer.look({**FINE, "node-1": "stopping"}, settled=False)
        heard = [manager.recv(4096).decode() for _ in range(5)]
        with pytest.raises(BlockingIOError):
            manager.recv(4096)
    assert heard == [
        "WATCHDOG=1\nSTATUS=1 of 2 programs are ready",
        "READY=1\nWATCHDOG=1\nSTATUS=2 of 2 programs are ready",
        "WATCHDOG=1\nSTATUS=2 of 2 programs are ready",
        "STOPPING=1\nSTATUS=stopping",
        "WATCHDOG=1\nSTATUS=stopping",
    ]


def test_a_network_without_a_node_is_not_ready() -> None:
    sent: list[dict[str, Any]] = []
    announcer = Announcer(lambda **fields: sent.append(fields))
    announcer.look({"bootstrap": "failed", "node-1": "failed"}, settled=True)
    announcer.look({"bootstrap": "ready", "node-1": "failed"}, settled=True)
    announcer.look({"bootstrap": "failed", "node-1": "ready"}, settled=True)
    assert ["READY" in fields for fields in sent] == [False, False, True]
    assert sent[2]["STATUS"] == "1 of 2 programs are ready"


def test_a_stop_that_comes_before_readiness_is_not_followed_by_it() -> None:
    sent: list[dict[str, Any]] = []
    announcer = Announcer(lambda **fields: sent.append(fields))
    announcer.stopping()
    announcer.look(FINE, settled=True)
    assert not any("READY" in fields for fields in sent)

"""sd_notify from programs to their supervisor, and from the supervisor to systemd."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from votenet.network.notify import notify
from votenet.processes.notify import MAX_DATAGRAM, MAX_DATAGRAMS, NotifySocket, ServiceNotifier, parse


@pytest.fixture
def ear(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotifySocket]:
    path = home / "n.sock"
    path.touch()  # stale: of a supervisor that died
    found = NotifySocket(path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    yield found
    found.close()
    assert not path.exists()


def test_fields_and_the_pid_that_the_kernel_saw(ear: NotifySocket) -> None:
    assert notify(READY=1, STATUS="a=b", X_HEIGHT=12)
    assert ear.receive() == [(os.getpid(), {"READY": "1", "STATUS": "a=b", "X_HEIGHT": "12"})]
    assert ear.receive() == []
    assert ear.path.stat().st_mode & 0o777 == 0o600


def test_another_process_is_seen_as_itself(ear: NotifySocket) -> None:
    code = "import os; from votenet.network.notify import notify; notify(READY=1); print(os.getpid())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [pid for pid, _ in ear.receive()] == [int(child.stdout)]


def test_garbage_and_floods_are_bounded(ear: NotifySocket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(ear.path))
        sender.setblocking(False)
        sender.send(b"\xff\xfe\0READY\n=1\n\n")
        sender.send(b"READY=1\n" + b"x" * MAX_DATAGRAM)
        sent = 2
        try:
            while sent < 2 * MAX_DATAGRAMS:
                sender.send(b"WATCHDOG=1")
                sent += 1
        except BlockingIOError:
            pass
    first = ear.receive()
    assert first[0] == (os.getpid(), {})
    assert all("READY" not in fields for _, fields in first), "a cut message is not believed"
    assert len(first) <= MAX_DATAGRAMS


def test_parse() -> None:
    assert parse(b"A=1\nB\n=2\nC=x=y\n") == {"A": "1", "C": "x=y"}


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
        notifier = ServiceNotifier()
        notifier.update({**FINE, "node-1": "starting"}, settled=False)
        notifier.update(FINE, settled=True)
        notifier.update(FINE, settled=True)
        notifier.stopping()
        notifier.stopping()
        notifier.update({**FINE, "node-1": "stopping"}, settled=False)
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


def collect(sent: list[dict[str, Any]], *, full: int = 0) -> Callable[..., bool]:
    """A service manager whose queue has no room for the first `full` datagrams."""

    def send(**fields: Any) -> bool:
        sent.append(fields)
        return len(sent) > full

    return send


def test_readiness_is_said_again_where_the_service_manager_had_no_room_for_it() -> None:
    sent: list[dict[str, Any]] = []
    notifier = ServiceNotifier(collect(sent, full=2))
    for _ in range(4):
        notifier.update(FINE, settled=True)
    assert ["READY" in fields for fields in sent] == [True, True, True, False]


def test_a_network_without_a_node_is_not_ready() -> None:
    sent: list[dict[str, Any]] = []
    notifier = ServiceNotifier(collect(sent))
    notifier.update({"bootstrap": "failed", "node-1": "failed"}, settled=True)
    notifier.update({"bootstrap": "ready", "node-1": "failed"}, settled=True)
    notifier.update({"bootstrap": "failed", "node-1": "ready"}, settled=True)
    assert ["READY" in fields for fields in sent] == [False, False, True]
    assert sent[2]["STATUS"] == "1 of 2 programs are ready"


def test_a_stop_that_comes_before_readiness_is_not_followed_by_it() -> None:
    sent: list[dict[str, Any]] = []
    notifier = ServiceNotifier(collect(sent))
    notifier.stopping()
    notifier.update(FINE, settled=True)
    assert not any("READY" in fields for fields in sent)

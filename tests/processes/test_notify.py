"""The hearing end of sd_notify."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from votenet.network.notify import notify
from votenet.processes.notify import MAX_BATCH, MAX_MESSAGE, NotifySocket, parse


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
        sender.send(b"READY=1\n" + b"x" * MAX_MESSAGE)
        sent = 2
        try:
            while sent < 2 * MAX_BATCH:
                sender.send(b"WATCHDOG=1")
                sent += 1
        except BlockingIOError:
            pass
    first = ear.receive()
    assert first[0] == (os.getpid(), {})
    assert all("READY" not in fields for _, fields in first), "a cut message is not believed"
    assert len(first) <= MAX_BATCH


def test_parse() -> None:
    assert parse(b"A=1\nB\n=2\nC=x=y\n") == {"A": "1", "C": "x=y"}

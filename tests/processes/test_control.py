"""Both ends of the control socket: honest callers, and the others."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from votenet.cli.options import placed
from votenet.config import InstanceDirs
from votenet.errors import ConfigError, NoSuchNode, NotRunning, Unreachable, VotenetError, WaitTimedOut
from votenet.processes import control
from votenet.processes.control import ask, converse, error_from
from votenet.processes.instance import make_dirs
from votenet.storage.files import FileLock

Serving = Callable[[InstanceDirs], AbstractContextManager[None]]


def test_a_request_and_its_answer(serving: Serving, dirs: InstanceDirs) -> None:
    with serving(dirs):
        assert ask(dirs, {"command": "ping"}) == {"v": 1, "ok": True, "heard": "ping"}
        assert dirs.control_socket.stat().st_mode & 0o777 == 0o600
        assert dirs.run.stat().st_mode & 0o777 == 0o700
    assert not dirs.control_socket.exists()


def test_progress_comes_before_the_answer(serving: Serving, dirs: InstanceDirs) -> None:
    with serving(dirs):
        answers = list(converse(dirs, {"command": "stream"}))
    assert [answer.get("number") for answer in answers] == [0, 1, 2, None]
    assert answers[-1]["ok"]


def test_refusals_keep_their_class_and_exit_code(serving: Serving, dirs: InstanceDirs) -> None:
    with serving(dirs), pytest.raises(NoSuchNode) as caught:
        ask(dirs, {"command": "refuse"})
    assert caught.value.exit_code == 4
    assert caught.value.next_step


def test_an_answer_that_does_not_come(serving: Serving, dirs: InstanceDirs) -> None:
    with serving(dirs), pytest.raises(WaitTimedOut):
        ask(dirs, {"command": "hang"}, timeout=0.2)


def test_a_missing_socket_means_not_running(dirs: InstanceDirs) -> None:
    with pytest.raises(NotRunning) as caught:
        ask(dirs, {"command": "status"})
    assert caught.value.exit_code == 3
    assert "votenet up -i t" in placed(caught.value.next_step, "t")


def test_scenario_19_a_stale_socket_means_not_running_and_is_replaced(
    serving: Serving, dirs: InstanceDirs
) -> None:
    make_dirs(dirs)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(dirs.control_socket))
    with pytest.raises(NotRunning):
        ask(dirs, {"command": "status"})
    with serving(dirs):
        assert ask(dirs, {"command": "ping"})["ok"]


def test_a_starting_supervisor_counts_as_running(dirs: InstanceDirs) -> None:
    make_dirs(dirs)
    with FileLock.acquire(dirs.supervisor_lock), pytest.raises(Unreachable) as caught:
        ask(dirs, {"command": "status"})
    assert caught.value.code == "supervisor-busy"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "unreachable"),
        (b"nonsense\n", "bad-json"),
        (b"[]\n", "bad-json"),
        (b'{"v":9,"ok":true}\n', "version-mismatch"),
    ],
)
def test_a_server_that_is_not_ours(dirs: InstanceDirs, answer: bytes, code: str) -> None:
    make_dirs(dirs)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(dirs.control_socket))
        server.listen()

        def serve() -> None:
            link, _ = server.accept()
            with link:
                link.recv(65536)
                link.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Unreachable) as caught:
            ask(dirs, {"command": "status"})
        thread.join(60)
    assert caught.value.code == code


@pytest.mark.parametrize(("exit_code", "kind"), [(78, ConfigError), (3, NotRunning), (1, VotenetError)])
def test_errors_come_back_as_themselves(exit_code: int, kind: Callable[..., Any]) -> None:
    parts = ["Look with: ", ["logs", "node-1"]]
    step = error_from({"next_step": "n", "next_step_parts": parts}).next_step
    assert (step, placed(step, "b")) == (
        "Look with: votenet logs node-1",
        "Look with: votenet logs -i b node-1",
    )
    error = error_from({"code": "c", "message": "m", "next_step": "n", "exit_code": exit_code})
    assert type(error) is kind
    assert (error.code, error.message, error.next_step) == ("c", "m", "n")


def test_an_answer_that_makes_no_sense_is_said_to_be_one() -> None:
    for fields in (None, "x", [1], 5):
        assert (error_from(fields).code, error_from(fields).exit_code) == ("bad-message", 1)
    for line in (b"[" * 100_000, b"[]", b"{"):
        with pytest.raises(Unreachable, match="not a JSON object"):
            control.parse_answer(line)


def test_the_client_needs_no_asyncio() -> None:
    import subprocess
    import sys

    code = "import sys, votenet.processes.control; print('asyncio' in sys.modules, 'rich' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False False\n"


def test_a_socket_of_another_user_is_not_spoken_to(
    serving: Serving, dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "peer_uid", lambda link: os.geteuid() + 1)
    with serving(dirs), pytest.raises(Unreachable) as caught:
        ask(dirs, {"command": "ping"})
    assert caught.value.code == "foreign-socket"


def test_the_process_of_a_supervisor_is_known_by_the_kernel(serving: Serving, dirs: InstanceDirs) -> None:
    with control.supervisor_process(dirs) as nobody:
        assert nobody is None
    with serving(dirs), control.supervisor_process(dirs) as pidfd:
        assert pidfd is not None
        info = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
        assert f"Pid:\t{os.getpid()}\n" in info


def pinned(dirs: InstanceDirs) -> str:
    with control.supervisor_process(dirs) as pidfd:
        assert pidfd is not None
        return Path(f"/proc/self/fdinfo/{pidfd}").read_text()


def test_a_supervisor_that_is_too_busy_to_answer_is_still_waited_for(dirs: InstanceDirs) -> None:
    make_dirs(dirs)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(dirs.control_socket))
        silent.listen()
        assert f"Pid:\t{os.getpid()}\n" in pinned(dirs)


def test_a_supervisor_that_does_not_listen_any_more_is_known_by_its_lock(dirs: InstanceDirs) -> None:
    make_dirs(dirs)
    with FileLock.acquire(dirs.supervisor_lock) as lock:
        lock.sign()
        assert f"Pid:\t{os.getpid()}\n" in pinned(dirs)
    with control.supervisor_process(dirs) as nobody:  # the lock still names this process
        assert nobody is None

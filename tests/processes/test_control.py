"""Both ends of the control socket: honest callers, and the others."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from votenet.config import InstanceDirs
from votenet.errors import ConfigError, NoSuchNode, NotRunning, Unreachable, VotenetError, WaitTimedOut
from votenet.processes import control, control_server
from votenet.processes.control import MAX_REQUEST, ask, converse, error_from
from votenet.processes.control_server import ControlServer, Progress, parse_request
from votenet.processes.files import FileLock
from votenet.processes.instance import make_dirs


async def echo(request: dict[str, Any], progress: Progress) -> Mapping[str, Any]:
    if request["command"] == "refuse":
        raise NoSuchNode("no node 'x'")
    if request["command"] == "stream":
        for number in range(3):
            await progress({"event": "state", "number": number})
    if request["command"] == "hang":
        await asyncio.sleep(60)
    return {"heard": request["command"]}


@contextmanager
def serving(dirs: InstanceDirs) -> Iterator[None]:
    """A control server in a thread, as the client end is synchronous."""
    make_dirs(dirs)
    started, loop_box, stop_box = threading.Event(), [], []

    async def serve() -> None:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks, ControlServer(dirs.control_socket, echo, tasks):
            loop_box.append(asyncio.get_running_loop())
            stop_box.append(stop)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        loop_box[0].call_soon_threadsafe(stop_box[0].set)
        thread.join(10)
        assert not thread.is_alive()


def raw(dirs: InstanceDirs, data: bytes, *, end: bool = True) -> dict[str, Any]:
    """What the server answers to any bytes."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(dirs.control_socket))
        link.sendall(data)
        if end:
            link.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionResetError):
            while more := link.recv(65536):
                answer += more
    return dict(json.loads(answer)) if answer else {}


def test_a_request_and_its_answer(dirs: InstanceDirs) -> None:
    with serving(dirs):
        assert ask(dirs, {"command": "ping"}) == {"v": 1, "ok": True, "heard": "ping"}
        assert dirs.control_socket.stat().st_mode & 0o777 == 0o600
        assert dirs.run.stat().st_mode & 0o777 == 0o700
    assert not dirs.control_socket.exists()


def test_progress_comes_before_the_answer(dirs: InstanceDirs) -> None:
    with serving(dirs):
        answers = list(converse(dirs, {"command": "stream"}))
    assert [answer.get("number") for answer in answers] == [0, 1, 2, None]
    assert answers[-1]["ok"]


def test_refusals_keep_their_class_and_exit_code(dirs: InstanceDirs) -> None:
    with serving(dirs), pytest.raises(NoSuchNode) as caught:
        ask(dirs, {"command": "refuse"})
    assert caught.value.exit_code == 4
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfe\n", "bad-json"),
        (b"nonsense\n", "bad-json"),
        (b"[" * 60_000 + b"\n", "bad-json"),
        (b"[1]\n", "bad-json"),
        (b'{"command":"ping"}\n', "version-mismatch"),
        (b'{"v":2,"command":"ping"}\n', "version-mismatch"),
        (b'{"v":1}\n', "bad-message"),
        (b'{"v":1,"command":["ping"]}\n', "bad-message"),
        (b'{"v":1,"command":"ping"}', "incomplete-line"),
        (b"x" * (MAX_REQUEST + 70_000), "line-too-long"),
    ],
)
def test_scenario_19_bad_requests_are_answered_and_the_server_lives(
    dirs: InstanceDirs, data: bytes, code: str
) -> None:
    with serving(dirs):
        answer = raw(dirs, data)
        assert answer["ok"] is False
        assert answer["error"]["code"] == code
        assert ask(dirs, {"command": "ping"})["ok"]


def test_silent_and_vanished_callers_cost_nothing(
    dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_server, "REQUEST_SECONDS", 0.2)
    with serving(dirs):
        assert raw(dirs, b"", end=False) == {}
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(dirs.control_socket))
            link.sendall(b'{"v":1,"command":"stream"}\n')
        assert ask(dirs, {"command": "ping"})["ok"]


def test_a_crowd_waits_its_turn(dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "MAX_CALLS", 2)
    monkeypatch.setattr(control_server, "REQUEST_SECONDS", 0.2)
    with serving(dirs):
        links = [socket.socket(socket.AF_UNIX) for _ in range(6)]
        for link in links:
            link.connect(str(dirs.control_socket))
        assert ask(dirs, {"command": "ping"})["ok"]
        for link in links:
            link.close()


def test_another_user_gets_nothing(dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(dirs):
        monkeypatch.setattr(control_server, "peer_uid", lambda link: os.geteuid() + 1)
        assert raw(dirs, b'{"v":1,"command":"ping"}\n') == {}
        monkeypatch.setattr(control, "peer_uid", lambda link: os.geteuid() + 1)
        with pytest.raises(Unreachable) as caught:
            ask(dirs, {"command": "ping"})
        assert caught.value.code == "foreign-socket"


def test_an_answer_that_does_not_come(dirs: InstanceDirs) -> None:
    with serving(dirs), pytest.raises(WaitTimedOut):
        ask(dirs, {"command": "hang"}, timeout=0.2)


def test_nobody_there(dirs: InstanceDirs) -> None:
    with pytest.raises(NotRunning) as caught:
        ask(dirs, {"command": "status"})
    assert caught.value.exit_code == 3
    assert "votenet up -i t" in caught.value.next_step


def test_scenario_19_a_stale_socket_is_nobody_and_is_replaced(dirs: InstanceDirs) -> None:
    make_dirs(dirs)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(dirs.control_socket))
    with pytest.raises(NotRunning):
        ask(dirs, {"command": "status"})
    with serving(dirs):
        assert ask(dirs, {"command": "ping"})["ok"]


def test_a_supervisor_that_only_begins_is_not_nobody(dirs: InstanceDirs) -> None:
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
        thread.join(10)
    assert caught.value.code == code


@pytest.mark.parametrize(("exit_code", "kind"), [(78, ConfigError), (3, NotRunning), (1, VotenetError)])
def test_errors_come_back_as_themselves(exit_code: int, kind: Callable[..., Any]) -> None:
    error = error_from({"code": "c", "message": "m", "next_step": "n", "exit_code": exit_code})
    assert type(error) is kind
    assert (error.code, error.message, error.next_step) == ("c", "m", "n")


def test_the_client_needs_no_asyncio() -> None:
    import subprocess
    import sys

    code = "import sys, votenet.processes.control; print('asyncio' in sys.modules, 'rich' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False False\n"


def test_a_good_line() -> None:
    assert parse_request(b'{"v":1,"command":"x","y":2}') == {"v": 1, "command": "x", "y": 2}

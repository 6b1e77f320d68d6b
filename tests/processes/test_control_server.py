"""The supervisor's end of the control socket against callers of every kind."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

from votenet.config import InstanceDirs
from votenet.processes import control_server
from votenet.processes.control import MAX_REQUEST, ask
from votenet.processes.control_server import parse_request
from votenet.processes.instance import make_dirs

Serving = Callable[[InstanceDirs], AbstractContextManager[None]]


def raw(dirs: InstanceDirs, data: bytes, *, end: bool = True) -> dict[str, Any]:
    """What the server answers to any bytes."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        link.connect(str(dirs.control_socket))
        with suppress(BrokenPipeError):  # a server that has refused us need not wait for our bytes
            link.sendall(data)
            if end:
                link.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionResetError):
            while more := link.recv(65536):
                answer += more
    return dict(json.loads(answer)) if answer else {}


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
    serving: Serving, dirs: InstanceDirs, data: bytes, code: str
) -> None:
    with serving(dirs):
        answer = raw(dirs, data)
        assert answer["ok"] is False
        assert answer["error"]["code"] == code
        assert ask(dirs, {"command": "ping"})["ok"]


def test_silent_and_vanished_callers_cost_nothing(
    serving: Serving, dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(dirs):
        with monkeypatch.context() as patch:
            patch.setattr(control_server, "CALL_SECONDS", 0.2)
            assert raw(dirs, b"", end=False) == {}
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(dirs.control_socket))
            link.sendall(b'{"v":1,"command":"stream"}\n')
        assert ask(dirs, {"command": "ping"})["ok"]


def test_a_crowd_waits_its_turn(
    serving: Serving, dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_server, "MAX_CALLS", 2)
    monkeypatch.setattr(control_server, "CALL_SECONDS", 0.2)
    with serving(dirs):
        links = [socket.socket(socket.AF_UNIX) for _ in range(6)]
        for link in links:
            link.connect(str(dirs.control_socket))
        assert ask(dirs, {"command": "ping"})["ok"]
        for link in links:
            link.close()


def test_another_user_gets_nothing(
    serving: Serving, dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(dirs):
        monkeypatch.setattr(control_server, "peer_uid", lambda link: os.geteuid() + 1)
        assert raw(dirs, b'{"v":1,"command":"ping"}\n') == {}


def test_a_good_line() -> None:
    assert parse_request(b'{"v":1,"command":"x","y":2}') == {"v": 1, "command": "x", "y": 2}


def test_a_mistake_of_ours_costs_an_answer_and_not_the_network(
    serving: Serving, dirs: InstanceDirs, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(dirs):
        answer = raw(dirs, b'{"v":1,"command":"mistake"}\n')
        assert answer["error"]["code"] == "internal"
        assert "ZeroDivisionError" in answer["error"]["message"]
        assert ask(dirs, {"command": "ping"})["ok"]
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_caller_that_comes_while_the_network_ends_is_hung_up_on(dirs: InstanceDirs) -> None:
    make_dirs(dirs)
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(60)

    async def test() -> None:
        class Ending(asyncio.TaskGroup):
            def create_task(self, coro: Any, **options: Any) -> Any:
                raise RuntimeError("TaskGroup is shutting down")

        async with control_server.ControlServer(dirs.control_socket, lambda *_: None, Ending()):  # type: ignore[arg-type]
            caller.connect(str(dirs.control_socket))
            assert await asyncio.to_thread(caller.recv, 1) == b""

    asyncio.run(test())
    caller.close()

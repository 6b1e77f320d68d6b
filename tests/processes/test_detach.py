"""Watching a supervisor come up that this process does not own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from votenet.config import InstanceDirs
from votenet.errors import NotRunning, VotenetError, WaitTimedOut
from votenet.processes import detach, ports
from votenet.processes.instance import Claim, claim, make_dirs


def answers(monkeypatch: pytest.MonkeyPatch, *given: Mapping[str, Any] | VotenetError) -> None:
    """What the supervisor says, one after the other, the last for ever."""
    left = list(given)

    def ask(dirs: InstanceDirs, request: Mapping[str, Any], *, timeout: float) -> Mapping[str, Any]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, VotenetError):
            raise answer
        return answer

    monkeypatch.setattr(detach, "ask", ask)


def states(*names: str, phase: str = "starting") -> dict[str, Any]:
    programs = [{"name": str(number), "state": name} for number, name in enumerate(names)]
    return {"phase": phase, "programs": programs}


def watch(dirs: InstanceDirs, timeout: float = 10.0, code: int | None = None) -> Iterator[dict[str, Any]]:
    return detach.watch_start(dirs, timeout, lambda: code)


def test_it_ends_when_everything_is_settled(dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, done = states("ready", "ready"), states("ready", "removed", phase="running")
    answers(monkeypatch, NotRunning("not yet"), begun, done)
    assert list(watch(dirs)) == [begun, done]


def test_it_gives_up_in_time(dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, states("starting"))
    with pytest.raises(WaitTimedOut) as caught:
        list(watch(dirs, timeout=0.1))
    assert caught.value.exit_code == 5
    assert "votenet ps" in caught.value.next_step


def test_a_dead_supervisor_is_quoted(dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dirs(dirs)
    detach.supervisor_log(dirs).write_text("first\nlast words\n")
    answers(monkeypatch, NotRunning("gone"))
    with pytest.raises(VotenetError, match="exit code 7") as caught:
        list(watch(dirs, code=7))
    assert "| last words" in caught.value.message
    assert caught.value.code == "supervisor-died"


def test_the_supervisors_log_is_bounded_and_its_locks_are_inherited(
    dirs: InstanceDirs, lease_ports: Callable[[int], ports.PortBlock], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], tuple[int, ...]]] = []

    def start(argv: list[str], *, pass_fds: tuple[int, ...], start_new_session: bool, **_: Any) -> str:
        assert start_new_session
        started.append((argv, pass_fds))
        return "process"

    lock = claim(dirs)
    detach.supervisor_log(dirs).write_bytes(b"x" * (1024 * 1024 + 1))
    held = Claim(lock, [])
    monkeypatch.setattr(subprocess, "Popen", start)
    detach.start_supervisor(dirs, held)
    ((argv, inherited),) = started
    assert argv[-5:] == ["supervise", "-i", "t", "--inherit", str(lock.fd)]
    assert inherited == (lock.fd,)
    assert detach.supervisor_log(dirs).stat().st_size == 0
    assert detach.supervisor_log(dirs).with_suffix(".old").stat().st_size > 1024 * 1024
    held.release()


def test_a_log_that_cannot_be_written_is_named(dirs: InstanceDirs) -> None:
    held = Claim(claim(dirs), [])
    detach.supervisor_log(dirs).symlink_to("/dev/null")
    try:
        with pytest.raises(VotenetError, match="cannot be written") as caught:
            detach.start_supervisor(dirs, held)
    finally:
        held.release()
    assert caught.value.code == "storage-failed"

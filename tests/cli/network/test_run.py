"""Being the supervisor in the foreground of a real terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.network_shell import Shell, alive, open_shell, wait_until
from votenet.cli.network.run import MAX_LINES, View, matters, open_view
from votenet.config import InstanceDirs
from votenet.errors import VotenetError
from votenet.processes.logs import log_path

FREEZERS = (Path("/sys/fs/cgroup/freezer"), Path("/sys/fs/cgroup"))


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


class Terminal:
    """A process on a terminal of its own, and what it showed."""

    def __init__(self, shell: Shell, *args: str) -> None:
        self._own, other = pty.openpty()
        env = {**shell.env, "COLUMNS": "150", "LINES": "40", "TERM": "xterm"}
        env.pop("PYTHONUNBUFFERED", None)  # people do not set it, and it hides what a buffer does
        self.process = subprocess.Popen(
            [sys.executable, "-m", "votenet", *args], env=env, stdin=other, stdout=other, stderr=other
        )
        os.close(other)
        self.shown = ""

    def until(self, pattern: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, f"not shown: {pattern}\n{self.shown}"
            if select.select([self._own], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._own, 65536).decode()
                except OSError:  # EIO: it has ended
                    assert re.search(pattern, self.shown), self.shown

    def hang_up(self) -> None:
        os.close(self._own)


def test_a_terminal_shows_a_live_table_and_the_lines_that_matter(shell: Shell) -> None:
    shell.plan({"node-2": {"say": "2026-01-01T00:00:00.000Z WARNING votenet.node: the sky is falling"}})
    terminal = Terminal(shell, *shell.up_args())
    try:
        terminal.until(r"node-2 +ready .* 7 +2 ")
        terminal.until(r"node-2 +\| \S+ WARNING votenet.node: the sky is falling")
        os.kill(shell.status()["programs"][1]["pid"], signal.SIGKILL)
        terminal.until(r"node-1: killed by SIGKILL")
        terminal.until(r"node-1 +ready .*M +1 +killed by SIGKILL")
        assert "\x1b[32m" not in terminal.shown, "NO_COLOR"
        pids = shell.pids()[1:]
        terminal.process.send_signal(signal.SIGINT)
        terminal.until(r"stopped\r\n$")
        assert terminal.process.wait(60) == 130
        assert not any(map(alive, pids))
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.hang_up()


def test_scenario_14_a_closed_terminal_stops_the_network(shell: Shell) -> None:
    terminal = Terminal(shell, *shell.up_args())
    try:
        terminal.until(r"node-2 +ready")
        pids = shell.pids()[1:]
        terminal.hang_up()
        terminal.process.send_signal(signal.SIGHUP)  # the kernel sends it to the terminal's own session
        assert terminal.process.wait(60) == 129
        assert not any(map(alive, pids))
    finally:
        terminal.process.kill()
        terminal.process.wait()


def test_an_unread_terminal_delays_nothing(shell: Shell) -> None:
    terminal = Terminal(shell, *shell.up_args())
    try:
        wait_until(lambda: _phase(shell) == "running")
        pid = shell.status()["programs"][1]["pid"]
        time.sleep(5.0)  # some twenty tables: more than a terminal holds
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: shell.status()["programs"][1]["restarts"] == 1)
        wait_until(lambda: _phase(shell) == "running")
        pids = shell.pids()[1:]
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(60) == 143
        assert not any(map(alive, pids))
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.hang_up()


def test_a_reader_that_has_enough_does_not_end_the_network(shell: Shell) -> None:
    """`votenet up | head -1`."""
    process = shell.start(*shell.up_args())
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    try:
        wait_until(lambda: _phase(shell) == "running")
        pids = shell.pids()
        os.kill(pids[1], signal.SIGKILL)
        wait_until(lambda: shell.status()["programs"][0]["restarts"] == 1)
        wait_until(lambda: _phase(shell) == "running")
        assert shell.pids()[2:] == pids[2:]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert not any(map(alive, pids[1:]))
    finally:
        process.kill()
        process.wait()


def _by_ctrl_z(shell: Shell, pids: list[int]) -> Callable[[], None]:
    """The supervisor alone: its programs are in sessions of their own. (TSTP stops no orphaned group.)"""
    os.kill(pids[0], signal.SIGSTOP)
    return lambda: os.kill(pids[0], signal.SIGCONT)


def _by_freezer(shell: Shell, pids: list[int]) -> Callable[[], None]:
    """As a container is paused; skips where no control group can be made."""
    base = next((base for base in FREEZERS if base.is_dir()), FREEZERS[0])
    folder = base / f"votenet-test-{os.getpid()}"
    try:
        folder.mkdir()
        switch = next(
            folder / name for name in ("freezer.state", "cgroup.freeze") if (folder / name).exists()
        )
    except (OSError, StopIteration):
        pytest.skip("needs root and control groups with a freezer")
    frozen, thawed = ("FROZEN", "THAWED") if switch.name == "freezer.state" else ("1", "0")
    for pid in pids:
        (folder / "cgroup.procs").write_text(str(pid))
    switch.write_text(frozen)

    def thaw() -> None:
        switch.write_text(thawed)
        for pid in pids:
            (base / "cgroup.procs").write_text(str(pid))
        folder.rmdir()

    return thaw


@pytest.mark.long
@pytest.mark.parametrize("freeze", [_by_ctrl_z, _by_freezer])
def test_scenario_17_a_network_that_was_stopped_kills_no_program(
    shell: Shell, freeze: Callable[[Shell, list[int]], Callable[[], None]]
) -> None:
    """Ctrl-Z and fg, a paused container: the supervisor missed the heartbeats, the programs no beat."""
    process = shell.start(*shell.up_args("--hang-timeout", "6"))
    try:
        wait_until(lambda: _phase(shell) == "running")
        pids = shell.pids()
        thaw = freeze(shell, pids)
        time.sleep(9.0)  # longer than the patience
        thaw()
        time.sleep(4.0)  # some more looks
        assert shell.pids() == pids
        assert [program["incarnation"] for program in shell.status()["programs"]] == [1, 1, 1]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=150)
        assert "hangs" not in said
        assert process.returncode == 143
    finally:
        process.kill()
        process.communicate()


def _phase(shell: Shell) -> str:
    try:
        return str(shell.status()["phase"])
    except VotenetError:
        return ""


@pytest.mark.parametrize("command", ["up", "supervise"])
def test_the_parent_gets_ready_watchdog_and_stopping(
    shell: Shell, command: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`Type=notify` of systemd."""
    path = tmp_path_factory.mktemp("n") / "s"
    if command == "supervise":
        shell.up()
        shell.run("down")
    args = shell.up_args() if command == "up" else ("supervise",)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        shell.env["NOTIFY_SOCKET"] = str(path)
        process = shell.start(*args)
        try:
            told: list[str] = []
            awaited = {"READY=1", "STATUS=3 of 3 programs are ready"}
            while not awaited.issubset(told) or told.count("WATCHDOG=1") < 4:
                told += manager.recv(4096).decode().split("\n")
            process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in told:
                told += manager.recv(4096).decode().split("\n")
            process.communicate(timeout=150)
            assert process.returncode == (143 if command == "up" else 0)
            assert told.count("READY=1") == 1
        finally:
            process.kill()
            process.communicate()


def test_a_background_network_sends_nothing_to_its_parent(
    shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is not the process that was started, and outlives it."""
    path = tmp_path_factory.mktemp("n") / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.setblocking(False)
        shell.env["NOTIFY_SOCKET"] = str(path)
        shell.up()
        shell.run("down")
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


def test_a_request_to_a_stopped_supervisor_says_how_to_continue(shell: Shell) -> None:
    process = shell.start(*shell.up_args())
    try:
        wait_until(lambda: _phase(shell) == "running")
        process.send_signal(signal.SIGSTOP)
        told = shell.call("ps", code=5).stderr
        assert f"(pid {process.pid}) is stopped (Ctrl-Z or SIGSTOP)" in told
        assert f"kill -CONT {process.pid}" in told
        process.send_signal(signal.SIGCONT)
        shell.call("ps")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=150)
    finally:
        process.kill()
        process.communicate()


STATUS = {"programs": [{"name": "node-1"}]}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("2026-01-01T00:00:00.000Z WARNING votenet.node: disk nearly full", True),
        ("2026-01-01T00:00:00.000Z ERROR votenet.node: cannot save", True),
        ("2026-01-01T00:00:00.000Z INFO votenet.node: joined peer", False),
        ("Traceback (most recent call last):", True),
        ('  File "x.py", line 3, in f', False),
        ("votenet.errors.StorageError: no", True),
        ("Fatal Python error: Aborted", True),
    ],
)
def test_the_events_that_matter(line: str, wanted: bool) -> None:
    assert matters(line) is wanted


@pytest.fixture
def dirs(tmp_path: Path) -> InstanceDirs:
    found = InstanceDirs("t", tmp_path, tmp_path, tmp_path)
    found.logs.mkdir()
    return found


def test_only_news_and_never_a_flood(dirs: InstanceDirs, capsys: pytest.CaptureFixture[str]) -> None:
    log = log_path(dirs.logs, "node-1", 1)
    log.write_text("ERROR old\n")
    with open_view(dirs, live=False) as view:
        assert type(view) is View
        view.refresh(STATUS)
        assert capsys.readouterr().err == ""
        with log.open("a") as file:
            file.write("INFO calm\nERROR new\n" + "ERROR flood\n" * 100)
        view.refresh(STATUS)
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "node-1 | ERROR new"
        assert len(lines) == MAX_LINES + 1
        assert lines[-1] == "… and 81 more lines; see: votenet logs"
        log_path(dirs.logs, "node-1", 2).write_text("ERROR of the next incarnation\n")
        view.refresh(STATUS)
        assert capsys.readouterr().err == "node-1 | ERROR of the next incarnation\n"

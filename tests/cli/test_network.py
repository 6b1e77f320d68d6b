"""`up`, `down`, `ps`, `logs` as a person types them, over scripted programs."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from votenet.cli import network_down
from votenet.cli.main import main
from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import ConfigError
from votenet.processes import ports, procfs
from votenet.processes.control import ask
from votenet.processes.identity import leftovers
from votenet.processes.signals import signal_exactly

BAD_CHILD = Path(__file__).parent.parent / "processes" / "bad_child.py"


class Shell:
    """Runs votenet with a home of its own."""

    def __init__(self, home: Path, dirs: InstanceDirs) -> None:
        self.home, self.dirs = home, dirs
        first = self._free_ports()
        self.ports = ("--bootstrap-port", str(first), "--node-port", str(first + 1))
        self.env = {
            **os.environ,
            "VOTENET_HOME": str(home),
            "VOTENET_INSTANCE": dirs.instance,
            "VOTENET_PROGRAM": f"{sys.executable} {BAD_CHILD}",
            "BAD_CHILD": str(home / "plan.json"),
            "NO_COLOR": "1",
        }
        self.plan({})

    def _free_ports(self) -> int:
        while True:
            first = random.randrange(20000, 30000)
            with contextlib.suppress(ConfigError):
                ports.choose(5, bootstrap_port=first, node_port=first + 1).release()
                return first

    def plan(self, plans: dict[str, Any]) -> None:
        (self.home / "plan.json").write_text(json.dumps(plans))

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "votenet", *args],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*args)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, f"{args}: exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return subprocess.CompletedProcess(args, code, out, err)

    def up_args(self, *args: str, nodes: int = 2) -> tuple[str, ...]:
        return ("up", "--nodes", str(nodes), "--difficulty", "8", *self.ports, *args)

    def up(self, *args: str, nodes: int = 2, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run(*self.up_args("--detach", *args, nodes=nodes), code=code)

    def status(self) -> dict[str, Any]:
        """What `ps --json` prints, without its start."""
        return ask(self.dirs, {"command": "status"})

    def pids(self) -> list[int]:
        status = self.status()
        return [status["supervisor"]["pid"], *(program["pid"] for program in status["programs"])]


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    dirs = instance_dirs("t")
    found = Shell(home, dirs)
    yield found
    end(dirs)
    left = leftovers(dirs)
    for process in left:
        signal_exactly(process.pid, process.start_ticks, signal.SIGKILL)
    assert not left, "processes outlived the test"


def end(dirs: InstanceDirs) -> None:
    """What `down --timeout 1 --purge` does, without its start."""
    network_down.down(dirs, grace=1.0, purge=True, as_json=False)


def alive(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and not stat.dead


def test_up_ps_up_again_logs_down(shell: Shell) -> None:
    done = shell.up(nodes=3)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "NAME",
        "bootstrap",
        "node-1",
        "node-2",
        "node-3",
    ]
    assert "votenet vote -i t voter123 Alice" in done.stderr
    assert "\x1b" not in done.stdout
    pids = shell.pids()
    assert all(map(alive, pids))

    table = shell.run("ps").stdout
    assert re.search(r"node-2 +ready +127\.0\.0\.1:\d+ +\d+ +\S+ +7 +2 +0 +0 +-", table)

    again = shell.up(nodes=5)
    assert "already running with 3 nodes" in again.stderr
    assert shell.pids() == pids

    stopped = shell.run("down")
    assert "no process left" in stopped.stderr
    assert stopped.stdout == ""
    assert not any(map(alive, pids))
    assert "nothing to stop" in shell.run("down").stderr
    assert "node-1 stops" in shell.run("logs", "node-1", "-n", "2").stdout


def test_nothing_runs(shell: Shell) -> None:
    done = shell.run("ps", code=3)
    assert done.stdout == ""
    assert "votenet up -i t" in done.stderr
    done = shell.run("ps", "--json", code=3)
    assert json.loads(done.stdout)["error"]["code"] == "not-running"
    shell.run("logs", code=3)
    done = shell.run("down", "--json")
    assert json.loads(done.stdout) == {"instance": "t", "was_running": False, "leftovers": 0, "removed": None}
    shell.run("supervise", code=78)


def test_json_says_the_same_as_the_table(shell: Shell) -> None:
    status = json.loads(shell.up("--json").stdout)
    assert [program["state"] for program in status["programs"]] == ["ready"] * 3
    assert status["supervisor"]["detached"] is True
    assert Path(status["genesis"]).exists()
    assert json.loads(shell.run("down", "--json").stdout)["was_running"] is True


def test_a_node_that_cannot_work_is_named_with_its_last_words(shell: Shell) -> None:
    shell.plan({"node-2": {"exit_always": 78}})
    done = shell.up(code=6)
    assert "node-2 is failed: exit 78 (bad configuration)" in done.stderr
    assert "| node-2 start 1" in done.stderr
    assert [program["state"] for program in shell.status()["programs"]] == ["ready", "ready", "failed"]


def test_a_node_that_is_never_ready_is_named(shell: Shell) -> None:
    shell.plan({"node-1": {"ready": False}})
    done = shell.up("--timeout", "1.5", code=5)
    assert "node-1 is starting" in done.stderr
    assert "| node-1 start 1" in done.stderr
    assert "not everything was ready within 1.5 s" in done.stderr
    assert alive(shell.pids()[0]), "it goes on in the background"


def test_scenario_18_a_wanted_port_that_is_taken(shell: Shell) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(shell.ports[3]) + 1))
        stranger.listen()
        done = shell.up(code=78)
    assert f"port {int(shell.ports[3]) + 1} is taken by pid {os.getpid()}" in done.stderr
    shell.run("ps", code=3)
    assert not any(shell.dirs.logs.iterdir()), "nothing was started"


def test_scenario_18_two_ups_at_once_make_one_supervisor(shell: Shell) -> None:
    both = [shell.start(*shell.up_args("--detach")) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert sum("already running" in err for _, err in results) == 1
    status = shell.status()
    assert [program["incarnation"] for program in status["programs"]] == [1, 1, 1]
    assert len(leftovers(shell.dirs)) == 3


def test_scenario_18_two_instances_side_by_side(shell: Shell) -> None:
    shell.run("up", "--nodes", "1", "--difficulty", "8", "--detach")
    other = ("up", "-i", "other", "--nodes", "1", "--difficulty", "8", "--detach")
    try:
        shell.run(*other)
        second = ask(instance_dirs("other"), {"command": "status"})
        first = shell.status()
        assert not {*first["nodes"], first["bootstrap"]} & {*second["nodes"], second["bootstrap"]}
        shell.run("down")
        assert json.loads(shell.run("ps", "-i", "other", "--json").stdout)["phase"] == "running"
    finally:
        end(instance_dirs("other"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_scenario_14_foreground_until_a_signal(shell: Shell, number: signal.Signals, code: int) -> None:
    process = shell.start(*shell.up_args())
    assert process.stdout is not None
    table = [process.stdout.readline() for _ in range(4)]
    assert table[-1].startswith("node-2")
    pids = shell.pids()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Ctrl-C" in err
    assert err.rstrip().endswith("stopped")
    assert not any(map(alive, pids))


def test_scenario_03_what_a_killed_supervisor_left_is_ended_by_down(shell: Shell) -> None:
    shell.plan({"node-2": {"ignore_term": True}})
    shell.up()
    supervisor, *programs = shell.pids()
    os.kill(supervisor, signal.SIGKILL)
    shell.run("ps", code=3)
    assert all(map(alive, programs)), "detached: they go on"
    done = shell.run("down", "--timeout", "0.3")
    assert "left from a supervisor that died" in done.stderr
    assert not any(map(alive, programs))


def test_scenario_03_up_after_a_killed_supervisor_starts_no_second_copy(shell: Shell) -> None:
    shell.up()
    supervisor, *programs = shell.pids()
    os.kill(supervisor, signal.SIGKILL)
    shell.up()
    status = shell.status()
    assert not any(map(alive, programs))
    assert [program["incarnation"] for program in status["programs"]] == [2, 2, 2]
    assert len(leftovers(shell.dirs)) == 3


def test_a_supervisor_that_dies_while_starting_leaves_its_last_words(shell: Shell) -> None:
    (shell.dirs.run / "notify.sock").mkdir(parents=True, mode=0o700)
    shell.dirs.run.chmod(0o700)
    done = shell.start(*shell.up_args("--detach"))
    _, err = done.communicate(timeout=60)
    assert done.returncode == 1, err
    assert "the supervisor ended with exit code" in err
    assert "notify.sock" in err
    (shell.dirs.run / "notify.sock").rmdir()


def test_supervise_by_hand_starts_the_same_network(shell: Shell) -> None:
    shell.up()
    before = shell.status()
    shell.run("down")
    process = shell.start("supervise")
    try:
        assert process.stderr is not None
        seen = ""
        while "node-1: ready" not in seen or "node-2: ready" not in seen:
            seen += process.stderr.readline()
        after = shell.status()
        assert (after["nodes"], after["bootstrap"]) == (before["nodes"], before["bootstrap"])
        assert shell.run("supervise", code=75).stderr.startswith("Error: another supervisor")
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_purge_removes_the_data_but_not_the_keys(shell: Shell) -> None:
    shell.up()
    shell.dirs.keys.mkdir()
    (shell.dirs.keys / "voter").touch()
    done = shell.run("down", "--purge", "--json")
    assert json.loads(done.stdout)["removed"] == str(shell.dirs.state)
    assert not shell.dirs.state.exists()
    assert not shell.dirs.run.exists()
    assert (shell.dirs.keys / "voter").exists()


def test_logs_choose_filter_and_prefix(shell: Shell) -> None:
    shell.up()
    lines = shell.run("logs").stdout.splitlines()
    assert {line.split(" | ")[0].strip() for line in lines} == {"bootstrap", "node-1", "node-2"}
    assert all(line[9:12] == " | " for line in lines)
    bare = shell.run("logs", "--no-prefix", "-n", "1", "node-1").stdout
    assert re.fullmatch(r"node-1 start 1 pid \d+\n", bare)
    assert len(shell.run("logs", "--since", "1h", "node-2").stdout.splitlines()) == 2
    assert shell.run("logs", "--since", "2999-01-01", "node-2").stdout == ""
    assert "supervisor of 't'" in shell.run("logs", "supervisor").stdout
    done = shell.run("logs", "node-7", code=4)
    assert "bootstrap, node-1, node-2" in done.stderr
    assert "like 10m" in shell.run("logs", "--since", "soon", code=2).stderr


def test_logs_follow_a_node_over_its_restart(shell: Shell) -> None:
    shell.up()
    follower = shell.start("logs", "-f", "-n", "1", "node-1")
    try:
        assert follower.stdout is not None
        assert "node-1 start 1" in follower.stdout.readline()
        os.kill(shell.status()["programs"][1]["pid"], signal.SIGKILL)
        assert "killed by SIGKILL" in follower.stdout.readline()
        assert "incarnation 2" in follower.stdout.readline()
        assert "node-1 start 2" in follower.stdout.readline()
    finally:
        follower.send_signal(signal.SIGINT)
        follower.communicate(timeout=60)
    assert follower.returncode == 130


@pytest.mark.parametrize("command", ["up", "down", "ps", "logs"])
def test_help_teaches_with_examples(command: str) -> None:
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0
    text = done.output
    assert "Examples:" in text
    assert f"votenet {command}" in text
    assert "Exit codes:" in text


@pytest.mark.parametrize(
    "args", [("--nodes", "0"), ("--nodes", "65"), ("--timeout", "0"), ("--node-port", "70000"), ("extra",)]
)
def test_wrong_usage(shell: Shell, args: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, ["up", "--detach", *args]).exit_code == 2
    assert not shell.dirs.state.exists()

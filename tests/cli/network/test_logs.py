"""`votenet logs` as a person types it, with `up`, `ps` and `down`, over scripted programs."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from support.network_shell import Shell, alive, open_shell
from votenet.cli.main import main
from votenet.cli.network.logs import log_fields, log_prefix


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def test_up_ps_up_again_logs_down(shell: Shell) -> None:
    done = shell.up(nodes=3)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "NAME",
        "bootstrap",
        "node-1",
        "node-2",
        "node-3",
    ]
    assert "votenet vote -i t voter" in done.stderr
    assert "\x1b" not in done.stdout
    pids = shell.pids()
    assert all(map(alive, pids))

    table = shell.run("ps").stdout
    assert re.search(r"node-2 +ready +127\.0\.0\.1:\d+ +\d+ +\S+ +7 +2 +0 +\S+ +\d+M +0 +-", table)

    again = shell.up(nodes=3)
    assert "already running with 3 nodes" in again.stderr
    assert "nothing to change" in again.stderr
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
    assert json.loads(done.stdout) == {
        "instance": "t", "was_running": False, "leftovers": 0, "removed": None, "emptied": [],
    }  # fmt: skip
    shell.run("supervise", code=78)


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
        follower.communicate(timeout=150)
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


def test_prefixes_line_up() -> None:
    names = ["bootstrap", "node-1"]
    assert log_prefix("node-1", names, colour=False) == "node-1    | "
    assert log_prefix("node-1", names, colour=True) == "\x1b[33mnode-1    | \x1b[0m"


def test_a_log_line_as_json() -> None:
    found = log_fields("node-1", "2026-01-01T00:00:00.500Z INFO ü", 7.5)
    assert found == {
        "program": "node-1",
        "time": 7.5,
        "own_time": 1767225600.5,
        "line": "2026-01-01T00:00:00.500Z INFO ü",
    }
    past = log_fields("node-1", "no time", None)
    assert (past["time"], past["own_time"]) == (None, None)

"""`--dry-run` shows what would be done, and does nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from network_shell import Shell, alive, open_shell
from votenet.cli import network_plan


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def test_up_shows_ports_folders_and_commands_and_leaves_no_trace(shell: Shell) -> None:
    done = shell.up("--dry-run", "--kernel", "python")
    assert "Nothing was started" in done.stdout
    assert str(shell.dirs.data_dir("node-2")) in done.stdout
    assert f"--port {int(shell.ports[3]) + 1}" in done.stdout
    assert "--kernel python" in done.stdout
    assert not shell.dirs.state.exists()
    plan = json.loads(shell.up("--dry-run", "--json").stdout)
    assert [program["name"] for program in plan["programs"]] == ["bootstrap", "node-1", "node-2"]
    assert (plan["election"], plan["stops"]) == ("is made", [])


def test_what_up_would_refuse_is_refused(shell: Shell) -> None:
    shell.up("--dry-run", "--candidate", "A", "--candidate", "A", code=78)
    shell.up("--dry-run", "--restart-limit", "0", code=78)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(shell.ports[3])))
        stranger.listen()
        assert "is taken by pid" in shell.up("--dry-run", code=78).stderr
    assert not shell.dirs.state.exists()


def test_leftovers_that_would_go_on_or_stop(shell: Shell) -> None:
    shell.up()
    left = shell.pids()[1:]
    shell.kill_supervisor()
    plan = json.loads(shell.up("--dry-run", "--json", nodes=1).stdout)
    assert [program["adopts_pid"] for program in plan["programs"]] == left[:2]
    assert plan["stops"] == [f"node-2 (pid {left[2]})"]
    assert all(map(alive, left))


def test_a_running_network(shell: Shell) -> None:
    shell.up()
    before = shell.pids()
    plan = json.loads(shell.up("--dry-run", "--json", "--kernel", "python", nodes=3).stdout)
    assert (plan["starts"], plan["restarts"]) == (["node-3"], ["node-1", "node-2"])
    assert "Nothing would change" in shell.up("--dry-run").stdout
    assert shell.pids() == before


def test_scale_down_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [{"name": f"node-{number}", "role": "node"} for number in (1, 2, 3)]
    status: dict[str, Any] = {"instance": "t", "nodes": ["a", "b", "c"], "programs": nodes, "settings": {}}
    network_plan.scale(status, 1, False)
    assert "stops     node-2, node-3" in capsys.readouterr().out

"""`down`: proof, leftovers, purge."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from network_shell import Shell, alive, open_shell
from votenet.processes.identity import leftovers
from votenet.processes.instance import load_network
from votenet.processes.ports import port_locks_dir


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def test_scenario_03_what_a_killed_supervisor_left_is_ended_by_down(shell: Shell) -> None:
    shell.plan({"node-2": {"ignore_term": True}})
    shell.up()
    programs = shell.pids()[1:]
    shell.kill_supervisor()
    shell.run("ps", code=3)
    assert all(map(alive, programs)), "detached: they go on"
    done = shell.run("down", "--timeout", "0.3")
    assert "left from a supervisor that died" in done.stderr
    assert not any(map(alive, programs))
    assert not shell.dirs.run.exists()
    network = load_network(shell.dirs)
    assert not [port for port in network.node_ports if (port_locks_dir() / f"{port}.lock").exists()]


def test_purge_removes_the_data_but_not_the_keys(shell: Shell) -> None:
    shell.up()
    shell.dirs.keys.mkdir()
    (shell.dirs.keys / "voter").touch()
    done = shell.run("down", "--purge", "--json")
    assert json.loads(done.stdout)["removed"] == str(shell.dirs.state)
    assert not shell.dirs.state.exists()
    assert not shell.dirs.run.exists()
    assert (shell.dirs.keys / "voter").exists()


def test_a_network_that_is_just_starting_is_stopped_too(shell: Shell) -> None:
    shell.plan({"*": {"slow": 30}})
    starting = shell.start(*shell.up_args("--detach"))
    while not shell.dirs.control_socket.exists():
        assert starting.poll() is None
    shell.run("down", "--timeout", "0.3")
    _, err = starting.communicate(timeout=60)
    assert starting.returncode == 1
    assert "stopped while it was starting" in err
    assert leftovers(shell.dirs) == []


def test_what_does_not_stop_is_killed_on_time(shell: Shell) -> None:
    shell.plan({"*": {"ignore_term": True}})
    shell.up()
    pids = shell.pids()
    done = shell.run("down", "--timeout", "0.3")
    assert "node-1: stopped" in done.stderr
    assert not any(map(alive, pids))

"""`votenet doctor` as typed."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

from support.elections import make_election, named_nodes
from support.network_shell import Shell, alive, end, open_shell
from support.posed_nodes import PosedNode, posed
from support.refused_calls import PIDFD_OPEN, command
from votenet.cli.network import doctor
from votenet.cli.network.doctor import Finding, examine
from votenet.cli.network.finding import LEAVES_LISTS
from votenet.config import instance_dirs
from votenet.pow import available_kernels, kernel_states
from votenet.processes.identity import records_dir
from votenet.processes.instance import make_dirs, network_file


def test_it_lists_every_kernel_and_which_is_used(cli: Callable[..., CommandResult]) -> None:
    done = cli("doctor", "--json")
    assert done.code == 0
    found = {line["what"]: line for line in json.loads(done.out)}
    for name in kernel_states():
        assert (found[f"kernel {name}"]["state"] == "ok") is (name in available_kernels())
    assert sum("used by default" in found[f"kernel {name}"]["found"] for name in kernel_states()) == 1
    assert "no network is running" in found["network"]["found"]


def test_a_folder_that_cannot_be_used_is_a_problem(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "default").write_text("a file where the folder should be")
    done = cli("doctor")
    assert done.code == 1
    assert "problem" in done.out
    assert "VOTENET_HOME" in done.out


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_a_kernel_that_refuses_pidfds_is_a_problem(tmp_path: Path, number: int) -> None:
    argv = command({PIDFD_OPEN: number}, sys.executable, "-m", "votenet", "doctor", "--json")
    env = {**os.environ, "VOTENET_HOME": str(tmp_path)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 1
    found = {line["what"]: line for line in json.loads(done.stdout)}
    assert found["processes"]["state"] == "problem"
    assert "pidfd_open" in found["processes"]["found"]
    assert "seccomp" in found["processes"]["next_step"]


def test_a_command_of_any_length_stands_in_one_line(
    cli: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = f"VOTENET_HOME=/{'long/' * 60} votenet down -i board"
    found = Finding(
        "other instance", "note", "programs run without a supervisor", f"Stop them with: {command}"
    )
    monkeypatch.setattr("votenet.cli.network.doctor.examine", lambda instance: [found])
    assert f"-> Stop them with: {command}\n" in cli("doctor").out


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    with open_shell(home) as found:
        yield found


def found(instance: str = "t") -> dict[str, Finding]:
    """What it says about this home; other tests' programs may run beside."""
    return {finding.what: finding for finding in examine(instance)}


def test_a_network_that_runs_and_one_node_that_does_not(shell: Shell) -> None:
    shell.plan({"node-2": {"exit_always": 78}})
    shell.up(code=6)
    states = {what: finding.state for what, finding in found().items() if what != "other instance"}
    assert states == {"bootstrap": "ok", "node-1": "ok", "node-2": "problem"}
    assert "bad configuration" in found()["node-2"].found
    assert "votenet logs -i t node-2" in found()["node-2"].next_step


def test_remains_of_a_killed_supervisor_are_explained(shell: Shell) -> None:
    shell.up()
    programs = shell.pids()[1:]
    shell.kill_supervisor()
    (records_dir(shell.dirs) / "node-2.json").write_text('{"v": 1, "inst')
    seen = found()
    assert "was killed" in seen["socket"].found
    assert f"pid {programs[1]} runs" in seen["node-1"].found
    assert "Go on with it: votenet up -i t --nodes 2 --detach" in seen["node-1"].next_step
    assert "Nothing can go on with it" in seen["node-2"].next_step
    assert "cannot be read" in seen["record of node-2"].found
    beside = [f for f in examine("u") if f.what == "other instance" and str(shell.dirs.state) in f.found]
    assert len(beside) == 1
    assert "votenet down -i t" in beside[0].next_step
    assert all(map(alive, programs)), "it only looks"
    end(shell.dirs)
    assert set(found()) - {"other instance"} == {"network"}


def test_a_broken_network_file(shell: Shell) -> None:
    make_dirs(shell.dirs)
    network_file(shell.dirs).write_text("{")
    seen = found()["network file"]
    assert seen.state == "problem"
    assert "write it anew with: votenet up -i t --detach" in seen.next_step


def test_a_socket_that_hangs(shell: Shell) -> None:
    make_dirs(shell.dirs)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(shell.dirs.control_socket))
        mute.listen()
        mute.settimeout(60)

        def hang_up() -> None:
            mute.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        seen = found()["network"]
        thread.join()
    assert seen.state == "problem"
    assert "hung up" in seen.found or "ended before it answered" in seen.found


def test_an_instance_that_never_was(shell: Shell) -> None:
    seen = {what: finding for what, finding in found("never").items() if what != "other instance"}
    assert [finding.state for finding in seen.values()] == ["ok"]
    assert not instance_dirs("never").state.exists()


def test_a_restored_node_that_leaves_closing_lists_to_the_others_is_noted(
    cli: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = PosedNode(make_election(nodes=named_nodes(4)), 1)
    node.changes = {"finality": node.status()["finality"] | {"leaves_lists": True}}
    program = {
        "name": "node-2", "role": "node", "state": "ready", "address": str(node.address), "alert": "",
        "problem": "", "cause": None,
    }  # fmt: skip
    monkeypatch.setattr(doctor, "ask", lambda *_: {"programs": [program]})
    with posed(node):
        found = list(examine("t"))
    noted = [one for one in found if one.found == LEAVES_LISTS]
    assert [(one.what, one.state) for one in noted] == [("Node 1", "note")]

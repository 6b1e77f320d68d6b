"""What a background supervisor and the programs of a network get of our environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from votenet.config import InstanceDirs
from votenet.processes.environment import inherited, of_program
from votenet.processes.parent_death import PARENT_VARIABLE
from votenet.processes.spec import NetworkSpec, expand


def test_a_caller_that_waits_for_the_command_gets_no_output_of_the_background(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.setenv(name, "1")
        assert name not in inherited()


def test_a_supervisor_works_elsewhere_so_no_path_that_it_gets_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOTENET_CONFIG", "votenet.toml")
    monkeypatch.setenv("VOTENET_HOME", "home")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("src", "/opt/lib")))
    found = inherited()
    assert "VOTENET_CONFIG" not in found
    assert found["VOTENET_HOME"] == str(tmp_path / "home")
    assert found["PYTHONPATH"] == os.pathsep.join((str(tmp_path / "src"), "/opt/lib"))
    for unset in ("VOTENET_HOME", "PYTHONPATH"):
        monkeypatch.delenv(unset)
    assert not {"VOTENET_HOME", "PYTHONPATH"} & inherited().keys()


def test_a_module_path_stays_as_it_is_where_there_is_no_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.delenv("VOTENET_HOME", raising=False)
    monkeypatch.setenv("PYTHONPATH", "src")
    assert inherited()["PYTHONPATH"] == "src"


def test_a_program_gets_its_tag_and_dies_with_its_supervisor_where_asked(
    dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PARENT_VARIABLE, "1")
    spec = expand(NetworkSpec(instance="t", genesis="g", bootstrap_port=4000, node_ports=(3000,)), dirs)[1]
    foreground = of_program(inherited(), dirs, spec, parent_death=True)
    assert foreground[PARENT_VARIABLE] == str(os.getpid())
    detached = of_program(inherited(), dirs, spec, parent_death=False)
    assert PARENT_VARIABLE not in detached
    assert detached["NOTIFY_SOCKET"] == str(dirs.notify_socket)
    assert detached["VOTENET_SUPERVISED"] == f"{dirs.state}:node-1"

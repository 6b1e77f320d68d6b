"""`votenet doctor` as typed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Outcome

from refused_calls import PIDFD_OPEN, command
from votenet.cli.doctor_network import Finding
from votenet.pow import available_kernels, kernel_states


def test_it_lists_every_kernel_and_which_is_used(cli: Callable[..., Outcome]) -> None:
    done = cli("doctor", "--json")
    assert done.code == 0
    found = {line["what"]: line for line in json.loads(done.out)}
    for name in kernel_states():
        assert (found[f"kernel {name}"]["state"] == "ok") is (name in available_kernels())
    assert sum("used by default" in found[f"kernel {name}"]["found"] for name in kernel_states()) == 1
    assert "no network is running" in found["network"]["found"]


def test_a_folder_that_cannot_be_used_is_a_problem(cli: Callable[..., Outcome], tmp_path: Path) -> None:
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
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    found = {line["what"]: line for line in json.loads(done.stdout)}
    assert found["processes"]["state"] == "problem"
    assert "pidfd_open" in found["processes"]["found"]
    assert "seccomp" in found["processes"]["next_step"]


def test_a_command_of_any_length_stands_in_one_line(
    cli: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = f"VOTENET_HOME=/{'long/' * 60} votenet down -i board"
    found = Finding(
        "other instance", "note", "programs run without a supervisor", f"Stop them with: {command}"
    )
    monkeypatch.setattr("votenet.cli.doctor.examine", lambda instance: [found])
    assert f"-> Stop them with: {command}\n" in cli("doctor").out

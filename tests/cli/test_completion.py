"""Completion as a shell asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

from votenet.config import instance_dirs
from votenet.processes.identity import IdentityRecord, write_identity


def complete(words: str, home: Path) -> list[str]:
    """What click answers bash, which asks with the line so far."""
    env = {
        **os.environ,
        "VOTENET_HOME": str(home),
        "_VOTENET_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    code = "from votenet.cli.main import run; run()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_options_and_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    dirs = instance_dirs()
    dirs.state.mkdir()
    for name in ("bootstrap", "node-1", "node-2"):
        write_identity(
            dirs,
            IdentityRecord(instance="default", name=name, incarnation=1, intent="stopped", address="h:1"),
        )
    found = ["results", "report", "receipt", "restart", "restore", "replay", "resume"]
    assert complete("votenet re", tmp_path) == found
    assert complete("votenet up --det", tmp_path) == ["--detach"]
    assert complete("votenet restart node", tmp_path) == ["node-1", "node-2"]
    assert complete("votenet logs -f node", tmp_path) == ["node-1", "node-2"]
    for name in ("board", "union"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "network.json").touch()
    assert complete("votenet ps -i b", tmp_path) == ["board"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_every_shell(cli: Callable[..., CommandResult], shell: str) -> None:
    done = cli("completion", shell)
    assert done.code == 0
    assert "_VOTENET_COMPLETE" in done.out
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=done.out, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_another_shell(cli: Callable[..., CommandResult]) -> None:
    assert cli("completion", "tcsh").code == 2

"""`votenet config` as typed, and files that every command reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

Cli = Callable[..., CommandResult]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder / "votenet.toml"


def test_show_prints_each_setting_with_its_origin(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_text('[up]\nnodes = 7\ncandidate = ["Ann", "Bo"]\n[down]\ntimeout = 3\n')
    monkeypatch.setenv("VOTENET_UP_TIMEOUT", "9")
    lines = cli("config", "show", "--origin").out.splitlines()
    assert f"# {project}: read" in lines
    assert any(line.endswith("votenet.toml: not there") for line in lines)
    shown = {line.split(" = ")[0]: " ".join(line.split()) for line in lines if " = " in line}
    assert shown["nodes"] == f"nodes = 7 # {project}"
    assert shown["candidate"] == f'candidate = ["Ann", "Bo"] # {project}'
    assert shown["timeout"] == 'timeout = "9" # VOTENET_UP_TIMEOUT'
    assert shown["hang_timeout"] == "hang_timeout = 20.0 # default"
    found = json.loads(cli("config", "show", "down", "--json").out)
    assert found["files"] == [str(project)]
    assert {"name": "timeout", "value": 3, "origin": str(project)} in found["settings"]


def test_show_without_any_file_can_be_used_as_one(cli: Cli, project: Path, tmp_path: Path) -> None:
    shown = cli("config", "show")
    assert shown.code == 0
    project.write_text(shown.out)
    assert cli("config", "show").code == 0


def test_every_command_refuses_a_broken_file_before_it_does_anything(
    cli: Cli, project: Path, tmp_path: Path
) -> None:
    project.write_text("[up]\nnods = 3\n")
    done = cli("up", "--detach")
    assert done.code == 78
    assert f"{project}: [up] has no setting 'nods'" in done.err
    assert "Did you mean 'nodes'?" in done.err
    assert not (tmp_path / "home" / "default").exists()
    assert cli("config", "show", "down").code == 78, "config show checks every table"
    assert cli("ps").code == 3, "another command is not concerned"
    project.write_text("[up")
    assert cli("ps").code == 78


@pytest.mark.parametrize(
    ("text", "command", "step"),
    [
        ("[up]\nnods = 3\n", ("up", "--dry-run"), "votenet help up"),
        ("[up]\nnodes = 'x'\n", ("up", "--dry-run"), "votenet help up"),
        ("[peers.list]\nnodes = 3\n", ("peers", "list"), "votenet help peers list"),
        ("[peers]\nnodes = 3\n", ("peers", "list"), "votenet help peers"),
        ("[upp]\nnodes = 3\n", ("up", "--dry-run"), "votenet help"),
        ("nodes = 3\n", ("up", "--dry-run"), "votenet help"),
    ],
)
def test_the_next_step_of_a_broken_file_works_while_it_is_broken(
    cli: Cli, project: Path, text: str, command: tuple[str, ...], step: str
) -> None:
    """`votenet config show` was the step; it checks every table, and fell over the same fault."""
    project.write_text(text)
    done = cli(*command)
    assert done.code == 78
    assert done.err.rstrip().endswith(step)
    assert cli(*step.split()[1:]).code == 0


def test_contradictions_are_refused(cli: Cli, project: Path, tmp_path: Path) -> None:
    project.write_text("[up]\nrestart_limit = 50\ndetach = true\n")
    done = cli("up")
    assert (done.code, "the limit could never fire" in done.err) == (78, True)
    assert not (tmp_path / "home" / "default" / "genesis.json").exists()


def test_a_named_file_is_read_instead(cli: Cli, project: Path, tmp_path: Path) -> None:
    project.write_text("[up")
    other = tmp_path / "other.toml"
    other.write_text("[up]\nnodes = 2\n")
    found = json.loads(cli("--config", str(other), "config", "show", "--json").out)
    assert {"name": "nodes", "value": 2, "origin": str(other)} in found["settings"]


def test_programs_that_others_start_read_no_file(cli: Cli, project: Path, tmp_path: Path) -> None:
    project.write_text("[up")
    done = cli("node", "--data-dir", str(tmp_path / "d"), "--genesis", str(tmp_path / "none"))
    assert "bad-genesis" in done.err


@pytest.mark.parametrize("command", ["nonsense", "peers"])
def test_a_command_without_settings(cli: Cli, command: str) -> None:
    assert cli("config", "show", command).code == 2

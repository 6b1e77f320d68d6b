"""Which configuration files are read, their allowed settings, and their order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest

from votenet.cli.config_files import (
    FILE_NAME,
    ConfigFile,
    check_tables,
    checked,
    defaults_for,
    origins,
    places,
    read_files,
)
from votenet.cli.config_trust import Untrusted
from votenet.errors import ConfigError


def trusted(path: Path, error: Untrusted) -> None:
    """None of these files is left out."""
    raise AssertionError(f"{path}: {error}")


@click.command()
@click.option("--nodes", type=click.IntRange(1, 9), default=5)
@click.option("--max-wait", type=float, help="Seconds.")
@click.option("--candidate", "candidates", multiple=True)
@click.option("--mine/--no-mine", default=True)
@click.option("-d", "--detach", is_flag=True)
def up(**_: Any) -> None:
    """A command."""


@click.group()
def peers() -> None:
    """A group."""


peers.add_command(up, "list")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The user's file and the project's."""
    (tmp_path / "home").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "home" / FILE_NAME, tmp_path / "project" / FILE_NAME


def test_project_wins_over_user_and_a_named_file_over_both(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    user, project = folders
    assert places() == folders
    assert read_files(None, trusted) == []
    user.write_text("[up]\nnodes = 1\nmax-wait = 2\n")
    project.write_text("[up]\nnodes = 3\n")
    assert defaults_for(read_files(None, trusted), "up", up) == {"nodes": 3, "max_wait": 2}
    named = tmp_path / "named.toml"
    named.write_text("[up]\nnodes = 7\n")
    assert defaults_for(read_files(named, trusted), "up", up) == {"nodes": 7}


def test_every_kind_of_value() -> None:
    table = {"candidate": ["Ann", "Bo"], "mine": False, "detach": True, "max_wait": 1.5}
    file = ConfigFile(Path("f"), {})
    assert checked(file, "[up]", table, up) == {
        "candidates": ["Ann", "Bo"], "mine": False, "detach": True, "max_wait": 1.5,
    }  # fmt: skip
    assert checked(file, "[peers]", {"list": {"nodes": 2}}, peers) == {"list": {"nodes": 2}}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"nods": 3}, "no setting 'nods'"),
        ({"no_mine": True}, "no setting 'no_mine'"),
        ({"nodes": 99}, "nodes: 99 is not in the range"),
        ({"nodes": "x"}, "not a valid integer"),
        ({"nodes": 3.7}, "not a valid integer"),
        ({"nodes": True}, "true or false"),
        ({"nodes": [1]}, "expected one value"),
        ({"nodes": {"a": 1}}, "expected one value"),
        ({"candidate": "Ann"}, "expected a list"),
        ({"detach": 1}, "not true or false"),
        (5, "is no table"),
    ],
)
def test_errors_name_their_file(table: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        checked(ConfigFile(Path("/etc/v.toml"), {}), "[up]", table, up)
    assert caught.value.exit_code == 78
    assert caught.value.message.startswith("/etc/v.toml: [up]")
    assert caught.value.next_step.endswith("votenet help up")


def test_a_near_name_is_guessed() -> None:
    file = ConfigFile(Path("f"), {})
    with pytest.raises(ConfigError) as caught:
        checked(file, "[up]", {"nods": 3}, up)
    assert "Did you mean 'nodes'?" in caught.value.next_step
    with pytest.raises(ConfigError, match="no command is called 'upp'") as caught:
        check_tables(ConfigFile(Path("f"), {"upp": {}}), ["up"])
    assert "Did you mean 'up'?" in caught.value.next_step
    with pytest.raises(ConfigError, match="no command 'lst'"):
        checked(file, "[peers]", {"lst": {}}, peers)


@pytest.mark.parametrize("content", [b"[up", b"\xff", b"x" * (1024 * 1024 + 1)])
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"c\.toml"):
        read_files(path, trusted)
    with pytest.raises(ConfigError, match="cannot read"):
        read_files(tmp_path / "none", trusted)


def test_where_each_setting_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTENET_UP_DETACH", "1")
    root = click.Context(peers, info_name="votenet", auto_envvar_prefix="VOTENET")
    files = [
        ConfigFile(Path("/user"), {"up": {"nodes": 1, "max_wait": 4}}),
        ConfigFile(Path("/project"), {"up": {"nodes": 2}}),
    ]
    found = {
        name: (value, where) for name, value, where in origins(up, click.Context(up, root, "up"), "up", files)
    }
    assert found["nodes"] == (2, "/project")
    assert found["max_wait"] == (4, "/user")
    assert found["detach"] == (True, "VOTENET_UP_DETACH")
    assert found["mine"] == (True, "default")


def test_a_working_folder_that_is_gone_holds_no_file(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, project = folders
    user.write_text("[up]\nnodes = 3\n")
    project.parent.rmdir()
    assert [file.path for file in read_files(None, trusted)] == [user]


def test_a_working_folder_that_may_not_be_looked_into_has_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / FILE_NAME).write_text("[up]\nnodes = 3\n")
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(closed)
    closed.chmod(0)
    me = os.geteuid()
    try:
        if me == 0:  # whom no mode keeps out
            os.seteuid(65534)
        assert read_files(None, trusted) == []
    finally:
        os.seteuid(me)
        closed.chmod(0o700)


def test_without_a_home_there_is_no_file_of_the_user(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit needs no home; a command that does says so."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("VOTENET_HOME", "HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert places() == (folders[1],)

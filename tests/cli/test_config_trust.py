"""Which configuration files are trusted; a file of a stranger has no effect."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from tests.cli.conftest import CommandResult

from votenet.cli import main
from votenet.cli.config_trust import Untrusted, check, read_found, read_named
from votenet.cli.options import FlagOnly
from votenet.errors import ConfigError

Cli = Callable[..., CommandResult]
STRANGER = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the working folder that would send every vote to another machine."""
    folder = tmp_path / "home" / "project"
    folder.mkdir(parents=True, mode=0o755)
    monkeypatch.chdir(folder)
    path = folder / "votenet.toml"
    path.write_text('[results]\nnode = "127.0.0.1:9"\n')
    path.chmod(0o644)
    return path


def is_left_out(cli: Cli, path: Path) -> str:
    """`results` asks the network of this instance (there is none), not the node that the file names."""
    done = cli("results")
    assert (done.code, "127.0.0.1:9" in done.err) == (3, False), done.err
    assert f"Not read: {path}, because " in done.err
    named = cli("--config", str(path), "results")
    assert (named.code, "[untrusted-file]" in named.err) == (78, True), named.err
    return done.err


def test_a_trusted_file_is_read_and_the_address_that_it_gives_is_said(cli: Cli, project: Path) -> None:
    done = cli("results")
    assert done.err.splitlines()[0] == f'Settings from {project}: node = "127.0.0.1:9"'
    assert "127.0.0.1:9 " in done.err.splitlines()[1]
    assert "Settings from" not in cli("results", "--node", "127.0.0.1:2").err, "what the flag gave was told"


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
def test_a_file_that_others_can_write_is_left_out(cli: Cli, project: Path, mode: int) -> None:
    project.chmod(mode)
    told = is_left_out(cli, project)
    assert f"others can write {project} (mode {mode:o})" in told
    assert f"chmod go-w {project}" in told
    project.chmod(mode & ~0o022)  # what chmod go-w does
    assert "Settings from" in cli("results").err


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_folder_that_others_can_write_is_left_out(cli: Cli, project: Path, mode: int) -> None:
    project.parent.chmod(mode)
    assert f"others can write {project.parent} (mode {mode:o})" in is_left_out(cli, project)


def test_so_is_a_file_below_a_folder_that_others_can_write(cli: Cli, project: Path) -> None:
    project.parent.parent.chmod(0o777)
    assert f"others can write {project.parent.parent}" in is_left_out(cli, project)
    project.parent.parent.chmod(0o1777)  # as /tmp: others cannot put a folder of theirs in our folder's place
    assert "Settings from" in cli("results").err


@needs_root
@pytest.mark.parametrize("whose", ["file", "folder", "folder above"])
def test_a_file_of_another_user_is_left_out(cli: Cli, project: Path, whose: str) -> None:
    path = {"file": project, "folder": project.parent, "folder above": project.parent.parent}[whose]
    os.chown(path, STRANGER, STRANGER)
    try:
        assert f"{path} belongs to another user (uid {STRANGER})" in is_left_out(cli, project)
    finally:
        os.chown(path, 0, 0)


def test_a_link_is_followed_only_to_a_trusted_file(cli: Cli, project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    real = project.rename(elsewhere / "real.toml")
    project.symlink_to("../../elsewhere/real.toml")
    assert "Settings from" in cli("results").err
    elsewhere.chmod(0o777)
    assert f"others can write {elsewhere}" in is_left_out(cli, project)
    elsewhere.chmod(0o755)
    real.chmod(0o666)
    assert f"others can write {real}" in is_left_out(cli, project)


def test_a_link_in_a_folder_that_others_can_write_is_left_out(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "votenet.toml").symlink_to(project)
    monkeypatch.chdir(shared)
    assert f"others can write {shared}" in is_left_out(cli, shared / "votenet.toml")


@needs_root
def test_a_link_of_another_user_is_left_out(cli: Cli, project: Path) -> None:
    real = project.rename(project.parent / "real.toml")
    project.symlink_to(real)
    os.lchown(project, STRANGER, STRANGER)
    assert f"{project} belongs to another user" in is_left_out(cli, project)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ConfigError, match="cannot read"):
        check(tmp_path / "a")


def test_a_file_that_is_replaced_between_the_look_and_the_reading_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = project.parent / "other"
    other.write_text("")
    real_open = os.open

    def swapping(path: str, *args: int) -> int:
        other.replace(project)
        monkeypatch.setattr(os, "open", real_open)
        return real_open(other.parent / "kept", *args)

    (project.parent / "kept").write_text("[up]\n")
    monkeypatch.setattr(os, "open", swapping)
    with pytest.raises(Untrusted, match="was replaced"):
        read_found(project)


def test_a_pipe_of_ones_own_can_be_named(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    writer = threading.Thread(target=pipe.write_text, args=("[up]\n",))
    writer.start()
    assert read_named(pipe) == b"[up]\n"
    writer.join()


def test_no_file_names_a_program(cli: Cli, project: Path, tmp_path: Path) -> None:
    """A stranger's script ran with the rights of the user who typed `votenet up` beside it."""
    ran = tmp_path / "ran"
    script = project.parent / "script"
    script.write_text(f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    project.write_text(f'[up]\nprogram = "{script}"\n')
    done = cli("up", "--detach")
    assert done.code == 78
    assert "[up] program: no file may set this" in done.err
    assert cli("config", "show").code == 78
    assert not ran.exists()


@pytest.mark.parametrize("name", ["VOTENET_PROGRAM", "VOTENET_UP_PROGRAM"])
def test_no_variable_of_the_environment_names_a_program(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/bin/false")
    assert "/bin/false" not in cli("up", "--dry-run").out


def test_nothing_but_the_command_line_deletes_without_a_question(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("purge", "yes"):
        project.write_text(f"[down]\n{key} = true\n")
        assert cli("down").code == 78
        monkeypatch.setenv(f"VOTENET_DOWN_{key.upper()}", "1")
    project.unlink()
    assert "Removed" not in cli("down").err


def test_hidden_options_are_no_settings() -> None:
    """All of them, of every command, also those that will be added."""

    def leaves(command: click.Command) -> list[click.Command]:
        if not isinstance(command, click.Group):
            return [command]
        return [leaf for other in command.commands.values() for leaf in leaves(other)]

    root = click.Context(main.main)
    for name in main.COMMANDS:
        command = main.main.get_command(root, name)
        assert command is not None
        for option in (one for leaf in leaves(command) for one in leaf.params):
            if isinstance(option, click.Option) and (option.hidden or name in main.HIDDEN):
                allowed = option.name == "instance"
                assert allowed or (isinstance(option, FlagOnly) and option.envvar is None), (name, option)

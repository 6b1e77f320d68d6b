"""`votenet node init`: one key, one line, and never another key in silence."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import CommandResult

from votenet.core.election.node_line import read_node_line
from votenet.storage.key_store import read_key


def test_init_prints_one_line_and_again_the_same(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    first = cli("node", "init", "--name", "north")
    key = tmp_path / "home/nodes/north/node.key"
    assert first.code == 0
    assert first.out.count("\n") == 1
    assert read_node_line(first.out).node_key == read_key(key, "node").public_hex
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "is made" in first.err
    again = cli("node", "init", "--name", "north")
    assert again.out == first.out
    assert "was there already" in again.err


def test_init_for_programs_and_as_a_table(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    folder = str(tmp_path / "var/north")
    made = json.loads(cli("node", "init", "--name", "North Club", "--data-dir", folder, "--json").out)
    assert (made["name"], made["data_dir"], made["key_made"]) == ("North Club", folder, True)
    assert read_node_line(made["line"]).name == "North Club"
    table = cli("node", "init", "--name", "North Club", "--data-dir", folder, "--table").out
    assert table.startswith('[[nodes]]\nname = "North Club"\nnode_key = ')


def test_a_bad_name_or_folder_makes_no_key(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    spaced = cli("node", "init", "--name", "North Club")
    assert spaced.code == 78
    assert "[bad-name]" in spaced.err
    assert "--data-dir FOLDER" in spaced.err
    assert cli("node", "init", "--name", "nor\u202eth", "--data-dir", str(tmp_path / "x")).code == 2
    (tmp_path / "link").symlink_to(tmp_path)
    linked = cli("node", "init", "--name", "north", "--data-dir", str(tmp_path / "link"))
    assert (linked.code, "[bad-directory]" in linked.err) == (78, True)
    assert not list(tmp_path.rglob("node.key"))


def test_options_of_the_running_node_before_init_are_refused(cli: Callable[..., CommandResult]) -> None:
    done = cli("node", "--data-dir", "x", "init", "--name", "north")
    assert done.code == 2
    assert "--data-dir belongs behind init" in done.err
    lone = cli("node")
    assert (lone.code, "Missing option '--data-dir'" in lone.err) == (2, True)
    assert "Missing option '--genesis'" in cli("node", "--data-dir", "x").err

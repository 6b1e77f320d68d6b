"""`votenet backup` and `votenet restore` as typed, beside a running node."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, RunningNode, node_of

from support.elections import make_election, named_nodes
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.env_file import read_env_file

Cli = Callable[..., CommandResult]


@pytest.fixture
def voted(cli: Cli, node: RunningNode) -> list[str]:
    """The options that name the folder of a node that has votes and goes on running."""
    for voter, choice in (("a1", "Alice"), ("a2", "Bob")):
        cli("vote", "--node", str(node.address), voter, choice)  # the second time they have voted
    return ["--data-dir", str(node.genesis.parent / "data"), "--genesis", str(node.genesis)]


def test_a_running_node_is_backed_up_and_its_copy_has_the_same_votes(
    cli: Cli, node: RunningNode, voted: list[str], tmp_path: Path
) -> None:
    path, folder = tmp_path / "node.backup", tmp_path / "again"
    done = cli("backup", *voted, "-o", str(path))
    assert (done.code, done.err) == (0, "")
    assert f"votenet restore {path}" in done.out
    assert path.stat().st_mode & 0o777 == 0o600
    made = cli("restore", str(path), "--data-dir", str(folder), "--network", node.election.network_hex)
    assert (made.code, made.err) == (0, "")
    (start,) = [line for line in made.out.splitlines() if "votenet node" in line]
    words = shlex.split(start.partition("votenet ")[2])
    assert words == ["node", "--data-dir", str(folder), "--genesis", str(folder / "genesis.json")]
    archive = tmp_path / "x.jsonl"
    assert cli("export", *words[1:], "-o", str(archive)).code == 0
    assert json.loads(cli("audit", str(archive), "--json").out)["votes"] == 2


def test_json_says_what_is_in_it(cli: Cli, node: RunningNode, voted: list[str], tmp_path: Path) -> None:
    path = tmp_path / "node.backup"
    taken = json.loads(cli("backup", *voted, "-o", str(path), "--json").out)
    assert (taken["name"], taken["bytes"]) == ("data", path.stat().st_size)
    back = json.loads(cli("restore", str(path), "--data-dir", str(tmp_path / "again"), "--json").out)
    for field in ("network_id", "node_key", "height", "name"):
        assert back[field] == taken[field]
    assert back["silent"] is False, "this election names no nodes"


def test_without_a_folder_it_goes_where_a_node_of_that_name_is_kept(
    cli: Cli, node: RunningNode, voted: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "node.backup"
    assert cli("backup", *voted, "-o", str(path)).code == 0
    back = json.loads(cli("restore", str(path), "--json").out)
    assert back["folder"] == str(tmp_path / "home" / "nodes" / "data")
    assert cli("backup", "data", "-o", str(tmp_path / "second.backup")).code == 0, "named by its name"
    twice = cli("restore", str(path))
    assert (twice.code, "not-empty" in twice.err) == (78, True)


def test_a_node_that_has_joined_is_started_as_before(cli: Cli, tmp_path: Path) -> None:
    election = make_election(created=int(time.time()))
    (tmp_path / "genesis.json").write_bytes(election.to_file())
    joined = ("--name", "north", "--relay", "--yes", "--no-start", "--bootstrap", "127.0.0.1:1")
    assert cli("node", "join", str(tmp_path / "genesis.json"), *joined).code == 0
    folder = tmp_path / "home" / "nodes" / "north"
    with contextlib.closing(SqliteBlockStore(folder, election)):
        pass
    assert cli("backup", "north", "-o", str(tmp_path / "north.backup")).code == 0
    before = read_env_file(folder / "node.env")
    shutil.rmtree(folder)
    done = cli("restore", str(tmp_path / "north.backup"))
    assert "votenet node run --name north" in done.out, done.err
    assert read_env_file(folder / "node.env") == before
    elsewhere = tmp_path / "elsewhere"
    done = cli("restore", str(tmp_path / "north.backup"), "--data-dir", str(elsewhere))
    assert f"votenet node run --data-dir {elsewhere}" in done.out
    now = read_env_file(elsewhere / "node.env")
    assert now["VOTENET_NODE_GENESIS"] == str(elsewhere / "genesis.json")


def test_a_file_that_is_there_is_replaced_only_on_request(
    cli: Cli, node: RunningNode, voted: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "node.backup"
    path.write_bytes(b"precious")
    assert cli("backup", *voted, "-o", str(path)).code == 78
    assert path.read_bytes() == b"precious"
    assert cli("backup", *voted, "-o", str(path), "--force").code == 0


def test_a_device_and_a_folder_stay_what_they_are(
    cli: Cli, node: RunningNode, voted: list[str], tmp_path: Path
) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    for more in ((), ("--force",)):
        done = cli("backup", *voted, "-o", str(tmp_path / "null"), *more)
        assert (done.code, "is no file" in done.err) == (78, True)
        assert cli("backup", *voted, "-o", str(tmp_path), *more).code == 2
    assert (tmp_path / "null").is_char_device()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("backup", "-o", "x"), 2, "name the node"),
        (("backup", "north", "--data-dir", "n", "-o", "x"), 2, "name the node"),
        (("backup", "north", "-o", "-"), 2, "secret key"),
        (("backup", "north", "-o", "x"), 78, "no-node"),
        (("restore", "nowhere.backup"), 74, "cannot restore"),
    ],
)
def test_what_is_wrong_is_said(cli: Cli, options: tuple[str, ...], code: int, said: str) -> None:
    done = cli(*options)
    assert done.code == code
    assert said in done.err


def test_a_node_is_moved_and_its_old_folder_starts_no_more(cli: Cli, tmp_path: Path) -> None:
    election = make_election(created=int(time.time()), nodes=named_nodes(1))
    where = ["--data-dir", str(tmp_path / "data"), "--genesis", str(tmp_path / "genesis.json")]
    path = tmp_path / "moved.backup"
    with node_of(election, tmp_path) as running:
        assert cli("vote", "--node", str(running.address), "ann", "Alice").code == 0
        early = cli("backup", *where, "--final", "-o", str(path))
        assert (early.code, "in use" in early.err) == (75, True)
    done = cli("backup", *where, "--final", "-o", str(path))
    assert done.code == 0, done.err
    assert "never starts" in done.out
    assert "begun before" not in done.err
    second = cli("backup", *where, "--final", "-o", str(tmp_path / "second.backup"))
    assert (second.code, "begun before" in second.err) == (0, True), "the first may have failed"
    again = cli("node", *where, "--port", "1")
    assert (again.code, "[moved]" in again.err) == (78, True)
    (tmp_path / "new").mkdir()
    back = cli("restore", str(path), "--data-dir", str(tmp_path / "new" / "data"))
    assert back.code == 0, back.err
    with node_of(election, tmp_path / "new") as moved:
        assert cli("vote", "--node", str(moved.address), "bo", "Bob").code == 0
        shown = json.loads(cli("results", "--node", str(moved.address), "--json").out)
        assert shown["votes"] == 2

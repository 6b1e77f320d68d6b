"""`votenet node run`: the node that joined, by its name or its folder, with what its file says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, write_node_key

from support.elections import make_election, named_nodes
from support.ports import free_port
from votenet.cli.network.node import node
from votenet.cli.network.node_run import run_joined

Cli = Callable[..., CommandResult]
ELECTION = make_election(nodes=named_nodes(1))


def joined(cli: Cli, home: Path, name: str, *options: str) -> Path:
    """The folder of a node that has joined, and was not started."""
    folder = home / "nodes" / name
    write_node_key(folder, 0)
    (home / "genesis.json").write_bytes(ELECTION.to_file())
    join = ("node", "join", str(home / "genesis.json"), "--name", name, "--bootstrap", "127.0.0.1:1")
    done = cli(*join, "--yes", "--no-start", *options)
    assert done.code == 0, done.err
    return folder


def test_a_node_that_has_not_joined_says_how(cli: Cli, tmp_path: Path) -> None:
    write_node_key(tmp_path / "home" / "nodes" / "north", 0)
    done = cli("node", "run", "--name", "north")
    assert (done.code, "[not-joined]" in done.err) == (78, True)
    assert "votenet node join https://vote.example.org --name north;" in done.err
    assert "--bootstrap HOST:4000" in done.err, "a genesis file does not say where the others are"
    lone = cli("node", "run")
    assert (lone.code, "none that has joined" in lone.err) == (2, True)


def test_where_there_is_no_key_the_commands_that_bring_one_are_named(cli: Cli, tmp_path: Path) -> None:
    by_name = cli("node", "run", "--name", "west")
    assert (by_name.code, "[no-key]" in by_name.err) == (78, True)
    assert "votenet node init --name west, " in by_name.err
    assert "votenet restore FILE. " in by_name.err, "a machine in place of a lost one has a backup"
    by_folder = cli("node", "run", "--data-dir", "here").err
    assert "votenet node init --name NAME --data-dir here, " in by_folder
    assert "votenet restore FILE --data-dir here. " in by_folder


def test_the_settings_of_the_file_count_more_than_the_environment(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = joined(cli, tmp_path / "home", "north")
    (folder / "node.env").write_text(f"{(folder / 'node.env').read_text()}VOTENET_NODE_THREADS=1\nOTHER=x\n")
    for name in [one for one in os.environ if one.startswith("VOTENET_NODE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VOTENET_NODE_DATA_DIR", "/elsewhere")
    seen: dict[str, object] = {}
    monkeypatch.setattr(node, "callback", lambda *_, **options: seen.update(options))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    run_joined(folder, as_json=True)
    assert (seen["data_dir"], seen["genesis"]) == (folder, folder / "genesis.json")
    assert (seen["name"], seen["threads"], seen["as_json"]) == (named_nodes(1)[0].name, 1, True)
    assert seen["bootstrap"] == ("127.0.0.1:1",)
    assert "OTHER" not in os.environ


def test_the_folder_is_the_one_that_was_named_whatever_its_file_says(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd moves the folder of a node, and what the file says is from before."""
    folder = joined(cli, tmp_path / "home", "north")
    moved = folder.rename(tmp_path / "moved")
    seen: dict[str, object] = {}
    monkeypatch.setattr(node, "callback", lambda *_, **options: seen.update(options))
    monkeypatch.chdir(tmp_path)
    run_joined(Path("moved"))
    assert seen["data_dir"] == moved
    assert seen["bootstrap"] == ("127.0.0.1:1",)


def test_a_joined_node_runs_until_it_is_told_to_stop(cli: Cli, tmp_path: Path) -> None:
    listen = f"127.0.0.2:{free_port()}"
    folder = joined(cli, tmp_path / "home", "north", "--listen", listen)
    environment = os.environ | {"VOTENET_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(
        [sys.executable, "-m", "votenet", "node", "run"], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if f"listening on {listen}, " in line:
            break
    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=150)[1].splitlines()
    assert process.returncode == 0, said
    assert (folder / "chain.db").exists(), said

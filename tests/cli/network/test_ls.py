"""`votenet ls`: the networks on this machine. A running one: tests/e2e/test_printed_commands.py."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import CommandResult

from support.elections import make_election
from votenet.cli.network.ls import row_of
from votenet.config import instance_dirs, nodes_dir
from votenet.processes.instance import network_file, save_network
from votenet.processes.spec import NetworkSpec


def _stopped(name: str, nodes: int) -> None:
    """An instance as `down` leaves it."""
    dirs = instance_dirs(name)
    dirs.state.mkdir(parents=True)
    dirs.genesis.write_bytes(make_election(title=f"Election of {name}").to_file())
    ports = tuple(range(3000, 3000 + nodes))
    save_network(
        dirs, NetworkSpec(instance=name, genesis=str(dirs.genesis), bootstrap_port=4000, node_ports=ports)
    )


def test_without_a_network_it_says_how_to_make_one(cli: Callable[..., CommandResult]) -> None:
    shown = cli("ls")
    assert shown.code == 0
    assert shown.out == "There is no network yet. Make one with: votenet up --detach\n"
    assert json.loads(cli("ls", "--json").out) == []


def test_where_a_node_has_joined_a_network_the_command_that_shows_it_is_named(
    cli: Callable[..., CommandResult],
) -> None:
    folder = nodes_dir() / "centre"
    folder.mkdir(parents=True)
    (folder / "node.env").write_text("")
    assert cli("ls").out == "The network that centre joined is seen with: votenet status --network\n"
    for words in (["status"], ["ps"], ["results"], ["logs"]):
        refused = cli(*words)
        assert refused.code == 3
        assert "The network that centre joined is seen with: votenet status --network" in refused.err
    assert "network that centre joined with: votenet doctor --network" in cli("doctor", "--json").out
    assert "centre" not in cli("ps", "-i", "other").err, "it is of no instance"


def test_stopped_networks_are_listed_with_their_files(cli: Callable[..., CommandResult]) -> None:
    _stopped("board", 3)
    _stopped("club", 5)
    shown = cli("ls").out
    for word in ("board", "club", "stopped", "Election of board", str(instance_dirs("club").genesis)):
        assert word in shown
    first, second = json.loads(cli("ls", "--json").out)
    assert (first["instance"], first["state"], first["nodes"]) == ("board", "stopped", 3)
    assert (second["instance"], second["nodes"], second["title"]) == ("club", 5, "Election of club")


def test_an_unreadable_instance_hides_no_other(cli: Callable[..., CommandResult]) -> None:
    _stopped("board", 3)
    instance_dirs("board").genesis.write_text("no election", encoding="utf-8")
    network_file(instance_dirs("board")).write_text("no network", encoding="utf-8")
    assert row_of("board").title == "[bad-genesis]"
    foreign = instance_dirs("board").state.parent / "not one of ours"
    foreign.mkdir()
    (foreign / "network.json").write_text("{}", encoding="utf-8")
    assert [row["instance"] for row in json.loads(cli("ls", "--json").out)] == ["board"]

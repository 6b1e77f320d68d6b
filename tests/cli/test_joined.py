"""The networks of nodes that have joined on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

from support.elections import make_election, named_nodes
from support.posed_nodes import PosedNode, listed, posed, posed_server
from votenet.cli.joined import joined_here, the_only_network, way_in_of_folder
from votenet.cli.where import HERE, find_way_in
from votenet.config import nodes_dir
from votenet.core.election.definition import Election
from votenet.errors import ConfigError
from votenet.protocol.wire.address import Address

ELECTION = make_election(nodes=named_nodes(4))
OTHER = make_election(nodes=named_nodes(4), title="Other")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))


def joined(name: str, election: Election = ELECTION, **settings: str) -> Path:
    """The folder of a node that has joined."""
    folder = nodes_dir() / name
    folder.mkdir(parents=True)
    (folder / "genesis.json").write_bytes(election.to_file())
    lines = [f"VOTENET_NODE_{name}={value}\n" for name, value in settings.items()]
    (folder / "node.env").write_text("".join(lines))
    return folder


def test_a_joined_node_knows_servers_peers_and_its_own_address() -> None:
    joined(
        "north", BOOTSTRAP="10.0.0.1:4000,10.0.0.2:4000", ADVERTISE="10.0.0.3:3000", PEER="10.0.0.4:3000 x"
    )
    (way,) = joined_here()
    assert way.election.network_id == ELECTION.network_id
    assert way.bootstraps == (Address("10.0.0.1", 4000), Address("10.0.0.2", 4000))
    assert way.listed == (Address("10.0.0.3", 3000), Address("10.0.0.4", 3000))


def test_nodes_of_one_network_are_one_way_in_and_those_of_several_need_a_choice() -> None:
    assert the_only_network(list(joined_here())) is None
    joined("north", BOOTSTRAP="10.0.0.1:4000")
    south = joined("south", BOOTSTRAP="10.0.0.2:4000")
    way = find_way_in(HERE, (), "default")
    assert way.bootstraps == (Address("10.0.0.1", 4000), Address("10.0.0.2", 4000))
    joined("other", OTHER, BOOTSTRAP="10.0.0.9:4000")
    with pytest.raises(ConfigError) as refused:
        find_way_in(HERE, (), "default")
    assert (refused.value.code, bool(refused.value.next_step)) == ("several-networks", True)
    assert find_way_in(OTHER.network_hex, (), "default").bootstraps == (Address("10.0.0.9", 4000),)
    assert find_way_in(str(south), (), "default").bootstraps == (Address("10.0.0.2", 4000),)


def test_a_node_that_was_made_and_has_not_joined_is_passed_over() -> None:
    (nodes_dir() / "north").mkdir(parents=True)
    assert list(joined_here()) == []


def test_what_is_wrong_in_the_folder_of_a_node_is_said() -> None:
    folder = joined("north")
    (folder / "node.env").write_text("no assignment\n")
    with pytest.raises(ConfigError) as refused:
        way_in_of_folder(folder)
    assert refused.value.code == "bad-env-file"
    (folder / "node.env").write_text("")
    (folder / "genesis.json").unlink()
    with pytest.raises(ConfigError) as refused:
        way_in_of_folder(folder)
    assert refused.value.code == "bad-genesis"


def test_on_a_machine_with_a_joined_node_the_commands_need_no_where(
    cli: Callable[..., CommandResult],
) -> None:
    nodes = [PosedNode(ELECTION, index) for index in range(4)]
    with posed(*nodes), posed_server(lambda: [listed(one) for one in nodes]) as server:
        joined("north", BOOTSTRAP=str(server), ADVERTISE=str(nodes[0].address))
        assert cli("doctor", "--network").code == 0
        assert f"Network: {ELECTION.network_hex}" in cli("status", "--network").out

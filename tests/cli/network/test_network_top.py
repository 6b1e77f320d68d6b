"""`votenet top --network`: pictures of scripted nodes, one after the other."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, RunningNode

from support.elections import make_election, named_nodes
from support.posed_nodes import GIB, PosedNode, listed, posed, posed_server
from votenet.cli.network.network_top import FIND_SECONDS, NetworkWatch
from votenet.client.network_view import WayIn

ELECTION = make_election(nodes=named_nodes(4))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))


def test_rates_versions_and_nodes_that_go_and_come_back() -> None:
    nodes = [PosedNode(ELECTION, index) for index in range(4)]
    clock = [0.0]
    with posed(*nodes[:3]), posed_server(lambda: [listed(one) for one in nodes]) as server:
        watch = NetworkWatch(WayIn(ELECTION, (), (server,)), lambda: clock[0])
        first = watch.look()
        with posed(nodes[3]):
            clock[0] = 2.0
            nodes[0].changes = {"votes": 20}
            second = watch.look()  # known nodes only
            clock[0] = 2.0 + FIND_SECONDS
            third = watch.look()
        clock[0] += 1.0
        last = watch.look()
    assert [node.state for node in first.nodes] == ["up", "up", "up", "unreachable"]
    assert (first.instance, first.network_id) == ("Test election", ELECTION.network_hex)
    assert (second.nodes[0].votes, second.nodes[0].votes_per_second) == (20, 10.0)
    assert (second.nodes[0].version, second.nodes[0].disk_free) == ("0.2.0", 50 * GIB)
    assert [node.state for node in third.nodes] == ["up"] * 4
    assert last.nodes[3].state == "unreachable"
    assert last.nodes[3].height is None
    assert first.named_nodes is not None
    assert first.named_nodes.up == 4  # by their own word, which is scripted


def test_another_node_at_the_address_is_not_taken_for_the_same() -> None:
    node = PosedNode(ELECTION, 0)
    watch = NetworkWatch(WayIn(ELECTION, (node.address,)), iter(itertools.count()).__next__)
    with posed(node):
        assert watch.look().nodes[0].state == "up"
    with posed(PosedNode(ELECTION, 1, address=node.address)):
        assert watch.look().nodes[0].state == "unreachable"


def test_nodes_that_have_not_proved_their_keys_are_not_counted_as_named() -> None:
    liars = [PosedNode(ELECTION, index, greets=False, changes={"lies": ["a lie"]}) for index in range(4)]
    with posed(*liars), posed_server(lambda: [listed(one) for one in liars]) as server:
        picture = NetworkWatch(WayIn(ELECTION, (), (server,))).look()
    assert [node.state for node in picture.nodes] == ["not proven"] * 4
    assert (picture.named_nodes, picture.lies, picture.results) == (None, (), None)


def test_a_relay_with_another_tip_does_not_make_the_tips_of_named_nodes_differ() -> None:
    nodes, relay = [PosedNode(ELECTION, index) for index in range(4)], PosedNode(ELECTION)
    relay.changes = {"tip": "ff" * 32}
    entries = [listed(one) for one in (*nodes, relay)]
    with posed(*nodes, relay), posed_server(lambda: entries) as server:
        watch = NetworkWatch(WayIn(ELECTION, (), (server,)))
        assert (len(watch.look().nodes), watch.look().agree) == (5, True)
        nodes[3].changes = {"tip": "ff" * 32}
        assert not watch.look().agree


def test_what_a_relay_says_of_certificates_and_votes_is_in_its_own_row_alone() -> None:
    nodes, relay, clock = [PosedNode(ELECTION, index) for index in range(4)], PosedNode(ELECTION), [0.0]
    assert relay.status()["finality"] is not None
    relay.changes = {"finality": {**relay.status()["finality"], "certificate": 10**6}}
    entries = [listed(one) for one in (*nodes, relay)]
    with posed(*nodes, relay), posed_server(lambda: entries) as server:
        watch = NetworkWatch(WayIn(ELECTION, (), (server,)), lambda: clock[0])
        assert watch.look().final_height == 7
        clock[0] = 2.0
        nodes[0].changes, relay.changes = {"votes": 20}, {**relay.changes, "votes": 10**6}
        picture = watch.look()
    assert picture.nodes[4].certificate == 10**6
    assert picture.nodes[4].votes_per_second == 5 * 10**5
    assert (picture.final_height, picture.votes_per_second) == (7, 10.0)


def test_a_picture_as_typed(cli: Callable[..., CommandResult], named_node: RunningNode) -> None:
    where = ("top", "--network", str(named_node.address), "--once", "--interval", "0.1")
    done = cli(*where)
    assert done.code == 0
    assert {"NAME", "STATE", "HEIGHT", "CLOCK", "DISK"} <= set(done.out.splitlines()[1].split())
    assert "RESTARTS" not in done.out
    (node,) = json.loads(cli(*where, "--json").out)["nodes"]
    assert (node["name"], node["state"], node["address"]) == ("Node 0", "up", str(named_node.address))
    assert node["disk_free"] > 0

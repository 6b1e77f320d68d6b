"""What a network's operator is told by `peers ban`, `kill`, `pause`, `partition`, `status`: on real nodes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet, wait_for

pytestmark = pytest.mark.e2e
UP = ("up", "--detach", "--nodes", "3", "--difficulty", "8")


@pytest.fixture(scope="module")
def network() -> Iterator[Votenet]:
    """Three nodes that have found each other; every test leaves them so."""
    with tempfile.TemporaryDirectory(prefix="votenet-e2e-") as folder:
        user = Votenet(Path(folder))
        user(*UP)
        try:
            wait_for(lambda: joined(user), "every node has two peers")
            yield user
        finally:
            user("down", exit_code=None)
        assert user.left_over() == []


def joined(votenet: Votenet) -> bool:
    nodes = [one for name, one in votenet.programs().items() if name != "bootstrap"]
    return [(one["state"], one["peers"]) for one in nodes] == [("ready", 2)] * 3


def node_peers(votenet: Votenet, name: str) -> int:
    """By the node's own word."""
    found: int = next(one["peers"] for one in votenet.json("status") if one["name"] == name)
    return found


# -- bans ------------------------------------------------------------------------------------------


def test_a_ban_by_address_is_lifted_by_the_same_address(network: Votenet) -> None:
    """The key at that address was banned; who it was is known no more once the link is closed."""
    address = network.programs()["node-3"]["address"]
    made = network("peers", "ban", address)
    assert made.stdout.count(f"by-hand:{address}") == 2
    assert "node-3 has banned nobody" in made.stderr, "it is no peer of itself"
    wait_for(lambda: node_peers(network, "node-1") == 1, "node-1 has closed the link")
    network("restart", "node-1")
    assert network.json("peers", "unban", address) == {"node-1": 1, "node-2": 1, "node-3": 0}
    assert network.json("peers", "list", "--banned") == {"node-1": [], "node-2": [], "node-3": []}
    wait_for(lambda: joined(network), "they are peers again")
    again = network("peers", "unban", address, exit_code=4)
    assert "votenet peers list --banned" in again.stderr


@pytest.mark.parametrize("subject", ["203.0.113.7", "key:" + "5b" * 32, "address:2001:db8::/64"])
def test_a_ban_that_one_node_holds_is_lifted_without_an_error(network: Votenet, subject: str) -> None:
    network("peers", "ban", subject, "--node", "node-2")
    listed = network.json("peers", "list", "--banned")["node-2"][0]["subject"]
    done = network("peers", "unban", listed)
    assert done.stdout.splitlines() == [
        "node-1  had no such ban",
        "node-2  unbanned",
        "node-3  had no such ban",
    ]
    assert done.stderr == ""


def test_who_was_not_asked_is_said(network: Votenet) -> None:
    network("pause", "node-2")
    try:
        done = network("peers", "ban", "203.0.113.7")
        assert "node-2 is paused and was not asked" in done.stderr
        alone = network("peers", "ban", "203.0.113.7", "--node", "node-2", exit_code=3)
        assert "votenet resume node-2" in alone.stderr
    finally:
        network("resume", "node-2")
        network("peers", "unban", "203.0.113.7")

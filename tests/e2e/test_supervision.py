"""What a user sees when programs die: votes stay, nodes come back, hopeless ones are removed."""

from __future__ import annotations

import pytest
from tests.e2e.conftest import Votenet, wait_for

pytestmark = pytest.mark.e2e


def _ready_again(votenet: Votenet, name: str, old_pid: int) -> bool:
    program = votenet.programs()[name]
    return program["state"] == "ready" and program["pid"] != old_pid


def test_scenario_01_a_killed_node_comes_back_with_every_acknowledged_vote(votenet: Votenet) -> None:
    votenet("up", "--nodes", "3", "--detach", "--difficulty", "8")
    votenet("vote", "early", "Alice")
    old = votenet.kill("node-2")
    votenet("vote", "meanwhile", "Bob")
    wait_for(lambda: _ready_again(votenet, "node-2", old), "node-2 is ready again")
    address = votenet.programs()["node-2"]["address"]
    wait_for(
        lambda: votenet.json("results", "--node", address)["votes"] == 2,
        "node-2 has caught up with both votes",
    )
    assert "SIGKILL" in votenet.programs()["node-2"]["cause"]


def test_a_node_that_keeps_dying_is_removed_and_its_peers_are_told(votenet: Votenet) -> None:
    votenet("up", "--nodes", "3", "--detach", "--difficulty", "8", "--restart-window", "300")
    address = votenet.programs()["node-3"]["address"]
    killed: set[int] = set()
    while len(killed) < 5:  # the limit of the restart policy within its window
        wait_for(lambda: votenet.programs()["node-3"]["pid"] not in {None, *killed}, "node-3 runs again")
        killed.add(votenet.kill("node-3"))
    wait_for(lambda: votenet.programs()["node-3"]["state"] == "removed", "node-3 is removed")
    wait_for(
        lambda: address not in {peer["address"] for peer in votenet.json("peers", "list")},
        "the registry has dropped it",
    )
    votenet("vote", "still", "Alice")
    wait_for(lambda: votenet.json("results")["votes"] == 1, "it is counted")


def test_scenario_13_the_bootstrap_may_die_and_no_registration_is_lost(votenet: Votenet) -> None:
    votenet("up", "--nodes", "2", "--detach", "--difficulty", "8")
    before = {peer["address"] for peer in votenet.json("peers", "list")}
    old = votenet.kill("bootstrap")
    votenet("vote", "without", "Alice")
    wait_for(lambda: _ready_again(votenet, "bootstrap", old), "the bootstrap is back")
    assert {peer["address"] for peer in votenet.json("peers", "list")} >= before


@pytest.mark.long
def test_scenario_18_two_instances_side_by_side(votenet: Votenet) -> None:
    try:
        votenet("up", "-i", "one", "--nodes", "1", "--detach", "--difficulty", "8")
        votenet("up", "-i", "two", "--nodes", "1", "--detach", "--difficulty", "8", "--candidate", "Zoe")
        votenet("vote", "-i", "one", "v", "Alice")
        votenet("vote", "-i", "two", "v", "Zoe")
        assert votenet.counts("-i", "one")["Alice"] == 1
        assert votenet.counts("-i", "two") == {"Zoe": 1}
    finally:
        votenet("down", "-i", "one", exit_code=None)
        votenet("down", "-i", "two", exit_code=None)


def test_scenario_02_two_of_five_then_four_are_killed(votenet: Votenet) -> None:
    votenet("up", "--nodes", "5", "--detach", "--difficulty", "8")
    votenet("vote", "before", "Alice")
    votenet("kill", "node-1", "node-2")
    votenet("vote", "during", "Alice")
    votenet("wait", "--for", "ready")
    votenet("kill", "node-[1-4]")
    votenet("vote", "again", "Bob")
    votenet("wait", "--for", "ready")
    wait_for(lambda: votenet("results", "--all-nodes", exit_code=None).returncode == 0, "all agree")
    assert votenet.counts() == {"Alice": 2, "Bob": 1, "Charlie": 0}
    restarts = {name: program["restarts"] for name, program in votenet.programs().items()}
    assert restarts == {"bootstrap": 0, "node-1": 2, "node-2": 2, "node-3": 1, "node-4": 1, "node-5": 0}


def test_up_returns_when_the_nodes_have_found_each_other(votenet: Votenet) -> None:
    """One of them is ready before there is any peer: its first must be told of before `up` returns."""
    for _ in range(2):  # the second time they remember peers that do not listen yet
        votenet("up", "--nodes", "3", "--detach", "--difficulty", "8")
        nodes = [program for program in votenet.programs().values() if program["role"] == "node"]
        assert all(node["peers"] for node in nodes), [node["peers"] for node in nodes]
        votenet("down")

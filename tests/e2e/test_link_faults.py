"""Links between real nodes cut, healed and slowed by a user: two chains while it lasts, one afterwards."""

from __future__ import annotations

import pytest
from tests.e2e.conftest import Votenet, wait_for

pytestmark = pytest.mark.e2e


def _votes_at(votenet: Votenet, address: str) -> int:
    return int(votenet.json("results", "--node", address)["votes"])


def _waiting_at(votenet: Votenet, address: str) -> int:
    return int(votenet.json("results", "--node", address)["waiting"])


def _agree(votenet: Votenet, votes: int) -> bool:
    done = votenet("results", "--all-nodes", "--json", exit_code=None)
    return done.returncode == 0 and f'"votes": {votes}' in done.stdout


def test_scenario_20_neither_side_of_a_partition_decides_and_healed_all_votes_count(votenet: Votenet) -> None:
    votenet("up", "--nodes", "5", "--detach", "--difficulty", "8")
    address = {name: program["address"] for name, program in votenet.programs().items()}
    votenet("vote", "before", "Alice")
    wait_for(lambda: _agree(votenet, 1), "all count the first vote")
    votenet("partition", "node-1,node-2", "/", "node-3,node-4,node-5")
    votenet("vote", "left", "Alice", "--node", address["node-1"], "--wait", "0")
    for voter in ("right", "right-too"):
        votenet("vote", voter, "Bob", "--node", address["node-4"], "--wait", "0")
    wait_for(lambda: _waiting_at(votenet, address["node-2"]) == 1, "the smaller side has its own vote")
    wait_for(lambda: _waiting_at(votenet, address["node-5"]) == 2, "the larger side has its own votes")
    wait_for(lambda: "a partition keeps it from" in votenet("status").stdout, "it is told of")
    old = votenet.kill("node-2")
    wait_for(lambda: votenet.programs()["node-2"]["pid"] not in (None, old), "node-2 runs again")
    wait_for(lambda: votenet.programs()["node-2"]["state"] == "ready", "node-2 is ready, as far as it sees")
    wait_for(lambda: _waiting_at(votenet, address["node-2"]) == 1, "it lost no vote")
    assert [_votes_at(votenet, address[name]) for name in ("node-1", "node-2", "node-3")] == [1, 1, 1]
    votenet("heal")
    wait_for(lambda: _agree(votenet, 4), "one chain with every vote of both sides", 120)
    assert votenet.counts() == {"Alice": 2, "Bob": 2, "Charlie": 0}


@pytest.mark.long
def test_without_named_nodes_a_partition_heals_into_the_chain_with_most_work(votenet: Votenet) -> None:
    votenet("up", "--nodes", "5", "--detach", "--difficulty", "8", "--no-named-nodes")
    address = {name: program["address"] for name, program in votenet.programs().items()}
    votenet("vote", "before", "Alice")
    wait_for(lambda: _agree(votenet, 1), "all count the first vote")
    votenet("partition", "node-1,node-2", "/", "node-3,node-4,node-5")
    wait_for(lambda: "cut off" in votenet("ps").stdout, "it is told of the partition")
    votenet("vote", "left", "Alice", "--node", address["node-1"])
    for voter in ("right", "right-too"):
        votenet("vote", voter, "Bob", "--node", address["node-4"])
    wait_for(lambda: _votes_at(votenet, address["node-2"]) == 2, "the smaller side counts its own vote")
    wait_for(lambda: _votes_at(votenet, address["node-5"]) == 3, "the larger side counts its own votes")
    old = votenet.kill("node-2")
    wait_for(lambda: votenet.programs()["node-2"]["pid"] not in (None, old), "node-2 runs again")
    wait_for(lambda: votenet.programs()["node-2"]["state"] == "ready", "node-2 is ready, as far as it sees")
    for name, votes in (("node-1", 2), ("node-2", 2), ("node-3", 3)):
        wait_for(lambda at=address[name], n=votes: _votes_at(votenet, at) == n, f"{name} counts its side")
    votenet("heal")
    wait_for(lambda: _agree(votenet, 4), "one chain with every vote of both sides", 120)
    assert votenet.counts() == {"Alice": 2, "Bob": 2, "Charlie": 0}
    wait_for(lambda: {one["links"] for one in votenet.programs().values()} == {None}, "all links are whole")


@pytest.mark.long
def test_a_slow_node_is_behind_and_loses_nothing(votenet: Votenet) -> None:
    votenet("up", "--nodes", "3", "--detach", "--difficulty", "8")
    address = {name: program["address"] for name, program in votenet.programs().items()}
    votenet("slow", "node-3", "20s")
    assert "slowed by 20000 ms" in votenet("ps").stdout
    votenet("vote", "quick", "Alice", "--node", address["node-1"])
    wait_for(lambda: _votes_at(votenet, address["node-2"]) == 1, "the others have it")
    assert _votes_at(votenet, address["node-3"]) == 0
    votenet("slow", "node-3", "0ms")
    votenet("vote", "quicker", "Bob", "--node", address["node-3"])
    wait_for(lambda: _agree(votenet, 2), "all count both")

"""`votenet status` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import Outcome, RunningNode


def test_status_of_a_node_and_of_a_vote(cli: Callable[..., Outcome], node: RunningNode) -> None:
    where = ("--node", str(node.address))
    (found,) = json.loads(cli("status", *where, "--json").out)
    assert (found["address"], found["network_id"]) == (str(node.address), node.election.network_hex)
    assert found["synced"] is True
    assert "synced" in cli("status", *where).out
    assert "No vote of 'nobody'" in cli("status", *where, "--voter", "nobody").out
    cli("vote", *where, "s1", "Alice")
    assert "s1: in block 1 (1 confirmation), says " in cli("status", *where, "--voter", "s1").out
    assert json.loads(cli("status", *where, "--voter", "s1", "--json").out)["state"] == "in_block"


def test_a_node_that_does_not_answer(cli: Callable[..., Outcome]) -> None:
    done = cli("status", "--node", "127.0.0.1:1", "--json")
    assert done.code == 1
    (found,) = json.loads(done.out)
    assert found["error"]["code"] == "unreachable"

"""`votenet results` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import Outcome, RunningNode


def test_s16_results_as_a_table_and_as_json(cli: Callable[..., Outcome], node: RunningNode) -> None:
    where = ("--node", str(node.address))
    for voter, name in (("r1", "Bob"), ("r2", "Bob"), ("r3", "Alice")):
        assert cli("vote", *where, voter, name).code == 0
    found = json.loads(cli("results", *where, "--json").out)
    assert list(found["counts"].items()) == [("Bob", 2), ("Alice", 1), ("Charlie", 0)]
    assert (found["votes"], found["waiting"]) == (3, 0)
    assert found["network_id"] == node.election.network_hex
    shown = cli("results", *where).out
    assert "66.7%" in shown
    assert "3 votes in" in shown


def test_all_nodes_agree_or_exit_1(cli: Callable[..., Outcome], node: RunningNode) -> None:
    done = cli("results", "--node", str(node.address), "--all-nodes", "--json")
    assert done.code == 0
    assert json.loads(done.out)["agree"] is True


def test_help_teaches(cli: Callable[..., Outcome]) -> None:
    assert "--all-nodes" in cli("results", "--help").out

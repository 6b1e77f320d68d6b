"""The first five minutes of a stranger: start, vote, vote again, count, stop."""

from __future__ import annotations

import json
import re
import socket

import pytest
from tests.e2e.conftest import Votenet, wait_for

pytestmark = pytest.mark.e2e


def test_five_nodes_one_vote_one_refusal_results_from_every_node(votenet: Votenet) -> None:
    votenet("up", "--nodes", "5", "--detach", "--difficulty", "12")

    states = {name: program["state"] for name, program in votenet.programs().items()}
    assert states == {"bootstrap": "ready", **{f"node-{n}": "ready" for n in range(1, 6)}}

    receipt = votenet.json("vote", "voter123", "Alice")
    assert receipt["state"] == "final"
    assert (receipt["height"], receipt["choices"]) == (1, [["Alice"]])
    assert receipt["confirmations"] >= 1

    # At this difficulty two nodes may find a block at once, and then one of the two stands.
    wait_for(lambda: votenet("results", "--all-nodes", exit_code=None).returncode == 0, "all nodes agree")
    block = votenet.json("status", "--voter", "voter123")["block"]
    second = votenet("vote", "voter123", "Bob", exit_code=1)
    assert "has already voted" in second.stderr
    assert f"in block 1 ({block})" in second.stderr
    assert re.search(r"\d\d:\d\d:\d\d \S", second.stderr)

    found = votenet.json("results", "--all-nodes")
    assert len(found["nodes"]) == 5
    assert dict(found["nodes"][0]["contests"][0]["counts"]) == {"Alice": 1, "Bob": 0, "Charlie": 0}

    votenet("down")
    assert votenet.left_over() == []
    assert "no network is running" in votenet("results", exit_code=3).stderr


def test_the_key_is_made_on_first_use_and_private(votenet: Votenet) -> None:
    votenet("up", "--nodes", "1", "--detach", "--difficulty", "8")
    votenet("vote", "voter@example.org", "Bob")
    (key,) = votenet.json("keys", "show", "voter@example.org")
    from pathlib import Path

    assert Path(key["file"]).stat().st_mode & 0o777 == 0o600
    assert len(key["public_key"]) == 64


def test_the_chain_survives_down_and_up(votenet: Votenet) -> None:
    votenet("up", "--nodes", "2", "--detach", "--difficulty", "8")
    before = votenet.json("vote", "voter123", "Charlie")
    votenet("down")
    votenet("up", "--nodes", "2", "--detach")
    assert votenet.counts()["Charlie"] == 1
    assert votenet.json("status", "--voter", "voter123")["block"] == before["block"]
    votenet("vote", "voter123", "Alice", exit_code=1)


@pytest.mark.long
def test_up_is_idempotent_and_another_election_needs_another_instance(votenet: Votenet) -> None:
    votenet("up", "--nodes", "1", "--detach", "--difficulty", "8")
    pid = votenet.programs()["node-1"]["pid"]
    votenet("up", "--nodes", "1", "--detach")
    assert votenet.programs()["node-1"]["pid"] == pid
    votenet("down")
    refused = votenet("up", "--nodes", "1", "--detach", "--candidate", "Dora", exit_code=78)
    assert "votenet down --purge" in refused.stderr
    votenet("down", "--purge", "--yes")
    votenet(
        "up", "--nodes", "1", "--detach", "--candidate", "Dora", "--candidate", "Emil", "--difficulty", "8"
    )
    votenet("vote", "v1", "Dora")
    assert votenet.counts() == {"Dora": 1, "Emil": 0}


def test_nodes_register_and_reference_clients_see_them(votenet: Votenet) -> None:
    votenet("up", "--nodes", "2", "--detach", "--difficulty", "8")
    programs = votenet.programs()
    host, port = programs["bootstrap"]["address"].split(":")
    wanted = {programs["node-1"]["address"], programs["node-2"]["address"]}

    def listed() -> set[str]:
        with socket.create_connection((host, int(port)), timeout=150) as link:
            link.sendall(b'{"type":"GET_PEERS"}\n')
            with link.makefile() as lines:
                return {peer["address"] for peer in json.loads(lines.readline())}

    wait_for(lambda: listed() == wanted, "both are listed")


def test_results_are_sorted_and_shown_as_a_table(votenet: Votenet) -> None:
    votenet("up", "--nodes", "1", "--detach", "--difficulty", "8", "--title", "Board")
    for voter, name in (("a", "Bob"), ("b", "Bob"), ("c", "Charlie")):
        votenet("vote", voter, name)
    lines = votenet("results").stdout.splitlines()
    assert lines[0].startswith("Board")
    assert [line.split()[0] for line in lines[2:5]] == ["Bob", "Charlie", "Alice"]
    assert "66.7%" in lines[2]

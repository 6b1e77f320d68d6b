"""Named nodes as an organiser meets them: fewer than a quorum, relays, a stranger's node, a copied key."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Votenet, wait_for

from support.processes import free_addresses

pytestmark = pytest.mark.e2e


def _up(votenet: Votenet, nodes: int, *options: str) -> Path:
    """The state folder of a new network."""
    votenet("up", "--nodes", str(nodes), "--detach", "--difficulty", "8", *options)
    return votenet.home / "default"


def _finality(votenet: Votenet, *options: str) -> dict[str, Any]:
    """What each node that answers says is final."""
    answers = votenet.json("status", *options)
    return {answer["name"]: answer["finality"] for answer in answers if "finality" in answer}


def _all_final(votenet: Votenet, votes: int) -> bool:
    answers = [answer for answer in votenet.json("status") if "finality" in answer]
    return {(one["votes"], one["finality"]["certificate"] - one["height"]) for one in answers} == {(votes, 0)}


@contextmanager
def _node(votenet: Votenet, data_dir: Path, *options: str) -> Iterator[str]:
    """A node of its own that joins the default network; its address."""
    (address,) = free_addresses(1)
    state = votenet.home / "default"
    where = ("--data-dir", str(data_dir), "--genesis", str(state / "genesis.json"), "--listen", str(address))
    boot = ("--bootstrap", votenet.programs()["bootstrap"]["address"])
    with (votenet.home / f"{data_dir.name}.log").open("wb") as log:
        command = [sys.executable, "-m", "votenet", "node", *where, *boot, *options]
        process = subprocess.Popen(command, env=votenet.env, stdout=log, stderr=log)
    try:
        yield str(address)
    finally:
        process.terminate()
        process.wait(60)


def test_up_names_its_nodes_and_says_what_their_number_is_good_for(votenet: Votenet) -> None:
    done = votenet("up", "--nodes", "5", "--detach", "--difficulty", "8")
    assert "5 named nodes: 4 must agree, 1 may be down or lie" in done.stderr
    state = votenet.home / "default"
    keys = [*state.glob("node-*/node.key"), state / "authority.key"]
    assert len(keys) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    votenet("vote", "ann", "Alice")
    wait_for(lambda: _all_final(votenet, 1), "every node has a certificate of the vote")
    everyone = [0, 1, 2, 3, 4]
    wait_for(
        lambda: all(one["reachable"] == everyone for one in _finality(votenet).values()), "all are joined"
    )
    for name, stands in _finality(votenet).items():
        assert (stands["named"], stands["quorum"]) == (5, 4)
        assert name == f"node-{stands['index'] + 1}"
        assert len(stands["signers"]) >= 4
    assert "Final: up to block 1, signed by" in votenet("status").stdout


@pytest.mark.long
def test_with_fewer_than_a_quorum_votes_are_saved_and_final_when_nodes_are_back(votenet: Votenet) -> None:
    _up(votenet, 5)
    refused = votenet("stop", "node-4", "node-5", exit_code=1)
    assert "fewer than 4 of 5 named nodes: votes are received and saved, none becomes final" in refused.stderr
    assert "votenet stop node-4 node-5 --force" in refused.stderr
    assert "--force" in votenet("scale", "3", exit_code=1).stderr
    assert "--force" in votenet("up", "--nodes", "3", "--detach", exit_code=1).stderr
    votenet("stop", "node-5")
    votenet("stop", "node-4", "--force")
    votenet("vote", "ann", "Alice", "--wait", "0")
    told = "Only 3 of 5 named nodes can be reached (not node-4, node-5)"
    wait_for(lambda: told in votenet("status").stdout, "it is told who is away")
    wait_for(lambda: votenet.json("results")["waiting"] == 1, "the vote is received")
    assert votenet.json("results")["votes"] == 0
    votenet("start", "node-4")
    wait_for(lambda: _all_final(votenet, 1), "the vote is final with four")


@pytest.mark.long
def test_more_nodes_are_relays_and_all_five_named_ones_may_die_at_once(votenet: Votenet) -> None:
    _up(votenet, 5)
    votenet("scale", "7")
    assert {name for name, stands in _finality(votenet).items() if stands["index"] is None} == {
        "node-6", "node-7",
    }  # fmt: skip
    votenet("vote", "ann", "Alice", "--node", votenet.programs()["node-7"]["address"])
    wait_for(lambda: _all_final(votenet, 1), "relays have the certificate, too")
    votenet("kill", "node-[1-5]")
    votenet("wait", "--for", "ready")
    votenet("vote", "bo", "Bob", "--node", votenet.programs()["node-6"]["address"])
    wait_for(lambda: _all_final(votenet, 2), "they decide again")
    votenet("scale", "5")
    votenet("down")
    done = votenet("up", "--detach")
    assert "--nodes 5" not in done.stderr, "five is the default"
    assert len(_finality(votenet)) == 5


@pytest.mark.long
def test_a_strangers_node_is_a_relay_and_needs_a_named_node(votenet: Votenet, tmp_path: Path) -> None:
    _up(votenet, 3)
    votenet("vote", "ann", "Alice")
    with _node(votenet, tmp_path / "relay") as address:
        wait_for(lambda: _answers(votenet, address), "it answers")
        wait_for(lambda: _one(votenet, address)["synced"], "it is joined and caught up")
        assert _one(votenet, address)["finality"]["index"] is None
        wait_for(lambda: len(_one(votenet, address)["finality"]["reachable"]) >= 2, "it has two named peers")
        votenet("vote", "bo", "Bob", "--node", address)
        votenet("stop", "node-1", "node-2", "node-3", "--force")
        wait_for(lambda: not _one(votenet, address)["synced"], "no named node is joined to it")
        wait_for(lambda: "cut-off" in _codes(votenet, address), "it says so")
        votenet("start", "node-*")
        wait_for(lambda: _one(votenet, address)["synced"], "it is joined again", 120)


def test_a_copied_key_is_told_of_and_the_election_goes_on(votenet: Votenet, tmp_path: Path) -> None:
    state = _up(votenet, 5)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(state / "node-2" / "node.key", copy)
    with _node(votenet, copy) as address:
        wait_for(lambda: _answers(votenet, address), "it answers")
        twins = {address, votenet.programs()["node-2"]["address"]}
        wait_for(lambda: any("key-twice" in _codes(votenet, one) for one in twins), "one of them says so")
        for voter in ("ann", "bo"):
            votenet("vote", voter, "Alice")
    wait_for(lambda: _all_final(votenet, 2), "all is decided")


def test_without_named_nodes_nothing_is_final(votenet: Votenet) -> None:
    done = votenet("up", "--nodes", "3", "--detach", "--difficulty", "8", "--no-named-nodes")
    assert "never final: no nodes are named, so anybody may rewrite this" in done.stderr
    votenet("vote", "ann", "Alice")
    assert _finality(votenet) == {}
    assert "never final" in votenet("status").stdout
    votenet("stop", "node-1", "node-2")


def _answers(votenet: Votenet, address: str) -> bool:
    return votenet("status", "--node", address, exit_code=None).returncode == 0


def _one(votenet: Votenet, address: str) -> dict[str, Any]:
    (found,) = votenet.json("status", "--node", address)
    return dict(found)


def _codes(votenet: Votenet, address: str) -> set[str]:
    return {warning["code"] for warning in _one(votenet, address).get("warnings") or ()}

"""What a network's operator is told by `peers ban`, `kill`, `pause`, `partition`, `status`: on real nodes."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
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
    assert "node-3 has set no ban" in made.stderr, "it is no peer of itself"
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


def test_nodes_that_were_not_asked_are_named(network: Votenet) -> None:
    network("pause", "node-2")
    try:
        done = network("peers", "ban", "203.0.113.7")
        assert "node-2 is paused and was not asked" in done.stderr
        alone = network("peers", "ban", "203.0.113.7", "--node", "node-2", exit_code=3)
        assert "votenet resume node-2" in alone.stderr
    finally:
        network("resume", "node-2")
        network("peers", "unban", "203.0.113.7")


# -- what is not as it should be -------------------------------------------------------------------


def test_paused_and_stopped_nodes_are_listed_with_the_command_that_brings_them_back(network: Votenet) -> None:
    network("pause", "node-2")
    network("stop", "node-3")
    try:
        shown = network("status").stdout
        rows = {line.split()[0]: line.split()[2] for line in shown.splitlines() if " 127.0.0.1:" in line}
        assert rows.pop("node-1") in ("ready", "unready")  # it is alone, and says so after some seconds
        assert rows == {"node-2": "paused", "node-3": "stopped"}
        assert "node-2 is paused. Next: votenet resume node-2" in shown
        assert "node-3 is stopped. Next: votenet start node-3" in shown
        listed = {one["name"]: one for one in network.json("status")}
        assert (listed["node-2"]["state"], listed["node-2"]["error"]["code"]) == ("paused", "paused")
        network("pause", "node-1")
        nobody = network("status", exit_code=3)
        assert "votenet resume node-1" in nobody.stderr
        assert "votenet resume node-1" in network("results", exit_code=3).stderr
    finally:
        network("resume", "node-1", "node-2")
        network("start", "node-3")
        wait_for(lambda: joined(network), "all is as before")


def test_a_partition_is_told_by_everything_that_shows_the_network(network: Votenet) -> None:
    """PEERS 2, synced yes: nothing told of it."""
    network("partition", "node-1,node-2", "/", "node-3")
    try:
        why = "node-3 is cut off: a partition keeps it from node-1, node-2. Next: votenet heal"
        wait_for(lambda: why in network("ps").stderr, "it is told of")
        assert why in network("status").stdout
        assert why in network("top", "--once", "--interval", "0.1").stdout
        assert "it is cut off: a partition keeps it from node-3" in network("results").stderr
        assert any("votenet heal" in one["next_step"] for one in network.json("doctor", exit_code=None))
        network("vote", "apart", "Alice", "--wait", "60", "--node", network.programs()["node-1"]["address"])
        differ = network("results", "--all-nodes", exit_code=1).stderr
        assert "see votenet ps" in differ
        assert "ask again" not in differ, "it does not help"
    finally:
        network("heal")
    wait_for(lambda: "cut off" not in network("ps").stdout, "it is over")
    wait_for(lambda: joined(network), "all is as before")


@pytest.mark.long
def test_a_node_that_the_others_have_banned_is_cut_off(network: Votenet) -> None:
    address = network.programs()["node-3"]["address"]
    network("peers", "ban", address, "--for", "5m")
    try:
        told = (
            r"node-3 is cut off: it has no peers, though 2 others run\. Next: .*votenet peers list --banned"
        )
        # While it dials it has a link for a moment: then it is not cut off for some seconds.
        wait_for(lambda: re.search(told, network("ps").stderr), "node-3 has no peers for some seconds")
    finally:
        network("peers", "unban", address)
    wait_for(lambda: joined(network), "they are peers again")
    assert not network.programs()["node-3"]["cut_off"]


@pytest.mark.long
def test_a_bootstrap_server_that_is_away_is_named_with_its_state(network: Votenet) -> None:
    """The advice was to start a network: one runs."""
    network("pause", "bootstrap")
    try:
        told = network("peers", "list", exit_code=None)  # it listens, and does not answer
        assert told.returncode
        network("resume", "bootstrap")
        network("stop", "bootstrap")
        told = network("peers", "list", exit_code=3)
        assert "it is stopped" in told.stderr
        assert "  votenet start bootstrap" in told.stderr
    finally:
        network("start", "bootstrap")
    wait_for(lambda: len(network.json("peers", "list")) == 3, "it knows all nodes")


# -- times, and where it listens -------------------------------------------------------------------


def test_times_are_local_with_their_zone_and_logs_of_the_supervisor_can_be_asked_by_time(
    network: Votenet,
) -> None:
    network.env["TZ"] = "WIB-7"
    try:
        line = network("logs", "node-1", "-n", "1", "--no-prefix").stdout.split()[0]
        assert line.endswith("+07:00")
        raw = str(network.json("logs", "node-1", "-n", "1")["line"]).split()[0]
        assert raw.endswith("Z"), "programs get what is in the file"
        own = network("logs", "supervisor", "--since", "1h").stdout
        assert "node-1: ready after" in own, "its lines had the time of day alone: none was ever recent"
        assert network.json("logs", "supervisor", "-n", "1")["own_time"] is not None
        asked = [sys.executable, "-m", "votenet", "events"]
        with subprocess.Popen(asked, env=network.env, stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout is not None
            first = follower.stdout.readline()
            follower.terminate()
        assert "WIB (UTC+07:00)" in first
    finally:
        del network.env["TZ"]


def test_up_lists_all_listening_addresses(network: Votenet) -> None:
    started = network("logs", "supervisor", "-n", "1000").stdout
    assert "this machine only: 127.0.0.1, bootstrap server on port" in started


# -- a node that can save nothing ------------------------------------------------------------------


def test_a_node_whose_database_is_locked_says_so_and_is_not_ready(network: Votenet) -> None:
    """It was "ready, synced", and the advice to the voter was to free the disk."""
    program = network.programs()["node-1"]
    other = sqlite3.connect(Path(program["data_dir"]) / "chain.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        refused = network("vote", "locked", "Alice", "--node", program["address"], exit_code=None)
        assert refused.returncode
        assert "another program keeps it locked" in refused.stderr
        assert "free its disk" not in refused.stderr
        wait_for(lambda: network.programs()["node-1"]["state"] == "unready", "it says that it is not ready")
        told = network("ps").stderr
        assert "node-1 is unready: can save nothing: the database: another program keeps it locked" in told
        shown = network("status").stdout
        assert "it can save nothing and refuses votes" in shown
        assert "Stop the other program and try again." in shown
    finally:
        other.execute("ROLLBACK")
        other.close()
    wait_for(lambda: joined(network), "it is ready again, without a vote that would show it")
    assert "can save nothing" not in network("status").stdout

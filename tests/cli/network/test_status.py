"""`votenet status` as typed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import msgspec
from rich.console import Console
from tests.cli.conftest import CommandResult, RunningNode

from support.elections import make_election, named_nodes
from support.posed_nodes import PosedNode, posed
from votenet.cli.network.finding import LEAVES_LISTS
from votenet.cli.network.status import status_table
from votenet.errors import Unreachable
from votenet.protocol.wire.client_messages import NodeStatus


def test_status_of_a_node_and_of_a_vote(cli: Callable[..., CommandResult], node: RunningNode) -> None:
    where = ("--node", str(node.address))
    (found,) = json.loads(cli("status", *where, "--json").out)
    assert (found["address"], found["network_id"]) == (str(node.address), node.election.network_hex)
    assert found["synced"] is True
    assert "synced" in cli("status", *where).out
    assert "Final: never final: no nodes are named" in cli("status", *where).out
    assert "No vote of 'nobody'" in cli("status", *where, "--voter", "nobody").out
    cli("vote", *where, "s1", "Alice")
    assert "s1: in block 1 (1 confirmation), says " in cli("status", *where, "--voter", "s1").out
    assert json.loads(cli("status", *where, "--voter", "s1", "--json").out)["state"] == "in_block"


def test_a_node_that_does_not_answer(cli: Callable[..., CommandResult]) -> None:
    done = cli("status", "--node", "127.0.0.1:1", "--json")
    assert done.code == 1
    (found,) = json.loads(done.out)
    assert found["error"]["code"] == "unreachable"


def test_what_a_named_node_has_signed(cli: Callable[..., CommandResult], named_node: RunningNode) -> None:
    shown = cli("status", "--node", str(named_node.address)).out.splitlines()
    assert "final" in shown[0].split()
    assert shown[-1].startswith("Final: ")
    assert shown[-1].endswith("1 of 1 named nodes are connected, 1 must agree.")


def test_a_restored_node_that_leaves_closing_lists_to_the_others_is_named(
    cli: Callable[..., CommandResult],
) -> None:
    node = PosedNode(make_election(nodes=named_nodes(4)), 1)
    node.changes = {"finality": node.status()["finality"] | {"leaves_lists": True}}
    with posed(node):
        done = cli("status", "--node", str(node.address))
    assert f"Node 1: {LEAVES_LISTS}" in done.out.splitlines()


def test_what_nodes_say_fits_on_a_terminal_of_eighty_columns() -> None:
    told = msgspec.convert(
        {
            "name": "node-1", "version": "0.2.0", "node_key": "ab" * 32, "network_id": "cd" * 32,
            "listen": "127.0.0.1:24100", "height": 12345, "tip": "ef" * 32, "work": "1000", "bits": 1,
            "votes": 123456, "waiting": 0, "peers": 4, "known_peers": 4, "synced": True, "mining": False,
            "kernel": "avx512", "uptime": 10, "peer_bytes_sent": 1, "peer_bytes_received": 1, "warnings": [],
            "cut_off": "",
            "finality": {
                "named": 5, "quorum": 4, "index": 0, "reachable": [0], "decided": 9, "round": 0,
                "certificate": 12344, "signers": [0],
            },
        },
        NodeStatus,
    )  # fmt: skip
    answers = {"127.0.0.1:24100": told, "127.0.0.1:24101": Unreachable("no answer")}
    for width in (80, 200):
        console = Console(width=width, file=io.StringIO(), color_system=None)
        console.print(status_table(answers, {}, width))
        assert isinstance(console.file, io.StringIO)
        head, first, second = console.file.getvalue().splitlines()
        assert {"node", "address", "state", "height", "final", "votes", "waiting"} <= set(head.split())
        assert ("kernel" in head) == (width == 200)
        assert "12,344" in first
        assert second.split() == ["?", "127.0.0.1:24101", "no", "answer"]

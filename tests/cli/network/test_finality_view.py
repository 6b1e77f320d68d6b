"""What is final, and whether enough named nodes are connected, in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.elections import make_election, named_nodes
from support.posed_nodes import PosedNode
from votenet.cli.network.finality_view import NamedUp, finality_lines, named_up, of_answers, of_programs
from votenet.protocol.wire.client_messages import COUNTS_AS_DOWN, NodeStatus


def _node(index: int | None, reachable: list[int], state: str = "ready", height: int = 3) -> dict[str, Any]:
    told = {"height": height, "index": index, "named": 5, "quorum": 4, "reachable": reachable}
    address = f"127.0.0.1:300{index}"
    return {"name": f"node-{index}", "state": state, "address": address, "links": None, "finality": told}


def test_all_are_up() -> None:
    nodes = of_programs(
        [{"name": "bootstrap", "state": "ready", "finality": None}, _node(0, [0, 1, 2, 3, 4])]
    )
    assert list(finality_lines(nodes)) == [
        "Final: up to block 3; 5 of 5 named nodes are connected, 4 must agree."
    ]
    assert list(finality_lines(nodes, 4, "; block 4 is in round 2")) == [
        "Final: up to block 3, signed by 4; 5 of 5 named nodes are connected, 4 must agree; "
        "block 4 is in round 2."
    ]


def test_a_paused_node_is_not_up_though_its_links_last_for_a_while() -> None:
    everybody = [0, 1, 2, 3, 4]
    nodes = of_programs([_node(0, everybody), _node(1, everybody, "paused"), _node(2, everybody, "paused")])
    assert named_up(nodes) == NamedUp(3, 5, 4)
    assert list(finality_lines(nodes))[1] == (
        "Too few: votes are received and saved, none becomes final until they are back."
    )


@pytest.mark.parametrize("code", sorted(COUNTS_AS_DOWN))
def test_a_node_that_says_that_it_decides_nothing_is_not_up(code: str) -> None:
    election = make_election(nodes=named_nodes(4))
    nodes = [PosedNode(election, index) for index in range(3)]
    for node in nodes:
        node.changes = {"finality": node.status()["finality"] | {"reachable": [0, 1, 2]}}
    nodes[2].changes["warnings"] = [{"code": code, "message": "So it is."}]
    answers = [msgspec.convert(node.status(), NodeStatus) for node in nodes]
    assert named_up(of_answers(answers[:2], ())) == NamedUp(3, 4, 3)
    up = named_up(of_answers(answers, ()))
    assert (up, up is not None and up.too_few) == (NamedUp(2, 4, 3), True)
    assert named_up(of_answers(answers[2:], ())) == NamedUp(2, 4, 3), "it is asked, too"


def test_of_two_halves_of_a_network_the_larger_one_counts_and_the_newest_certificate() -> None:
    nodes = of_programs([_node(0, [0, 1, 2], height=4), _node(3, [3, 4]), _node(None, [3, 4], height=5)])
    assert named_up(nodes) == NamedUp(3, 5, 4)
    assert next(finality_lines(nodes)).startswith("Final: up to block 5; 3 of 5")


def test_before_the_first_block_and_without_named_nodes() -> None:
    assert next(finality_lines(of_programs([_node(0, [0, 1, 2, 3], height=0)]))).startswith(
        "Final: nothing yet; 4"
    )
    assert named_up([]) is None
    assert list(finality_lines(of_programs([{"name": "node-1", "state": "ready", "finality": None}]))) == []


def test_a_partition_counts_at_once() -> None:
    everybody = [0, 1, 2, 3, 4]
    sides = ((0, 1, 2), (3, 4))
    nodes = [_node(index, everybody) for side in sides for index in side] + [_node(None, everybody)]
    for side, other in (sides, sides[::-1]):
        for index in side:
            nodes[index]["links"] = {"delay": 0, "cut": [f"127.0.0.1:300{far}" for far in other]}
    assert named_up(of_programs(nodes)) == NamedUp(3, 5, 4)

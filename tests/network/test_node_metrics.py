"""What a node shows to Prometheus."""

from __future__ import annotations

from node_support import HandNode
from support import make_votes
from votenet.network.node_metrics import node_metrics


def test_the_numbers_are_those_of_the_moment() -> None:
    node = HandNode(mining=False)
    shown = node_metrics(lambda: node.core.status(node.now), lambda: 3)
    before = shown.text().splitlines()
    node.submit(*make_votes(node.election, 2))
    after = shown.text().splitlines()
    assert "votenet_node_waiting 0" in before
    assert {"votenet_node_waiting 2", "votenet_node_height 0", "votenet_node_outbound_peers 3"} <= set(after)

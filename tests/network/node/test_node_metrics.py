"""What a node shows to Prometheus."""

from __future__ import annotations

from support.elections import make_votes
from support.named_network import NamedNetwork, named
from support.nodes import HandNode
from votenet.network.node.node_metrics import node_metrics


def test_the_numbers_are_those_of_the_moment() -> None:
    node = HandNode(mining=False)
    shown = node_metrics(lambda: node.core.status(node.now), lambda: 3)
    before = shown.text().decode().splitlines()
    node.submit(*make_votes(node.election, 2))
    after = shown.text().decode().splitlines()
    assert {"votenet_node_waiting 0.0", "votenet_node_disk_free_bytes NaN"} <= set(before)
    (clock,) = (line.split()[1] for line in before if line.startswith("votenet_node_clock_seconds "))
    assert float(clock) == int(node.now)
    assert {"votenet_node_waiting 2.0", "votenet_node_height 0.0", "votenet_node_outbound_peers 3.0"} <= set(
        after
    )


def test_what_is_final_is_shown_where_nodes_are_named() -> None:
    net = NamedNetwork(4)
    net.cast(make_votes(net.election, 1), named(0))
    assert net.run_until(net.all_certified, 30.0)
    assert net.run_until(lambda: net.all_count(1), 30.0)
    assert net.run_until(lambda: len(net.core(named(0)).checkpoints.signers) == 4, 5.0)  # type: ignore[union-attr]
    lines = set(
        node_metrics(lambda: net.core(named(0)).status(net.now), lambda: 3).text().decode().splitlines()
    )
    assert {
        "votenet_node_named_nodes 4.0",
        "votenet_node_quorum 3.0",
        "votenet_node_named_reachable 4.0",
        "votenet_node_certificate_height 1.0",
        "votenet_node_certificate_signers 4.0",
        "votenet_node_consensus_round 0.0",
    } <= lines

"""The numbers of a running node, for Prometheus."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from votenet.network.metrics import Metrics
from votenet.protocol.wire.client_messages import NodeStatus


def node_metrics(status: Callable[[], NodeStatus], outbound: Callable[[], int]) -> Metrics:
    """Gauges `votenet_node_…`, read when a client asks. `outbound` counts the peers that we chose."""
    made = Metrics("votenet_node", time.monotonic)
    for name, help, ask in (
        ("height", "Height of the best branch.", lambda status: status.height),
        ("votes", "Votes on the best branch.", lambda status: status.votes),
        ("waiting", "Votes that wait for a block.", lambda status: status.waiting),
        ("peers", "Peers joined.", lambda status: status.peers),
        ("known_peers", "Addresses that it knows.", lambda status: status.known_peers),
        ("synced", "1 if no peer is known to have more work.", lambda status: int(status.synced)),
        ("peer_bytes_sent", "Bytes sent to peers since the start.", lambda status: status.peer_bytes_sent),
        ("peer_bytes_received", "Bytes received from peers.", lambda status: status.peer_bytes_received),
        ("proven_lies", "Lies of named nodes that are proven.", lambda status: len(status.lies)),
        ("named_nodes", "Named nodes of the election.", lambda status: _of(status, "named")),
        ("quorum", "Named nodes that decide together.", lambda status: _of(status, "quorum")),
        ("named_reachable", "Named nodes reached, itself included; 0 without named nodes.", _reachable),
        ("consensus_round", "Round of the block after the tip.", lambda status: _of(status, "round")),
        (
            "certificate_height",
            "Height of the newest certificate.",
            lambda status: _of(status, "certificate"),
        ),
        ("certificate_signers", "Named nodes that have signed it.", _signers),
        ("uptime_seconds", "Seconds since the start.", lambda status: status.uptime),
        ("clock_seconds", "Time of this machine, Unix seconds.", lambda status: status.clock or 0),
        ("disk_free_bytes", "Bytes free where it keeps its data; NaN: unknown.", _disk_free),
    ):
        made.gauge(name, help, _reading(status, ask))
    made.gauge("outbound_peers", "Peers that this node has chosen and dialled.", outbound)
    return made


def _of(status: NodeStatus, field: str) -> int:
    return getattr(status.finality, field, 0) or 0


def _reachable(status: NodeStatus) -> int:
    return len(status.finality.reachable) if status.finality else 0


def _signers(status: NodeStatus) -> int:
    return len(status.finality.signers) if status.finality else 0


def _disk_free(status: NodeStatus) -> float:
    return math.nan if status.disk_free is None else status.disk_free


def _reading(status: Callable[[], NodeStatus], ask: Callable[[NodeStatus], float]) -> Callable[[], float]:
    return lambda: ask(status())

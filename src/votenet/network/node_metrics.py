"""The numbers of a running node, for Prometheus.

What lives here: which of its numbers a node shows, and what they are called. What must not: the format and
the HTTP server (`metrics.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from votenet.network.metrics import Metrics
from votenet.protocol.messages import NodeStatus


def node_metrics(status: Callable[[], NodeStatus], outbound: Callable[[], int]) -> Metrics:
    """Gauges `votenet_node_…`, asked for when somebody looks. `outbound` counts the peers that we chose."""
    made = Metrics("votenet_node", time.monotonic)
    for name, help, ask in (
        ("height", "Height of the best branch.", lambda found: found.height),
        ("votes", "Votes on the best branch.", lambda found: found.votes),
        ("waiting", "Votes that wait for a block.", lambda found: found.waiting),
        ("peers", "Peers joined.", lambda found: found.peers),
        ("known_peers", "Addresses in the book.", lambda found: found.known_peers),
        ("synced", "1 if no peer is known to have more work.", lambda found: int(found.synced)),
        ("peer_bytes_sent", "Bytes sent to peers since the start.", lambda found: found.peer_bytes_sent),
        ("peer_bytes_received", "Bytes received from peers.", lambda found: found.peer_bytes_received),
        ("uptime_seconds", "Seconds since the start.", lambda found: found.uptime),
    ):
        made.gauge(name, help, _reading(status, ask))
    made.gauge("outbound_peers", "Peers that this node has chosen and dialled.", outbound)
    return made


def _reading(status: Callable[[], NodeStatus], ask: Callable[[NodeStatus], float]) -> Callable[[], float]:
    return lambda: ask(status())

"""A node that answers what it is told to: to see what a client believes.

What lives here: LyingNode, a real socket with a thread behind it. What must not: assertions.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from votenet.core.election import Election
from votenet.core.encoding import canonical
from votenet.protocol.address import Address

Answer = Callable[[dict[str, Any]], dict[str, Any]]


@contextmanager
def lying_node(election: Election, answers: Mapping[str, Answer]) -> Iterator[Address]:
    """It shows `election`, and answers each kind of request with what its function makes of the request."""
    told: dict[str, Answer] = {
        "get_election": lambda _: election_info(election),
        "get_status": lambda _: status_info(election),
    } | dict(answers)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                request = json.loads(line)
                answer = told[request["type"]](request)
                self.wfile.write(json.dumps({"id": request["id"]} | answer).encode() + b"\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Address("127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def election_info(election: Election) -> dict[str, Any]:
    definition = json.loads(canonical(election.definition))
    return {"type": "election", "network_id": election.network_hex, "definition": definition}


def status_info(election: Election, *warnings: tuple[str, str]) -> dict[str, Any]:
    """A node's word about itself, with these warnings (code, sentence)."""
    return {
        "type": "node_status", "name": "liar", "version": "0", "node_key": "00" * 32, "listen": "",
        "network_id": election.network_hex, "height": 1, "tip": "00" * 32, "work": "1", "bits": election.bits,
        "votes": 0, "waiting": 0, "peers": 0, "known_peers": 0, "synced": True, "mining": True,
        "kernel": "none", "uptime": 1,
        "warnings": [{"code": code, "message": message} for code, message in warnings],
    }  # fmt: skip


def results_info(election: Election, **counts: int) -> dict[str, Any]:
    """Results as a node sends them, with these votes for the candidates named."""
    definition = election.definition
    full = {name: counts.get(name, 0) for name in definition.candidates}
    ordered = sorted(full.items(), key=lambda pair: -pair[1])
    return {
        "type": "results", "title": definition.title, "method": definition.method, "counts": ordered,
        "votes": sum(full.values()), "waiting": 0, "height": 1, "tip": "00" * 32,
        "network_id": election.network_hex, "opens": definition.opens, "closes": definition.closes,
        "outcome": {"state": "won", "winners": [ordered[0][0]]},
    }  # fmt: skip

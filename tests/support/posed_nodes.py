"""Nodes and bootstrap servers that say and prove what a test tells them to, for views of a whole network."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from support.elections import key_of, keys_of_node
from support.lying_node import election_info, status_info
from support.ports import free_port
from votenet.core.election.contest import ContestReport
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.methods.method import ContestResult
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import Results
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.messages import encode_message

GIB = 2**30
CERTIFICATE = 7
"""Height of the newest certificate of a posed node, and of its chain."""


@dataclass
class PosedNode:
    """What one node says. `index`: it has the key of this named node. `changes`: of its status.

    `dialled`: it knows the address at which it is dialled as its own. `greets`: it answers hello. `seed`: of
    its process. `ahead`: seconds of its clock; None: it tells none, as old nodes do not.
    `results`: its count.
    """

    election: Election
    index: int | None = None
    name: str = ""
    key: SigningKey | None = None
    peers: Sequence[Address] = ()
    servers: Sequence[Address] = ()
    ahead: int | None = 0
    knows_itself: bool = True
    greets: bool = True
    seed: int = 1
    network: Election | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] | None = None
    address: Address = field(default_factory=lambda: Address("127.0.0.1", free_port()))

    @property
    def signing_key(self) -> SigningKey:
        if self.key is not None:
            return self.key
        return key_of(f"relay {self.address}") if self.index is None else keys_of_node(self.index).node

    def status(self) -> dict[str, Any]:
        shown = self.network or self.election
        named = shown.named
        finality = {
            "named": named, "quorum": shown.quorum, "index": self.index, "reachable": list(range(named)),
            "decided": CERTIFICATE, "round": 0, "certificate": CERTIFICATE, "signers": list(range(named)),
        }  # fmt: skip
        clock = {} if self.ahead is None else {"clock": int(time.time()) + self.ahead, "disk_free": 50 * GIB}
        own = {
            "name": self.name or (f"Node {self.index}" if self.index is not None else "relay"),
            "version": "0.2.0", "node_key": self.signing_key.public_hex, "height": CERTIFICATE,
            "peers": 3, "finality": finality if named else None,
        }  # fmt: skip
        return status_info(shown) | own | clock | self.changes

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["type"]:
            case "get_status":
                return self.status()
            case "get_results" if self.results is not None:
                return self.results
            case "get_election":
                return election_info(self.network or self.election)
            case "get_peers":
                lists = {"addresses": [str(one) for one in self.peers]}
                return {"type": "peers"} | lists | {"bootstraps": [str(one) for one in self.servers]}
        return {"error": {"code": "busy", "message": "not now"}}

    def greeting(self, line: bytes) -> bytes:
        if not self.greets:
            return b'{"error":{"code":"too-many-connections","message":"this node has enough peers"}}\n'
        network = (self.network or self.election).network_hex
        identity = LocalNode(self.signing_key, network, "", seed=self.seed)
        own = (str(self.address),) if self.knows_itself else ()
        made = Connection(identity, outbound=False, challenge=os.urandom(32), own=own)
        _, lines = made.receive(line.rstrip(b"\n"), 0, 0, int(time.time()) + (self.ahead or 0))
        return b"".join(encode_message(message) + b"\n" for message in lines)


def final_results(*, counted: bool = True, cancelled: bool = False) -> Results:
    """Of an election that is over. `counted`: its counts are known; encrypted ballots are counted later."""
    report = ContestReport(
        id="1", title="Board", method="plurality", seats=1, counts=(("Ada", 3),), votes=3, blank=0, weight=3,
        outcome=ContestResult(state="undecided"),
    )  # fmt: skip
    return Results(
        title="Test election", contests=(report,) if counted else (), votes=3, waiting=0, height=CERTIFICATE,
        tip="00" * 32, network_id="00" * 32, over=True, final_height=CERTIFICATE, cancelled=cancelled,
    )  # fmt: skip


@contextlib.contextmanager
def posed(*nodes: PosedNode) -> Iterator[None]:
    """These nodes listen until the end of the block."""
    with contextlib.ExitStack() as opened:
        for node in nodes:
            opened.enter_context(_listening(node.address, _talk_of(node)))
        yield


def _talk_of(node: PosedNode) -> Callable[[bytes], bytes]:
    def talk(line: bytes) -> bytes:
        request = json.loads(line)
        if request["type"] == "hello":
            return node.greeting(line)
        return json.dumps({"id": request.get("id")} | node.answer(request)).encode() + b"\n"

    return talk


@contextlib.contextmanager
def posed_server(peers: Callable[[], Sequence[dict[str, Any]]]) -> Iterator[Address]:
    """A bootstrap server that lists these peers, in pages or not."""

    def talk(line: bytes) -> bytes:
        return json.dumps({"peers": list(peers()), "next": None}).encode() + b"\n"

    address = Address("127.0.0.1", free_port())
    with _listening(address, talk):
        yield address


def listed(node: PosedNode, index: int | None = None) -> dict[str, Any]:
    """An entry of a bootstrap server: the node at its address, with its key or that of a named node."""
    key = node.signing_key if index is None else keys_of_node(index).node
    network = (node.network or node.election).network_hex
    return {"address": str(node.address), "node_key": key.public_hex, "network_id": network}


@contextlib.contextmanager
def _listening(address: Address, talk: Callable[[bytes], bytes]) -> Iterator[None]:
    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                for line in self.rfile:
                    self.wfile.write(talk(line))

    class Server(ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 128

    with Server((address.host, address.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()

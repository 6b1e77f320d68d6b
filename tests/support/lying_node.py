"""A node with scripted answers, to test what a client believes."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from support.elections import keys_of_node
from support.ports import free_port
from votenet.core.election.definition import Election
from votenet.core.encoding import canonical
from votenet.core.ledger.vote import Vote, hash_vote
from votenet.core.records.acceptance import accept_group
from votenet.protocol.wire.address import Address

Answer = Callable[[dict[str, Any]], dict[str, Any]]


@contextmanager
def lying_node(election: Election, answers: Mapping[str, Answer], port: int = 0) -> Iterator[Address]:
    """It shows `election`, and answers each kind of request with what its function makes of the request.

    At the end it hangs up on all its clients. Port 0 is a free one that none had lately: a client remembers
    which network it met at an address.
    """
    told: dict[str, Answer] = {
        "get_election": lambda _: election_info(election),
        "get_status": lambda _: status_info(election),
    } | dict(answers)

    talking: list[socket.socket] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            # A client may be gone before it has read all: a trace on stderr would be taken for the program's.
            with contextlib.suppress(ConnectionError):
                for line in self.rfile:
                    request = json.loads(line)
                    if request["type"] == "hello":
                        return  # it proves no key
                    answer = told[request["type"]](request)
                    self.wfile.write(json.dumps({"id": request["id"]} | answer).encode() + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 128  # of five, a sixth connection waits a second for its second try

        def get_request(self) -> tuple[socket.socket, Any]:
            link, client = super().get_request()
            talking.append(link)  # here: the thread of its Handler may begin only after the end
            return link, client

    with Server(("127.0.0.1", port or free_port()), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Address("127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
            for link in talking:
                with contextlib.suppress(OSError):  # it has hung up
                    link.shutdown(socket.SHUT_RDWR)


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


def results_info(election: Election, winner: str = "", **counts: int) -> dict[str, Any]:
    """Results as a node sends them, with these votes for the candidates named."""
    definition = election.definition
    full = {name: counts.get(name, 0) for name in election.names}
    ordered = sorted(full.items(), key=lambda pair: -pair[1])
    votes, contest = sum(full.values()), definition.contests[0]
    report = {
        "id": contest.id, "title": contest.title, "method": contest.method, "seats": 1, "counts": ordered,
        "votes": votes, "blank": 0, "weight": votes,
        "outcome": {"state": "won", "winners": [winner or ordered[0][0]]},
    }  # fmt: skip
    return {
        "type": "results", "title": definition.title, "contests": [report],
        "votes": votes, "waiting": 0, "height": 1, "tip": "00" * 32,
        "network_id": election.network_hex, "opens": definition.opens, "closes": definition.closes,
    }  # fmt: skip


def takes(election: Election, *nodes: int) -> Answer:
    """An answer to `submit_votes`: these named nodes have signed for the vote."""

    def submit(request: dict[str, Any]) -> dict[str, Any]:
        vote = hash_vote(msgspec.convert(request["votes"][0], Vote))
        made = [
            accept_group(
                keys_of_node(node).statement, network_hex=election.network_hex, node=node,
                time=vote.vote.time, vote_ids=[vote.id],
            ).acceptance(0)
            for node in nodes
        ]  # fmt: skip
        outcome = {"vote_id": vote.id.hex(), "acceptances": msgspec.to_builtins(made)}
        return {"type": "votes_taken", "outcomes": [outcome]}

    return submit

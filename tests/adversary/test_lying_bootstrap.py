"""A bootstrap server that names only liars: named nodes stay apart, say so, and call nothing final."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adversary.arena import PATIENCE
from adversary.named_arena import NamedNode
from support.elections import keys_of_node, make_election, named_nodes
from support.processes import cast
from votenet.core.election.definition import Election
from votenet.pow import bits_for_zero_bits

COUNT = 3
LIAR = "127.0.0.66"


@contextlib.contextmanager
def lying_bootstrap(election: Election) -> Iterator[str]:
    """It takes every record, and lists the keys of named nodes at addresses of a liar alone."""
    places = [
        {
            "address": f"{LIAR}:{2000 + index}",
            "node_key": keys_of_node(index).node.public_hex,
            "network_id": election.network_hex,
        }
        for index in range(COUNT)
    ]

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                listed = json.dumps({"peers": places}).encode()
                self.wfile.write(
                    (listed if b"GET_PEERS" in line else b"Peer registered successfully") + b"\n"
                )

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


async def until_cut_off(node: NamedNode) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            status = await node.status()
            if {"cut-off", "no-quorum"} <= {warning.code for warning in status.warnings}:
                assert not status.synced
                assert (status.votes, status.height) == (0, 0)
                return
            await asyncio.sleep(0.1)


async def until_counted(node: NamedNode) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await node.status()).votes != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.e2e
def test_named_nodes_whose_server_names_liars_are_not_ready_and_meet_once_an_address_is_true(
    tmp_path: Path,
) -> None:
    election = make_election(
        bits=bits_for_zero_bits(8), created=int(time.time()) - 60, nodes=named_nodes(COUNT)
    )
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(election.to_file())
    nodes: list[NamedNode] = []

    def start(index: int, *options: str) -> NamedNode:
        nodes.append(NamedNode(tmp_path / f"n{index}", genesis, index, *options))
        return nodes[-1]

    with contextlib.ExitStack() as ended, lying_bootstrap(election) as server:
        ended.callback(lambda: [node.end() for node in nodes])
        first, *others = [start(index, "--bootstrap", server) for index in range(COUNT)]
        for node in (first, *others):
            asyncio.run(node.listens())
        cast(first.address, election, "somebody")
        for node in (first, *others):
            asyncio.run(until_cut_off(node))
            assert "ready: " not in node.log()
        for node in others:
            assert node.end() == 0
        told = ("--bootstrap", server, "--peer", str(first.address))
        for node in [first, *(start(index, *told) for index in range(1, COUNT))]:
            asyncio.run(node.listens())
            asyncio.run(until_counted(node))
            assert "Traceback" not in node.log()

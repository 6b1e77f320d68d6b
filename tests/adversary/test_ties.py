"""A stranger with a header beside every tip does not make a node mine block after block."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from pathlib import Path

import pytest

from adversary.arena import PATIENCE, Node, patient, player
from support.elections import make_election, make_votes
from votenet.pow import bits_for_zero_bits
from votenet.protocol.wire.client_messages import SubmitVotes, VotesTaken

SECONDS = max(float(os.environ.get("ADVERSARY_SECONDS", "0")), 6.0)


@pytest.mark.e2e
def test_ties_with_headers_alone_do_not_raise_the_difficulty(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    election = make_election(bits=bits_for_zero_bits(10), created=int(time.time()) - 60)
    genesis.write_bytes(election.to_file())
    node = Node(tmp_path / "node", genesis)

    async def test() -> int:
        await node.listens()
        async with patient(node.address) as client:
            votes = tuple(hashed.vote for hashed in make_votes(election, 1))
            await client.ask(SubmitVotes(votes=votes), VotesTaken)
        end = time.monotonic() + 3 * PATIENCE
        for number in itertools.count(66):  # on a busy machine a stranger may come to nothing in one play
            await player("adversaries.py", "ties", node.address, f"127.0.0.{number}", SECONDS, genesis)
            height = (await node.status()).height
            if height >= 2 or time.monotonic() > end:
                break
        return height

    try:
        began = time.monotonic()
        blocks = asyncio.run(test())
        lasted = time.monotonic() - began
    finally:
        assert node.end() == 0
    # After the block with the vote each one waits twice as long as the one before: 0.1, 0.2, 0.4 s, …
    most = 1
    while 0.1 * (2 ** (most - 1) - 1) < lasted:
        most += 1
    assert 2 <= blocks <= most, f"{blocks} blocks in {lasted:g} s"

"""Adversaries that ask: questions of one line, with the most work for the node.

Started as the players of `adversaries.py`:

    python prices.py NAME PORT SOURCE SECONDS GENESIS

NAME is a question and a number of links, `get_proof-60`, or a burst, `blocks-burst`. It prints a JSON object:
`codes`, how often it was refused with which code; `lines`, how many answers it got; `bytes`, their size.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from adversary.adversaries import Foul, Wire
from adversary.long_chain import BLOCK_VOTES
from adversary.long_chain import VOTERS as MANY_VOTERS
from support.elections import make_votes
from votenet.core.election.definition import Election
from votenet.protocol.wire.client_messages import (
    GetElection,
    GetProof,
    GetResults,
    GetStatus,
    GetVoteStatus,
    SubmitVotes,
)
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import (
    GetBlocks,
    GetBlockVotes,
    GetHeaders,
    GetPeers,
    RequestBlockchain,
)

AHEAD = 8
"""Questions that a link sends before it reads an answer."""
BURST = 64
"""Questions in a burst: some 70 KB of requests for blocks."""
LINKS = (1, 8, 60)
VOTERS = MANY_VOTERS if "ADVERSARY_SECONDS" in os.environ else 2 * BLOCK_VOTES
"""In blocks as large as may be; `make adversary` asks about a longer chain."""

Asks = Iterator[bytes]
"""Lines, each with its newline."""


def _line(message: Message) -> bytes:
    return encode_message(message) + b"\n"


def _proofs(election: Election, hashes: list[str]) -> Asks:
    dice = random.Random(1)
    while True:
        yield _line(GetProof(voter_id=f"voter-{dice.randrange(1, VOTERS + 1)}"))


def _places(election: Election, hashes: list[str]) -> Asks:
    dice = random.Random(1)
    while True:
        yield _line(GetVoteStatus(voter_id=f"voter-{dice.randrange(1, VOTERS + 1)}"))


@functools.cache
def _known_votes(election: Election) -> list[bytes]:
    """Lines of votes that are on the chain already."""
    firsts = range(1, 4001, 500)
    made = [tuple(hashed.vote for hashed in make_votes(election, 500, first=first)) for first in firsts]
    return [_line(SubmitVotes(votes=votes)) for votes in made]


def _duplicates(election: Election, hashes: list[str]) -> Asks:
    return itertools.cycle(_known_votes(election))


def _blocks(election: Election, hashes: list[str]) -> Asks:
    """The same sixteen blocks, or as many as there are, again and again."""
    return itertools.repeat(_line(GetBlocks(hashes=tuple(itertools.islice(itertools.cycle(hashes), 16)))))


def _block_votes(election: Election, hashes: list[str]) -> Asks:
    """Nearly a whole block, by position; an old block in turn with the latest."""
    positions = tuple(range(19_000))
    return itertools.cycle(
        [
            _line(GetBlockVotes(hash=hashes[0], positions=positions)),
            _line(GetBlockVotes(hash=hashes[-1], positions=(0,))),
        ]
    )


def _always(message: Message) -> Callable[[Election, list[str]], Asks]:
    return lambda election, hashes: itertools.repeat(_line(message))


QUESTIONS: dict[str, tuple[bool, Callable[[Election, list[str]], Asks]]] = {
    # Whether only peers may ask, and what is asked.
    "get_proof": (False, _proofs),
    "get_results": (False, _always(GetResults())),
    "get_headers": (False, _always(GetHeaders(locator=()))),
    "get_vote_status": (False, _places),
    "get_status": (False, _always(GetStatus())),
    "get_peers": (False, _always(GetPeers())),
    "get_election": (False, _always(GetElection())),
    "request_blockchain": (False, _always(RequestBlockchain())),
    "duplicates": (False, _duplicates),
    "get_blocks": (True, _blocks),
    "get_block_votes": (True, _block_votes),
}
BURSTS = {"blocks-burst": "get_blocks", "proofs-burst": "get_proof", "chain-burst": "request_blockchain"}
CASES = [f"{name}-{links}" for name in QUESTIONS for links in LINKS] + list(BURSTS)


async def play(foul: Foul, name: str) -> int:
    """Play one case; bytes that were answered."""
    if name in BURSTS:
        return await _burst(foul, BURSTS[name])
    question, _, links = name.rpartition("-")
    hashes = await _hashes(foul)
    answered = await asyncio.gather(*(_keep_asking(foul, question, hashes) for _ in range(int(links))))
    return sum(answered)


async def _hashes(foul: Foul) -> list[str]:
    """Of the blocks on the node's best branch."""
    chain = await foul.chain()
    return [entry.hash.hex() for entry in chain.entries.values() if entry.height]


async def _dial(foul: Foul, question: str) -> Wire | None:
    return await (foul.peer() if QUESTIONS[question][0] else foul.dial())


async def _burst(foul: Foul, question: str) -> int:
    """All at once on one link, which is then reset: the asking client is gone before any answer."""
    asks = QUESTIONS[question][1](foul.election, await _hashes(foul))
    lines = list(itertools.islice(asks, BURST))
    wire = await foul.reach(lambda: _dial(foul, question))
    await wire.send(b"".join(lines))
    await asyncio.sleep(0.05)
    wire.close()
    await asyncio.sleep(max(foul.left, 0.0))
    return 0


async def _keep_asking(foul: Foul, question: str, hashes: list[str]) -> int:
    asks, answered = QUESTIONS[question][1](foul.election, hashes), 0
    while foul.left > 0:
        wire = await _dial(foul, question)
        if wire is None:
            await asyncio.sleep(0.05)
            continue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(foul.left, 0.01)):
                answered += await _ask_on(wire, asks)
        wire.close()
        await asyncio.sleep(0.05)
    return answered


async def _ask_on(wire: Wire, asks: Asks) -> int:
    """Until the node closes this link."""
    answered = 0
    while True:
        await wire.send(b"".join(itertools.islice(asks, AHEAD)))
        for _ in range(AHEAD):
            line = await wire.line()
            if line is None:
                return answered
            answered += len(line)


def main(name: str, port: str, source: str, seconds: str, genesis: str) -> None:
    from votenet.storage.genesis_file import read_genesis

    foul = Foul(int(port), source, float(seconds), read_genesis(Path(genesis)), frozenset())
    size = asyncio.run(play(foul, name))
    print(json.dumps({"codes": foul.codes, "lines": foul.lines, "bytes": size}))


if __name__ == "__main__":
    main(*sys.argv[1:])

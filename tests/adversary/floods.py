"""Adversaries that send: votes, lines and announcements without end, from sixty links of one address.

Started as the players of `adversaries.py`:

    python floods.py NAME PORT SOURCE SECONDS GENESIS
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from adversary.adversaries import Foul, Wire
from support.elections import key_of
from votenet.core.election.definition import election_from_file
from votenet.core.ledger.vote import sign_vote
from votenet.protocol.wire.client_messages import SubmitVotes
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import HaveVotes, Votes

LINKS = 60
VOTES_A_SECOND = 3000
"""Of play, as many as a node takes: all different, each of an unknown voter."""
VOTES_IN_LINE = 50
"""Of some 13 KB each: well below the longest line of a client."""


def _sign(genesis: bytes, first: int, count: int, kind: type[SubmitVotes] | type[Votes]) -> bytes:
    """A line of votes that each name all candidates."""
    election = election_from_file(genesis)
    key = key_of("flood")
    votes = tuple(
        sign_vote(
            key, network_hex=election.network_hex, voter_id=f"flood-{number}",
            choices=[election.names], time=election.definition.created + 1,
        ).vote
        for number in range(first, first + count)
    )  # fmt: skip
    return encode_message(kind(votes=votes)) + b"\n"


async def _lines(foul: Foul, kind: type[SubmitVotes] | type[Votes]) -> list[bytes]:
    """Signed before anything is sent, on all cores: what follows is as fast as the node takes it."""
    loop = asyncio.get_running_loop()
    starts = range(0, int(VOTES_A_SECOND * foul.left), VOTES_IN_LINE)
    genesis = foul.election.to_file()
    with ProcessPoolExecutor() as pool:
        jobs = (loop.run_in_executor(pool, _sign, genesis, at, VOTES_IN_LINE, kind) for at in starts)
        return list(await asyncio.gather(*jobs))


async def _send_all(foul: Foul, lines: Iterator[bytes], dial: Callable[[], Awaitable[Wire | None]]) -> None:
    """Over one link after the other; what it is told is counted, refused votes by their codes."""

    async def send_on() -> None:
        while foul.playing:
            wire = await dial()
            if wire is None:
                await asyncio.sleep(0.05)
                continue
            for line in lines:
                await wire.send(line)
                answer = await wire.line()
                if answer is None or not foul.playing:
                    break
                for outcome in json.loads(answer).get("outcomes", ()):
                    if "error" in outcome:
                        foul.codes[outcome["error"]["code"]] += 1
            wire.close()

    await asyncio.gather(*(send_on() for _ in range(LINKS)))


async def votes(foul: Foul) -> None:
    """Good votes, as long as they may be: in four seconds 150 MB of records, 300 MB of an unbounded pool."""
    lines = await _lines(foul, SubmitVotes)
    foul.begin()
    await _send_all(foul, iter(lines), foul.dial)


async def peers_votes(foul: Foul) -> None:
    """The same as peers, from sixty keys: a handshake costs nothing."""
    lines = await _lines(foul, Votes)
    foul.begin()

    async def push() -> None:
        wire = await foul.peer()
        while wire is not None and foul.playing and (line := next(rest, None)) is not None:
            await wire.send(line)
        if wire is not None:
            await wire.rest()

    rest = iter(lines)
    await asyncio.gather(*(push() for _ in range(LINKS)))


async def long_lines(foul: Foul) -> None:
    """Questions in lines of nearly a mebibyte."""
    line = b'{"type":"ping","note":"' + b"x" * 900_000 + b'"}\n'
    await _send_all(foul, itertools.repeat(line), foul.dial)


async def announcements(foul: Foul) -> None:
    """A peer that has millions of votes, it says."""

    async def announce() -> None:
        wire = await foul.peer()
        while wire is not None and foul.playing:
            said: Message = HaveVotes(ids=os.urandom(16 * 5000))
            await wire.tell(said)
            await asyncio.sleep(0.01)
        if wire is not None:
            await wire.rest(0.1)

    await asyncio.gather(*(announce() for _ in range(LINKS // 4)))


FLOODS: dict[Callable[[Foul], Awaitable[None]], set[str]] = {
    # Each with the codes that it must be told.
    votes: set(),
    peers_votes: set(),
    long_lines: {"rate-limited"},
    announcements: set(),
}
CODES = {play.__name__: frozenset(codes) for play, codes in FLOODS.items()}


def main(name: str, port: str, source: str, seconds: str, genesis: str) -> None:
    from votenet.storage.genesis_file import read_genesis

    foul = Foul(int(port), source, float(seconds), read_genesis(Path(genesis)), CODES[name])
    asyncio.run(next(play for play in FLOODS if play.__name__ == name)(foul))
    print(json.dumps({"codes": foul.codes, "lines": foul.lines}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Builders for tests: elections, keys, votes and blocks, the same ones every time.

What lives here: small typed helpers over `votenet.core`, without randomness, clock or files. What
must not: assertions. Import with `from support import make_election`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from votenet.core.block import Block, Header, genesis_header, order_votes, votes_root
from votenet.core.chain import Chain, Entry, Move, split_place
from votenet.core.election import DEFAULT_CANDIDATES, ChainParameters, Election, ElectionDefinition
from votenet.core.keys import SigningKey
from votenet.core.limits import BLOCK_VERSION, MAX_BLOCK_VOTES
from votenet.core.vote import SealedVote, sign_vote
from votenet.pow import bits_for_zero_bits, bits_to_target, search

EASY_BITS: Final = bits_for_zero_bits(8)
"""256 nonces on average: hard enough to be wrong, quick enough even without the C core."""
TRIVIAL_BITS: Final = bits_for_zero_bits(1)
"""2 nonces on average, for tests of hundreds of blocks."""
CREATED: Final = 1_700_000_000
"""Genesis time of the test elections, Unix seconds."""


def make_election(
    *,
    bits: int = EASY_BITS,
    candidates: Sequence[str] = DEFAULT_CANDIDATES,
    title: str = "Test election",
    created: int = CREATED,
    max_block_votes: int = MAX_BLOCK_VOTES,
    block_seconds: int = 1,
    **fields: Any,
) -> Election:
    """An election that is the same (same network id) for the same arguments."""
    return Election(
        ElectionDefinition(
            candidates=tuple(candidates),
            chain=ChainParameters(bits=bits, max_block_votes=max_block_votes, block_seconds=block_seconds),
            created=created,
            title=title,
            **fields,
        )
    )


def key_of(name: str) -> SigningKey:
    """The key that belongs to a name in every test."""
    return SigningKey(hashlib.sha256(b"votenet test key " + name.encode()).digest())


def make_vote(
    election: Election,
    voter_id: str = "voter-1",
    *choices: str,
    time: int = CREATED + 1,
    key: SigningKey | None = None,
) -> SealedVote:
    """A signed vote; without choices, for the first candidate."""
    return sign_vote(
        key or key_of(voter_id),
        network_hex=election.network_hex,
        voter_id=voter_id,
        choices=choices or election.definition.candidates[:1],
        time=time,
    )


def make_votes(election: Election, count: int, *, first: int = 1) -> list[SealedVote]:
    """Votes of voter-<first>, voter-<first + 1>, … for the candidates in turn."""
    names = election.definition.candidates
    return [
        make_vote(election, f"voter-{n}", names[n % len(names)], time=CREATED + n)
        for n in range(first, first + count)
    ]


def mine_header(header: Header, *, start: int = 0) -> Header:
    """The header with the first nonce from `start` on that meets its own bits."""
    nonce = search(header.pack(), bits_to_target(header.bits), start)
    if nonce is None:
        raise LookupError("no nonce is good for this header")
    return header._replace(nonce=nonce)


def mine_block(
    election: Election,
    parent: Header | None = None,
    votes: Sequence[SealedVote] = (),
    *,
    time: int | None = None,
    bits: int | None = None,
    version: int = BLOCK_VERSION,
    ordered: bool = True,
) -> Block:
    """A block on `parent` (default: genesis), a second after it, in block order unless told not to."""
    parent = parent or genesis_header(election)
    body = order_votes(votes) if ordered else tuple(votes)
    header = Header(
        version,
        parent.hash,
        votes_root(body),
        parent.time + 1 if time is None else time,
        election.bits if bits is None else bits,
        0,
    )
    return Block(mine_header(header), body)


def heights(chain: Chain) -> dict[str, int]:
    """Voter id to the height of the block with that voter's vote."""
    return {voter: split_place(place)[0] for voter, place in chain.voters.items()}


class Ledger:
    """A chain with the votes of its blocks beside it: what a node keeps, without a node."""

    def __init__(self, election: Election) -> None:
        self.election = election
        self.chain = Chain(election)
        self.bodies: dict[bytes, tuple[SealedVote, ...]] = {}

    @property
    def now(self) -> int:
        """A clock that agrees with the tip."""
        return self.chain.tip.header.time

    def votes_of(self, block_hash: bytes) -> tuple[SealedVote, ...]:
        return self.bodies[block_hash]

    def add(self, block: Block, now: int | None = None) -> tuple[Entry, Move | None]:
        """Header, then body, as a node adds them. Raises Rejected as the chain does."""
        entry = self.chain.add_header(block.header, block.header.time if now is None else now)
        self.bodies[entry.hash] = block.votes
        return entry, self.chain.add_body(entry, self.votes_of)

    def grow(self, *votes: SealedVote, on: Header | None = None, time: int | None = None) -> Block:
        """Mine a block on the tip (or on another header) and add it."""
        parent = on or self.chain.tip.header
        bits = self.chain.next_bits(self.chain.entries[parent.hash])
        block = mine_block(self.election, parent, votes, time=time, bits=bits)
        self.add(block)
        return block

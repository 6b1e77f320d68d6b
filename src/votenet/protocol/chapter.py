"""The chain in the chapter's form: what `request_blockchain` is answered with (S7, S8).

What lives here: the JSON of the chapter's Go structs. What must not: anything that reads this
form back; it carries no signatures, so a node never adopts it.

The chapter keeps one vote a block. Ours hold many, so the form has one entry a vote, linked by
hashes: an entry's Hash is the vote's id, the genesis entry's is the genesis block's hash. Byte
slices are base64 with padding, as Go writes them. It is for looking at the tally.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from votenet.core.block import Header
from votenet.core.election import Election
from votenet.core.tally import Tally
from votenet.core.vote import SealedVote
from votenet.protocol.messages import BlockchainUpdate, encode_data, encode_message

MAX_CHAPTER_VOTES: Final = 20_000
"""Votes in one answer: a line of about 10 MB, made in about a tenth of a second."""


class _VoteData(msgspec.Struct):
    voter_id: str
    candidate_id: str
    timestamp: int


class _Block(msgspec.Struct, rename="pascal"):
    index: int
    timestamp: int
    data: _VoteData
    prev_hash: str
    hash: str
    nonce: int


class _Election(msgspec.Struct, rename="pascal"):
    candidates: tuple[str, ...]
    votes: dict[str, int]
    voters: dict[str, bool]


class _Blockchain(msgspec.Struct, rename="pascal"):
    blocks: list[_Block]
    election: _Election


def chapter_of(
    election: Election, genesis: Header, blocks: Iterable[tuple[Header, Sequence[SealedVote]]]
) -> bytes:
    """The whole answer line, counted from the blocks themselves: the chain may grow meanwhile."""
    tally = Tally()

    def votes() -> Iterator[tuple[SealedVote, int]]:
        for header, body in blocks:
            tally.add(sealed.vote.choices for sealed in body)
            for sealed in body:
                yield sealed, header.nonce

    return chapter_line(election, genesis, votes(), tally)


def chapter_line(
    election: Election, genesis: Header, votes: Iterable[tuple[SealedVote, int]], tally: Tally
) -> bytes:
    """The whole answer line. `votes` are those of the best branch in order, each with its block's nonce."""
    previous = base64.b64encode(genesis.hash).decode()
    data = _VoteData("system", "Genesis Block", genesis.time)
    blocks = [_Block(0, genesis.time, data, "", previous, genesis.nonce)]
    voters: dict[str, bool] = {}
    for index, (sealed, nonce) in enumerate(votes, start=1):
        vote = sealed.vote
        own = base64.b64encode(sealed.id).decode()
        data = _VoteData(vote.voter_id, vote.choices[0], vote.time)
        blocks.append(_Block(index, vote.time, data, previous, own, nonce))
        voters[vote.voter_id] = True
        previous = own
    counts = {line.candidate: line.votes for line in tally.count(election) if line.votes}
    chain = _Blockchain(blocks, _Election(election.definition.candidates, counts, voters))
    return encode_message(BlockchainUpdate(data=encode_data(msgspec.json.encode(chain))))

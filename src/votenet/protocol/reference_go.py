"""The chain in the reference client's form, which `request_blockchain` is answered with.

The reference node (in Go) keeps one vote a block. Ours hold many, so the form has one entry a vote, linked by
hashes: an entry's Hash is the vote's id, the genesis entry's is the genesis block's hash. Byte slices are
base64 with padding, as Go writes them. It carries no signatures: no node adopts it, it shows the tally.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from votenet.core.election.definition import Election
from votenet.core.ledger.block import Header
from votenet.core.ledger.vote import HashedVote, ballots
from votenet.core.methods.tally import Tally
from votenet.protocol.wire.fields import encode_data
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import BlockchainUpdate

MAX_REFERENCE_VOTES: Final = 20_000
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


def reference_chain(
    election: Election, genesis: Header, blocks: Iterable[tuple[Header, Sequence[HashedVote]]]
) -> bytes:
    """The whole answer line, counted from the blocks themselves: the chain may grow meanwhile.

    It has no counts where the election shows them after closing only.
    """
    previous = base64.b64encode(genesis.hash).decode()
    data = _VoteData("system", "Genesis Block", genesis.time)
    entries = [_Block(0, genesis.time, data, "", previous, genesis.nonce)]
    voters: dict[str, bool] = {}
    tally = Tally()
    for header, votes in blocks:
        tally.add(choices[0] for choices in ballots(votes))
        for hashed in votes:
            vote, own = hashed.vote, base64.b64encode(hashed.id).decode()
            data = _VoteData(vote.voter_id, vote.choices[0][0] if vote.choices[0] else "", vote.time)
            entries.append(_Block(len(entries), vote.time, data, previous, own, header.nonce))
            voters[vote.voter_id] = True
            previous = own
    counts = {line.candidate: line.votes for line in election.contests[0].count(tally) if line.votes}
    if election.definition.results == "after-close":
        counts = {}
    chain = _Blockchain(entries, _Election(election.names, counts, voters))
    return encode_message(BlockchainUpdate(data=encode_data(msgspec.json.encode(chain))))

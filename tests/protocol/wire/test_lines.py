"""Lines that are joined from stored bytes are those that encoding the message makes."""

from __future__ import annotations

import pytest

from support.elections import make_election, make_vote, make_votes, mine_block
from votenet.core.log.merkle import merkle_path
from votenet.protocol.wire.client_messages import GetElection, Proof
from votenet.protocol.wire.lines import (
    block_votes_line,
    final_proof_line,
    headers_line,
    proof_line,
    votes_line,
    with_id,
)
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import BlockVotes, Headers, Votes

ELECTION = make_election()
BLOCK = mine_block(ELECTION, votes=[*make_votes(ELECTION, 5), make_vote(ELECTION, 'Zoë " \\ }')])
RECORDS = [hashed.record for hashed in BLOCK.votes]
PACKED = BLOCK.header.pack()


@pytest.mark.parametrize("request_id", [None, 0, 2**53 - 1])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_lines_are_those_of_the_messages(count: int, request_id: int | None) -> None:
    headers = Headers(headers=(PACKED.hex(),) * count, id=request_id)
    assert headers_line(PACKED * count, request_id) == encode_message(headers)
    votes = tuple(hashed.vote for hashed in BLOCK.votes[:count])
    assert votes_line(RECORDS[:count], request_id) == encode_message(Votes(votes=votes, id=request_id))
    block_hash = BLOCK.header.hash.hex()
    expected = encode_message(BlockVotes(hash=block_hash, votes=votes))
    assert block_votes_line(block_hash, RECORDS[:count]) == expected
    assert with_id(encode_message(GetElection()), request_id) == encode_message(GetElection(id=request_id))


@pytest.mark.parametrize("proof", ["", 'c2sp.org/tlog-proof@v1\nindex 7\n\n\u2014 x "y"\n'])
@pytest.mark.parametrize("position", [0, 3])
def test_a_proof_of_the_log_is_the_message(position: int, proof: str) -> None:
    line = final_proof_line(RECORDS[position], proof, 7, height=3, position=position)
    vote = BLOCK.votes[position].vote
    assert line == encode_message(Proof(vote=vote, proof=proof, height=3, position=position, id=7))


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize(("size", "headers"), [(6, 1), (6, 0), (1, 2)])
def test_a_proof_is_the_message(position: int, size: int, headers: int) -> None:
    path = merkle_path([hashed.id for hashed in BLOCK.votes[:size]], min(position, size - 1))
    line = proof_line(
        RECORDS[position], PACKED, PACKED * headers, 7, height=3, position=position, size=size, path=path
    )
    message = Proof(
        vote=BLOCK.votes[position].vote,
        header=PACKED.hex(),
        height=3,
        position=position,
        size=size,
        path=tuple(sibling.hex() for sibling in path),
        headers=(PACKED.hex(),) * headers,
        id=7,
    )
    assert line == encode_message(message)

"""Lines that are joined from stored bytes are those that encoding the message makes."""

from __future__ import annotations

import pytest

from support import make_election, make_vote, make_votes, mine_block
from votenet.core.merkle import merkle_path
from votenet.protocol.lines import block_votes_line, headers_line, proof_line, votes_line, with_id
from votenet.protocol.messages import BlockVotes, GetElection, Headers, Proof, Votes, encode_message

ELECTION = make_election()
BLOCK = mine_block(ELECTION, votes=[*make_votes(ELECTION, 5), make_vote(ELECTION, 'Zoë " \\ }')])
RECORDS = [sealed.record for sealed in BLOCK.votes]
PACKED = BLOCK.header.pack()


@pytest.mark.parametrize("request_id", [None, 0, 2**53 - 1])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_lines_are_those_of_the_messages(count: int, request_id: int | None) -> None:
    headers = Headers(headers=(PACKED.hex(),) * count, id=request_id)
    assert headers_line(PACKED * count, request_id) == encode_message(headers)
    votes = tuple(sealed.vote for sealed in BLOCK.votes[:count])
    assert votes_line(RECORDS[:count], request_id) == encode_message(Votes(votes=votes, id=request_id))
    block_hash = BLOCK.header.hash.hex()
    expected = encode_message(BlockVotes(hash=block_hash, votes=votes))
    assert block_votes_line(block_hash, RECORDS[:count]) == expected
    assert with_id(encode_message(GetElection()), request_id) == encode_message(GetElection(id=request_id))


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize(("size", "headers"), [(6, 1), (6, 0), (1, 2)])
def test_a_proof_is_the_message(position: int, size: int, headers: int) -> None:
    path = merkle_path([sealed.id for sealed in BLOCK.votes[:size]], min(position, size - 1))
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

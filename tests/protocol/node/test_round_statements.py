"""Statements of consensus rounds, written and read back."""

from __future__ import annotations

import pytest

from support.elections import TRIVIAL_BITS, keys_of_node, make_election, named_nodes
from votenet.protocol.consensus.outputs import (
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    PROPOSAL,
    RoundStatement,
    SavedState,
)
from votenet.protocol.node.round_statements import (
    decode_state,
    encode_state,
    read_proposal,
    read_vote,
    statement_of,
    write_proposal,
    write_vote,
)

SIGNATURE = "ab" * 64


def test_what_was_saved_of_the_consensus_is_read_back() -> None:
    own = (
        RoundStatement(PROPOSAL, 7, 0, 2, b"a" * 32),
        RoundStatement(PREVOTE, 7, 1, 2, b"", NO_ROUND),
        RoundStatement(PROPOSAL, 7, 2, 2, b"b" * 32, 1),
    )
    valid = tuple(RoundStatement(PREVOTE, 7, 1, node, b"b" * 32, NO_ROUND, "ab" * 64) for node in range(3))
    for state in (SavedState(7, 2, valid, own), SavedState(1, 0, (), ())):
        assert decode_state(encode_state(state), 2) == state
    assert decode_state(b"") is None
    with pytest.raises(ValueError):
        decode_state(b"{}")


def test_what_a_message_carries_is_read_back() -> None:
    for kind in (PREVOTE, PRECOMMIT):
        for value in (b"", b"b" * 32):
            vote = RoundStatement(kind, 7, 1, 2, value, NO_ROUND, SIGNATURE)
            assert read_vote(write_vote(vote)) == vote
    proposal = RoundStatement(PROPOSAL, 7, 2, 2, b"b" * 32, 1, SIGNATURE)
    assert read_proposal(write_proposal(proposal)) == proposal


def test_a_signature_holds_for_nothing_but_its_own_statement() -> None:
    election = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4), closes=2**31)
    proposal = RoundStatement(PROPOSAL, 7, 2, 3, b"b" * 32, 1)
    signature = statement_of(proposal, election).sign(keys_of_node(3).statement)
    others = [
        proposal._replace(kind=PREVOTE, valid_round=NO_ROUND),
        proposal._replace(kind=PRECOMMIT, valid_round=NO_ROUND),
        proposal._replace(height=8),
        proposal._replace(round=3),
        proposal._replace(value=b"c" * 32),
        proposal._replace(valid_round=0),
    ]
    holds = [statement_of(made, election).holds(election.statement_keys[3], signature)
             for made in (proposal, *others)]  # fmt: skip
    assert holds == [True, *[False] * len(others)]

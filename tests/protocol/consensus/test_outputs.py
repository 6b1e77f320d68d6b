"""The records of the consensus: their defaults are those of a vote by ourselves."""

from __future__ import annotations

from votenet.protocol.consensus.outputs import NO_ROUND, PREVOTE, ROUND_KINDS, RoundStatement


def test_a_vote_has_no_valid_round_and_an_own_one_no_signature() -> None:
    vote = RoundStatement(PREVOTE, 1, 0, 2, b"a" * 32)
    assert (vote.valid_round, vote.signature) == (NO_ROUND, "")


def test_kinds_are_in_the_order_of_the_steps_of_a_round() -> None:
    assert ROUND_KINDS == ("proposal", "prevote", "precommit")

"""Votes that are handed on: their rules hold, and who accepted them before the closing in force."""

from __future__ import annotations

import msgspec

from support.amendments import CLOSES, amendable, amendment
from support.elections import keys_of_node, make_vote
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.acceptance import Acceptance, accept_group
from votenet.protocol.node.handed_on import check_handed_on
from votenet.protocol.wire.named_messages import HandedOn

ELECTION = amendable("ada", "bo")
VOTE = make_vote(ELECTION, "ada")


def accepted(vote: HashedVote, node: int, time: int) -> Acceptance:
    key = keys_of_node(node).statement
    return accept_group(
        key, network_hex=ELECTION.network_hex, node=node, time=time, vote_ids=[vote.id]
    ).acceptance(0)


def test_acceptances_count_that_are_signed_and_dated_before_the_closing_in_force() -> None:
    forged = msgspec.structs.replace(accepted(VOTE, 2, CLOSES - 1), node=3)
    made = (accepted(VOTE, 0, CLOSES - 1), accepted(VOTE, 1, CLOSES), forged)
    one = HandedOn(vote=VOTE.vote, acceptances=made)
    assert check_handed_on([one], ELECTION, SignatureCache()) == [(VOTE, frozenset({0}))]
    later = ELECTION.amended([amendment(ELECTION, "extend", closes=CLOSES + 1)])
    assert check_handed_on([one], later, SignatureCache()) == [(VOTE, frozenset({0, 1}))]


def test_a_vote_that_breaks_a_rule_is_left_out() -> None:
    stranger = HandedOn(vote=make_vote(ELECTION, "eve").vote, acceptances=())
    assert check_handed_on([stranger], ELECTION, SignatureCache()) == []

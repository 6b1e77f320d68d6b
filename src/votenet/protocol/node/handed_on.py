"""Votes that other named nodes accepted before the closing, and hand on to a node that turns voters away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from votenet.core.election.definition import Election
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote, hash_votes
from votenet.errors import Rejected
from votenet.protocol.node.acceptances import Acceptances
from votenet.protocol.node.admission import ballot_portions, check_votes
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.named_messages import MAX_HANDED_ON, HandedOn, HandedOnVotes


def votes_to_hand_on(node: int, state: NodeState, acceptances: Acceptances) -> list[HandedOnVotes]:
    """The waiting votes that named node `node` has not signed for, and that it may take after the closing."""
    lacking: list[HandedOn] = []
    for hashed in state.pool:
        signed = acceptances.of(hashed.id)
        if node not in signed and len(signed) > state.election.faults:
            made = tuple(group.acceptance(at) for group, at in signed.values())
            lacking.append(HandedOn(vote=hashed.vote, acceptances=made))
    starts = range(0, len(lacking), MAX_HANDED_ON)
    return [HandedOnVotes(votes=tuple(lacking[start : start + MAX_HANDED_ON])) for start in starts]


def handed_on_check(
    votes: Sequence[HandedOn], election: Election, signatures: SignatureCache
) -> Callable[[], Sequence[object]]:
    """`check_handed_on` as a job, in portions where ballots are secret."""
    check = partial(check_handed_on, election=election, signatures=signatures)
    return ballot_portions(election, votes, check, lambda one: one.vote)


def check_handed_on(
    votes: Sequence[HandedOn], election: Election, signatures: SignatureCache
) -> list[tuple[HashedVote, frozenset[int]]]:
    """The votes whose rules and signatures hold, each with the nodes that accepted it before closing.

    Runs in a thread.
    """
    hashed = hash_votes([one.vote for one in votes])
    held = zip(votes, hashed, check_votes(hashed, election, signatures), strict=True)
    return [
        (vote, frozenset(_accepted_in_time(one, vote, election)))
        for one, vote, refusal in held
        if refusal is None
    ]


def _accepted_in_time(one: HandedOn, vote: HashedVote, election: Election) -> Iterator[int]:
    closes = election.closes or 0
    for made in one.acceptances:
        with contextlib.suppress(Rejected):
            made.check(election.network_hex, vote.id, election.statement_keys)
            if made.time < closes:
                yield made.node

"""Taking a signed vote: checked here, on a node's disk before it is answered."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from votenet.client.refusals import explained
from votenet.client.submission import Taken
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import (
    HashedVote,
    Vote,
    check_ballot,
    check_on_roll,
    forgery,
    hash_vote,
    signature_holds,
)
from votenet.core.records.acceptance import Acceptance
from votenet.core.records.canonical_record import read_record
from votenet.errors import NotProven, Rejected, VotenetError
from votenet.protocol.wire.limits import ballot_units
from votenet.web.api.lookups import where_is
from votenet.web.api.requests import json_answer, view_of
from votenet.web.api.vote_batches import batches_of
from votenet.web.limits import TokenBuckets, asked_by
from votenet.web.live_view import LiveView
from votenet.web.refusals import refusal

NOT_JSON = ("not-json", "duplicate-key")
"""Faults of a body that is no JSON, or leaves a doubt what it says."""
OF_THE_ROLL: Final = ("not-on-roll", "wrong-key")
TOO_MANY: Final = VotenetError(
    "too many encrypted ballots came from this address",
    code="too-many",
    next_step="Wait a few seconds and send the vote again.",
)


class VoteTaken(msgspec.Struct, frozen=True):
    """The vote is on the disk of `node`. `received_by`: names of the named nodes that have signed that they
    hold it (`acceptances`), `received` of `of`. `state`: as in `WhereVoteIs`."""

    vote_id: str
    voter_id: str
    state: str
    node: str
    received_by: tuple[str, ...]
    received: int
    of: int
    acceptances: tuple[Acceptance, ...]


async def post_vote(request: Request) -> Response:
    view, body = view_of(request), await request.body()
    election = view.snapshot.election
    try:
        vote = read_vote(body, election)
        if election.secret is not None:
            # What costs little, first: only a voter pays for proofs, and has them checked.
            check_on_roll(vote.vote, election)
            if not signature_holds(vote):
                check_forgery(vote, election)
            if wait := _wait_for_proofs(request, vote):
                return refusal(request, TOO_MANY, headers={"Retry-After": str(int(wait) + 1)})
            # Up to 50 ms: others are answered meanwhile.
            await asyncio.to_thread(check_forgery, vote, election)
    except Rejected as error:
        # Whatever a code means of a node: here the sender is wrong, but for what only the roll says.
        return refusal(request, error, status=None if error.code in OF_THE_ROLL else 400)
    return json_answer(await cast(view, vote))


def _wait_for_proofs(request: Request, vote: HashedVote) -> float:
    """Have the client pay for the check of its ballot: 0, or the seconds until it can."""
    who = asked_by(request, request.app.state.settings.trusted_proxies)
    proofs: TokenBuckets = request.app.state.proofs
    return proofs.wait(who, time.monotonic(), ballot_units(vote.vote.ballot))


def read_vote(body: bytes, election: Election) -> HashedVote:
    """The vote in a body; of a public election also its signature. Whether its voter may vote, and now, is
    what nodes say.

    Raises:
        Rejected: bad-json, bad-vote, bad-signature, or as `check_ballot`.
    """
    try:
        hashed = hash_vote(read_record(body, Vote))
    except NotProven as error:
        code = "bad-json" if error.code in NOT_JSON else "bad-vote"
        raise Rejected(code, error.message).advising(
            "Send one vote record, signed, as docs/web-api.md shows it."
        ) from None
    check_ballot(hashed, election)
    if election.secret is None:
        check_forgery(hashed, election)
    return hashed


def check_forgery(vote: HashedVote, election: Election) -> None:
    """Check the signature of a vote, and the proofs of a secret one. Raises Rejected."""
    if (wrong := forgery(vote, election)) is not None:
        raise wrong


async def cast(view: LiveView, vote: HashedVote) -> VoteTaken:
    """Hand a vote to the best node that takes it.

    Raises:
        Rejected: a node's refusal.
        Unreachable: no node has said that it has the vote. The same vote may be sent again.
    """
    try:
        taken = await batches_of(view).submit(vote)
    except Rejected as refusal:
        raise explained(refusal, vote.voter_id) from None
    if taken.acceptances or not taken.election.named:
        return _taken(vote, taken)
    # No node signs for a vote that is in a block already: it was sent before.
    standing = await where_is(view, vote.voter_id, with_record=False)
    if standing.vote_id == vote.id.hex():
        return _taken(vote, taken, standing.state)
    if standing.height is not None:
        raise explained(Rejected("already-voted", "another vote of this voter is in a block"), vote.voter_id)
    return _taken(vote, taken)


def _taken(vote: HashedVote, taken: Taken, state: str = "received") -> VoteTaken:
    nodes = sorted(taken.acceptances)
    return VoteTaken(
        vote_id=vote.id.hex(),
        voter_id=vote.voter_id,
        state=state,
        node=str(taken.node),
        received_by=taken.election.node_names(nodes),
        received=len(nodes),
        of=taken.election.named,
        acceptances=tuple(taken.acceptances[node] for node in nodes),
    )

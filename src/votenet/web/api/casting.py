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
from votenet.core.ledger.vote import HashedVote, Vote, check_ballot, forgery, hash_vote
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


class _Posted(msgspec.Struct):
    """What decides how long the check of a vote takes."""

    ballot: str = ""


_posted: Final = msgspec.json.Decoder(_Posted)


async def post_vote(request: Request) -> Response:
    view, body = view_of(request), await request.body()
    if wait := _wait_for_proofs(request, body):
        error = VotenetError(
            "too many encrypted ballots came from this address",
            code="too-many",
            next_step="Wait a few seconds and send the vote again.",
        )
        return refusal(request, error, headers={"Retry-After": str(int(wait) + 1)})
    try:
        vote = await read_beside(body, view.snapshot.election)
    except Rejected as error:  # whatever its code means of a node: here the sender is wrong
        return refusal(request, error, status=400)
    return json_answer(await cast(view, vote))


def _wait_for_proofs(request: Request, body: bytes) -> float:
    """Have the client pay for the check of its ballot: 0, or the seconds until it can."""
    try:
        price = ballot_units(_posted.decode(body).ballot)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return 0.0  # it is refused before anything is checked
    who = asked_by(request, request.app.state.settings.trusted_proxies)
    proofs: TokenBuckets = request.app.state.proofs
    return proofs.wait(who, time.monotonic(), price)


async def read_beside(body: bytes, election: Election) -> HashedVote:
    """`read_vote`, in a thread where ballots are secret: their proofs take up to 50 ms. Raises as that."""
    if election.secret is None:
        return read_vote(body, election)
    return await asyncio.to_thread(read_vote, body, election)


def read_vote(body: bytes, election: Election) -> HashedVote:
    """The vote in a body. Whether its voter may vote, and now, is what nodes say.

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
    if (wrong := forgery(hashed, election)) is not None:
        raise wrong
    return hashed


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

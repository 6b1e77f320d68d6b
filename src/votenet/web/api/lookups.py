"""Questions about one voter: who has this key, where the vote stands, its receipt."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from votenet.client.answers import fetch_vote_status, wrong_answer
from votenet.client.connection import NodeConnection
from votenet.client.receipts import fetch_receipt
from votenet.client.voting import fetch_best_receipt
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import hash_vote
from votenet.core.records.receipt import encode_receipt
from votenet.core.text import check_voter_id
from votenet.errors import VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetProof, Proof, VoteStatus
from votenet.web.api.requests import (
    ViewNodes,
    address_parameter,
    bad_request,
    file_answer,
    file_name,
    flag_parameter,
    json_answer,
    text_parameter,
    view_of,
    voter_parameter,
)
from votenet.web.live_view import LiveView
from votenet.web.refusals import refusal

STATES: Final = {"unknown": "unknown", "accepted": "received", "in_block": "in-block", "final": "final"}
"""States of `VoteStatus`, and what the API calls them."""
KEY_DIGITS: Final = 64


class WhereVoteIs(msgspec.Struct, frozen=True):
    """Where the vote of a voter stands, by the word of `node`.

    `state`: unknown, received (saved, waits for its block), in-block or final. `vote` is its record, null
    while it is not asked for; `signed_by` has the names of the nodes whose certificate covers it.
    """

    voter_id: str
    state: str
    vote_id: str | None
    time: int | None
    block: str | None
    height: int | None
    position: int | None
    vote: msgspec.Raw | None
    node: str
    signed_by: tuple[str, ...]


async def get_voter(request: Request) -> Response:
    key = text_parameter(request, "key")
    if len(key) != KEY_DIGITS or not set(key) <= set("0123456789abcdef"):
        raise bad_request("'key' is a public key: 64 hexadecimal digits in lower case")
    view = view_of(request)
    election = view.snapshot.election
    try:
        voter_id = voter_with_key(election, key)
    except VotenetError as error:
        return refusal(request, error, status=404)
    status = await view.ask(lambda node: fetch_vote_status(node, voter_id))
    return json_answer(
        {
            "voter_id": voter_id,
            "weight": 1 if election.weights is None else election.weights[voter_id],
            "voted": status.state != "unknown",
        }
    )


def voter_with_key(election: Election, key: str) -> str:
    """The voter on the roll in force with this public key.

    Raises:
        VotenetError: no-roll, when the election has none, or it is not here; not-on-roll.
    """
    if election.registered is None:
        raise VotenetError(
            "the roll of this election is not known here"
            if election.definition.registration == "roll"
            else "this election has no roll: every voter id may vote once",
            code="no-roll",
            next_step="Type the voter id.",
        )
    voter_id = election.voter_of_key(key)
    if voter_id is None:
        raise VotenetError(
            "no voter on the roll has this key",
            code="not-on-roll",
            next_step="Ask the organisers for a new card: the old one may have been replaced.",
        )
    return voter_id


async def get_vote(request: Request) -> Response:
    voter_id, other_than = voter_parameter(request), address_parameter(request, "other_than")
    return json_answer(
        await where_is(view_of(request), voter_id, other_than, with_record=bool(other_than) or None)
    )


async def where_is(
    view: LiveView,
    voter_id: str,
    other_than: Collection[Address] = (),
    *,
    with_record: bool | None = None,
) -> WhereVoteIs:
    """Where the vote of a voter stands, as one node says.

    Args:
        other_than: nodes that are asked only where no other answers.
        with_record: fetch the record of the vote, too; None: once the vote is in its block.

    Raises:
        Rejected: bad-vote; this is no voter id. A node would end the connection that all requests share.
        Unreachable: no node answers.
    """
    check_voter_id(voter_id)

    async def look(node: NodeConnection) -> WhereVoteIs:
        status = await fetch_vote_status(node, voter_id)
        wanted = status.height is not None if with_record is None else with_record
        record = await _record(node, status) if wanted and status.vote_id is not None else None
        return _standing(node, status, record, await _signers(view, node, status))

    return await view.ask(look, other_than=other_than)


async def _record(node: NodeConnection, status: VoteStatus) -> bytes:
    """The record of a vote, which has the id that the node has named. Raises NotProven: wrong-answer."""
    proof = await node.ask(GetProof(voter_id=status.voter_id), Proof)
    if proof.vote is None:
        raise wrong_answer(node.address, "no vote where it has just named one")
    hashed = hash_vote(proof.vote)
    if hashed.id.hex() != status.vote_id or hashed.voter_id != status.voter_id:
        raise wrong_answer(node.address, "another vote than the one that it has just named")
    return hashed.record


async def _signers(view: LiveView, node: NodeConnection, status: VoteStatus) -> tuple[str, ...]:
    """The names of the nodes whose certificate covers a vote. Raises NotProven: the node shows none."""
    if status.state != "final" or status.height is None:
        return ()
    if view.snapshot.final_height is not None and view.snapshot.final_height >= status.height:
        return view.snapshot.signed_by
    shown = await view.log.look(node)
    if shown is None or shown.height < status.height:
        raise wrong_answer(node.address, "a final vote without a certificate of its block")
    return view.log.election.node_names(shown.certificate.signers)


def _standing(
    node: NodeConnection, status: VoteStatus, record: bytes | None, signers: tuple[str, ...]
) -> WhereVoteIs:
    return WhereVoteIs(
        voter_id=status.voter_id,
        state=STATES.get(status.state, "unknown"),
        vote_id=status.vote_id,
        time=status.time,
        block=status.block,
        height=status.height,
        position=status.position,
        vote=None if record is None else msgspec.Raw(record),
        node=str(node.address),
        signed_by=signers,
    )


async def get_receipt(request: Request) -> Response:
    voter_id, received = voter_parameter(request), flag_parameter(request, "received")
    view = view_of(request)
    if received:
        receipt = await fetch_best_receipt(ViewNodes(view), view.log, voter_id, None)
    else:
        receipt = await view.ask(lambda node: fetch_receipt(node, view.log, voter_id))
    return file_answer(encode_receipt(receipt), file_name("receipt", voter_id) + ".json")

"""An amendment of an election: signed, handed to a node, followed until it is final."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec

from votenet.client.answers import fetch_amendments, fetch_vote_status, wrong_answer
from votenet.client.connection import NodeConnection
from votenet.client.failover import Failover, another_may_do_better
from votenet.client.log_view import LogView
from votenet.core.election.amendment import (
    Action,
    Amendment,
    bad_amendment,
    check_amendment,
    check_signed,
    sign_amendment,
)
from votenet.core.election.definition import Election
from votenet.core.encoding import canonical
from votenet.core.keys import SigningKey
from votenet.errors import Command, NextStep, NotProven, VotenetError, WaitTimedOut
from votenet.protocol.wire.client_messages import AmendmentTaken, SubmitAmendment

AMENDMENT_POLL_SECONDS: Final = 0.05
"""Between two looks whether an amendment is in a block."""


class Change(NamedTuple):
    """What the authority wants to change, as the members of an amendment that its action needs.

    `later`: seconds after the closing time in force, in place of `closes`.
    """

    action: Action
    closes: int | None = None
    voter_id: str | None = None
    key: str | None = None
    weight: int | None = None
    reason: str = ""
    later: int | None = None
    credential: str | None = None
    """The voter's public one, where ballots are secret."""


@dataclass(frozen=True, slots=True)
class AmendmentResult:
    """Where an amendment stands: `state` is "waiting" (saved by a node), "in_block", or "final".

    `node` said so last. `before` is the election in force without it. `signed_by` has the names of the nodes
    whose signatures make its block final.
    """

    amendment: Amendment
    before: Election
    node: str
    state: str = "waiting"
    signed_by: tuple[str, ...] = ()


async def submit_change(
    nodes: Failover,
    view: LogView,
    authority: SigningKey,
    change: Change,
    wait: float,
    on_taken: Callable[[AmendmentResult], object] = lambda result: None,
) -> AmendmentResult:
    """What `AsyncElectionClient.amend` does."""
    found: AmendmentResult | None = None

    async def submit(node: NodeConnection) -> AmendmentResult:
        nonlocal found
        if found is None:  # the next node gets the same one
            found = await _signed(node, view.election, authority, change)
        taken = await node.ask(SubmitAmendment(amendment=found.amendment), AmendmentTaken)
        if taken.number != found.amendment.number:
            raise wrong_answer(node.address, "the number of another amendment")
        return replace(found, node=str(node.address))

    result = await nodes.run(submit)
    on_taken(result)
    return await _follow(nodes, view, result, wait)


async def _signed(
    node: NodeConnection, election: Election, authority: SigningKey, change: Change
) -> AmendmentResult:
    """The amendment with the next free number. Raises Rejected: bad-amendment, for one that no node takes."""
    shown = await fetch_amendments(node, election)
    before, number = shown.election, shown.next
    members = change._asdict()
    if (later := members.pop("later")) is not None:
        members["closes"] = _closing(before, number, later)
    made = sign_amendment(authority, network_hex=election.network_hex, number=number, **members)
    _check_form(made)
    check_signed(made, before)
    if number == before.next_number:
        voted = change.action == "replace-key" and await _has_voted(node, change.voter_id or "")
        check_amendment(made, before, time=int(time.time()), has_voted=lambda _: voted)
    return AmendmentResult(made, before, str(node.address))


def _closing(before: Election, number: int, later: int) -> int:
    """The closing time that is `later` seconds after the one in force. Raises Rejected: bad-amendment."""
    if number != before.next_number:
        raise bad_amendment(
            "another amendment waits for its block, so the closing time is not known"
        ).advising("Wait a moment and type it again, or name the time: 2027-05-31T21:30+02:00")
    if before.closes is None:
        raise bad_amendment("there is no closing time to extend")
    return before.closes + later


def _check_form(amendment: Amendment) -> None:
    try:
        msgspec.json.decode(canonical(amendment), type=Amendment)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise bad_amendment(str(error)) from error


async def _has_voted(node: NodeConnection, voter_id: str) -> bool:
    return (await fetch_vote_status(node, voter_id)).state != "unknown"


async def _follow(nodes: Failover, view: LogView, result: AmendmentResult, wait: float) -> AmendmentResult:
    """Look again and again until the amendment is final, at whichever node answers."""
    deadline = time.monotonic() + wait

    async def look(node: NodeConnection) -> AmendmentResult:
        return await _standing(node, view, result)

    while wait > 0:
        try:
            result = await nodes.run(look)
        except VotenetError as error:
            if isinstance(error, NotProven) or not another_may_do_better(error):
                raise
        if result.state == "final":
            break
        if time.monotonic() > deadline:
            raise _not_in_time(result, wait)
        await asyncio.sleep(AMENDMENT_POLL_SECONDS)
    return result


async def _standing(node: NodeConnection, view: LogView, before: AmendmentResult) -> AmendmentResult:
    """How the amendment stands at this node.

    Raises:
        Rejected: bad-amendment; another one has its number, or the node has dropped it.
    """
    number = before.amendment.number
    shown = await fetch_amendments(node, view.election)
    if shown.election.next_number <= number:
        if before.node == str(node.address) and number not in shown.waiting:
            raise bad_amendment(
                f"{node.address} had saved it and has dropped it: its hour has passed, or the voter has voted"
            )
        return before
    if shown.election.amendments[number - 1] != before.amendment:
        raise bad_amendment(f"another one with the number {number} is on the chain")
    seen = replace(before, node=str(node.address), state="in_block")
    log = await view.look(node)
    if log is None or log.height < shown.height:
        return seen
    return replace(seen, state="final", signed_by=view.election.node_names(log.certificate.signers))


def _not_in_time(result: AmendmentResult, wait: float) -> WaitTimedOut:
    number = result.amendment.number
    where = "in a block" if result.state == "in_block" else f"saved at {result.node} and waits for its block"
    return WaitTimedOut(
        f"amendment {number} is {where}, but not final after {wait:g} s",
        code="not-final-yet",
        next_step=NextStep("It holds once enough named nodes have agreed; look with: {}", Command("status")),
    )

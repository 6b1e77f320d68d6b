"""Casting one vote: sign it, hand it to a node, follow it until it is final, or in its block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from votenet.client.answers import fetch_amendments, fetch_vote_status, wrong_answer
from votenet.client.connection import NodeConnection
from votenet.client.failover import Failover, Nodes, another_may_do_better
from votenet.client.log_view import LogView
from votenet.client.receipts import fetch_receipt, fetch_waiting_vote
from votenet.client.refusals import explained
from votenet.client.secret_votes import encrypted_ballot
from votenet.client.submission import Taken, VoteSubmission, collect_acceptances
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.vote import HashedVote, check_vote, hash_vote, sign_vote
from votenet.core.records.receipt import Receipt, check_receipt, make_received_receipt
from votenet.core.text import check_voter_id
from votenet.errors import Command, NextStep, NotProven, Rejected, VotenetError, WaitTimedOut
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus

VOTE_POLL_SECONDS: Final = 0.04
"""Between two looks whether a vote is in a block; a look costs the node 50 microseconds."""


@dataclass(frozen=True, slots=True)
class CastResult:
    """Where a vote stands after it was cast.

    `choices` are those of each contest, in the order of the definition; none where ballots are secret.
    `state` is "accepted" (received: on
    the disk of a node), "in_block" (by the word of `node`, the node that was asked last) or "final" (its
    proof was checked here). In a block, `block` (its hash), `height`, `position` and `confirmations` (blocks
    from that one on) are set. `time`: when it was signed (Unix seconds). `warnings`: what is wrong with that
    node.

    In an election with `named` nodes, `received_by` has the names of those that have signed that they hold
    the vote, `signed_by` of those that signed the log with it, and `receipt` proves as much of that as there
    is: the vote is final, or was received.
    """

    voter_id: str
    choices: tuple[tuple[str, ...], ...]
    vote_id: str
    network_id: str
    node: str
    state: str
    time: int
    block: str | None = None
    height: int | None = None
    position: int | None = None
    confirmations: int = 0
    warnings: tuple[str, ...] = ()
    named: int = 0
    received_by: tuple[str, ...] = ()
    signed_by: tuple[str, ...] = ()
    receipt: Receipt | None = None


class VoterKey(Protocol):
    """A key to sign with. It is kept once a vote may have been taken, else dropped."""

    @property
    def key(self) -> SigningKey: ...

    def keep(self) -> object: ...

    def drop(self) -> None: ...


def stored_key(election: Election, voter_id: str, folder: Path) -> VoterKey:
    """The voter's key in this folder. Made on first use, but never where a roll names the keys.

    Raises:
        VotenetError: no-key; the election has a roll, and the folder has no key for the voter.
        ConfigError: the folder or the key file cannot be used.
    """
    from votenet.storage.key_store import KeyStore

    keys = KeyStore(folder)
    if election.definition.registration == "roll" and keys.find(voter_id) is None:
        raise VotenetError(
            f"this election has a roll, and this user has no key for {voter_id!r}: none was made, a new one"
            " could not vote",
            code="no-key",
            next_step=NextStep(
                "Vote where the registered key is, or with its file: --key FILE. The keys here: {}",
                Command("keys", "list"),
            ),
        )
    return keys.pending(voter_id)


Choices = str | Sequence[str] | Mapping[str, Sequence[str]]
"""A candidate; some in order of preference; or, where there are several contests, these by contest id."""


def ballots_of(election: Election, choices: Choices) -> tuple[tuple[str, ...], ...]:
    """The ballot of every contest, checked before anything is signed. A contest without choices stays blank.

    Raises:
        Rejected: bad-choices, unknown-candidate.
    """
    contests = election.contests
    ids = [contest.definition.id for contest in contests]
    if isinstance(choices, str):
        choices = (choices,)
    how = f"Give choices by contest: --in CONTEST=CANDIDATE. The contests: {', '.join(ids)}"
    if not isinstance(choices, Mapping):
        if len(contests) > 1:
            what = f"this election has {len(contests)} contests: say for each what you choose"
            raise Rejected("bad-choices", what).advising(how)
        choices = {ids[0]: choices}
    if unknown := sorted(choices.keys() - set(ids)):
        raise Rejected("bad-choices", f"there is no contest {unknown[0]!r}").advising(how)
    ballots = tuple(tuple(choices.get(contest, ())) for contest in ids)
    for contest, ballot in zip(contests, ballots, strict=True):
        try:
            contest.check(ballot)
        except Rejected as refusal:
            name = contest.definition.id
            if name in choices:
                raise
            words, _ = contest.offer
            raise refusal.advising(
                f"Choose in contest {name!r}, too: --in {name}=CANDIDATE, of: {words}"
            ) from None
    return ballots


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long `cast_vote` waits. `confirmations`: where no nodes are named; else it waits for final."""

    seconds: float
    confirmations: int = 1


async def cast_vote(
    nodes: Failover,
    view: LogView,
    voter_id: str,
    choices: Choices,
    key_for: Callable[[], SigningKey | VoterKey],
    waiting: Waiting,
    on_received: Callable[[CastResult], object] = lambda cast: None,
    credential: str | None = None,
) -> CastResult:
    """What `AsyncElectionClient.cast` does. `key_for` is called once id and choices are known to fit."""
    election = view.election
    ballots = ballots_of(election, choices)
    try:
        check_voter_id(voter_id)
    except Rejected as refusal:
        raise explained(refusal, voter_id) from None
    encrypted = encrypted_ballot(election, ballots, credential)
    key = key_for()
    signing = key if isinstance(key, SigningKey) else key.key
    submission: VoteSubmission | None = None
    try:
        submission = VoteSubmission(election, _signed(election, voter_id, ballots, signing, encrypted))
        taken = await submission.hand_in(nodes)
    except Rejected as refusal:
        raise explained(refusal, voter_id) from None
    finally:  # before the wait for the block, which may be cut short
        if not isinstance(key, SigningKey):
            key.keep() if submission is not None and submission.maybe_taken else key.drop()
    cast = _received(submission.vote, taken)
    on_received(cast)
    return await _follow(nodes, view, cast, waiting)


def _signed(
    election: Election, voter_id: str, choices: Sequence[Sequence[str]], key: SigningKey, ballot: str
) -> HashedVote:
    """Raises Rejected for a vote that no node would accept."""
    vote = sign_vote(
        key,
        network_hex=election.network_hex,
        voter_id=voter_id,
        choices=() if ballot else choices,
        time=int(time.time()),
        ballot=ballot,
    )
    check_vote(vote, election)
    return vote


async def fetch_best_receipt(nodes: Nodes, view: LogView, voter_id: str, key: str | None) -> Receipt:
    """The receipt of a final vote; of one that waits at all nodes, who received it: each node signs again.

    Raises:
        NotProven: not-final, when none signs for the vote any more; else as `fetch_receipt`.
    """
    election, waiting = view.election, list[HashedVote]()

    async def ask(node: NodeConnection) -> Receipt:
        nonlocal election
        try:
            return await fetch_receipt(node, view, voter_id, key)
        except NotProven as error:
            if error.code == "not-final":
                election = (await fetch_amendments(node, view.election)).election
                waiting.append(await fetch_waiting_vote(node, election, voter_id, key))
            raise

    try:
        return await nodes.run(ask)
    except VotenetError:
        if not waiting:
            raise
    acceptances = await collect_acceptances(nodes, nodes.addresses, election, waiting[0])
    if not acceptances:
        raise NotProven(
            f"the vote of {voter_id!r} waits for its block, and no named node signs for it now",
            code="not-final",
            next_step=NextStep("Look where it stands with: {}", Command("status", "--voter", voter_id)),
        )
    return make_received_receipt(election, waiting[0].vote, acceptances.values())


def _received(vote: HashedVote, taken: Taken) -> CastResult:
    node, election, acceptances = taken
    return CastResult(
        voter_id=vote.vote.voter_id,
        choices=vote.vote.choices,
        vote_id=vote.id.hex(),
        network_id=election.network_hex,
        node=str(node),
        state="accepted",
        time=vote.vote.time,
        named=election.named,
        received_by=election.node_names(sorted(acceptances)),
        receipt=make_received_receipt(election, vote.vote, acceptances.values()) if acceptances else None,
    )


async def _follow(nodes: Failover, view: LogView, cast: CastResult, waiting: Waiting) -> CastResult:
    """Look again and again until the vote is final, or has its confirmations, at whichever node answers."""
    deadline = time.monotonic() + waiting.seconds

    def arrived(seen: CastResult) -> bool:
        return seen.state == "final" if cast.named else seen.confirmations >= waiting.confirmations

    async def look(node: NodeConnection) -> CastResult:
        seen = await _standing(node, view, cast)
        if not arrived(seen) and waiting.seconds > 0:
            return seen
        status = await node.ask(GetStatus(), NodeStatus)
        return replace(seen, warnings=tuple(warning.message for warning in status.warnings))

    while True:
        try:
            cast = await nodes.run(look)
        except VotenetError as error:
            if isinstance(error, NotProven) or not another_may_do_better(error):
                raise
        else:
            if arrived(cast) or waiting.seconds <= 0:
                return cast
        if time.monotonic() > deadline:
            raise _not_in_time(cast, waiting)
        await asyncio.sleep(VOTE_POLL_SECONDS)


async def _standing(node: NodeConnection, view: LogView, before: CastResult) -> CastResult:
    """How the vote stands at this node; as before, if the node does not have it yet."""
    status = await fetch_vote_status(node, before.voter_id)
    if status.vote_id is None:
        return before
    if status.vote_id != before.vote_id:
        raise Rejected("already-voted", f"another vote of {before.voter_id!r} is in its place")
    seen = replace(
        before,
        node=str(node.address),
        state="in_block" if status.state == "final" else status.state,
        block=status.block,
        height=status.height,
        position=status.position,
        confirmations=status.confirmations,
    )
    if status.state != "final" or not before.named:
        return seen
    # The node says that it is final: that is believed once its certificate and the path hold.
    receipt = await fetch_receipt(node, view, before.voter_id)
    if hash_vote(receipt.vote).id.hex() != before.vote_id:
        raise wrong_answer(node.address, "the proof of another vote")
    signers = check_receipt(receipt, int(time.time())).signed_by
    return replace(seen, state="final", receipt=receipt, signed_by=signers)


def _not_in_time(cast: CastResult, waiting: Waiting) -> WaitTimedOut:
    look = Command("status", "--voter", cast.voter_id)
    if cast.named:
        where = "received" if cast.height is None else f"in block {cast.height}"
        return WaitTimedOut(
            f"the vote {cast.vote_id} is {where}, but not final after {waiting.seconds:g} s",
            code="not-final-yet",
            next_step=NextStep(
                "It is saved, and final once enough named nodes have signed; look with: {}", look
            ),
        )
    if cast.height is not None:
        return WaitTimedOut(
            f"the vote {cast.vote_id} is in block {cast.height}, with {cast.confirmations} of"
            f" {waiting.confirmations} confirmations after {waiting.seconds:g} s",
            code="not-confirmed-yet",
            next_step=NextStep(
                "Blocks are mined only while votes wait: the next votes confirm it. Look with: {}", look
            ),
        )
    return WaitTimedOut(
        f"the vote {cast.vote_id} is received and saved, but not in a block after {waiting.seconds:g} s",
        code="not-in-block-yet",
        next_step=NextStep("It will be in the next block; look with: {}", look),
    )

"""Questions to one node. Each answer is checked against its question."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from votenet.client.connection import NodeConnection
from votenet.client.failover import Failover
from votenet.client.header_pages import check_page
from votenet.core.election.amendment import amend
from votenet.core.election.definition import Election, election_from_file
from votenet.core.ledger.block import genesis_header, header_from_hex
from votenet.core.ledger.vote import HashedVote
from votenet.core.methods.method import ContestResult
from votenet.core.records.acceptance import Acceptance
from votenet.errors import Command, NextStep, NotProven, Rejected
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import (
    AmendmentList,
    ElectionInfo,
    GetAmendments,
    GetElection,
    GetResults,
    GetVoteStatus,
    Results,
    SubmitVotes,
    VotesTaken,
    VoteStatus,
)
from votenet.protocol.wire.error_lines import decode_error
from votenet.protocol.wire.peer_messages import GetHeaders, Headers

ON_CHAIN: Final = frozenset({"in_block", "final"})
"""States of a vote (VoteStatus) that is in a block."""


def wrong_answer(source: Address | str, what: str) -> NotProven:
    """The error for an answer that cannot be true: a fault of that node, or a lie."""
    return NotProven(
        f"{source} answered with {what}",
        code="wrong-answer",
        next_step="Do not believe that node. Ask another one with --node HOST:PORT.",
    )


async def fetch_election(node: NodeConnection, network_id: str | None = None) -> Election:
    """The election of a node.

    Args:
        network_id: of the network that it must belong to, where that is known.

    Raises:
        Rejected: network-mismatch; the node is of another network, or shows an election that is not its own.
        ConfigError: bad-genesis; its definition is not valid.
    """
    shown = await node.ask(GetElection(), ElectionInfo)
    election = election_from_file(bytes(shown.definition), f"what {node.address} tells of its election")
    if election.network_hex != shown.network_id:
        raise Rejected("network-mismatch", f"{node.address} shows an election that is not its own").advising(
            "Ask another node: --node HOST:PORT; this one is broken, or lies."
        )
    if network_id not in (None, election.network_hex):
        raise Rejected("network-mismatch", f"{node.address} is a node of another network").advising(
            NextStep(
                "Ask a node of the network that you mean: --node HOST:PORT. Networks here: {}", Command("ls")
            )
        )
    return election


class ShownAmendments(NamedTuple):
    """The election in force at a node, behind the block at `height`; the number that comes next there.

    `waiting`: numbers of amendments that the node holds for a block.
    """

    election: Election
    height: int
    next: int
    waiting: tuple[int, ...]


async def fetch_amendments(
    node: NodeConnection, election: Election, last: int | None = None
) -> ShownAmendments:
    """The election in force at a node. Signatures and numbers of its amendments are checked.

    That there are no more of them is the word of the node.

    Args:
        election: before any amendment; with its roll they are checked against that.
        last: number of the last one to look at; without it, all.

    Raises:
        NotProven: wrong-answer; an amendment breaks a rule.
    """
    if not can_be_amended(election):
        return ShownAmendments(election, 0, 1, ())
    while True:
        answer = await node.ask(GetAmendments(first=election.next_number), AmendmentList)
        wanted = [one for one in answer.amendments if last is None or one.number <= last]
        try:
            election = amend(election, wanted)
        except Rejected as error:
            raise wrong_answer(node.address, f"amendments that do not hold: {error.message}") from error
        known = len(election.amendments)
        if not wanted or known >= (answer.count if last is None else min(answer.count, last)):
            return ShownAmendments(election, answer.height, answer.next, answer.waiting)


async def fetch_in_force(node: NodeConnection, network_id: str | None = None) -> Election:
    """The election in force at a node. Raises as `fetch_election` and `fetch_amendments`."""
    return (await fetch_amendments(node, await fetch_election(node, network_id))).election


async def election_at(addresses: Sequence[Address], network_id: str | None = None) -> Election:
    """The election in force at the first node that answers. Raises as `fetch_in_force`; Unreachable."""
    async with Failover(addresses) as nodes:
        return await nodes.run(lambda node: fetch_in_force(node, network_id))


def can_be_amended(election: Election) -> bool:
    """Whether the definition allows amendments at all."""
    return election.named > 0 and election.definition.authority_key is not None


async def fetch_results(node: NodeConnection, election: Election) -> Results:
    """The count of the votes on the chain of this node. Raises NotProven: wrong-answer.

    It has no contests before the closing of an election that shows its counts only then.

    That it is final, and who signed, is the word of the node: `LogView` checks it.
    """
    results = await node.ask(GetResults(), Results)
    if results.amendments:
        election = (await fetch_amendments(node, election, last=results.amendments)).election
    definition = election.definition
    shown = (
        *(results.network_id, results.title, results.opens, results.closes),
        *(results.amendments, results.cancelled),
    )
    wanted = (
        *(election.network_hex, definition.title, definition.opens, election.closes),
        *(len(election.amendments), election.cancelled),
    )
    same = [
        (report.id, report.title, report.method, report.seats, frozenset(name for name, _ in report.counts))
        for report in results.contests
    ] == [
        (
            one.definition.id,
            one.definition.title,
            one.method.name,
            one.definition.seats,
            frozenset() if election.cancelled else one.candidates,
        )
        for one in election.contests
    ]
    strangers = [
        name
        for report, contest in zip(results.contests, election.contests, strict=False)
        for name in _named_in(report.outcome)
        if name not in contest.candidates
    ]
    may_hide = definition.results == "after-close" or definition.secrecy == "secret"
    hidden = may_hide and not results.contests
    if shown != wanted or not (same or hidden) or strangers:
        raise wrong_answer(node.address, "results that are not those of the election it shows")
    if definition.secrecy == "secret" and not results.over and results.contests:
        raise wrong_answer(node.address, "counts of secret ballots before anybody could decrypt them")
    if definition.secrecy == "secret" or election.counts_shown(int(time.time()), results.over):
        return results
    return msgspec.structs.replace(results, contests=())  # this node shows them too early


async def fetch_cancelled_at(node: NodeConnection, election: Election, results: Results) -> int | None:
    """When the election was cancelled: the time of its last block, by the clock of the node that made it.

    No block follows a cancel, so the header whose hash is the tip is the one. None: it was not cancelled, or
    the node does not show that header. Unix seconds. Each answer is checked, so that they have an end.

    Raises:
        NotProven: wrong-answer; headers that named nodes have not decided, or that do not follow each other.
    """
    if not results.cancelled:
        return None
    at, height = genesis_header(election).hash, 0
    while True:
        answer = await node.ask(GetHeaders(locator=(at.hex(),)), Headers)
        page = [header_from_hex(text) for text in answer.headers]
        if not page:
            return None
        height += len(page)
        if height > results.height:
            raise wrong_answer(node.address, "more blocks than its results have")
        if page[0].previous != at:
            raise wrong_answer(node.address, "a chain that changes while it is read")
        try:
            at = check_page(election, page, height, answer.commit)[-1]
        except Rejected as error:
            raise wrong_answer(node.address, f"headers that do not hold: {error.message}") from error
        if at.hex() == results.tip:
            return page[-1].time


def _named_in(outcome: ContestResult) -> Iterator[str]:
    yield from (*outcome.winners, *outcome.tied)
    for one in outcome.rounds:
        yield from (*one.elected, *one.eliminated, *one.tied, *(name for name, _ in one.counts))


async def fetch_vote_status(node: NodeConnection, voter_id: str) -> VoteStatus:
    """Where the vote of this voter stands at this node. Raises NotProven: wrong-answer."""
    status = await node.ask(GetVoteStatus(voter_id=voter_id), VoteStatus)
    if status.voter_id != voter_id:
        raise wrong_answer(node.address, f"the vote of {status.voter_id!r}, not of {voter_id!r}")
    if status.state in ON_CHAIN and None in (status.block, status.height, status.position):
        raise wrong_answer(node.address, "a block without its number")
    return status


class Submitted(NamedTuple):
    """What a node said of a vote. `refusal`: why it was not taken; `acceptances`: by index of named node."""

    refusal: Rejected | None
    acceptances: dict[int, Acceptance]


async def submit_vote(node: NodeConnection, election: Election, vote: HashedVote) -> Submitted:
    """Hand a signed vote to a node, as `submit_votes`."""
    (submitted,) = await submit_votes(node, election, [vote])
    return submitted


async def submit_votes(
    node: NodeConnection, election: Election, votes: Sequence[HashedVote]
) -> list[Submitted]:
    """Hand signed votes to a node, in one line. A vote that is there already is no refusal.

    Raises:
        NotProven: wrong-answer; the node said what became of other votes.
        Unreachable: the votes may have been taken, or not.
        Rejected: the connection was refused; the votes may have been taken, or not.
    """
    question = SubmitVotes(votes=tuple(vote.vote for vote in votes), acceptances=election.named > 0)
    taken = await node.ask(question, VotesTaken)
    if [outcome.vote_id for outcome in taken.outcomes] != [vote.id.hex() for vote in votes]:
        raise wrong_answer(node.address, "what became of another vote")
    return [
        Submitted(vote_refusal(outcome.error), good_acceptances(election, vote, outcome.acceptances))
        for vote, outcome in zip(votes, taken.outcomes, strict=True)
    ]


def good_acceptances(
    election: Election, vote: HashedVote, acceptances: Iterable[Acceptance]
) -> dict[int, Acceptance]:
    """Those that hold for this vote, by the index of the named node. Others are as good as none.

    Args:
        election: as it is in force.
    """
    found = {}
    for acceptance in acceptances:
        try:
            acceptance.check(election.network_hex, vote.id, election.statement_keys)
        except Rejected:
            continue
        if election.closes is None or acceptance.time < election.closes:
            found[acceptance.node] = acceptance
    return found


def vote_refusal(fields: dict[str, object] | None) -> Rejected | None:
    """Why a node refused a vote, from its `VoteOutcome`. None: the node has the vote."""
    if fields is None or fields.get("code") == "duplicate-vote":
        return None
    error = decode_error(fields)
    return error if isinstance(error, Rejected) else Rejected("bad-vote", error.message)

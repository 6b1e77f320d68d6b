"""Which answers of a node are believed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import pytest
from tests.cli.conftest import RunningNode

from support.elections import TRIVIAL_BITS, commit_of, make_election, make_vote, mine_block, named_nodes
from support.lying_node import Answer, election_info, lying_node, results_info
from votenet.client.answers import (
    fetch_cancelled_at,
    fetch_election,
    fetch_results,
    fetch_vote_status,
    submit_vote,
    vote_refusal,
)
from votenet.client.connection import NodeConnection
from votenet.core.election.definition import Election
from votenet.errors import NotProven, Rejected
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import Results

T = TypeVar("T")
ELECTION = make_election()


def at(address: Address, work: Callable[[NodeConnection], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with NodeConnection(address) as node:
            return await work(node)

    return asyncio.run(ask())


def believed(lies: dict[str, Answer], work: Callable[[NodeConnection], Awaitable[Any]]) -> str:
    """The code of the error about a node that lies so."""
    with lying_node(ELECTION, lies) as liar, pytest.raises((NotProven, Rejected)) as refused:
        at(liar, work)
    return refused.value.code


def test_the_election_is_checked_against_its_id(node: RunningNode) -> None:
    assert at(node.address, fetch_election).network_hex == node.election.network_hex
    false = election_info(ELECTION) | {"network_id": "ab" * 32}
    assert believed({"get_election": lambda _: false}, fetch_election) == "network-mismatch"


def test_a_node_of_another_network_is_refused() -> None:
    assert believed({}, lambda node: fetch_election(node, "ab" * 32)) == "network-mismatch"


@pytest.mark.parametrize(
    "lie",
    [results_info(make_election(title="Other")), results_info(ELECTION, winner="Zorro")],
    ids=["another election", "another candidate"],
)
def test_results_of_another_election_than_the_node_shows_are_not_believed(lie: dict[str, Any]) -> None:
    assert believed({"get_results": lambda _: lie}, lambda node: fetch_results(node, ELECTION)) == (
        "wrong-answer"
    )


@pytest.mark.parametrize("wrong", [{"voter_id": "somebody else"}, {"height": None}])
def test_a_vote_status_of_another_voter_or_without_its_block_is_not_believed(wrong: dict[str, Any]) -> None:
    true = {"type": "vote_status", "state": "in_block", "voter_id": "ann", "vote_id": "cd" * 32}
    true |= {"block": "ab" * 32, "height": 1, "position": 0}
    lie = true | wrong
    code = believed({"get_vote_status": lambda _: lie}, lambda node: fetch_vote_status(node, "ann"))
    assert code == "wrong-answer"


@pytest.mark.parametrize("outcomes", [[{"vote_id": "ab" * 32}], []])
def test_an_answer_about_another_vote_is_not_believed(outcomes: list[Any]) -> None:
    lie = {"type": "votes_taken", "outcomes": outcomes}
    vote = make_vote(ELECTION)
    assert (
        believed({"submit_votes": lambda _: lie}, lambda node: submit_vote(node, ELECTION, vote))
        == "wrong-answer"
    )


def test_counts_are_not_taken_from_a_node_that_shows_them_too_early() -> None:
    open_still = make_election(results="after-close", closes=2**33)
    told: list[dict[str, Any]] = [results_info(open_still, Bob=2)]
    told.append(told[0] | {"contests": []})
    for answer in told:
        lies: dict[str, Answer] = {"get_results": lambda _, answer=answer: answer}  # type: ignore[misc]
        with lying_node(open_still, lies) as address:
            found = at(address, lambda node: fetch_results(node, open_still))
        assert (found.contests, found.votes) == ((), 2)
    none = results_info(ELECTION) | {"contests": []}
    shown = {"get_results": lambda _: none}
    assert believed(shown, lambda node: fetch_results(node, ELECTION)) == "wrong-answer"


def test_headers_without_end_say_nothing_of_a_cancelled_election() -> None:
    """The node says that there are very many blocks, and sends one again and again, or undecided ones."""
    election = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))
    header = mine_block(election).header
    page = {"type": "headers", "headers": [header.pack().hex()]}
    decided = page | {"commit": msgspec.to_builtins(commit_of(election, header, 1))}
    told = msgspec.convert(results_info(election) | {"cancelled": True, "height": 2**40}, Results)
    for answer in (page, decided):
        lies: dict[str, Answer] = {"get_headers": lambda _, answer=answer: answer}  # type: ignore[misc]
        assert believed(lies, lambda node: fetch_cancelled_at(node, election, told)) == "wrong-answer"


def test_a_vote_that_is_there_already_is_no_refusal(node: RunningNode) -> None:
    election: Election = node.election
    vote = make_vote(election, "twice", time=election.definition.created)
    for _ in range(2):
        assert at(node.address, lambda open_node: submit_vote(open_node, election, vote)).refusal is None
    assert vote_refusal({"code": "duplicate-vote", "message": "m"}) is None


def test_a_refusal_keeps_its_details_on_the_way() -> None:
    error = vote_refusal({"code": "already-voted", "kind": "duplicate", "message": "m", "height": 7})
    assert error is not None
    assert (error.code, error.details) == ("already-voted", {"height": 7})
    newer = vote_refusal({"code": "from-the-future", "message": "m"})
    assert newer is not None
    assert newer.code == "bad-vote"

"""Votes that come together go to a node in one line, and each has its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from support.elections import make_election, make_vote, make_votes, named_nodes
from support.lying_node import Answer, lying_node, results_info, takes
from support.page import PATIENT
from votenet.core.ledger.vote import Vote, hash_vote
from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.web.api import vote_batches
from votenet.web.api.vote_batches import VoteBatches, batches_of
from votenet.web.live_view import LiveView

ELECTION = make_election(nodes=named_nodes(4))
VOTES = make_votes(ELECTION, 20)


class Node:
    """Takes all votes but those of `refused`. It signs for votes whose whole line it takes."""

    def __init__(self, *refused: str) -> None:
        self.lines: list[list[str]] = []
        self.refused = refused

    def submit(self, request: dict[str, Any]) -> dict[str, Any]:
        votes = [hash_vote(msgspec.convert(vote, Vote)) for vote in request["votes"]]
        self.lines.append([vote.voter_id for vote in votes])
        good = not any(vote.voter_id in self.refused for vote in votes)
        outcomes = []
        for raw, vote in zip(request["votes"], votes, strict=True):
            outcome: dict[str, Any] = {"vote_id": vote.id.hex()}
            if vote.voter_id in self.refused:
                outcome["error"] = {"code": "already-voted", "message": "no"}
            elif good:
                (outcome,) = takes(ELECTION, 0, 1, 2, 3)({"votes": [raw]})["outcomes"]
            outcomes.append(outcome)
        return {"type": "votes_taken", "outcomes": outcomes}

    @property
    def answers(self) -> dict[str, Answer]:
        return {"submit_votes": self.submit, "get_results": lambda _: results_info(ELECTION)}


def play(node: Node, scenario: Callable[[VoteBatches], Awaitable[None]]) -> None:
    async def main() -> None:
        with lying_node(ELECTION, node.answers) as address:
            async with asyncio.timeout(120), LiveView([address], **PATIENT) as view:
                await view.changed(None)
                assert batches_of(view) is batches_of(view)
                await scenario(batches_of(view))

    asyncio.run(main())


def test_votes_at_once_are_one_line_and_each_has_its_signatures() -> None:
    node = Node()

    async def scenario(batches: VoteBatches) -> None:
        taken = await asyncio.gather(*map(batches.submit, VOTES))
        assert [sorted(one.acceptances) for one in taken] == [[0, 1, 2, 3]] * len(VOTES)
        assert node.lines == [[vote.voter_id for vote in VOTES]]
        await batches.submit(VOTES[0])
        assert len(node.lines) == 2, "a later one does not wait for it"

    play(node, scenario)


def test_one_that_is_refused_harms_no_other() -> None:
    node = Node("voter-2")

    async def scenario(batches: VoteBatches) -> None:
        found = await asyncio.gather(*map(batches.submit, VOTES[:4]), return_exceptions=True)
        refused = found.pop(1)
        assert isinstance(refused, Rejected)
        assert refused.code == "already-voted"
        for taken in found:
            assert not isinstance(taken, BaseException)
            assert sorted(taken.acceptances) == [0, 1, 2, 3], "they were asked for again"

    play(node, scenario)


def test_a_line_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_batches, "MAX_BATCH", 8)
    node = Node()

    async def scenario(batches: VoteBatches) -> None:
        await asyncio.gather(*map(batches.submit, VOTES))
        assert sorted(map(len, node.lines)) == [4, 8, 8]

    play(node, scenario)


def test_long_votes_make_short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_batches, "MAX_BATCH_BYTES", 2 * len(VOTES[0].record))
    node = Node()

    async def scenario(batches: VoteBatches) -> None:
        await asyncio.gather(*map(batches.submit, VOTES[:6]))
        assert [len(line) for line in node.lines] == [2, 2, 2]

    play(node, scenario)


def test_the_end_of_one_request_is_told_to_the_others() -> None:
    node = Node()

    async def scenario(batches: VoteBatches) -> None:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(batches.submit(VOTES[0]))
            await asyncio.sleep(0)
            second = tasks.create_task(_error_of(batches.submit(VOTES[1])))
            await asyncio.sleep(0)
            first.cancel()
        assert isinstance(second.result(), Unreachable)
        assert (await batches.submit(make_vote(ELECTION, "later"))).acceptances

    play(node, scenario)


async def _error_of(work: Awaitable[object]) -> VotenetError | None:
    try:
        await work
    except VotenetError as error:
        return error
    return None

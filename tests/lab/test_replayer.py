"""Casting many ballots: counted once, retried, resumed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from tests.cli.conftest import RunningNode

from support.elections import make_election, make_vote
from support.ports import free_port
from votenet.ballots.paper import BadLine, Ballot
from votenet.client.connection import NodeConnection
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Unreachable, VotenetError
from votenet.lab import replayer
from votenet.lab.presigned import SignedBallot, sign_ballot
from votenet.lab.replay_summary import Summary
from votenet.lab.replayer import (
    ENVELOPE_BYTES,
    MAX_FOLLOWED,
    Replayer,
    Row,
    SendingPace,
    VoteFollower,
    in_one_line,
    left_out,
)
from votenet.lab.voter_keys import DerivedKeys
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import Results, SubmitVotes, VotesTaken, VoteStatus
from votenet.protocol.wire.framing import MAX_CLIENT_LINE
from votenet.protocol.wire.messages import encode_message

KEYS = DerivedKeys(bytes(32))


def _ballots(prefix: str, count: int) -> list[Ballot | BadLine]:
    return [Ballot(n, n + 1, f"{prefix}-{n}", ((("Alice", "Bob")[n % 2],),)) for n in range(count)]


def _replay(addresses: list[Address], rows: list[Ballot | BadLine], batch: int = 50) -> Summary:
    done: list[int] = []

    async def work() -> Summary:
        caster = Replayer(addresses, KEYS, SendingPace(batch=batch))
        summary = await caster.run(rows, done.append)
        assert await caster.wait_until_counted(lambda _: None, 60.0)
        return summary

    summary = asyncio.run(work())
    assert done[-1] == len(rows)
    return summary


def test_every_ballot_is_accepted_once_and_a_repeat_adds_nothing(node: RunningNode) -> None:
    rows = _ballots("repeat", 230)
    first = _replay([node.address], rows)
    assert (first.read, first.accepted, first.repeated, first.refusals) == (230, 230, 0, 0)
    again = _replay([node.address], rows)
    assert (again.accepted, again.repeated, again.refusals) == (0, 230, 0)


def test_refusals_are_counted_by_code_with_examples(node: RunningNode) -> None:
    rows: list[Ballot | BadLine] = [
        Ballot(1, 2, "refuse-1", (("Alice",),)),
        BadLine(3, "not CSV"),
        Ballot(3, 4, "refuse-1", (("Bob",),)),
        *(Ballot(n, n + 1, f"refuse-{n}", (("Zorro",),)) for n in range(4, 14)),
    ]
    summary = _replay([node.address], rows)
    assert summary.accepted == 1
    assert dict(summary.refused) == {"bad-ballot": 1, "already-voted": 1, "unknown-candidate": 10}
    assert summary.examples["bad-ballot"] == ["line 3: not CSV"]
    assert len(summary.examples["unknown-candidate"]) == 5


def test_one_refused_ballot_does_not_affect_its_batch(node: RunningNode) -> None:
    """A name or an id that is too long ended the connection, and with it the whole batch, again and again."""
    wrong = [
        Ballot(60, 61, "long-choice", (("Z" * 201,),)),
        Ballot(61, 62, "i" * 129, (("Alice",),)),
        Ballot(62, 63, "unseen\u200b", (("Alice",),)),
        Ballot(63, 64, "many", (("Alice",) * 65,)),
    ]
    good = _ballots("beside", 50)
    summary = _replay([node.address], [*good[:25], *wrong, *good[25:]], batch=200)
    assert (summary.read, summary.accepted) == (54, 50)
    assert dict(summary.refused) == {"unknown-candidate": 1, "bad-vote": 2, "bad-choices": 1}
    assert summary.examples["bad-choices"][0].startswith("line 64: ")


def test_a_batch_of_long_votes_goes_in_several_lines() -> None:
    ballots = [SignedBallot(n, bytes(15_000 + n)) for n in range(200)]
    lines, left = [], ballots
    while left:
        sent, left = in_one_line(left)
        lines.append(sent)
    assert [ballot for sent in lines for ballot in sent] == ballots
    assert len(lines) == 3
    for sent in lines:
        assert sum(len(ballot.record) + 1 for ballot in sent) + ENVELOPE_BYTES <= MAX_CLIENT_LINE
    envelope = len(encode_message(SubmitVotes(votes=(), id=2**53 - 1)))
    assert envelope <= ENVELOPE_BYTES


def test_a_dead_node_leaves_its_work_to_the_others(node: RunningNode) -> None:
    dead = Address("127.0.0.1", free_port())
    summary = _replay([dead, node.address], _ballots("failover", 120), batch=20)
    assert (summary.accepted + summary.repeated, summary.examples) == (120, {})


def test_without_any_node_it_says_so() -> None:
    dead = Address("127.0.0.1", free_port())
    with pytest.raises(Unreachable):
        asyncio.run(Replayer([dead], KEYS).run(_ballots("x", 3), lambda *_: None))


def test_it_does_not_wait_for_nodes_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replayer, "SILENCE_SECONDS", 0.05)
    dead = Address("127.0.0.1", free_port())
    told: list[int] = []
    with pytest.raises(Unreachable, match="no node answers"):
        asyncio.run(Replayer([dead], KEYS).wait_until_counted(told.append, 60.0))
    assert told == [], "nothing is known, so nothing is claimed"


def _answers(monkeypatch: pytest.MonkeyPatch, *rounds: Sequence[object]) -> None:
    """What all nodes answer, question for question."""
    left = iter(rounds)

    async def ask_each(addresses: object, work: object) -> list[tuple[object, object]]:
        return [(None, answer) for answer in next(left)]

    monkeypatch.setattr(replayer, "ask_each", ask_each)


def test_votes_that_an_election_leaves_out_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that was away at the closing holds them, for ever."""
    told: list[int] = []
    before, over = _results(waiting=7), _results(waiting=0, over=True)
    stranded = _results(waiting=3, over=True)
    _answers(monkeypatch, [before, over], [_results(waiting=3), over], [stranded, over, Unreachable("away")])
    with pytest.raises(VotenetError, match="the election is over") as refused:
        asyncio.run(Replayer([], KEYS).wait_until_counted(told.append, 600.0))
    assert (refused.value.code, told) == ("votes-not-counted", [7, 3, 3])


def test_ballots_that_a_node_holds_and_no_block_has_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(**states: str) -> list[VoteStatus]:
        return [VoteStatus(voter_id=voter, state=state) for voter, state in states.items()]

    here = told(a="accepted", b="in_block", c="accepted", d="unknown")
    _answers(
        monkeypatch, [here, told(a="accepted", b="accepted", c="final", d="unknown"), Unreachable("away")]
    )
    signed = sign_ballot(Ballot(0, 2, "a", (("Alice",),)), make_election(), KEYS)
    rows: list[Row] = [
        signed,
        *(Ballot(n, n + 2, "abcd"[n], (("Bob",),)) for n in (1, 2, 3)),
        BadLine(9, "x"),
    ]
    assert asyncio.run(left_out([], rows)) == [(2, "a")]


def _results(waiting: int, *, over: bool = False) -> Results:
    return Results(
        title="Test", contests=(), votes=0, waiting=waiting, height=0, tip="00" * 32, network_id="00" * 32,
        over=over,
    )  # fmt: skip


# -- following votes ----------------------------------------------------------------------------------


def _vote(node: RunningNode, voter: str) -> HashedVote:
    return make_vote(node.election, voter, "Alice", time=node.election.definition.created)


async def _cast_and_follow(
    node: RunningNode, voters: list[str], follower: VoteFollower, confirmed: int
) -> None:
    async with asyncio.TaskGroup() as tasks, NodeConnection(node.address) as client:
        running = tasks.create_task(follower.run())
        for voter in voters:
            vote, began = _vote(node, voter), time.monotonic()
            await client.ask(SubmitVotes(votes=(vote.vote,)), VotesTaken)
            follower.follow(vote.record, began)
            await follower.settle(60.0)
        async with asyncio.timeout(60):
            while follower.confirmed.summary()["count"] < confirmed:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()


def test_votes_are_seen_in_their_block_and_confirmed_by_the_next(node: RunningNode) -> None:
    follower = VoteFollower([node.address], confirmations=2)
    asyncio.run(_cast_and_follow(node, ["one", "two", "three"], follower, 2))
    assert follower.in_block.summary()["count"] == 3
    assert follower.confirmed.summary()["count"] in (2, 3), "after the last vote no more blocks come"
    assert follower.confirmed.longest >= follower.in_block.percentile(1)


def test_a_node_that_is_gone_is_passed_over(node: RunningNode) -> None:
    dead = Address("127.0.0.1", free_port())
    follower = VoteFollower([dead, node.address], confirmations=1)
    asyncio.run(_cast_and_follow(node, ["past the dead"], follower, 1))
    assert follower.confirmed.summary()["count"] == 1


def test_a_vote_that_never_comes_is_waited_for_only_so_long(node: RunningNode) -> None:
    async def wait() -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(follower.run())
            await follower.settle(0.1)
            running.cancel()

    follower = VoteFollower([node.address], confirmations=1)
    follower.follow(_vote(node, "never cast").record, time.monotonic())
    asyncio.run(wait())
    assert follower.in_block.summary()["count"] == 0


def test_it_follows_a_bounded_number(node: RunningNode) -> None:
    async def cast(follower: VoteFollower) -> None:
        vote = _vote(node, "many")
        for _ in range(MAX_FOLLOWED + 10):
            follower.follow(vote.record, time.monotonic())
        async with asyncio.TaskGroup() as tasks, NodeConnection(node.address) as client:
            running = tasks.create_task(follower.run())
            await client.ask(SubmitVotes(votes=(vote.vote,)), VotesTaken)
            await follower.settle(60.0)
            running.cancel()

    follower = VoteFollower([node.address], confirmations=1)
    asyncio.run(cast(follower))
    assert follower.in_block.summary()["count"] == MAX_FOLLOWED


def test_another_vote_of_that_voter_is_not_taken_for_the_one_followed(node: RunningNode) -> None:
    async def cast(follower: VoteFollower) -> None:
        async with asyncio.TaskGroup() as tasks, NodeConnection(node.address) as client:
            running = tasks.create_task(follower.run())
            await client.ask(SubmitVotes(votes=(_vote(node, "twice").vote,)), VotesTaken)
            lost = make_vote(node.election, "twice", "Bob", time=node.election.definition.created)
            follower.follow(lost.record, time.monotonic())
            await follower.settle(1.0)
            running.cancel()

    follower = VoteFollower([node.address], confirmations=1)
    asyncio.run(cast(follower))
    assert follower.in_block.summary()["count"] == 0

"""Casting many ballots: counted once, retried, resumed."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tests.cli.conftest import RunningNode

from votenet.cli import replayer
from votenet.cli.ballots import BadLine, Ballot
from votenet.cli.presigned import SignedBallot
from votenet.cli.replay_summary import Summary
from votenet.cli.replayer import ENVELOPE_BYTES, Pace, Replayer, _in_one_line
from votenet.errors import Unreachable
from votenet.protocol.address import Address
from votenet.protocol.framing import MAX_CLIENT_LINE
from votenet.protocol.messages import SubmitVotes, encode_message

SECRET = bytes(32)


def _ballots(prefix: str, count: int) -> list[Ballot | BadLine]:
    return [Ballot(n, n + 1, f"{prefix}-{n}", (("Alice", "Bob")[n % 2],)) for n in range(count)]


def _replay(addresses: list[Address], rows: list[Ballot | BadLine], batch: int = 50) -> Summary:
    done: list[int] = []

    async def work() -> Summary:
        caster = Replayer(addresses, SECRET, Pace(batch=batch))
        summary = await caster.run(rows, lambda count, _: done.append(count), len(rows))
        assert await caster.wait_until_counted(lambda _: None, 30.0)
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
        Ballot(1, 2, "refuse-1", ("Alice",)),
        BadLine(3, "not CSV"),
        Ballot(3, 4, "refuse-1", ("Bob",)),
        *(Ballot(n, n + 1, f"refuse-{n}", ("Zorro",)) for n in range(4, 14)),
    ]
    summary = _replay([node.address], rows)
    assert summary.accepted == 1
    assert dict(summary.refused) == {"bad-csv-line": 1, "already-voted": 1, "unknown-candidate": 10}
    assert summary.examples["bad-csv-line"] == ["line 3: not CSV"]
    assert len(summary.examples["unknown-candidate"]) == 5


def test_one_ballot_that_nobody_takes_costs_its_own_batch_nothing(node: RunningNode) -> None:
    """A name or an id that is too long ended the connection, and with it the whole batch, again and again."""
    wrong = [
        Ballot(60, 61, "long-choice", ("Z" * 201,)),
        Ballot(61, 62, "i" * 129, ("Alice",)),
        Ballot(62, 63, "unseen\u200b", ("Alice",)),
        Ballot(63, 64, "many", ("Alice",) * 65),
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
        sent, left = _in_one_line(left)
        lines.append(sent)
    assert [ballot for sent in lines for ballot in sent] == ballots
    assert len(lines) == 3
    for sent in lines:
        assert sum(len(ballot.record) + 1 for ballot in sent) + ENVELOPE_BYTES <= MAX_CLIENT_LINE
    envelope = len(encode_message(SubmitVotes(votes=(), id=2**53 - 1)))
    assert envelope <= ENVELOPE_BYTES


def test_a_dead_node_leaves_its_work_to_the_others(node: RunningNode) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = Address("127.0.0.1", free.getsockname()[1])
    summary = _replay([dead, node.address], _ballots("failover", 120), batch=20)
    assert (summary.accepted + summary.repeated, summary.examples) == (120, {})


def test_without_any_node_it_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = Address("127.0.0.1", free.getsockname()[1])
    with pytest.raises(Unreachable):
        asyncio.run(Replayer([dead], SECRET).run(_ballots("x", 3), lambda *_: None))


def test_it_does_not_wait_for_nodes_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replayer, "SILENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = Address("127.0.0.1", free.getsockname()[1])
    told: list[int] = []
    with pytest.raises(Unreachable, match="no node answers"):
        asyncio.run(Replayer([dead], SECRET).wait_until_counted(told.append, 60.0))
    assert told == [], "nothing is known, so nothing is claimed"

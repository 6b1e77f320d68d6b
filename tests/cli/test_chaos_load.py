"""The votes of a chaos run, against a real node: whatever it answered for is known."""

from __future__ import annotations

import asyncio
import socket
import time

from tests.cli.conftest import RunningNode

from support import make_election
from votenet.cli.actions import ask_all
from votenet.cli.chaos_load import Load
from votenet.protocol.address import Address
from votenet.protocol.messages import GetResults, Results


def _until(load: Load, votes: int) -> None:
    deadline = time.monotonic() + 20
    while len(load.acknowledged) < votes:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _known_at(node: RunningNode) -> int:
    ((_, found),) = asyncio.run(ask_all([node.address], GetResults(), Results))
    assert isinstance(found, Results)
    return found.votes + found.waiting


def _dead() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return Address("127.0.0.1", free.getsockname()[1])


def test_every_vote_is_acknowledged_also_past_a_node_that_is_gone(node: RunningNode) -> None:
    before = _known_at(node)
    with Load(node.election, [_dead(), node.address]) as load:
        _until(load, 10)
        assert load.quiet(20)
        assert load.submitted == len(load.acknowledged) == _known_at(node) - before
        load.resume()
        _until(load, 20)
        assert load.quiet(20)
        assert _known_at(node) - before == len(load.acknowledged)
    assert load.refused == []


def test_votes_that_nobody_answers_for_are_not_quiet(node: RunningNode) -> None:
    with Load(node.election, [_dead()], "late") as load:
        while not load.submitted:
            time.sleep(0.01)
        assert not load.quiet(0.2)
        load.aim([node.address])
        assert load.quiet(20)
        assert len(load.acknowledged) == load.submitted


def test_what_is_refused_for_good_is_noted(node: RunningNode) -> None:
    other = make_election(title="another", created=int(time.time()))
    with Load(other, [node.address]) as load:
        while not load.refused:
            time.sleep(0.01)
    assert load.acknowledged == {}

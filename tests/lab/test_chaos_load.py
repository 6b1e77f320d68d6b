"""The votes of a chaos run, against a real node: every acknowledged vote is known."""

from __future__ import annotations

import asyncio
import socket
import time

from tests.cli.conftest import RunningNode

from support.elections import make_election
from support.ports import free_port
from votenet.client.failover import ask_each
from votenet.lab.chaos_load import Load
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetResults, Results


def _until(load: Load, votes: int) -> None:
    deadline = time.monotonic() + 60
    while len(load.acknowledged) < votes:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _known_at(node: RunningNode) -> int:
    ((_, found),) = asyncio.run(
        ask_each([node.address], lambda open_node: open_node.ask(GetResults(), Results))
    )
    assert isinstance(found, Results)
    return found.votes + found.waiting


def _dead() -> Address:
    return Address("127.0.0.1", free_port())


def test_every_vote_is_acknowledged_also_past_a_node_that_is_gone(node: RunningNode) -> None:
    before = _known_at(node)
    with Load(node.election, [_dead(), node.address]) as load:
        _until(load, 10)
        assert load.quiet(60)
        assert len(load.acknowledged) == _known_at(node) - before
        load.resume()
        _until(load, 20)
        assert load.quiet(60)
        assert _known_at(node) - before == len(load.acknowledged)
    assert load.refused == []


def test_unanswered_votes_count_as_pending(node: RunningNode) -> None:
    before = _known_at(node)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(60)
        with Load(node.election, [Address(*mute.getsockname())], "late") as load:
            asked, _ = mute.accept()  # from now on there are votes without an answer
            with asked:
                assert not load.quiet(0.2)
                load.aim([node.address])
                assert load.quiet(60)
            assert len(load.acknowledged) == _known_at(node) - before > 0


def test_permanent_refusals_are_noted(node: RunningNode) -> None:
    other = make_election(title="another", created=int(time.time()))
    with Load(other, [node.address]) as load:
        while not load.refused:
            time.sleep(0.01)
    assert load.acknowledged == {}

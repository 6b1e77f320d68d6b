"""The client that waits: every method of the asynchronous one, without an event loop."""

from __future__ import annotations

import asyncio
import inspect
import time

import pytest
from tests.cli.conftest import RunningNode

import votenet
from support.elections import key_of
from votenet.client.election_client import AsyncElectionClient
from votenet.client.sync_client import ElectionClient
from votenet.client.watch import BlockAdded, VoteMoved
from votenet.core.records.archive import ArchiveCheck
from votenet.errors import Rejected, Unreachable


def public(kind: type) -> dict[str, object]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


def test_it_has_the_methods_of_the_asynchronous_client_with_the_same_arguments() -> None:
    ours, theirs = public(ElectionClient), public(AsyncElectionClient)
    assert ours.keys() == theirs.keys()
    for name, method in [*theirs.items(), ("__init__", AsyncElectionClient.__init__)]:
        ours_too = getattr(ElectionClient, name)
        assert ours_too.__doc__ == method.__doc__
        assert ours_too.__doc__
        if callable(method):
            assert inspect.signature(ours_too).parameters == inspect.signature(method).parameters


def test_cast_watch_ask_prove_and_fetch(node: RunningNode) -> None:
    with votenet.connect(str(node.address)) as election:
        assert isinstance(election, ElectionClient)
        events = election.watch("sync-1", interval=0.02)
        assert isinstance(next(events), BlockAdded)
        cast = election.cast("sync-1", ["Alice"], key=key_of("sync-1"))
        for event in events:
            if isinstance(event, VoteMoved) and event.state == "in_block":
                assert event.block == cast.block
                break
        assert election.vote_status("sync-1").vote_id == cast.vote_id
        assert election.confirmations(election.receipt("sync-1")) >= 1
        vote = election.proof("sync-1").vote
        assert vote is not None
        assert vote.voter_id == "sync-1"
        assert election.status().votes == election.results().votes == 1
        assert (election.node, election.candidates) == (node.address, ("Alice", "Bob", "Charlie"))
        assert election.network_id == election.election.network_hex == node.election.network_hex
        report = ArchiveCheck(election.archive(), int(time.time())).run()
        assert report.votes == 1
        assert election.at_one_node(_address_of) == node.address


async def _address_of(node: votenet.client.NodeConnection) -> object:
    return node.address


def test_a_stream_that_is_left_open_ends_with_the_client(node: RunningNode) -> None:
    with ElectionClient(node.address) as election:
        events = election.watch()
        next(events)
    with pytest.raises((RuntimeError, StopIteration)):
        next(events)


def test_a_refusal_leaves_it_usable(node: RunningNode) -> None:
    with ElectionClient(node.address) as election:
        with pytest.raises(Rejected):
            election.cast("sync-2", "Zorro")
        assert election.cast("sync-2", "Bob", key=key_of("sync-2"), wait=0).voter_id == "sync-2"


def test_it_is_used_in_a_with_block_and_outside_of_event_loops(node: RunningNode) -> None:
    election = ElectionClient(node.address)
    with pytest.raises(RuntimeError, match="`with` block"):
        election.results()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="connect_async"), election:
            pytest.fail("a loop runs here")

    asyncio.run(main())
    with pytest.raises(Unreachable), ElectionClient("127.0.0.1:1"):
        pytest.fail("nothing listens there")

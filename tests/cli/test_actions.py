"""Finding nodes, casting votes, asking: against a real node."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tests.cli.conftest import RunningNode

from support import key_of
from votenet.cli import actions
from votenet.errors import ConfigError, NotRunning, Rejected, Unreachable
from votenet.network.client import NodeClient
from votenet.protocol.address import Address


def _nobody() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return Address("127.0.0.1", free.getsockname()[1])


def _cast(node: RunningNode, voter: str, *choices: str, before: tuple[Address, ...] = ()) -> actions.Receipt:
    return asyncio.run(
        actions.cast_vote([*before, node.address], voter, choices, lambda: key_of(voter), wait=20.0)
    )


def test_a_vote_is_cast_and_followed_into_its_block(node: RunningNode) -> None:
    receipt = _cast(node, "actions-1", "Alice")
    assert (receipt.state, receipt.choices) == ("in_block", ("Alice",))
    assert receipt.network_id == node.election.network_hex
    assert receipt.height is not None
    assert receipt.confirmations >= 1


def test_a_dead_node_is_passed_over(node: RunningNode) -> None:
    assert _cast(node, "actions-2", "Bob", before=(_nobody(),)).state == "in_block"


def test_s10_a_second_vote_is_refused_with_time_and_block(node: RunningNode) -> None:
    first = _cast(node, "actions-3", "Alice")
    with pytest.raises(Rejected) as refused:
        _cast(node, "actions-3", "Bob")
    assert refused.value.code == "already-voted"
    assert refused.value.details["block"] == first.block
    assert refused.value.details["time"] == first.time


def test_no_key_is_made_for_a_choice_that_does_not_fit(node: RunningNode) -> None:
    def make_key() -> None:
        raise AssertionError("no key is needed")

    for choices, code in ((("Zorro",), "unknown-candidate"), (("Alice", "Bob", "Charlie"), "bad-choices")):
        with pytest.raises(Rejected) as refused:
            asyncio.run(actions.cast_vote([node.address], "x", choices, make_key, wait=1.0))
        assert refused.value.code == code


def test_without_any_node_the_reason_is_told() -> None:
    with pytest.raises(Unreachable):
        asyncio.run(actions.fetch_results([_nobody()]))
    with pytest.raises(NotRunning):
        asyncio.run(actions.fetch_results([]))


def test_asking_all_tells_who_did_not_answer(node: RunningNode) -> None:
    dead = _nobody()
    answers = dict(asyncio.run(actions.fetch_status([node.address, dead])))
    assert not isinstance(answers[node.address], Exception)
    assert isinstance(answers[dead], Unreachable)


def test_the_election_is_checked_against_its_id(node: RunningNode) -> None:
    async def fetch() -> str:
        async with NodeClient(node.address) as client:
            return (await actions.fetch_election(client)).network_hex

    assert asyncio.run(fetch()) == node.election.network_hex


def test_a_genesis_file_that_is_not_there_is_told(tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    with pytest.raises(ConfigError) as refused:
        actions.read_genesis(tmp_path / "none.json")
    assert refused.value.code == "bad-genesis"


def test_a_refusal_keeps_its_details_on_the_way() -> None:
    error = actions.rejected_from({"code": "already-voted", "kind": "duplicate", "message": "m", "height": 7})
    assert (error.code, error.details) == ("already-voted", {"height": 7})
    assert actions.rejected_from({"code": "from-the-future", "message": "m"}).code == "bad-vote"

"""The count of a node: how final it is, in words, and why it may lack votes."""

from __future__ import annotations

import asyncio

import msgspec

from support.elections import make_election, named_nodes
from support.lying_node import lying_node, results_info, status_info
from votenet.client.connection import NodeConnection
from votenet.client.counting import Counted, count_as_json, fetch_count, finality, warnings_of
from votenet.client.log_view import LogView
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import NodeStatus, Results

ELECTION = make_election(nodes=named_nodes(4))


def shown(**change: object) -> Results:
    fields = results_info(ELECTION, Alice=2) | {"over": False} | change
    del fields["type"]
    return msgspec.convert(fields, Results)


def test_finality_is_said_in_one_sentence() -> None:
    signed = {"final_height": 1, "signed_by": ("Node 0", "Node 2", "Node 3")}
    by = "signed by 3 of 4: Node 0, Node 2, Node 3"
    assert finality(shown(), 0).startswith("Never final: no nodes are named")
    assert finality(shown(), 4) == "Not final: none of the 4 named nodes has signed yet"
    assert finality(shown(**signed), 4) == f"These votes are final, more may come: {by}"
    assert finality(shown(**signed, height=3), 4) == f"Final up to block 1 of 3: {by}"
    assert finality(shown(**signed, over=True), 4) == f"Final result: {by}"
    sealed = finality(shown(**signed, over=True, contests=()), 4)
    assert sealed == f"The votes are final, and still encrypted: {by}"
    assert finality(shown(**signed, cancelled=True), 4) == f"Cancelled: {by}"


def test_the_count_of_a_node_comes_with_its_warnings() -> None:
    answers = {
        "get_results": lambda _: results_info(ELECTION, Alice=2, Bob=1),
        "get_status": lambda _: (
            status_info(ELECTION, ("clock-off", "its clock is wrong")) | {"synced": False}
        ),
    }

    async def ask(address: Address) -> Counted:
        async with NodeConnection(address) as node:
            return await fetch_count(LogView(ELECTION), node)

    with lying_node(ELECTION, answers) as address:
        found = count_as_json(asyncio.run(ask(address)))
    assert found["node"] == str(address)
    assert found["warnings"] == [
        "its clock is wrong",
        "it is catching up: votes that others have may be missing in its count",
    ]
    assert found["counts_shown"] is True
    assert found["votes"] == 3


def test_a_node_without_troubles_has_no_warnings() -> None:
    fields = status_info(ELECTION)
    del fields["type"]
    assert warnings_of(msgspec.convert(fields, NodeStatus)) == []


def test_a_node_that_is_kept_out_is_not_called_behind() -> None:
    fields = status_info(ELECTION, ("key-twice", "another has its key")) | {"synced": False}
    del fields["type"]
    assert warnings_of(msgspec.convert(fields, NodeStatus)) == ["another has its key"]

"""What a node says is wrong: being cut off, clocks, another process with its key, bootstrap servers."""

from __future__ import annotations

from typing import Any

import pytest

from support.elections import make_election, named_nodes
from votenet.protocol.node.warnings import (
    CLOCK_SECONDS,
    FORGET_CLOCK_SECONDS,
    MAX_CLOCKS,
    TWIN_SECONDS,
    NodeWarnings,
    quorum_warnings,
)
from votenet.protocol.wire.client_messages import CUT_OFF, KEY_TWICE, WARNINGS, NodeStatus, NodeWarning
from votenet.protocol.wire.fields import MAX_TEXT
from votenet.protocol.wire.messages import decode_message, encode_message

WALL = 1_700_000_000.0
HOUR, DAY = 3600, 86_400


def current(
    found: NodeWarnings, now: float = 0.0, *, wall: float | None = None, cut_off: str = "", **more: Any
) -> dict[str, str]:
    """Code to message."""
    fields: dict[str, Any] = {"unproven": set[str](), "joined": set[str](), **more}
    warnings = found.current(now, WALL + now if wall is None else wall, cut_off=cut_off, **fields)
    assert {warning.code for warning in warnings} <= WARNINGS.keys()
    return {warning.code: warning.message for warning in warnings}


def test_nothing_is_wrong_at_first() -> None:
    assert current(NodeWarnings()) == {}


def test_a_node_that_is_cut_off_reports_the_cause_and_the_refusing_server() -> None:
    found = NodeWarnings()
    found.refused("10.0.0.7:3000", "version-mismatch", 0.0)
    text = current(found, cut_off="it is joined to none of the 4 other nodes that it knows")[CUT_OFF]
    assert "none of the 4 other nodes that it knows (10.0.0.7:3000 refused it: version-mismatch)" in text


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (-4 * DAY, "4 days ahead of 1 of 1 peers"),
        (3 * HOUR, "3 hours behind 1 of 1 peers"),
        (-HOUR + 1, "1 hour ahead of"),
        (45, "45 seconds behind"),
        (150, "2 minutes behind"),
    ],
)
def test_a_clock_that_is_off_is_reported_with_how_much(ahead: int, words: str) -> None:
    found = NodeWarnings()
    found.clock("aa", "10.0.0.7:3000", ahead, 5.0, WALL)
    assert words in current(found, 5.0, wall=WALL)["clock-off"]


def test_clocks_that_differ_by_little_are_not_reported() -> None:
    found = NodeWarnings()
    found.clock("aa", "10.0.0.7:3000", CLOCK_SECONDS, 0.0, WALL)
    found.clock("bb", "10.0.0.8:3000", -CLOCK_SECONDS, 0.0, WALL)
    assert current(found) == {}


def test_where_most_agree_with_us_the_peer_is_off() -> None:
    found = NodeWarnings()
    for key in ("aa", "bb"):
        found.clock(key, "10.0.0.7:3000", 0, 0.0, WALL)
    found.clock("cc", "10.0.0.9:3000", -DAY, 0.0, WALL)
    warnings = current(found)
    assert set(warnings) == {"peer-clock-off"}
    assert "the peer at 10.0.0.9:3000 is 1 day behind this node's" in warnings["peer-clock-off"]


def test_peers_that_disagree_among_each_other_say_nothing_about_us() -> None:
    found = NodeWarnings()
    found.clock("aa", "10.0.0.7:3000", DAY, 0.0, WALL)
    found.clock("bb", "10.0.0.8:3000", -DAY, 0.0, WALL)
    assert set(current(found)) == {"peer-clock-off"}


def test_setting_our_clock_ends_the_warning_and_moving_it_makes_one() -> None:
    found = NodeWarnings()
    found.clock("aa", "10.0.0.7:3000", DAY, 0.0, WALL)
    assert current(found, 10.0, wall=WALL + 10 + DAY) == {}
    found.clock("aa", "10.0.0.7:3000", 0, 20.0, WALL)
    assert "1 hour ahead of" in current(found, 30.0, wall=WALL + 10 + HOUR)["clock-off"]


def test_clocks_are_few_and_forgotten_after_an_hour_unless_their_node_is_joined() -> None:
    found = NodeWarnings()
    for number in range(MAX_CLOCKS + 10):
        found.clock(str(number), "10.0.0.7:3000", DAY, 0.0, WALL)
    assert f"{MAX_CLOCKS} of {MAX_CLOCKS} peers" in current(found)["clock-off"]
    assert "clock-off" in current(found, FORGET_CLOCK_SECONDS, joined={"20"})
    assert "1 of 1 peers" in current(found, FORGET_CLOCK_SECONDS + 1.0, joined={"20"})["clock-off"]
    assert current(found, 2 * FORGET_CLOCK_SECONDS + 2.0) == {}


def test_another_process_with_our_key_is_told_of_for_as_long_as_it_was_seen() -> None:
    found = NodeWarnings()
    found.twin("10.0.0.7:3001", 0.0)
    assert found.has_twin(TWIN_SECONDS - 1.0)
    assert "Another node, at 10.0.0.7:3001, runs with the key of this one" in current(found)[KEY_TWICE]
    assert not found.has_twin(TWIN_SECONDS)
    assert current(found, TWIN_SECONDS) == {}


def test_claims_of_peers_are_reported_as_claims() -> None:
    found = NodeWarnings()
    found.refused("10.0.0.7:3000", KEY_TWICE, 0.0)
    assert set(current(found)) == {"key-claimed"}
    assert not found.has_twin(0.0)


def test_a_bootstrap_server_that_fails_is_told_of_until_it_does_not() -> None:
    found = NodeWarnings()
    found.bootstrap("10.255.0.1:4000", "it does not register this node: m [not-owner]")
    assert "10.255.0.1:4000: it does not register" in current(found)["bootstrap-failed"]
    found.bootstrap("10.255.0.1:4000", ""), found.bootstrap("10.255.0.1:4000", "")
    assert current(found) == {}


def test_addresses_that_others_cannot_dial_or_do_not_know_are_told_of() -> None:
    found = NodeWarnings()
    found.unreached = "Peers cannot reach this node at a:1."
    warnings = current(found, unproven={"10.0.0.7:3000"})
    assert set(warnings) == {"not-reached", "unproven-address"}
    assert "10.0.0.7:3000" in warnings["unproven-address"]


def test_another_node_at_the_address_of_a_named_node_is_told_of() -> None:
    warnings = current(NodeWarnings(), replaced=[("10.0.0.7:3000", "node-3")])
    assert "10.0.0.7:3000 is not node-3" in warnings["other-key"]


def test_a_named_node_says_when_too_few_can_be_reached() -> None:
    election = make_election(nodes=named_nodes(5))
    assert quorum_warnings(election, [0, 1, 2, 4]) == []
    (warning,) = quorum_warnings(election, [0, 1, 4])
    assert warning.code in WARNINGS
    assert "3 of 5 named nodes can be reached" in warning.message
    names = [node.name for node in election.definition.nodes]
    assert f"(not {names[2]}, {names[3]})" in warning.message
    assert "votes are received and saved, none becomes final" in warning.message


def test_a_long_sentence_is_cut_to_the_limit_of_the_wire() -> None:
    found = NodeWarnings()
    found.bootstrap("10.255.0.1:4000", "x" * 2 * MAX_TEXT)
    (warning,) = found.current(0.0, WALL, cut_off="", unproven=(), joined=())
    assert isinstance(warning, NodeWarning)
    assert len(warning.message) == MAX_TEXT
    assert decode_message(encode_message(_status(warning)))


def _status(warning: NodeWarning) -> NodeStatus:
    return NodeStatus(
        name="n", version="1", node_key="00" * 32, network_id="00" * 32, listen="", height=0, tip="00" * 32,
        work="1", bits=1, votes=0, waiting=0, peers=0, known_peers=0, synced=False, mining=False, kernel="c",
        uptime=0, warnings=(warning,),
    )  # fmt: skip


def test_a_node_that_is_cut_off_and_dialled_by_another_network_says_to_compare_the_id() -> None:
    found = NodeWarnings()
    found.foreign("10.0.0.7")
    assert current(found) == {}, "anybody may dial the wrong network"
    text = current(found, cut_off="it is joined to none of the 2 named nodes, which decide")[CUT_OFF]
    assert "a node of another network is at 10.0.0.7: compare the network id" in text

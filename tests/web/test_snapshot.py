"""Which state an election is in, and which node is asked first."""

from __future__ import annotations

import msgspec
import pytest

from support.elections import make_election, named_nodes
from support.lying_node import results_info
from support.web_pages import secret_snapshot
from votenet.core.election.definition import Election
from votenet.errors import Unreachable
from votenet.protocol.wire.client_messages import Results
from votenet.web.snapshot import NodeView, Snapshot, best_first, small_state, state_of

ELECTION = make_election(nodes=named_nodes(4), opens=1000, closes=2000)


def results(election: Election = ELECTION, **changes: object) -> Results:
    shown = {name: value for name, value in results_info(election).items() if name != "type"}
    return msgspec.structs.replace(msgspec.convert(shown, Results), **changes)


@pytest.mark.parametrize(
    ("now", "changes", "state"),
    [
        (999, {}, "before"),
        (1000, {}, "open"),
        (1999, {}, "open"),
        (2000, {}, "closed"),
        (1500, {"over": True}, "closed"),
        (2500, {"over": True, "final_height": 1}, "final"),
        (2500, {"over": True, "final_height": 1, "cancelled": True}, "cancelled"),
    ],
)
def test_the_state(now: int, changes: dict[str, object], state: str) -> None:
    assert state_of(ELECTION, results(**changes), now) == state


def test_an_election_without_hours_is_open() -> None:
    election = make_election()
    assert state_of(election, results(election), 0) == "open"


def test_the_small_state_is_whole_and_its_id_names_the_tip() -> None:
    nodes = (NodeView("a:1", up=True), NodeView("b:1"))
    shown = Snapshot(ELECTION, "open", results(votes=7), nodes, at=1500)
    state = small_state(shown)
    assert (state["votes"], state["nodes_up"], state["named"], state["closes"]) == (7, 1, 4, 2000)
    assert state["network_id"] == ELECTION.network_hex
    assert shown.event_id == f"1.{'00' * 32}"


def test_the_id_of_secret_votes_tells_how_many_trustees_have_decrypted() -> None:
    ids = [secret_snapshot("final", decrypted_by).event_id for decrypted_by in ((), (2,))]
    assert [one.rpartition(".")[2] for one in ids] == ["0", "1"]


def test_the_node_that_is_signed_furthest_is_asked_first() -> None:
    low = NodeView("low:1", up=True, height=9, final_height=3)
    high = NodeView("high:1", up=True, height=5, final_height=4)
    relay = NodeView("relay:1", up=True, height=99)
    assert best_first([NodeView("away:1", height=100), relay, low, high]) == [high, low, relay]


def test_a_node_that_is_away_keeps_its_name_and_says_why_it_is_not_asked() -> None:
    node = NodeView("a:1", "Node 2", up=True, height=9, tip="ff", lies=("x",), signs=True, unproven=True)
    away = node.away(Unreachable("it refuses connections"))
    assert away == NodeView(
        "a:1", "Node 2", signs=True, unproven=True, problem="it refuses connections", code="unreachable"
    )

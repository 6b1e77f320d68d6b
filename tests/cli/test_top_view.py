"""What `votenet top` makes of answers: rates, agreement, drawing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console
from tests.cli.conftest import RunningNode

from votenet.cli import actions
from votenet.cli.top_view import LEADERS, NodeLine, Picture, Watch, drawn
from votenet.protocol.messages import GetStatus, NodeStatus, Results


def _program(name: str, address: str, state: str = "ready") -> dict[str, Any]:
    return {
        "name": name,
        "role": "node",
        "state": state,
        "address": address,
        "cpu": 12.0,
        "memory": 50_000_000,
        "restarts": 1,
    }


def _text(picture: Picture) -> str:
    console = Console(width=160, no_color=True, markup=False)
    with console.capture() as shown:
        console.print(drawn(picture))
    return shown.get()


def _results(candidates: int) -> Results:
    return Results(
        title="[red]Board",
        method="plurality",
        counts=tuple((f"candidate {n}", 100 - n) for n in range(candidates)),
        votes=sum(100 - n for n in range(candidates)),
        waiting=7,
        height=3,
        tip="ab" * 32,
        network_id="cd" * 32,
    )


def test_a_real_node_is_seen_and_one_that_is_stopped_has_no_numbers(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = [_program("node-1", str(node.address)), _program("node-2", "127.0.0.1:1", "stopped")]
    monkeypatch.setattr(actions, "network_status", lambda _: {"programs": programs})
    clock = iter([10.0, 12.0])
    watch = Watch("default", lambda: next(clock))
    first, second = watch.look(), watch.look()
    assert first.nodes[0].votes_per_second is None, "a rate needs two looks"
    assert (second.nodes[0].votes_per_second, second.votes_per_second) == (0.0, 0.0)
    assert (second.nodes[0].height, second.nodes[1].height) == (0, None)
    assert second.agree
    assert second.results is not None
    assert json.loads(json.dumps(second.as_dict()))["results"]["counts"] == dict.fromkeys(
        node.election.definition.candidates, 0
    )


def test_a_node_that_was_started_anew_has_no_rate(node: RunningNode) -> None:
    _, status = actions.run(actions.ask_one([node.address], GetStatus(), NodeStatus))
    fields = {field: getattr(status, field) for field in status.__struct_fields__}
    before = NodeStatus(**fields | {"peer_bytes_sent": 1000, "votes": 10})
    watch = Watch("default")
    watch._before = {"n": (1.0, before)}
    assert watch._rates("n", NodeStatus(**fields), 2.0) == (None, None)
    grown = NodeStatus(**fields | {"peer_bytes_sent": 3000, "votes": 50})
    assert watch._rates("n", grown, 3.0) == (20.0, 1000.0)


def test_the_picture_names_leaders_and_adds_up_the_rest() -> None:
    nodes = (NodeLine("node-1", "ready", "a:1", height=3, tip="ab" * 32, votes=5, votes_per_second=2.5),)
    shown = _text(Picture("default", nodes, _results(LEADERS + 3), 1234.0, True))
    assert "[red]Board: 1,222 votes (+1,234/s) in 3 blocks, 7 waiting; one chain" in shown
    assert f"candidate {LEADERS - 1}" in shown
    assert f"candidate {LEADERS}" not in shown
    assert "3 more" in shown


def test_a_network_in_pieces_is_drawn_too() -> None:
    assert "no node answers" in _text(Picture("default", (), None, None, True))
    nodes = (NodeLine("node-1", "backoff", "a:1"),)
    assert "tips differ" in _text(Picture("default", nodes, _results(2), None, False))

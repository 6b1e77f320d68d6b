"""What `votenet top` makes of answers: rates, agreement, drawing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console
from tests.cli.conftest import RunningNode

from votenet.cli import actions
from votenet.cli.top_view import LEADERS, RATE_SECONDS, NodeLine, Picture, Watch, drawn
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
        "cut_off": None,
    }


def _text(picture: Picture, width: int = 160) -> str:
    console = Console(width=width, no_color=True, markup=False)
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
    assert watch._rates("n", before, 1.0) == (None, None)
    assert watch._rates("n", NodeStatus(**fields), 2.0) == (None, None)
    grown = NodeStatus(**fields | {"peer_bytes_sent": 3000, "votes": 50})
    assert watch._rates("n", grown, 4.0) == (25.0, 1500.0)


def test_rates_are_those_of_some_seconds_since_votes_come_by_the_block(node: RunningNode) -> None:
    _, status = actions.run(actions.ask_one([node.address], GetStatus(), NodeStatus))
    fields = {field: getattr(status, field) for field in status.__struct_fields__}
    watch = Watch("default")
    found = [
        watch._rates("n", NodeStatus(**fields | {"votes": 600 * (second // 2)}), float(second))[0]
        for second in range(2 * int(RATE_SECONDS) + 1)
    ]
    assert found[1] == 0.0
    assert found[-1] == 300.0
    assert max(abs(rate - 300.0) for rate in found[10:] if rate is not None) <= 60.0


def test_a_narrow_terminal_has_fewer_columns_and_no_broken_lines() -> None:
    line = NodeLine("node-1", "ready", "a:1", 1234, "ab" * 32, 80101, 1234.0, 12345, 4, 1e6, 99.0, 2**26, 3)
    picture = Picture("default", (line, line), _results(2), None, True)
    wide, usual, narrow = (_text(picture, width) for width in (110, 80, 70))
    assert "TO PEERS" in wide
    assert "TO PEERS" not in usual
    assert "80,101" in narrow
    assert len({text.count("\n") for text in (wide, usual, narrow)}) == 1


def test_the_picture_names_leaders_and_adds_up_the_rest() -> None:
    nodes = (NodeLine("node-1", "ready", "a:1", height=3, tip="ab" * 32, votes=5, votes_per_second=2.5),)
    shown = _text(Picture("default", nodes, _results(LEADERS + 3), 1234.0, True))
    assert "[red]Board: 1,222 votes (+1,234/s) in 3 blocks, 7 waiting; one chain" in shown
    assert f"candidate {LEADERS - 1}" in shown
    assert f"candidate {LEADERS}" not in shown
    assert "3 more" in shown


def test_a_node_that_is_cut_off_is_shown_so_with_the_next_step(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = {"code": "partition", "message": "a partition keeps it from node-2",
             "next_step": "votenet heal"}  # fmt: skip
    program = _program("node-1", str(node.address)) | {"cut_off": fault}
    monkeypatch.setattr(actions, "network_status", lambda _: {"programs": [program]})
    lines = _text(Watch("board").look()).splitlines()
    assert any(line.split()[:3] == ["node-1", "cut", "off"] for line in lines)
    assert "node-1 is cut off: a partition keeps it from node-2. Next: votenet heal -i board" in [
        line.rstrip() for line in lines
    ]


def test_a_network_in_pieces_is_drawn_too() -> None:
    assert "no node answers" in _text(Picture("default", (), None, None, True))
    nodes = (NodeLine("node-1", "backoff", "a:1"),)
    assert "tips differ" in _text(Picture("default", nodes, _results(2), None, False))

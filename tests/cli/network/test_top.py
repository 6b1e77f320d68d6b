"""`votenet top` as typed, without a terminal and in one."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.console import Console
from tests.cli.conftest import CommandResult, RunningNode

from votenet.cli import targets
from votenet.cli.network.finality_view import NamedUp
from votenet.cli.network.top import (
    RATE_WINDOW_SECONDS,
    SHOWN_CANDIDATES,
    NodeLine,
    Rates,
    TopSnapshot,
    Watch,
    rendered,
)
from votenet.client.refusals import when
from votenet.client.sync_client import ElectionClient
from votenet.core.election.contest import ContestReport
from votenet.core.methods.method import ContestResult
from votenet.protocol.wire.client_messages import NodeStatus, Results


@pytest.fixture
def one_node(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor's word about the node that runs: the rest of the command is real."""
    program: dict[str, Any] = {
        "name": "node-1",
        "role": "node",
        "state": "ready",
        "cut_off": None,
        "restarts": 0,
    }
    program |= {"address": str(node.address), "cpu": None, "memory": None}
    monkeypatch.setattr(targets, "network_status", lambda _: {"programs": [program]})


@pytest.mark.usefixtures("one_node")
def test_one_snapshot_for_people_and_for_programs(cli: Callable[..., CommandResult]) -> None:
    shown = cli("top", "--once", "--interval", "0.1")
    assert shown.code == 0
    assert "node-1" in shown.out
    assert "VOTES/S" in shown.out
    assert "\x1b" not in shown.out
    found = json.loads(cli("top", "--once", "--json", "--interval", "0.1").out)
    assert found["nodes"][0]["state"] == "ready"
    assert found["agree"] is True


def test_without_a_network_it_says_so(cli: Callable[..., CommandResult]) -> None:
    done = cli("top", "--once", "--json")
    assert done.code == 3
    assert json.loads(done.out)["error"]["code"] == "not-running"


FAKE_STATUS = """
import sys
from votenet.cli import main, targets
program = {"name": "node-1", "role": "node", "state": "ready", "restarts": 0, "cpu": None, "memory": None}
address = sys.argv[-1]
targets.network_status = lambda _: {"programs": [program | {"address": address}]}
sys.argv = ["votenet", "top", "--interval", "0.1"]
main.run()
"""


def test_in_a_terminal_it_draws_again_until_interrupted_and_leaves_the_screen_as_it_was(
    node: RunningNode,
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", FAKE_STATUS, str(node.address)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "160", "LINES": "40"},
    )
    os.close(theirs)
    try:
        seen = _read_until(ours, lambda text: text.count(b"VOTES/S") >= 3)
        process.send_signal(signal.SIGINT)
        seen += _read_until(ours, lambda text: b"Interrupted" in text)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"\x1b[?1049h" in seen, "on a screen of its own"
    assert b"\x1b[?1049l" in seen, "which it leaves"
    assert b"Ctrl-C ends this picture." in seen
    assert b"\x1b[32m" not in seen, "NO_COLOR"


def _read_until(terminal: int, enough: Callable[[bytes], bool]) -> bytes:
    seen, deadline = b"", time.monotonic() + 60
    while not enough(seen):
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 65536)
    return seen


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


def _text(picture: TopSnapshot, width: int = 160) -> str:
    console = Console(width=width, no_color=True, markup=False)
    with console.capture() as shown:
        console.print(rendered(picture))
    return shown.get()


def _results(candidates: int) -> Results:
    votes = sum(100 - n for n in range(candidates))
    report = ContestReport(
        id="1",
        title="Board",
        method="plurality",
        seats=1,
        counts=tuple((f"candidate {n}", 100 - n) for n in range(candidates)),
        votes=votes,
        blank=0,
        weight=votes,
        outcome=ContestResult(state="undecided"),
    )
    return Results(
        title="[red]Board",
        contests=(report,),
        votes=votes,
        waiting=7,
        height=3,
        tip="ab" * 32,
        network_id="cd" * 32,
    )


def test_a_real_node_is_seen_and_one_that_is_stopped_has_no_numbers(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = [_program("node-1", str(node.address)), _program("node-2", "127.0.0.1:1", "stopped")]
    monkeypatch.setattr(targets, "network_status", lambda _: {"programs": programs})
    clock = iter([10.0, 12.0])
    watch = Watch("default", lambda: next(clock))
    first, second = watch.look(), watch.look()
    assert first.nodes[0].votes_per_second is None, "a rate needs two looks"
    assert (second.nodes[0].votes_per_second, second.votes_per_second) == (0.0, 0.0)
    assert (second.nodes[0].height, second.nodes[1].height) == (0, None)
    assert second.agree
    assert second.results is not None
    (contest,) = json.loads(json.dumps(second.as_dict()))["results"]["contests"]
    assert contest["counts"] == [[name, 0] for name in node.election.names]


def test_a_node_that_was_started_anew_has_no_rate(node: RunningNode) -> None:
    with ElectionClient(node.address) as election:
        status = election.status()
    fields = {field: getattr(status, field) for field in status.__struct_fields__}
    before = NodeStatus(**fields | {"peer_bytes_sent": 1000, "votes": 10})
    watch = Rates()
    assert watch.rates("n", before, 1.0) == (None, None)
    assert watch.rates("n", NodeStatus(**fields), 2.0) == (None, None)
    grown = NodeStatus(**fields | {"peer_bytes_sent": 3000, "votes": 50})
    assert watch.rates("n", grown, 4.0) == (25.0, 1500.0)


def test_rates_are_those_of_some_seconds_since_votes_come_by_the_block(node: RunningNode) -> None:
    with ElectionClient(node.address) as election:
        status = election.status()
    fields = {field: getattr(status, field) for field in status.__struct_fields__}
    watch = Rates()
    found = [
        watch.rates("n", NodeStatus(**fields | {"votes": 600 * (second // 2)}), float(second))[0]
        for second in range(2 * int(RATE_WINDOW_SECONDS) + 1)
    ]
    assert found[1] == 0.0
    assert found[-1] == 300.0
    assert max(abs(rate - 300.0) for rate in found[10:] if rate is not None) <= 60.0


def test_a_narrow_terminal_has_fewer_columns_and_no_broken_lines() -> None:
    line = NodeLine("node-1", "ready", "a:1", 1234, "ab" * 32, 80101, 1234.0, 12345, 4, 1e6, 99.0, 2**26, 3)
    picture = TopSnapshot("default", (line, line), _results(2), None, True)
    wide, usual, narrow = (_text(picture, width) for width in (110, 80, 70))
    assert "TO PEERS" in wide
    assert "TO PEERS" not in usual
    assert "80,101" in narrow
    assert len({text.count("\n") for text in (wide, usual, narrow)}) == 1


def test_the_table_names_leaders_and_adds_up_the_rest() -> None:
    nodes = (NodeLine("node-1", "ready", "a:1", height=3, tip="ab" * 32, votes=5, votes_per_second=2.5),)
    shown = _text(TopSnapshot("default", nodes, _results(SHOWN_CANDIDATES + 3), 1234.0, True))
    assert "[red]Board: 1,222 votes (+1,234/s) in 3 blocks, 7 waiting; one chain" in shown
    assert f"candidate {SHOWN_CANDIDATES - 1}" in shown
    assert f"candidate {SHOWN_CANDIDATES}" not in shown
    assert "3 more" in shown


def test_counts_that_are_shown_after_closing_are_not_drawn_before() -> None:
    hidden = msgspec.structs.replace(_results(2), contests=(), closes=4_000_000_000)
    picture = TopSnapshot("default", (), hidden, None, True)
    shown = _text(picture)
    assert f"Counts are shown after closing, at {when(4_000_000_000)}." in shown
    over = msgspec.structs.replace(hidden, closes=100)
    assert "Voting has ended: counts are shown once" in _text(TopSnapshot("default", (), over, None, True))
    assert "candidate" not in shown
    assert picture.as_dict()["results"]["counts_shown"] is False


def test_the_hour_of_closing_and_the_end_are_drawn() -> None:
    open_ = msgspec.structs.replace(_results(2), closes=4_000_000_000)
    assert f"Voting closes: {when(4_000_000_000)}" in _text(TopSnapshot("default", (), open_, None, True))
    over = msgspec.structs.replace(open_, closes=100, over=True, final_height=open_.height)
    picture = TopSnapshot("default", (), over, None, True, named_nodes=NamedUp(1, 4, 3))
    assert f"Voting closed: {when(100)}; the result is final" in _text(picture)
    assert "Too few: " not in _text(picture)
    assert "Too few: " in _text(dataclasses.replace(picture, results=open_))


def test_a_node_that_is_cut_off_is_shown_so_with_the_next_step(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = {"code": "partition", "message": "a partition keeps it from node-2",
             "next_step": "votenet heal"}  # fmt: skip
    program = _program("node-1", str(node.address)) | {"cut_off": fault}
    monkeypatch.setattr(targets, "network_status", lambda _: {"programs": [program]})
    lines = _text(Watch("board").look()).splitlines()
    assert any(line.split()[:3] == ["node-1", "cut", "off"] for line in lines)
    assert "node-1 is cut off: a partition keeps it from node-2. Next: votenet heal -i board" in [
        line.rstrip() for line in lines
    ]


def test_a_network_in_pieces_is_drawn_too() -> None:
    assert "no node answers" in _text(TopSnapshot("default", (), None, None, True))
    nodes = (NodeLine("node-1", "backoff", "a:1"),)
    lie = "Node 3 (b) prevoted a block and none at height 7 in round 0."
    liar = _text(TopSnapshot("default", nodes, _results(2), None, True, (lie,)))
    assert f"PROVEN LIE: {lie} See: votenet evidence list" in liar
    assert "tips differ" in _text(TopSnapshot("default", nodes, _results(2), None, False))

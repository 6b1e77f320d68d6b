"""`votenet status --network`: the table, the lines below it, and the JSON."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from tests.cli.conftest import CommandResult

from support.elections import make_election, named_nodes
from support.posed_nodes import GIB, PosedNode, final_results, listed, posed, posed_server
from votenet.cli.network.network_status import (
    clock_words,
    network_lines,
    network_table,
    node_state,
    with_results,
)
from votenet.cli.ui import when
from votenet.client.network_view import NetworkView, SeenNode
from votenet.core.election.definition import Election
from votenet.errors import Unreachable
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import NodeStatus, Results

ELECTION = make_election(nodes=named_nodes(4))
DAY = 86_400
Where = tuple[str, str, str, str]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[tuple[Where, list[PosedNode]]]:
    """The words that name a network of which Node 3 is down, and Node 1 a day ahead; and a relay."""
    nodes = [PosedNode(ELECTION, index) for index in range(4)]
    nodes[1].ahead = DAY
    relay = PosedNode(ELECTION, name="helper", changes={"disk_free": 3 * GIB})
    (tmp_path / "genesis.json").write_bytes(ELECTION.to_file())
    entries = [listed(one) for one in (*nodes, relay)]
    with posed(*nodes[:3], relay), posed_server(lambda: entries) as server:
        yield ("--network", str(tmp_path / "genesis.json"), "--bootstrap", str(server)), [*nodes, relay]


def test_all_nodes_named_ones_first_and_the_one_that_is_down(
    cli: Callable[..., CommandResult], network: tuple[Where, list[PosedNode]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    where, nodes = network
    done = cli("status", *where)
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert head.split() == [
        "node", "address", "role", "version", "height", "final", "peers", "clock", "disk", "state",
    ]  # fmt: skip
    assert [row.split("  ")[0] for row in rows[:5]] == ["Node 0", "Node 1", "Node 2", "Node 3", "helper"]
    assert rows[0].rstrip().endswith("up")
    assert "0.2.0" in rows[0]
    assert "50.0G" in rows[0]
    assert re.search(r" \+(1d0h|23h5\dm) ", rows[1])
    assert rows[3].split()[2:] == [str(nodes[3].address), "named", *"-" * 6, "unreachable"]
    assert rows[4].split()[2] == "relay"
    assert f"Network: {ELECTION.network_hex} (Test election)" in rows
    assert "Final: up to block 7; 3 of 4 named nodes answer, 3 must agree." in rows
    assert any(row.startswith("Node 3: ") and "cannot be reached" in row for row in rows)


def view_of(
    *changes: dict[str, Any], results: Results | None = None, election: Election = ELECTION
) -> tuple[NetworkView, list[str]]:
    """Named nodes that answer with these changes, as many as there are, and the lines below their table."""
    posed = [PosedNode(election, index, changes=told) for index, told in enumerate(changes)]
    told = [msgspec.convert(node.status(), NodeStatus) for node in posed]
    nodes = [
        SeenNode(one.name, place, None, status=one, proven=True, node_key=one.node_key)
        for place, one in enumerate(told)
    ]
    missing = [SeenNode(f"Node {n}", n, None, error=Unreachable("…")) for n in range(len(nodes), 4)]
    view = NetworkView(election, (*nodes, *missing), results=results)
    return view, list(network_lines(view, ""))


def test_too_few_named_nodes_are_said_in_words() -> None:
    _, lines = view_of({}, {})
    assert "Final: up to block 7; 2 of 4 named nodes answer, 3 must agree." in lines
    assert any(line.startswith("Too few: ") for line in lines)
    assert not any(line.startswith("Too few: ") for line in view_of({}, {}, {})[1])


@pytest.mark.parametrize(
    ("results", "says"),
    [
        (final_results(), "The result is final; once it is exported, nodes may be stopped."),
        (final_results(counted=False), "nodes are needed until the trustees have decrypted the counts."),
        (
            final_results(cancelled=True),
            "The election is cancelled; once it is exported, nodes may be stopped.",
        ),
    ],
)
def test_behind_the_end_nodes_that_are_off_are_not_too_few(results: Results, says: str) -> None:
    _, lines = view_of({}, results=results)
    assert not any(line.startswith("Too few: ") for line in lines)
    assert any(line.endswith(says) for line in lines)


def test_a_node_is_asked_for_the_count_once_voting_is_over_or_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "votenet.cli.network.network_status._results_of", lambda _: [final_results(), final_results()]
    )
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, False), ({"closes": 4_000_000_000}, False), ({"closes": 1}, True), ({"cancelled": True}, True),
    ]  # fmt: skip
    for changes, asked in cases:
        view, _ = view_of(changes)
        assert (with_results(view).results is not None) is asked


def test_no_more_nodes_than_may_lie_can_say_that_the_end_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Results] = []
    monkeypatch.setattr("votenet.cli.network.network_status._results_of", lambda _: told)
    view, _ = view_of({"closes": 1}, {"closes": 1})
    for more, final in (
        (final_results(), False),
        (final_results(cancelled=True), False),
        (msgspec.structs.replace(final_results(), final_height=None), False),
        (final_results(), True),
    ):
        told.append(more)
        assert with_results(view).final is final


def test_a_node_that_has_not_proved_the_key_it_names_is_no_named_node_and_says_nothing_about_the_end(
    cli: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One liar could pose as every named node that is not found."""
    monkeypatch.setenv("COLUMNS", "140")
    (tmp_path / "genesis.json").write_bytes(ELECTION.to_file())
    lie = {"closes": 1, "cancelled": True, "lies": ["Node 3 has lied"]}
    liars = [PosedNode(ELECTION, index, greets=False, changes=lie) for index in range(4)]
    relay = PosedNode(ELECTION, changes=lie)
    with posed(*liars, relay), posed_server(lambda: [listed(one) for one in (*liars, relay)]) as server:
        done = cli("status", "--network", str(tmp_path / "genesis.json"), "--bootstrap", str(server))
    rows = done.out.splitlines()
    assert [row.rstrip().endswith("not proven") for row in rows[1:6]] == [True] * 4 + [False]
    assert "Final: not known, no named node answers." in rows
    assert "Cancelled" not in done.out
    assert "Node 3 has lied" not in done.out


def test_handshakes_that_a_liar_passes_on_do_not_make_its_answers_those_of_named_nodes(
    cli: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    (tmp_path / "genesis.json").write_bytes(ELECTION.to_file())
    lie = {"closes": 1, "cancelled": True, "lies": ["Node 3 has lied"]}
    liars = [PosedNode(ELECTION, index, knows_itself=False, changes=lie) for index in range(4)]
    with posed(*liars), posed_server(lambda: [listed(one) for one in liars]) as server:
        done = cli("status", "--network", str(tmp_path / "genesis.json"), "--bootstrap", str(server))
    assert [row.rstrip().endswith("not proven") for row in done.out.splitlines()[1:5]] == [True] * 4
    assert "Final: not known, no named node answers." in done.out.splitlines()
    assert "named nodes answer" not in done.out
    assert "Cancelled" not in done.out
    assert "Node 3 has lied" not in done.out


def test_without_an_answer_it_is_not_known_what_is_final() -> None:
    _, lines = view_of()
    assert "Final: not known, no node answers." in lines
    assert not any(line.startswith("Too few: ") for line in lines)


def test_where_no_node_is_registered_the_hint_is_to_start_them(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    (tmp_path / "genesis.json").write_bytes(ELECTION.to_file())
    with posed_server(list) as server:
        done = cli("status", "--network", str(tmp_path), "--bootstrap", str(server))
    assert done.code == 1
    assert "start the nodes" in done.err
    assert "firewall" not in done.err


def test_what_keeps_a_node_out_is_its_state() -> None:
    def warned(code: str) -> dict[str, Any]:
        return {"synced": code != "key-twice", "warnings": [{"code": code, "message": "So it is."}]}

    view, lines = view_of({}, warned("key-twice"), warned("restored"), warned("cannot-save"))
    assert [node_state(node) for node in view.nodes] == ["up", "key twice", "restored", "cannot save"]
    assert "Final: up to block 7; 4 of 4 named nodes answer, 1 takes part, 3 must agree." in lines


def test_the_hours_and_the_end_of_all_are_a_line() -> None:
    soon, past = 4_000_000_000, 1_000_000_000
    assert f"Voting closes: {when(soon)} (set by an amendment)" in view_of({"closes": soon})[1]
    over = view_of({}, {"closes": past, "amendments": 1}, results=final_results())[1]
    assert f"Voting closed: {when(past)} (set by an amendment); the result is final" in over
    assert "Cancelled: nothing is counted." in view_of({"cancelled": True, "closes": past})[1]
    assert not any(line.startswith("Voting") for line in view_of({})[1])


def test_the_json_has_all_that_is_known(
    cli: Callable[..., CommandResult], network: tuple[Where, list[PosedNode]]
) -> None:
    where, nodes = network
    found = json.loads(cli("status", *where, "--json").out)
    assert (found["network_id"], found["named"], found["quorum"]) == (ELECTION.network_hex, 4, 3)
    assert [node["state"] for node in found["nodes"]] == ["up", "up", "up", "unreachable", "up"]
    assert [node["named"] for node in found["nodes"]] == [True] * 4 + [False]
    assert found["nodes"][1]["clock_offset"] == pytest.approx(DAY, abs=3600)
    assert found["nodes"][4]["status"]["disk_free"] == 3 * GIB
    assert found["nodes"][3]["error"]["code"] == "unreachable"
    assert found["nodes"][3]["address"] == str(nodes[3].address)
    assert [server["address"] for server in found["bootstrap"]] == [where[3]]
    assert found["complete"]


def test_where_no_node_answers_the_table_says_so_and_the_exit_code_is_1(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    (tmp_path / "genesis.json").write_bytes(ELECTION.to_file())
    done = cli("status", "--network", str(tmp_path), "--bootstrap", "127.0.0.1:1")
    assert done.code == 1
    assert done.out.count("not found") == 4
    assert "no node of this network answers" in done.err
    done = cli("status", "--network", str(tmp_path), "--bootstrap", "127.0.0.1:1", "--json")
    assert (done.code, len(json.loads(done.out)["nodes"])) == (1, 4)


def test_a_clock_in_words() -> None:
    told = [clock_words(ahead) for ahead in (None, 0.4, -1.9, 31.0, -190.0, DAY)]
    assert told == ["-", "0s", "0s", "+31s", "-3m10s", "+1d0h"]


def test_the_state_of_a_node_that_does_not_answer() -> None:
    for code, word in (("no-address", "not found"), ("other-network", "other genesis"), ("x", "unreachable")):
        assert node_state(SeenNode("n", 0, None, error=Unreachable("…", code=code))) == word


def test_the_table_fits_on_a_terminal_of_eighty_columns() -> None:
    nodes = tuple(
        SeenNode(f"Node {n}", n, Address("vote.example.org", 3000 + n), error=Unreachable("…"))
        for n in range(4)
    )
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(network_table(NetworkView(ELECTION, nodes), 80))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 5
    assert {"node", "address", "height", "final", "clock", "state"} <= set(lines[0].split())

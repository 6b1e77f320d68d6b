"""`votenet results` as typed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult, RunningNode, node_of

from support.elections import make_election, named_nodes
from support.lying_node import Answer, lying_node, results_info, status_info
from support.posed_nodes import PosedNode, listed, posed, posed_server
from support.shown_log import SignedLog, leaves
from votenet.cli.election.results import _compare, standing
from votenet.client.refusals import when
from votenet.core.election.contest import ContestReport
from votenet.core.election.definition import Election
from votenet.core.election.outcome_text import decision
from votenet.core.methods.method import ContestResult as Winners
from votenet.core.methods.method import Round
from votenet.errors import VotenetError
from votenet.protocol.wire.client_messages import Results


def test_results_as_a_table_and_as_json(cli: Callable[..., CommandResult], node: RunningNode) -> None:
    where = ("--node", str(node.address))
    for voter, name in (("r1", "Bob"), ("r2", "Bob"), ("r3", "Alice")):
        assert cli("vote", *where, voter, name).code == 0
    found = json.loads(cli("results", *where, "--json").out)
    assert found["contests"][0]["counts"] == [["Bob", 2], ["Alice", 1], ["Charlie", 0]]
    assert (found["votes"], found["waiting"]) == (3, 0)
    assert found["network_id"] == node.election.network_hex
    shown = cli("results", *where).out
    assert "66.7%" in shown
    assert "3 votes in" in shown


def test_all_nodes_agree_or_exit_1(cli: Callable[..., CommandResult], node: RunningNode) -> None:
    done = cli("results", "--node", str(node.address), "--all-nodes", "--json")
    assert done.code == 0
    assert json.loads(done.out)["agree"] is True


def results_of(found: Winners | None, **fields: object) -> Results:
    report = ContestReport(
        id="1", title="T", method="instant-runoff", seats=1, counts=(("Ann", 2), ("Bo", 2), ("Cy", 1)),
        votes=5, blank=0, weight=5, outcome=found or Winners(state="undecided"),
    )  # fmt: skip
    members: dict[str, object] = {
        "title": "T", "contests": (report,), "votes": 5,
        "waiting": 0, "height": 1, "tip": "00" * 32, "network_id": "00" * 32,
    }  # fmt: skip
    return Results(**(members | fields))  # type: ignore[arg-type]


def verdict(found: Results, now: int, named: int = 0) -> Iterator[str]:
    (report,) = found.contests
    yield decision(report.outcome, found.final)
    yield from standing(found, now, make_election(created=0, nodes=named_nodes(named), closes=found.closes))


def test_rounds_in_json_and_for_people(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    election = make_election(
        candidates=("Ann", "Bo", "Cy"), method="instant-runoff", max_choices=3, created=int(time.time())
    )
    with node_of(election, tmp_path) as node:
        where = ("--node", str(node.address))
        assert "Undecided: no votes yet." in cli("results", *where).out
        cast = {"a": ("Ann",), "b": ("Ann",), "c": ("Bo",), "d": ("Bo",), "e": ("Cy", "Bo")}
        for voter, choices in cast.items():
            assert cli("vote", *where, voter, *choices).code == 0
        found = json.loads(cli("results", *where, "--json").out)
        assert found["contests"][0]["counts"] == [["Ann", 2], ["Bo", 2], ["Cy", 1]]
        outcome = found["contests"][0]["outcome"]
        assert (outcome["state"], outcome["winners"]) == ("won", ["Bo"])
        assert outcome["rounds"][0]["eliminated"] == ["Cy"]
        assert outcome["rounds"][1]["counts"] == [["Bo", 3], ["Ann", 2]]
        shown = cli("results", *where).out
        assert "Ahead so far: Bo" in shown
        assert "this election has no closing time" in shown
        assert "Winner" not in shown
        assert "Bo 3, Ann 2" in shown


HOURS = {"opens": 100, "closes": 200}
FINAL_TIE = Winners(
    state="tied",
    winners=("Ann",),
    tied=("Ann", "Bo"),
    rounds=(
        Round(
            number=1, counts=(("Ann", 1), ("Bo", 1)), eliminated=("Bo",), tied=("Ann", "Bo"), tie_break="lot"
        ),
        Round(number=2, counts=(("Ann", 1),)),
    ),
)


def test_turnout_and_hours_are_told() -> None:
    election = make_election(created=0, **HOURS)  # type: ignore[arg-type]
    early = "\n".join(standing(results_of(None, registered=10, **HOURS), 150, election))
    assert "Turnout: 5 of 10 registered (50.0%)" in early
    assert f"Opened: {when(100)}" in early
    assert f"Closes: {when(200)}" in early
    assert f"Closed: {when(200)}" in "\n".join(standing(results_of(None, **HOURS), 200, election))
    assert next(verdict(results_of(None), 0)) == "Undecided: no votes yet."


@pytest.mark.parametrize(
    ("fields", "now", "why"),
    [
        ({}, 10**9, "this election has no closing time"),
        (HOURS, 99, "voting has not begun"),
        (HOURS, 199, "voting goes on"),
        (HOURS, 200, "voting has ended, but no nodes are named that make a result final"),
    ],
)
def test_without_a_closing_time_or_named_nodes_there_is_no_winner_and_a_line_says_why(
    fields: dict[str, int], now: int, why: str
) -> None:
    first, *rest = verdict(results_of(Winners(state="won", winners=("Ann",)), **fields), now)
    assert first == "Ahead so far: Ann"
    assert rest[0] == f"Nothing is decided: {why}."
    assert rest[-1] == "Never final: no nodes are named, so anybody may rewrite this (docs/security.md)."


@pytest.mark.parametrize(
    ("fields", "first", "last"),
    [
        ({}, "Ahead so far: Ann", "Not final: none of the 4 named nodes has signed yet."),
        (
            {"height": 3, "final_height": 2},
            "Ahead so far: Ann",
            "Final up to block 2 of 3: signed by 3 of 4: a, b, c.",
        ),
        (
            {"final_height": 1},
            "Ahead so far: Ann",
            "These votes are final, more may come: signed by 3 of 4: a, b, c.",
        ),
        ({"final_height": 1, "over": True}, "Winner: Ann", "Final result: signed by 3 of 4: a, b, c."),
        (
            {"final_height": 1, "over": True, "cancelled": True},
            "Ahead so far: Ann",
            "Cancelled: signed by 3 of 4: a, b, c.",
        ),
        (
            {"height": 3, "final_height": 2, "over": True},
            "Ahead so far: Ann",
            "Final up to block 2 of 3: signed by 3 of 4: a, b, c.",
        ),
    ],
)
def test_with_named_nodes_the_verdict_says_how_final_it_is(
    fields: dict[str, Any], first: str, last: str
) -> None:
    signed = {"signed_by": ("a", "b", "c")} if "final_height" in fields else {}
    found = results_of(Winners(state="won", winners=("Ann",)), **HOURS, **fields, **signed)
    said = list(verdict(found, 200, 4))
    assert (said[0], said[-1]) == (first, last)
    closing = "Nothing is decided: voting has ended, and the named nodes are closing the poll."
    assert (closing in said) is not found.over
    assert any(line.startswith("Nothing is decided: ") for line in said) is not found.final


def test_final_is_said_of_a_count_with_a_certificate(
    cli: Callable[..., CommandResult], named_node: RunningNode
) -> None:
    where = ("--node", str(named_node.address))
    assert "Not final: none of the 1 named nodes has signed yet." in cli("results", *where).out
    assert cli("vote", *where, "r1", "Bob").code == 0
    found = json.loads(cli("results", *where, "--json").out)
    assert (found["final"], found["final_height"], found["signed_by"]) == (False, found["height"], ["Node 0"])
    final = "These votes are final, more may come: signed by 1 of 1: Node 0."
    assert final in cli("results", *where).out
    assert final in cli("results", *where, "--all-nodes").out


def test_nodes_whose_logs_contradict_each_other_are_a_split_view(cli: Callable[..., CommandResult]) -> None:
    election = make_election(created=int(time.time()), nodes=named_nodes(3))

    def answers(log: SignedLog) -> dict[str, Answer]:
        told = results_info(election, Bob=len(log.leaves) - 2) | {"final_height": 1}
        return {"get_results": lambda _: told, "get_checkpoint": log.checkpoint}

    one, other = SignedLog(election, leaves(9)), SignedLog(election, leaves(12, other_from=4))
    with lying_node(election, answers(one)) as first, lying_node(election, answers(other)) as second:
        assert cli("results", "--node", str(first)).code == 0
        for arguments in (("--node", str(second)), ("--node", str(second), "--all-nodes")):
            done = cli("results", *arguments)
            assert (done.code, done.out) == (1, "")
            assert "[split-view]" in done.err
        file = done.err.split("votenet evidence verify ")[1].split()[0]
        shown = cli("evidence", "verify", file)
    assert shown.code == 0
    assert "Node 0" in shown.out


def test_a_node_that_is_behind_what_was_seen_is_named(cli: Callable[..., CommandResult]) -> None:
    election = make_election(created=int(time.time()), nodes=named_nodes(3))
    logs = [SignedLog(election, leaves(9))]
    answers: dict[str, Answer] = {
        "get_results": lambda _: results_info(election, Bob=len(logs[0].leaves) - 2) | {"final_height": 1},
        "get_checkpoint": lambda request: logs[0].checkpoint(request),
    }
    with lying_node(election, answers) as node:
        assert "Warning" not in cli("results", "--node", str(node)).err
        logs[0] = SignedLog(election, leaves(5))
        assert "its log is shorter than one seen before" in cli("results", "--node", str(node)).err


def test_counts_that_are_shown_after_closing_are_not_printed_before(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    election = make_election(created=int(time.time()), results="after-close", closes=2**33)
    with node_of(election, tmp_path) as node:
        where = ("--node", str(node.address))
        assert cli("vote", *where, "r1", "Bob").code == 0
        shown = cli("results", *where).out
        found = json.loads(cli("results", *where, "--json").out)
        assert cli("results", *where, "--all-nodes").code == 0
    assert f"Counts are shown after closing, at {when(2**33)}." in shown
    assert "1 vote in" in shown
    assert "Bob" not in shown
    assert (found["contests"], found["counts_shown"], found["votes"]) == ([], False, 1)


def test_a_final_tie_is_called_a_tie_and_names_the_choice_of_the_lot() -> None:
    first = next(verdict(results_of(FINAL_TIE, **HOURS, final_height=1, over=True), 200, named=4))
    assert first == "Tied: Ann, Bo; the lot chose Ann (see docs/elections.md)"


def test_a_count_without_the_others_says_so(cli: Callable[..., CommandResult]) -> None:
    election = make_election(created=int(time.time()))
    alone = status_info(election, ("cut-off", "joined to none of the others"))
    behind = status_info(election) | {"synced": False}
    for status, said in ((alone, "joined to none of the others"), (behind, "it is catching up")):
        lies: dict[str, Answer] = {
            "get_results": lambda _: results_info(election, Bob=1),
            "get_status": lambda _, status=status: status,  # type: ignore[misc]
        }
        with lying_node(election, lies) as address:
            done = cli("results", "--node", str(address))
            assert f"Warning: {address}: {said}" in done.err
            found = json.loads(cli("results", "--node", str(address), "--json").out)
        assert said in found["warnings"][0]


def test_help_teaches(cli: Callable[..., CommandResult]) -> None:
    assert "--all-nodes" in cli("results", "--help").out


def test_one_node_is_believed(cli: Callable[..., CommandResult]) -> None:
    """The page docs/security.md says so: what one node answers is printed, with its address."""
    election = make_election(created=int(time.time()))
    lies = {"get_results": lambda _: results_info(election, Bob=5000)}
    with lying_node(election, lies) as address:
        done = cli("results", "--node", str(address))
    assert "5,000" in done.out
    assert f"as counted by {address} alone" in done.out


def signed_count(election: Election, **counts: int) -> dict[str, Answer]:
    """A node's count in one block, and the log of three votes, a block and genesis that a quorum signed."""
    told = results_info(election, **counts) | {"final_height": 1}
    return {"get_results": lambda _: told, "get_checkpoint": SignedLog(election, leaves(5)).checkpoint}


@pytest.mark.parametrize("counts", [{"Bob": 2}, {"Bob": 5000}, {"Alice": 3, "Bob": 1}, {}])
def test_a_node_that_says_another_number_of_votes_than_named_nodes_signed_is_not_believed(
    cli: Callable[..., CommandResult], counts: dict[str, int]
) -> None:
    election = make_election(created=int(time.time()), nodes=named_nodes(3))
    with lying_node(election, signed_count(election, **counts)) as address:
        done = cli("results", "--node", str(address))
    assert (done.code, done.out) == (1, "")
    assert "[wrong-answer]" in done.err
    assert "where named nodes have signed a log of 5 records" in done.err


def test_a_count_says_whose_word_it_is(cli: Callable[..., CommandResult]) -> None:
    """No signature covers how the votes fall on the candidates."""
    election = make_election(created=int(time.time()), nodes=named_nodes(3))
    with lying_node(election, signed_count(election, Alice=3)) as address:
        shown = cli("results", "--node", str(address)).out
        found = json.loads(cli("results", "--node", str(address), "--json").out)
    assert f"as counted by {address} alone" in shown
    assert "How the votes fall on the candidates is the word of nodes: --all-nodes compares" in shown
    assert found["counted_by"] == [str(address)]


def test_nodes_that_count_the_same_blocks_differently_are_named() -> None:
    election = make_election(created=int(time.time()), nodes=named_nodes(3))
    honest, other = signed_count(election, Alice=2, Bob=1), signed_count(election, Bob=3)
    with (
        lying_node(election, honest) as one,
        lying_node(election, other) as two,
        pytest.raises(VotenetError, match=f"{one} and {two} count the same blocks differently"),
    ):
        _compare([one, two], election.network_hex, as_json=False)


def test_a_node_that_shows_another_election_is_no_silent_node(node: RunningNode) -> None:
    """Its answer is false: that is no agreement, and not the same as no answer."""
    lies: dict[str, Answer] = {"get_results": lambda _: results_info(make_election(title="Other"))}
    with lying_node(node.election, lies) as liar, pytest.raises(VotenetError) as refused:
        _compare([node.address, liar], node.election.network_hex, as_json=False)
    assert refused.value.code == "nodes-disagree"


# -- a network from any machine ----------------------------------------------------------------------


def counting(node: PosedNode, votes: int, tip: str = "ab", **counts: int) -> PosedNode:
    """The node with a count, and without a certificate."""
    told = results_info(node.election, **counts) | {"votes": votes, "tip": tip * 32}
    other = node.answer
    node.answer = lambda request: told if request["type"] == "get_results" else other(request)  # type: ignore[method-assign]
    return node


def test_all_nodes_of_a_network_are_compared_from_any_machine(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    election = make_election(nodes=named_nodes(4), title="Board")
    nodes = [counting(PosedNode(election, index), 3, Alice=2, Bob=1) for index in range(4)]
    for node in nodes[:2]:
        node.changes = {"warnings": [{"code": "bootstrap-failed", "message": "No server."}]}
    relay = counting(PosedNode(election), 99, Bob=99)
    (tmp_path / "genesis.json").write_bytes(election.to_file())
    entries = [listed(one) for one in (*nodes, relay)]
    with posed_server(lambda: entries) as server:
        where = ("results", "--network", str(tmp_path), "--bootstrap", str(server))
        with posed(*nodes[:3], relay):
            done = cli(*where)
            assert done.code == 0, done
            assert "as counted by 3 nodes alike" in done.out  # a relay decides nothing
            assert "is the word of nodes: an audit counts again" in done.out, "it has compared"
            said = [line for line in done.err.splitlines() if "No server." in line]
            assert said == ["Warning: Node 0, Node 1: No server."]
            assert "Warning: Node 3 is left out: " in done.err
            found = json.loads(cli(*where, "--json").out)
            assert (found["agree"], [one["node"] for one in found["unreachable"]]) == (True, ["Node 3"])
        counting(nodes[3], 4, "cd", Alice=2, Bob=2)
        with posed(*nodes):
            done = cli(*where)
    assert (done.code, "nodes-disagree" in done.err) == (1, True)
    assert "as counted by 4 nodes which differ" in done.out
    assert "Node 0, Node 1, Node 2: 3 votes in 1 block, tip abababababab" in done.out
    assert "Node 3: 4 votes in 1 block, tip cdcdcdcdcdcd" in done.out


def test_nodes_that_decide_nothing_are_too_few_though_they_answer(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    election = make_election(nodes=named_nodes(4), title="Board")
    nodes = [counting(PosedNode(election, index), 3, Alice=2, Bob=1) for index in range(3)]
    (tmp_path / "genesis.json").write_bytes(election.to_file())
    with posed(*nodes), posed_server(lambda: [listed(one) for one in nodes]) as server:
        where = ("results", "--network", str(tmp_path), "--bootstrap", str(server))
        assert "Too few" not in cli(*where).err
        nodes[2].changes = {"warnings": [{"code": "restored", "message": "It decides nothing yet."}]}
        assert "Warning: Too few take part: " in cli(*where).err


def test_a_network_of_which_only_relays_answer(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    election = make_election(nodes=named_nodes(4), title="Board")
    relay = counting(PosedNode(election), 99, Bob=99)
    with posed(relay):
        where = ("results", "--network", str(relay.address))
        tried = [cli(*where), cli(*where, "--final"), cli(*where, "--follow")]
        told = [cli(*where, "--json"), cli(*where, "--follow", "--json")]
    for done in tried:
        assert done.code == 1
        assert f"no node that answers ({relay.address}) has proved that it is a named node" in done.err
        assert "firewall" not in done.err
        assert "--bootstrap HOST:PORT" in done.err
        assert done.out == ""
    for done in told:
        assert (done.code, json.loads(done.out)["error"]["code"]) == (1, "unreachable")


def test_a_count_of_a_network_of_which_no_node_answers_names_where_it_was_looked_for(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    election = make_election(nodes=named_nodes(4), title="Board")
    (tmp_path / "genesis.json").write_bytes(election.to_file())
    where = ("results", "--network", str(tmp_path), "--bootstrap", "127.0.0.1:1")
    for done in (cli(*where), cli(*where, "--follow")):
        assert done.code == 1
        assert "no node of this network answers (no address of one is known)" in done.err


def test_an_id_still_says_of_which_network_the_count_must_be(
    cli: Callable[..., CommandResult], node: RunningNode
) -> None:
    where = ("results", "--node", str(node.address), "--network")
    assert cli(*where, node.election.network_hex.upper()).code == 0
    refused = cli(*where, "ab" * 32)
    assert (refused.code, "network-mismatch" in refused.err) == (1, True)
    assert cli(*where, str(node.address)).code == 2
    # No network runs here, and this user knows where the network is: all its nodes are asked.
    done = cli("results", "--network", node.election.network_hex)
    assert (done.code, "as counted by 1 node alike" in done.out) == (0, True)


def test_a_final_result_and_what_follows_are_of_a_network_too(
    cli: Callable[..., CommandResult], named_node: RunningNode
) -> None:
    where = ("results", "--network", str(named_node.address))
    assert "not-final" in cli(*where, "--final").err
    assert cli(*where).code == 0

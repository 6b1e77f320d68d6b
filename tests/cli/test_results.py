"""`votenet results` as typed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Outcome, RunningNode, node_of

from lying_node import Answer, lying_node, results_info, status_info
from support import make_election
from votenet.cli.render import when
from votenet.cli.results import _compare, verdict
from votenet.core.outcome import Outcome as Winners
from votenet.core.outcome import Round
from votenet.errors import VotenetError
from votenet.protocol.messages import Results


def test_s16_results_as_a_table_and_as_json(cli: Callable[..., Outcome], node: RunningNode) -> None:
    where = ("--node", str(node.address))
    for voter, name in (("r1", "Bob"), ("r2", "Bob"), ("r3", "Alice")):
        assert cli("vote", *where, voter, name).code == 0
    found = json.loads(cli("results", *where, "--json").out)
    assert list(found["counts"].items()) == [("Bob", 2), ("Alice", 1), ("Charlie", 0)]
    assert (found["votes"], found["waiting"]) == (3, 0)
    assert found["network_id"] == node.election.network_hex
    shown = cli("results", *where).out
    assert "66.7%" in shown
    assert "3 votes in" in shown


def test_all_nodes_agree_or_exit_1(cli: Callable[..., Outcome], node: RunningNode) -> None:
    done = cli("results", "--node", str(node.address), "--all-nodes", "--json")
    assert done.code == 0
    assert json.loads(done.out)["agree"] is True


def results_of(found: Winners | None, **fields: object) -> Results:
    members: dict[str, object] = {
        "title": "T", "method": "instant-runoff", "counts": (("Ann", 2), ("Bo", 2), ("Cy", 1)), "votes": 5,
        "waiting": 0, "height": 1, "tip": "00" * 32, "network_id": "00" * 32, "outcome": found,
    }  # fmt: skip
    return Results(**(members | fields))  # type: ignore[arg-type]


def test_rounds_in_json_and_for_people(cli: Callable[..., Outcome], tmp_path: Path) -> None:
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
        assert found["counts"] == {"Ann": 2, "Bo": 2, "Cy": 1}
        outcome = found["outcome"]
        assert (outcome["state"], outcome["winners"]) == ("won", ["Bo"])
        assert outcome["rounds"][0]["eliminated"] == ["Cy"]
        assert outcome["rounds"][1]["counts"] == [["Bo", 3], ["Ann", 2]]
        shown = cli("results", *where).out
        assert "Leading so far: Bo" in shown
        assert "this election has no closing time" in shown
        assert "Winner" not in shown
        assert "Bo 3, Ann 2" in shown


HOURS = {"opens": 100, "closes": 200}
FINAL_TIE = Winners(
    state="tied",
    winners=("Ann", "Bo"),
    rounds=(
        Round(
            number=1, counts=(("Ann", 1), ("Bo", 1)), eliminated=("Bo",), tied=("Ann", "Bo"), tie_break="lot"
        ),
        Round(number=2, counts=(("Ann", 1),)),
    ),
)


def test_the_verdict_names_ties_turnout_and_hours() -> None:
    tied = Winners(state="tied", winners=("Bo", "Ann"))
    assert "Tied: Bo, Ann (in the order of their lots" in "\n".join(verdict(results_of(tied, **HOURS), 200))
    assert "Tied so far: Bo, Ann\n" in "\n".join(verdict(results_of(tied, **HOURS), 150))
    broken = Round(number=2, counts=(), eliminated=("Bo",), tied=("Ann", "Bo"), tie_break="lot")
    won = Winners(state="won", winners=("Ann",), rounds=(broken,))
    early = "\n".join(verdict(results_of(won, registered=10, **HOURS), 150))
    assert "Tie in round 2 between Ann, Bo: Bo left, by lot" in early
    assert "Turnout: 5 of 10 registered (50.0%)" in early
    assert f"Opened: {when(100)}" in early
    assert f"Closes: {when(200)}" in early
    assert f"Closed: {when(200)}" in "\n".join(verdict(results_of(won, **HOURS), 200))
    assert next(verdict(results_of(None), 0)) == "Undecided: no votes yet."


@pytest.mark.parametrize(
    ("fields", "now", "why"),
    [
        ({}, 10**9, "this election has no closing time"),
        (HOURS, 99, "voting has not begun"),
        (HOURS, 199, "voting goes on"),
        (HOURS | {"waiting": 1}, 200, "voting has ended, but votes still wait for their block"),
        (HOURS, 200, ""),
    ],
)
def test_a_winner_is_named_only_when_no_vote_can_come_any_more(
    fields: dict[str, int], now: int, why: str
) -> None:
    first, *rest = verdict(results_of(Winners(state="won", winners=("Ann",)), **fields), now)
    assert first == ("Leading so far: Ann" if why else "Winner: Ann")
    assert (rest[0] == f"Nothing is decided: {why}.") is bool(why)
    assert any(line.startswith("Not final: ") for line in rest) is not bool(why)


def test_a_final_tie_is_called_one_and_says_what_the_lot_did() -> None:
    first = next(verdict(results_of(FINAL_TIE, **HOURS), 200))
    assert first == "Tied: Ann, Bo; the lot chose Ann (see docs/elections.md)"


def test_a_count_without_the_others_says_so(cli: Callable[..., Outcome]) -> None:
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


def test_help_teaches(cli: Callable[..., Outcome]) -> None:
    assert "--all-nodes" in cli("results", "--help").out


def test_one_node_is_believed(cli: Callable[..., Outcome]) -> None:
    """The page docs/security.md says so: what one node answers is printed, with its address."""
    election = make_election(created=int(time.time()))
    lies = {"get_results": lambda _: results_info(election, Bob=5000)}
    with lying_node(election, lies) as address:
        done = cli("results", "--node", str(address))
    assert "5,000" in done.out
    assert f"asked {address} alone" in done.out


def test_a_node_that_shows_another_election_is_no_silent_node(node: RunningNode) -> None:
    """Its answer is false: that is no agreement, and not the same as no answer."""
    lies: dict[str, Answer] = {"get_results": lambda _: results_info(make_election(title="Other"))}
    with lying_node(node.election, lies) as liar, pytest.raises(VotenetError) as refused:
        _compare([node.address, liar], node.election.network_hex, as_json=False)
    assert refused.value.code == "nodes-disagree"

"""`votenet vote` as typed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Outcome, RunningNode, node_of

from support import key_of, make_election
from votenet.cli.render import when
from votenet.cli.roll import write_roll
from votenet.cli.vote import for_people
from votenet.core.roll import Roll
from votenet.errors import Rejected


def test_the_receipt_for_people_and_for_programs(cli: Callable[..., Outcome], node: RunningNode) -> None:
    done = cli("vote", "--node", str(node.address), "cli-1", "Alice")
    assert done.code == 0
    for word in ("cli-1", "Alice", "vote id", "height", "confirmations", "no other was asked"):
        assert word in done.out
    first, *_, last = done.out.splitlines()
    assert re.fullmatch(r"Your vote is in block \d+ \(1 confirmation\)\.", first)
    assert last.startswith("Not final: "), "one block can be replaced"
    assert "counted" not in done.out
    assert f"votenet receipt --node {node.address} cli-1 -o receipt.json" in done.err
    receipt = json.loads(cli("vote", "--node", str(node.address), "cli-2", "Bob", "--json").out)
    assert receipt["state"] == "in_block"
    assert len(receipt["vote_id"]) == len(receipt["block"]) == 64


def test_not_waiting_returns_once_accepted(cli: Callable[..., Outcome], node: RunningNode) -> None:
    receipt = json.loads(
        cli("vote", "--node", str(node.address), "cli-3", "Bob", "--wait", "0", "--json").out
    )
    assert receipt["state"] in ("accepted", "in_block")


def test_s10_a_second_vote_says_when_and_in_which_block(
    cli: Callable[..., Outcome], node: RunningNode
) -> None:
    cli("vote", "--node", str(node.address), "cli-4", "Bob")
    second = cli("vote", "--node", str(node.address), "cli-4", "Alice")
    assert second.code == 1
    assert second.out == ""
    assert "'cli-4' has already voted: 20" in second.err
    assert re.search(r" UTC[^ ]*, in block ", second.err.replace(")", ""))


def test_a_refused_voter_id_leaves_no_key_behind(cli: Callable[..., Outcome], node: RunningNode) -> None:
    where = ("--node", str(node.address))
    assert cli("vote", *where, "cli-5", "Bob").code == 0
    (kept,) = json.loads(cli("keys", "list", "--json").out)
    assert kept["voter_id"] == "cli-5"
    for voter in ("v" * 129, "", " edge"):
        refused = cli("vote", *where, voter, "Bob")
        assert (refused.code, "[bad-vote]" in refused.err) == (1, True)
        assert "as the organisers wrote it" in refused.err
    assert json.loads(cli("keys", "list", "--json").out) == [kept]


def test_already_voted_says_whose_vote_whatever_the_nodes_sentence(
    cli: Callable[..., Outcome],
) -> None:
    """The voter is who was asked for; the sentence of a node is not taken apart."""
    error = Rejected("already-voted", "diese Person hat schon gewählt", time=1_700_000_000)
    assert str(for_people(error, "ann has already voted")).startswith(
        "'ann has already voted' has already voted: 20"
    )
    assert for_people(Rejected("already-voted", "x", time="1"), "ann").args == ("x",)


def test_on_a_roll_no_key_is_made_silently(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    roll = Roll([("ann", key_of("ann").public_hex)])
    election = make_election(created=int(time.time()), registration="roll", roll_root=roll.root_hex)
    write_roll(tmp_path / "roll.json", roll)
    with node_of(election, tmp_path, "--roll", str(tmp_path / "roll.json")) as node:
        refused = cli("vote", "--node", str(node.address), "ann", "Alice")
        assert (refused.code, refused.out) == (1, "")
        assert "[no-key]" in refused.err
        assert "votenet keys list" in refused.err
    assert json.loads(cli("keys", "list", "--json").out) == []


def test_help_teaches(cli: Callable[..., Outcome]) -> None:
    shown = cli("vote", "--help")
    assert shown.code == 0
    assert "votenet vote voter123 Alice" in shown.out


def test_a_candidate_is_required(cli: Callable[..., Outcome]) -> None:
    assert cli("vote", "somebody").code == 2


def test_before_opening_try_again_after_closing_never(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    now = int(time.time())
    soon = make_election(created=now, opens=now + 3600)
    (tmp_path / "soon").mkdir()
    with node_of(soon, tmp_path / "soon") as node:
        early = cli("vote", "--node", str(node.address), "v", "Alice", "--json")
        assert early.code == 1
        error = json.loads(early.out)["error"]
        assert (error["code"], error["kind"], error["opens"]) == ("not-open", "temporary", now + 3600)
        assert f"it opens {when(now + 3600)}" in error["message"]
        assert f"Opens: {when(now + 3600)}" in cli("results", "--node", str(node.address)).out
        assert f"Voting opens: {when(now + 3600)}" in cli("status", "--node", str(node.address)).out
    over = make_election(created=now - 20, closes=now - 10)
    (tmp_path / "over").mkdir()
    with node_of(over, tmp_path / "over") as node:
        late = cli("vote", "--node", str(node.address), "v", "Alice", "--json")
        error = json.loads(late.out)["error"]
        assert (error["code"], error["kind"], error["closes"]) == ("closed", "permanent", now - 10)
        assert f"it closed {when(now - 10)}" in error["message"]
        assert "Undecided: no votes." in cli("results", "--node", str(node.address)).out
        assert f"Voting closes: {when(now - 10)}" in cli("status", "--node", str(node.address)).out

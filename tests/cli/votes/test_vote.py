"""`votenet vote` as typed."""

from __future__ import annotations

import json
import re
import shlex
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult, RunningNode, node_of

from support.elections import key_of, make_election, named_nodes
from support.lying_node import Answer, lying_node, takes
from support.secret_definitions import SecretSetup, code_of
from votenet.cli.election.roll import write_roll
from votenet.client.refusals import when
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll
from votenet.core.election.voting_code import shown_code

NO_AMENDMENT: dict[str, Any] = {"count": 0, "height": 0, "next": 1}


def test_the_receipt_for_people_and_for_programs(
    cli: Callable[..., CommandResult], node: RunningNode
) -> None:
    done = cli("vote", "--node", str(node.address), "cli-1", "Alice")
    assert done.code == 0
    for word in ("cli-1", "Alice", "vote id", "height", "confirmations", "no other was asked"):
        assert word in done.out
    first, *_, last = done.out.splitlines()
    assert re.fullmatch(r"Your vote is in block \d+ \(1 confirmation\)\.", first)
    assert last.startswith("Never final: "), "one block can be replaced"
    assert "counted" not in done.out
    assert f"votenet receipt --node {node.address} cli-1 -o receipt.json" in done.err
    receipt = json.loads(cli("vote", "--node", str(node.address), "cli-2", "Bob", "--json").out)
    assert receipt["state"] == "in_block"
    assert len(receipt["vote_id"]) == len(receipt["block"]) == 64


def test_with_named_nodes_the_vote_is_received_and_then_final(
    cli: Callable[..., CommandResult], named_node: RunningNode, tmp_path: Path
) -> None:
    where, file = ("--node", str(named_node.address)), tmp_path / "r.json"
    done = cli("vote", *where, "n-1", "Alice", "--receipt", str(file))
    assert done.code == 0
    assert done.err.startswith("Received by 1 of 1: it will be counted, if no named node lies. Waiting until")
    assert done.out.startswith("Your vote is final, signed by 1 of 1.\n")
    assert f"Wrote {file}, the proof to keep." in done.err
    assert "signed by    Node 0" in done.out
    report = json.loads(cli("verify", str(file), "--network", named_node.election.network_hex, "--json").out)
    assert (report["final"], report["voter_id"]) == (True, "n-1")
    found = json.loads(cli("vote", *where, "n-2", "Bob", "--json").out)
    assert (found["state"], found["signed_by"], found["received_by"]) == ("final", ["Node 0"], ["Node 0"])
    assert "receipt" not in found
    status = cli("status", *where, "--voter", "n-1").out
    assert re.match(r"n-1: in block \d+ \(final\), says ", status)


def test_without_named_nodes_the_receipt_is_that_of_its_block(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "r.json"
    done = cli("vote", "--node", str(node.address), "paper", "Alice", "--receipt", str(file))
    assert f"Wrote {file}, the proof to keep." in done.err
    report = json.loads(cli("verify", str(file), "--json").out)
    assert (report["voter_id"], report["final"]) == ("paper", False)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_vote_that_is_not_final_in_time_was_received_all_the_same(
    cli: Callable[..., CommandResult], tmp_path: Path, interrupted: bool
) -> None:
    election = make_election(created=int(time.time()), nodes=named_nodes(4))
    file = tmp_path / "r.json"

    def status(request: dict[str, Any]) -> dict[str, Any]:
        if interrupted:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return {"type": "vote_status", "voter_id": request["voter_id"], "state": "unknown"}

    answers: dict[str, Answer] = {"submit_votes": takes(election, 0, 2), "get_vote_status": status}
    with lying_node(election, answers) as node:
        done = cli("vote", "--node", str(node), "ann", "Alice", "--wait", "0.2", "--receipt", str(file))
    assert done.code == (130 if interrupted else 5)
    assert "Received by 2 of 4: wait for final, or for 4 of 4. Not final yet." in done.out
    assert f"votenet receipt --node {node} --upgrade {file}" in done.err
    assert "is final" not in done.out
    report = json.loads(cli("verify", str(file), "--json").out)
    assert (report["final"], report["received_by"]) == (False, ["Node 0", "Node 2"])


def test_not_waiting_returns_once_accepted(cli: Callable[..., CommandResult], node: RunningNode) -> None:
    receipt = json.loads(
        cli("vote", "--node", str(node.address), "cli-3", "Bob", "--wait", "0", "--json").out
    )
    assert receipt["state"] in ("accepted", "in_block")


def test_a_second_vote_says_when_and_in_which_block(
    cli: Callable[..., CommandResult], node: RunningNode
) -> None:
    cli("vote", "--node", str(node.address), "cli-4", "Bob")
    second = cli("vote", "--node", str(node.address), "cli-4", "Alice")
    assert second.code == 1
    assert second.out == ""
    assert "'cli-4' has already voted: 20" in second.err
    assert re.search(r" UTC[^ ]*, in block ", second.err.replace(")", ""))


def test_a_refused_voter_id_leaves_no_key_behind(
    cli: Callable[..., CommandResult], node: RunningNode
) -> None:
    where = ("--node", str(node.address))
    assert cli("vote", *where, "cli-5", "Bob").code == 0
    (kept,) = json.loads(cli("keys", "list", "--json").out)
    assert kept["voter_id"] == "cli-5"
    for voter in ("v" * 129, "", " edge"):
        refused = cli("vote", *where, voter, "Bob")
        assert (refused.code, "[bad-vote]" in refused.err) == (1, True)
        assert "as the organisers wrote it" in refused.err
    assert json.loads(cli("keys", "list", "--json").out) == [kept]


def test_on_a_roll_no_key_is_made_silently(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    roll = Roll([("ann", key_of("ann").public_hex)])
    election = make_election(created=int(time.time()), roll=roll)
    write_roll(tmp_path / "roll.json", roll)
    with node_of(election, tmp_path, "--roll", str(tmp_path / "roll.json")) as node:
        refused = cli("vote", "--node", str(node.address), "ann", "Alice")
        assert (refused.code, refused.out) == (1, "")
        assert "[no-key]" in refused.err
        assert "votenet keys list" in refused.err
    assert json.loads(cli("keys", "list", "--json").out) == []


def test_help_teaches(cli: Callable[..., CommandResult]) -> None:
    shown = cli("vote", "--help")
    assert shown.code == 0
    assert "votenet vote voter123 Alice" in shown.out


def test_without_a_candidate_and_a_terminal_the_next_step_names_one(
    cli: Callable[..., CommandResult], node: RunningNode
) -> None:
    refused = cli("vote", "--node", str(node.address), "somebody")
    assert (refused.code, refused.out) == (1, "")
    assert "[no-choices]" in refused.err
    (line,) = (line for line in refused.err.splitlines() if "votenet vote" in line)
    printed = shlex.split(line[line.index("votenet vote") :])
    assert printed[-1] == "Alice"
    assert cli(*printed[1:], "--wait", "0").code == 0


def test_who_has_voted_is_told_so_before_any_choice_is_asked_for(
    cli: Callable[..., CommandResult], node: RunningNode
) -> None:
    where = ("--node", str(node.address))
    assert cli("vote", *where, "twice-1", "Alice").code == 0
    refused = cli("vote", *where, "twice-1", "--json")
    assert refused.code == 1
    error = json.loads(refused.out)["error"]
    assert (error["code"], error["kind"]) == ("already-voted", "duplicate")
    first = json.loads(cli("status", *where, "--voter", "twice-1", "--json").out)
    height = f"in block {first['height']} ({first['block']})"
    assert error["message"] == f"'twice-1' has already voted: {when(first['time'])}, {height}"
    assert "[bad-vote]" in cli("vote", *where, "v" * 500).err


def test_before_opening_try_again_after_closing_never(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
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
        assert "Undecided: no votes yet." in cli("results", "--node", str(node.address)).out
        assert f"Voting closed: {when(now - 10)}" in cli("status", "--node", str(node.address)).out


@pytest.mark.parametrize("by_code", [("--code",), ("--code-file", "none")])
def test_with_a_code_no_voter_id_is_given(
    cli: Callable[..., CommandResult], by_code: tuple[str, ...]
) -> None:
    refused = cli("vote", *by_code, "ana", "--in", "chair=Cem")
    assert "[contradiction]" in refused.err
    assert "with a code no voter id is given" in refused.err
    assert "'ana'" in refused.err


def test_a_voter_id_beside_a_code_is_not_taken_for_a_candidate(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    setup, public = SecretSetup(by_code=True), make_election()
    code, roll = tmp_path / "code.txt", tmp_path / "roll.json"
    code.write_text(shown_code(code_of("voter-1")))
    roll.write_bytes(setup.roll.to_file())

    def refused(election: Election, *words: str) -> str:
        with lying_node(election, {}) as node:
            done = cli("vote", "--code-file", str(code), *words, "--node", str(node))
        assert (done.code == 0, done.out) == (False, "")
        return done.err

    said = refused(public, "ana", "Bob")
    assert "with a code no voter id is given: 'ana' is too much" in said
    assert re.search(r"Leave it out, the code says who votes: votenet vote --node \S+ Bob --code\n", said)
    for words in (("voter-1", "Bob"), ("voter-1",), ("ana", "Bob")):
        said = refused(setup.election, "--roll", str(roll), *words)
        assert "[contradiction]" in said
        assert f"{words[0]!r} is too much" in said
        assert re.search(r": votenet vote --node \S+ --code\n", said), "a secret choice is not printed again"
    for words in (("Alice", "Bob"), ("Zoe",), ("Zoe", "Eve")):
        assert "too much" not in refused(public, *words), "no voter id that anybody can know"


def test_the_json_of_a_secret_vote_tells_no_choice(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    setup = SecretSetup(by_code=True)
    code, roll = tmp_path / "code.txt", tmp_path / "roll.json"
    code.write_text(shown_code(code_of("voter-1")))
    roll.write_bytes(setup.roll.to_file())
    answers: dict[str, Answer] = {
        "get_amendments": lambda _: {"type": "amendments", "amendments": [], **NO_AMENDMENT},
        "submit_votes": takes(setup.election, 0, 1, 2, 3, 4),
        "get_vote_status": lambda _: {"type": "vote_status", "voter_id": "voter-1", "state": "unknown"},
    }
    with lying_node(setup.election, answers) as node:
        where = ("--roll", str(roll), "--node", str(node), "--wait", "0")
        done = cli("vote", "--code-file", str(code), "Bob", *where, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["choices"] == []
    assert "Bob" not in done.out + done.err

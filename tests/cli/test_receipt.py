"""`votenet receipt` and `votenet verify` as typed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Outcome, RunningNode

from archive_support import good_receipt, roll_archive, tampered_receipts
from lying_node import lying_node
from support import key_of, make_election, make_vote, mine_block
from votenet.core.election import Election
from votenet.core.receipt import encode_receipt, make_receipt

Cli = Callable[..., Outcome]
VERIFIER = Path(__file__).parent.parent.parent / "verifier" / "votenet_verifier.py"


def test_a_receipt_of_a_counted_vote_holds_offline(cli: Cli, node: RunningNode, tmp_path: Path) -> None:
    where = ("--node", str(node.address))
    voted = json.loads(cli("vote", *where, "p1", "Alice", "--json").out)
    path = tmp_path / "receipt.json"
    done = cli("receipt", *where, "p1", "-o", str(path))
    assert (done.code, done.err) == (0, "")
    assert f"votenet verify {path} --network {node.election.network_hex}" in done.out
    report = json.loads(cli("verify", str(path), "--network", voted["network_id"], "--json").out)
    for name in ("voter_id", "choices", "vote_id", "network_id", "time", "block", "height", "position"):
        assert report[name] == voted[name]
    shown = cli("verify", str(path)).out
    assert shown.startswith("The receipt agrees with itself; it was compared with nothing else.")
    assert "Alice" in shown
    assert cli("receipt", *where, "p1").out == path.read_text(encoding="utf-8")


def test_what_a_receipt_was_compared_with_is_said(cli: Cli, node: RunningNode, tmp_path: Path) -> None:
    where = ("--node", str(node.address))
    path = tmp_path / "receipt.json"
    cli("vote", *where, "p2", "Alice")
    cli("receipt", *where, "p2", "-o", str(path))
    alone = cli("verify", str(path)).out
    assert "nothing: give --network, --roll or --node" in alone
    assert "The receipt holds" not in alone
    named = cli("verify", str(path), "--network", node.election.network_hex).out
    assert named.startswith("The receipt holds.\n  compared with  the network id given\n")
    assert "No node was asked" in named
    asked = cli("verify", str(path), *where).out
    assert f"the node {node.address}" in asked
    assert "No node was asked" not in asked
    assert json.loads(cli("verify", str(path), "--json").out)["compared_with"] == {}
    found = json.loads(cli("verify", str(path), *where, "--json").out)
    assert found["compared_with"] == {"node": str(node.address)}


@pytest.mark.parametrize(("method", "shown"), [("approval", "Bob, Alice"), ("instant-runoff", "Bob > Alice")])
def test_only_a_ranked_ballot_is_shown_with_ranks(cli: Cli, tmp_path: Path, method: str, shown: str) -> None:
    election = make_election(method=method, max_choices=2)
    vote = make_vote(election, "ann", "Bob", "Alice")
    header = mine_block(election, votes=[vote]).header.pack().hex()
    path = tmp_path / "receipt.json"
    path.write_bytes(encode_receipt(make_receipt(election, vote.vote, [header], path=[], position=0, size=1)))
    assert f" {shown}\n" in cli("verify", str(path)).out


def _proof(election: Election, voter: str, key: str) -> dict[str, Any]:
    """A good proof of a vote of this voter, alone in the first block."""
    vote = make_vote(election, voter, key=key_of(key))
    header = mine_block(election, votes=[vote]).header.pack().hex()
    return {
        "type": "proof", "vote": json.loads(vote.record), "header": header, "height": 1, "position": 0,
        "size": 1, "path": [], "headers": [header],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("voter", "key", "code"), [("mallory", "mallory", "wrong-answer"), ("alice", "mallory", "other-key")]
)
def test_the_receipt_of_another_voter_or_key_is_not_written(
    cli: Cli, tmp_path: Path, voter: str, key: str, code: str
) -> None:
    """The node's proof is good, but not of the vote that was asked for."""
    election = make_election()
    cli("keys", "make", "alice")
    path = tmp_path / "receipt.json"
    with lying_node(election, {"get_proof": lambda _: _proof(election, voter, key)}) as liar:
        done = cli("receipt", "alice", "--node", str(liar), "-o", str(path))
    assert (done.code, f"[{code}]" in done.err) == (1, True)
    assert not path.exists()


def test_a_vote_that_is_nowhere_has_no_receipt(cli: Cli, node: RunningNode) -> None:
    done = cli("receipt", "--node", str(node.address), "nobody")
    assert (done.code, done.out) == (1, "")
    assert "[not-found]" in done.err


def test_a_node_says_how_deep_the_block_of_a_receipt_lies(
    cli: Cli, node: RunningNode, tmp_path: Path
) -> None:
    where = ("--node", str(node.address))
    path = tmp_path / "receipt.json"
    cli("vote", *where, "deep", "Alice")
    cli("receipt", *where, "deep", "-o", str(path))
    cli("vote", *where, "deeper", "Alice")
    report = json.loads(cli("verify", str(path), *where, "--json").out)
    assert report["confirmations"] >= 2
    assert f"at {node.address}, " in cli("verify", str(path), *where).out
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = f"127.0.0.1:{free.getsockname()[1]}"
    unanswered = cli("verify", str(path), "--node", closed)
    assert "[unreachable]" in unanswered.err
    assert unanswered.code == 3, "1 would say that the receipt does not hold"


@pytest.mark.parametrize(
    ("voter", "told"), [("elsewhere", "is in block"), ("nowhere", "no vote of 'nowhere'")]
)
def test_the_receipt_of_an_abandoned_block_says_so(
    cli: Cli, node: RunningNode, tmp_path: Path, voter: str, told: str
) -> None:
    """The voter's block lost: the same election, the same vote, another branch."""
    vote = make_vote(node.election, voter, "Bob", time=node.election.definition.created)
    block = mine_block(node.election, votes=[vote])
    headers = [block.header.pack().hex()]
    lost = make_receipt(node.election, vote.vote, headers, path=[], position=0, size=1)
    path = tmp_path / "lost.json"
    path.write_bytes(encode_receipt(lost))
    if voter == "elsewhere":
        cli("vote", "--node", str(node.address), voter, "Alice")
    assert cli("verify", str(path)).code == 0, "offline nobody can know"
    done = cli("verify", str(path), "--node", str(node.address), "--json")
    assert done.code == 1
    assert json.loads(done.out)["error"]["code"] == "abandoned"
    assert told in done.err


def test_a_receipt_of_another_election_is_not_of_this_node(
    cli: Cli, node: RunningNode, tmp_path: Path
) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(good_receipt())
    done = cli("verify", str(path), "--node", str(node.address))
    assert (done.code, "[network-mismatch]" in done.err) == (1, True)


@pytest.mark.parametrize(("signer", "code"), [("ann", None), ("bob", "wrong-key")])
def test_with_its_roll_the_voter_and_the_key_are_checked(
    cli: Cli, tmp_path: Path, signer: str, code: str | None
) -> None:
    roll, _ = roll_archive(("ann", "ann"))
    held = make_election(registration="roll", roll_root=roll.root_hex)
    vote = make_vote(held, "ann", key=key_of(signer))
    header = mine_block(held, votes=[vote]).header.pack().hex()
    receipt, register = tmp_path / "receipt.json", tmp_path / "roll.json"
    receipt.write_bytes(encode_receipt(make_receipt(held, vote.vote, [header], path=[], position=0, size=1)))
    register.write_bytes(roll.to_file())
    done = cli("verify", str(receipt), "--roll", str(register), "--json")
    second = [sys.executable, str(VERIFIER), "receipt", str(receipt), "--roll", str(register), "--json"]
    other = json.loads(subprocess.run(second, capture_output=True, check=False).stdout)
    assert other["holds"] is (code is None)
    if code is not None:
        assert json.loads(done.out)["error"]["code"] == other["code"] == code
    else:
        assert json.loads(done.out)["registration"] == other["registration"] == "roll, checked"
    bare = cli("verify", str(receipt)).out
    second = [sys.executable, str(VERIFIER), "receipt", str(receipt)]
    theirs = subprocess.run(second, capture_output=True, text=True, check=True).stdout
    assert "registration" in bare
    assert "roll, not checked" in bare, "a receipt that nobody held against the roll says so"
    assert "roll, not checked" in theirs
    other_roll = cli("verify", str(receipt), "--roll", str(tmp_path / "none"))
    assert other_roll.code == 78


def test_a_tampered_receipt_is_refused_with_the_reason(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(tampered_receipts()["path-cut"][1])
    done = cli("verify", str(path), "--json")
    assert done.code == 1
    assert json.loads(done.out)["error"]["code"] == "bad-merkle-path"
    assert "[bad-merkle-path]" in done.err
    assert cli("verify", str(tmp_path / "none")).code == 78

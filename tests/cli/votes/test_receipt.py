"""`votenet receipt` and `votenet verify` as typed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult, RunningNode

from support.archives import good_receipt, roll_archive, tampered_receipts
from support.elections import key_of, keys_of_node, make_election, make_vote, mine_block
from support.lying_node import lying_node
from support.named_files import whole_story
from support.ports import free_port
from support.tampered_named_receipts import good_receipts
from votenet.client.sync_client import ElectionClient
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import hash_vote
from votenet.core.log.certificate import check_certificate
from votenet.core.log.tlog_proof import check_path, parse_proof
from votenet.core.records.acceptance import accept_group
from votenet.core.records.receipt import (
    decode_receipt,
    encode_receipt,
    make_receipt,
    make_received_receipt,
)

Cli = Callable[..., CommandResult]
VERIFIER = Path(__file__).parents[3] / "verifier" / "votenet_verifier.py"


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
    seen = f"the network id remembered from {node.address}"
    assert shown.startswith(f"The receipt agrees with itself and with {seen}.\n  compared with  {seen}\n")
    assert "Alice" in shown
    assert cli("receipt", *where, "p1").out == path.read_text(encoding="utf-8")


def test_verify_prints_what_a_receipt_was_compared_with(cli: Cli, node: RunningNode, tmp_path: Path) -> None:
    where = ("--node", str(node.address))
    path = tmp_path / "receipt.json"
    cli("vote", *where, "p2", "Alice")
    cli("receipt", *where, "p2", "-o", str(path))
    foreign = tmp_path / "foreign.json"
    foreign.write_bytes(good_receipt())
    alone = cli("verify", str(foreign)).out
    assert alone.startswith("The receipt agrees with itself; it was compared with nothing else.")
    assert "nothing: give --network, --roll or --node" in alone
    assert "The receipt holds" not in cli("verify", str(path)).out
    named = cli("verify", str(path), "--network", node.election.network_hex).out
    assert named.startswith("The receipt holds.\n  compared with  the network id given\n")
    assert "No node was asked" in named
    asked = cli("verify", str(path), *where).out
    assert f"the node {node.address}" in asked
    assert "No node was asked" not in asked
    assert json.loads(cli("verify", str(foreign), "--json").out)["compared_with"] == {}
    found = json.loads(cli("verify", str(path), *where, "--json").out)
    assert found["compared_with"] == {"remembered": str(node.address), "node": str(node.address)}


@pytest.mark.parametrize(
    ("name", "finality", "names"),
    [
        ("final", "final: signed by 4 of 5: node 0, node 1, node 2, node 3", ""),
        (
            "received",
            "not final yet: received by 3 of 5: wait for final, or for 4 of 5",
            "received by    node 0, node 2, node 3",
        ),
    ],
)
def test_verify_says_which_named_nodes_signed(
    cli: Cli, tmp_path: Path, name: str, finality: str, names: str
) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(good_receipts()[name])
    known = cli("verify", str(path), "--network", whole_story().file.network_hex).out
    assert known.startswith("The receipt holds.\n  compared with  the network id given\n")
    assert f"finality       {finality}\n" in known
    assert names in known
    alone = cli("verify", str(path)).out
    assert f"{finality} (nodes that the file itself names: compare its network id)\n" in alone
    assert "No node was asked" not in alone
    theirs = [sys.executable, str(VERIFIER), "receipt", str(path)]
    other = subprocess.run(theirs, capture_output=True, text=True, check=True).stdout
    assert "(nodes that the file itself names: compare its network id)\n" in other
    assert "none: this proves only that the file agrees with itself" in other


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
    closed = f"127.0.0.1:{free_port()}"
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
    assert cli("verify", str(path)).code == 0, "it cannot be known offline"
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
    held = make_election(roll=roll)
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
    assert "roll, not checked" in bare, "a receipt that was not compared with the roll says so"
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


# -- named nodes ---------------------------------------------------------------------------------------


def test_a_receipt_of_a_vote_that_was_received_is_completed(
    cli: Cli, named_node: RunningNode, tmp_path: Path
) -> None:
    where, file = ("--node", str(named_node.address)), tmp_path / "r.json"
    cast = cli("vote", *where, "up-1", "Alice", "--wait", "0", "--receipt", str(file))
    assert cast.code == 0
    early = decode_receipt(file.read_bytes())
    network = ("--network", named_node.election.network_hex)
    if not early.proof:  # the block may be faster
        assert json.loads(cli("verify", str(file), *network, "--json").out)["final"] is False
    deadline = time.monotonic() + 60
    while (done := cli("receipt", *where, "--upgrade", str(file))).code:
        assert "[not-final]" in done.err
        assert time.monotonic() < deadline
    assert f"Wrote {file}, proof that the vote is final." in done.out
    late = decode_receipt(file.read_bytes())
    assert (late.vote, late.acceptances, bool(late.proof)) == (early.vote, (), True)
    shown = cli("verify", str(file), *network)
    assert shown.out.startswith("The receipt holds.")
    assert "final: signed by 1 of 1: Node 0" in shown.out
    again = cli("receipt", *where, "--upgrade", str(file), "-o", str(tmp_path / "again.json"))
    assert again.code == 0
    assert decode_receipt((tmp_path / "again.json").read_bytes()).vote == late.vote
    asked = json.loads(cli("verify", str(file), *where, "--json").out)
    assert asked["confirmations"] >= 1


def test_the_proof_alone_is_a_tlog_proof(cli: Cli, named_node: RunningNode, tmp_path: Path) -> None:
    where, file = ("--node", str(named_node.address)), tmp_path / "vote.tlog-proof"
    cli("vote", *where, "bare", "Bob")
    assert cli("receipt", *where, "bare", "--tlog-proof", "-o", str(file)).code == 0
    proof = parse_proof(file.read_text(encoding="utf-8"))
    receipt = decode_receipt(cli("receipt", *where, "bare").out.encode())
    assert receipt.proof == file.read_text(encoding="utf-8")
    check_path(proof, hash_vote(receipt.vote).id)
    check_certificate(proof.note, named_node.election.named_keys)


def test_what_cannot_be_completed_says_why(
    cli: Cli, node: RunningNode, named_node: RunningNode, tmp_path: Path
) -> None:
    where, file = ("--node", str(node.address)), tmp_path / "r.json"
    cli("vote", *where, "never", "Alice")
    cli("receipt", *where, "never", "-o", str(file))
    for arguments in (("--upgrade", str(file)), ("never", "--tlog-proof")):
        done = cli("receipt", *where, *arguments)
        assert done.code == 1
        assert "never final: no nodes are named" in done.err
    assert cli("receipt", *where).code == 2
    assert cli("receipt", *where, "never", "--upgrade", str(file)).code == 2
    # Received by a node that then lost it; and another vote of the voter in its place.
    election = named_node.election
    for voter, code in (("lost", "not-final"), ("twice", "abandoned")):
        vote = make_vote(election, voter, "Bob", time=int(time.time()))
        group = accept_group(
            keys_of_node(0).statement, network_hex=election.network_hex, node=0, time=vote.vote.time,
            vote_ids=[vote.id],
        )  # fmt: skip
        file.write_bytes(encode_receipt(make_received_receipt(election, vote.vote, [group.acceptance(0)])))
        there = ("--node", str(named_node.address))
        if voter == "twice":
            with ElectionClient(named_node.address, known=tmp_path / "known") as client:
                client.cast(voter, "Alice", key=key_of(voter))
        done = cli("receipt", *there, "--upgrade", str(file))
        assert f"[{code}]" in done.err
        assert ("Node 0" in done.err) is (voter == "lost")

"""`votenet evidence` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.cli.conftest import CommandResult

from support.archives import good_archive
from support.board_story import board_story
from support.elections import make_vote
from support.evidence_files import ELECTION, GOOD, OTHER
from support.lying_node import lying_node, results_info, status_info
from support.named_files import CLOSES, LISTS_OF, good_archives, keys_of
from verifier.test_votenet_verifier import verifier
from votenet.core.encoding import canonical
from votenet.core.ledger.vote import Vote, hash_vote
from votenet.core.records.acceptance import accept_group
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.evidence import encode_evidence, evidence_of_acceptance
from votenet.core.records.receipt import encode_receipt, make_received_receipt

Cli = Callable[..., CommandResult]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "evidence.json"
    path.write_bytes(encode_evidence(GOOD["two-precommits"]))
    return path


def test_evidence_is_checked_offline_and_says_what_it_was_compared_with(cli: Cli, file: Path) -> None:
    lie = "Node 3 (Node 3) precommitted two different blocks at height 12 in round 0."
    alone = cli("evidence", "verify", str(file))
    assert alone.code == 0
    assert alone.out.startswith(f"{lie}\n  compared with  nothing: give --network\n")
    assert "Is this the network id that the organisers published?" in alone.out
    named = cli("evidence", "verify", str(file), "--network", ELECTION.network_hex)
    assert named.out.startswith(f"{lie}\n  compared with  the network id given\n")
    assert "agrees with itself" not in named.out
    report = json.loads(cli("evidence", "verify", str(file), "--json").out)
    assert (report["kind"], report["node"], report["sentence"]) == ("two-precommits", 3, lie)
    assert report["compared_with"] == {}


def test_what_proves_nothing_is_refused_with_its_code(cli: Cli, file: Path) -> None:
    def code(*options: str) -> tuple[int, str]:
        done = cli("evidence", "verify", str(file), *options, "--json")
        return done.code, json.loads(done.out)["error"]["code"]

    assert code("--network", OTHER.network_hex) == (1, "network-mismatch")
    data = file.read_bytes()
    file.write_bytes(data.replace(b'"node":3,"proof"', b'"node":2,"proof"'))
    assert code() == (1, "bad-evidence")
    file.write_bytes(data[:-1])
    assert code() == (1, "truncated")
    file.write_bytes(good_archive())
    assert code() == (1, "not-json")
    file.unlink()
    assert code() == (78, "bad-evidence-file")


def test_a_vote_that_was_left_out_is_proven_with_the_archive(cli: Cli, tmp_path: Path) -> None:
    archive, path = tmp_path / "election.jsonl", tmp_path / "evidence.json"
    archive.write_bytes(good_archives()["whole"])
    with archive.open("rb") as lines:
        election = ArchiveCheck(lines, CLOSES).election
    node, vote = LISTS_OF[1], make_vote(election, "left-out")
    group = accept_group(
        keys_of(node).statement,
        network_hex=election.network_hex, node=node, time=CLOSES - 1, vote_ids=[vote.id],
    )  # fmt: skip
    path.write_bytes(encode_evidence(evidence_of_acceptance(election, group.acceptance(0), vote.vote)))
    alone = cli("evidence", "verify", str(path))
    assert alone.code == 1
    assert f"votenet evidence verify {path} --archive ARCHIVE" in alone.err
    done = cli("evidence", "verify", str(path), "--archive", str(archive))
    lie = "signed that it accepted the vote of 'left-out' before closing, and left it out."
    assert (done.code, done.out.splitlines()[0]) == (0, f"Node {node} (node {node}) {lie}")
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(encode_receipt(make_received_receipt(election, vote.vote, [group.acceptance(0)])))
    made = cli("evidence", "make", str(receipt), "--archive", str(archive), "--folder", str(tmp_path))
    assert made.code == 0
    assert (tmp_path / f"evidence-{node}.json").read_bytes() == path.read_bytes()
    assert f"votenet evidence verify {tmp_path}/evidence-{node}.json --archive {archive}" in made.out
    with archive.open("rb") as lines:
        check = ArchiveCheck(lines, CLOSES)
        check.run()
    kept = make_vote(election, min(check.chain.voters))
    group = accept_group(
        keys_of(node).statement,
        network_hex=election.network_hex, node=node, time=CLOSES - 1, vote_ids=[kept.id],
    )  # fmt: skip
    receipt.write_bytes(encode_receipt(make_received_receipt(election, kept.vote, [group.acceptance(0)])))
    made = cli("evidence", "make", str(receipt), "--archive", str(archive), "--json")
    assert (made.code, json.loads(made.out)["error"]["code"]) == (1, "no-evidence")
    for name, code in (("while-voting", "not-final"), ("whole-without-certificate", "not-final")):
        archive.write_bytes(good_archives()[name])
        done = cli("evidence", "verify", str(path), "--archive", str(archive), "--json")
        assert (done.code, json.loads(done.out)["error"]["code"]) == (1, code)
    archive.write_bytes(good_archive())
    done = cli("evidence", "verify", str(path), "--archive", str(archive), "--json")
    assert json.loads(done.out)["error"]["code"] == "network-mismatch"


def test_where_votes_have_weights_the_roll_goes_with_the_archive(cli: Cli, tmp_path: Path) -> None:
    roll, story = board_story()
    archive, voters, receipt = (tmp_path / name for name in ("election.jsonl", "roll.json", "receipt.json"))
    archive.write_bytes(story.file.pack())
    voters.write_bytes(roll.to_file())
    with archive.open("rb") as lines:
        election = ArchiveCheck(lines, CLOSES, roll=roll).election
    node, vote = LISTS_OF[1], msgspec.convert(story.ballots.lone, Vote)
    group = accept_group(
        keys_of(node).statement,
        network_hex=election.network_hex, node=node, time=CLOSES - 1, vote_ids=[hash_vote(vote).id],
    )  # fmt: skip
    receipt.write_bytes(encode_receipt(make_received_receipt(election, vote, [group.acceptance(0)])))
    make = ("evidence", "make", str(receipt), "--archive", str(archive), "--folder", str(tmp_path))
    assert "[roll-missing]" in cli(*make).err
    made = cli(*make, "--roll", str(voters))
    path = tmp_path / f"evidence-{node}.json"
    assert f"votenet evidence verify {path} --archive {archive} --roll {voters}" in made.out
    verify = ("evidence", "verify", str(path), "--archive", str(archive))
    assert (cli(*verify).code, cli(*verify, "--roll", str(voters)).code) == (78, 0)
    others = (None, CLOSES, str(archive))
    assert verifier.check_evidence(str(path), *others, str(voters))["node"] == node
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_evidence(str(path), *others)
    assert caught.value.code == "roll-missing"


# -- asked of a node -----------------------------------------------------------------------------


def lies(*kinds: str) -> dict[str, object]:
    written = [{"kind": kind, "node": 3, "proof": json.loads(canonical(GOOD[kind].proof))} for kind in kinds]
    return {"type": "evidence_list", "lies": written}


@contextmanager
def node_with(answer: dict[str, object]) -> Iterator[str]:
    with lying_node(ELECTION, {"get_evidence": lambda _: answer}) as address:
        yield str(address)


def test_a_proof_goes_from_a_node_into_a_file_that_anybody_checks(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "lie.json"
    with node_with(lies(*GOOD)) as node:
        shown = cli("evidence", "list", "--node", node)
        assert shown.code == 0
        for kind in GOOD:
            assert f"   3  Node 3  {kind}" in shown.out
        assert "votenet evidence show 3 two-proposals -o evidence.json" in shown.out
        assert len(json.loads(cli("evidence", "list", "--node", node, "--json").out)) == len(GOOD)
        done = cli("evidence", "show", "3", "two-roots", "--node", node, "-o", str(path))
        assert f"votenet evidence verify {path} --network {ELECTION.network_hex}" in done.out
        assert path.read_bytes() == encode_evidence(GOOD["two-roots"])
        assert cli("evidence", "verify", str(path), "--network", ELECTION.network_hex).code == 0
        shown = cli("evidence", "show", "3", "two-prevotes", "--node", node)
        assert "it prevoted two different blocks in one consensus round" in shown.out
        assert '"signature": "' in shown.out
        piped = cli("evidence", "show", "3", "two-prevotes", "--node", node, "--json").out
        assert piped.encode() == encode_evidence(GOOD["two-prevotes"])
        missing = cli("evidence", "show", "2", "two-prevotes", "--node", node)
        assert missing.code == 1
        assert "[no-evidence]" in missing.err


def test_a_node_that_accuses_without_proof_is_not_believed(cli: Cli) -> None:
    false = lies("two-prevotes")
    false["lies"][0]["node"] = 2  # type: ignore[index]
    with node_with(false) as node:
        done = cli("evidence", "list", "--node", node, "--json")
        assert (done.code, json.loads(done.out)["error"]["code"]) == (1, "bad-evidence")
    with node_with(lies()) as node:
        assert cli("evidence", "list", "--node", node).out == (
            f"{node} has no proof that a named node lied.\n"
        )


def test_a_proven_lie_is_said_in_status_and_results(cli: Cli) -> None:
    lie = "Node 3 (Node 3) signed two different closing lists for one closing time."
    said = f"PROVEN LIE: {lie} See: votenet evidence list\n"
    status = status_info(ELECTION) | {"lies": [lie, lie]}
    answers = {"get_status": lambda _: status, "get_results": lambda _: results_info(ELECTION, Alice=2)}
    with lying_node(ELECTION, answers) as address:
        node = ("--node", str(address))
        assert cli("status", *node).out.count(said) == 1
        assert cli("results", *node).out.endswith(said)
        assert cli("results", *node, "--all-nodes").out.endswith(said)
        assert json.loads(cli("results", *node, "--json").out)["lies"] == [lie, lie]
        assert json.loads(cli("status", *node, "--json").out)[0]["lies"] == [lie, lie]

"""What named nodes decide and sign holds for both verifiers: archives, receipts, results, evidence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from tests.protocol.node.test_closing import CLOSES, until_over
from tests.protocol.node.test_proof_answers import settle, told
from tests.sim.test_amended_nodes import AmendedStory

from support.amended_files import Amended
from support.elections import CREATED, as_stored, keys_of_node, make_vote, make_votes
from support.named_network import NamedNetwork, named
from support.second_opinion import same_contests
from verifier.test_amendments import Readers
from verifier.test_votenet_verifier import verifier
from votenet.cli.archive.archive_files import read_final_chain
from votenet.core.ledger.block import Block
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.acceptance import accept_group
from votenet.core.records.archive import ArchiveCheck, archive_lines
from votenet.core.records.evidence import check_evidence, encode_evidence, evidence_of_acceptance
from votenet.core.records.final_result import FinalResult, ResultBuilder, encode_result, result_of_archive
from votenet.core.records.receipt import (
    Receipt,
    check_receipt,
    decode_receipt,
    encode_receipt,
    make_final_receipt,
    make_received_receipt,
)
from votenet.protocol.wire.client_messages import GetProof, Proof, SubmitVotes, VotesTaken
from votenet.protocol.wire.messages import decode_message, encode_message

NOW = CREATED + 10_000


def archive_of(net: NamedNetwork, name: str) -> bytes:
    """The archive of one node: its blocks, and its newest certificate."""
    core, store = net.core(name), net.nodes[name].store
    assert core.checkpoints is not None
    certified = core.checkpoints.certified
    assert certified is not None
    assert certified.height == core.state.chain.tip.height
    blocks = [
        Block(entry.header, tuple(store.votes_of(entry.hash)), entry.extras)
        for entry in core.state.chain.best
        if entry.height > 0
    ]
    return b"".join(archive_lines(net.election, map(as_stored, blocks), str(certified.certificate.note)))


def both(folder: Path, archive: bytes) -> tuple[Any, Any]:
    """The reports of the product and of the verifier."""
    path = folder / "archive"
    path.write_bytes(archive)
    return ArchiveCheck(io.BytesIO(archive), NOW).run(), verifier.check_archive(str(path), None, NOW)


def agreed(folder: Path, archive: bytes) -> Any:
    ours, theirs = both(folder, archive)
    for name in ("height", "tip", "votes", "work", "network_id", "final"):
        assert theirs[name] == getattr(ours, name), name
    same_contests(theirs["contests"], ours.contests)
    assert tuple(theirs["signed_by"]) == ours.signed_by
    return ours


@pytest.mark.parametrize(("count", "down"), [(1, 0), (2, 0), (3, 0), (3, 1), (4, 1), (5, 1)])
def test_an_archive_of_named_nodes_holds(tmp_path: Path, count: int, down: int) -> None:
    net = NamedNetwork(count)
    for index in range(down):
        net.crash(named(count - 1 - index))
    net.cast(make_votes(net.election, 40), named(0))
    settle(net, 40)
    net.cast(make_votes(net.election, 7, first=41), named(0))
    settle(net, 47)
    report = agreed(tmp_path, archive_of(net, named(0)))
    assert report.votes == 47
    assert len(report.signed_by) == count - down >= net.election.quorum
    assert report.finality.startswith("these votes are final, more may come: signed by ")


def test_every_node_and_relay_writes_the_same_blocks(tmp_path: Path) -> None:
    net = NamedNetwork(3, relays=["relay"])
    net.cast(make_votes(net.election, 20), "relay")
    settle(net, 20)
    reports = [agreed(tmp_path, archive_of(net, name)) for name in (*net.names, "relay")]
    assert len({report.tip for report in reports}) == 1
    assert all(len(report.signed_by) >= net.election.quorum for report in reports)


def receipts_agree(folder: Path, receipt: Receipt) -> Any:
    data = encode_receipt(receipt)
    path = folder / "receipt"
    path.write_bytes(data)
    ours, theirs = check_receipt(decode_receipt(data), NOW), verifier.check_receipt(str(path), None, NOW)
    assert (theirs["vote_id"], theirs["final"]) == (ours.vote_id, ours.final)
    assert tuple(theirs.get("signed_by", ())) == ours.signed_by
    assert tuple(theirs.get("received_by", ())) == ours.received_by
    return ours


def test_a_final_receipt_of_named_nodes_holds(tmp_path: Path) -> None:
    net = NamedNetwork(4)
    votes = make_votes(net.election, 9)
    net.cast(votes, named(1))
    settle(net, 9)
    for vote in votes:
        proof = told(net, named(2), GetProof(voter_id=vote.voter_id))
        assert isinstance(proof, Proof)
        assert proof.vote == vote.vote
        report = receipts_agree(tmp_path, make_final_receipt(net.election, vote.vote, proof.proof))
        assert (report.final, len(report.signed_by) >= 3) == (True, True)


def accepted(net: NamedNetwork, vote: HashedVote) -> Receipt:
    client = net.client(named(0))
    client.send(encode_message(SubmitVotes(votes=(vote.vote,), acceptances=True)))
    assert net.run_until(lambda: bool(client.lines), 5.0)
    answer = decode_message(client.lines[0])
    assert isinstance(answer, VotesTaken)
    return make_received_receipt(net.election, vote.vote, answer.outcomes[0].acceptances)


def test_a_receipt_of_acceptances_holds(tmp_path: Path) -> None:
    net = NamedNetwork(5)
    net.crash(named(4))
    report = receipts_agree(tmp_path, accepted(net, make_vote(net.election)))
    assert report.received_by == ("Node 0", "Node 1", "Node 2", "Node 3")
    assert not report.final


# -- the end of an election ------------------------------------------------------------------------


def ended(net: NamedNetwork) -> NamedNetwork:
    """The network once every late vote is in a block, and that is certified."""
    assert until_over(net, 200.0)
    assert net.run_until(net.all_certified, 10.0)
    return net


def final_result(archive: bytes) -> FinalResult:
    check = ArchiveCheck(io.BytesIO(archive), NOW)
    builder = ResultBuilder(check.election)
    for entry, votes in check.blocks():
        builder.add(votes, entry.extras)
    assert check.certificate is not None
    return builder.result(
        height=check.chain.tip.height,
        tip_hex=check.chain.tip.hash.hex(),
        tally=check.chain.tally,
        certificate=str(check.certificate.note),
    )


def results_agree(folder: Path, archive: bytes) -> Any:
    """What the verifier says of the final result that the product makes of an archive."""
    (folder / "archive").write_bytes(archive)
    (folder / "result").write_bytes(encode_result(final_result(archive)))
    return verifier.check_result(str(folder / "result"), None, NOW, str(folder / "archive"))


@pytest.mark.parametrize("count", [1, 3, 4, 5, 7])
def test_the_archive_of_an_ended_election_is_a_final_result(tmp_path: Path, count: int) -> None:
    net = NamedNetwork(count, closes=CLOSES)
    net.cast(make_votes(net.election, 9), named(0))
    net.run(CLOSES - net.now - 0.3)
    net.cast(make_votes(net.election, 3, first=50), named(count - 1))
    archive = archive_of(ended(net), named(0))
    report = agreed(tmp_path, archive)
    assert (report.votes, report.final) == (12, True)
    assert report.finality.startswith("final result: signed by ")
    found = results_agree(tmp_path, archive)
    assert (found["votes"], found["not_counted"], found["final"]) == (12, 0, True)


def test_votes_of_both_sides_of_a_partition_are_counted_once(tmp_path: Path) -> None:
    net = NamedNetwork(5, closes=CLOSES)
    net.cast(make_votes(net.election, 4), named(0))
    settle(net, 4)
    net.run(CLOSES - net.now - 2.0)
    net.partition([named(0), named(1), named(2)], [named(3), named(4)])
    twice = [make_vote(net.election, "twice", name) for name in ("Alice", "Bob")]
    again = make_vote(net.election, "voter-1", "Charlie")
    net.cast([*make_votes(net.election, 3, first=20), twice[0]], named(0))
    net.cast([*make_votes(net.election, 2, first=30), twice[1], again], named(3))
    net.run(90.0)
    net.heal()
    archive = archive_of(ended(net), named(4))
    report = agreed(tmp_path, archive)
    assert (report.votes, report.final) == (4 + 3 + 2 + 1, True)
    assert b'"kind":"not-counted"' in archive
    assert results_agree(tmp_path, archive)["not_counted"] == 1
    late = min(twice, key=lambda vote: vote.id)
    proof = told(net, named(1), GetProof(voter_id="twice"))
    assert isinstance(proof, Proof)
    assert proof.vote == late.vote
    assert receipts_agree(tmp_path, make_final_receipt(net.election, late.vote, proof.proof)).final


@pytest.mark.parametrize("seed", [23])
def test_both_read_what_nodes_decide_while_their_election_is_amended(tmp_path: Path, seed: int) -> None:
    story = AmendedStory(seed)
    story.play()
    archive = archive_of(story.net, named(0))
    for made in (Amended(archive, story.roll), Amended(archive)):
        report = Readers(tmp_path).same(made)
    assert report["amendments"]
    check = ArchiveCheck(io.BytesIO(archive), NOW, roll=story.roll)
    (tmp_path / "result").write_bytes(encode_result(result_of_archive(check, check.blocks())))
    others = (str(tmp_path / "archive"), str(tmp_path / "roll"))
    assert verifier.check_result(str(tmp_path / "result"), None, NOW, *others)["final"]


def test_a_broken_acceptance_is_proven_by_the_archive(tmp_path: Path) -> None:
    """One of five signs for a vote and leaves it out of its list: no other node has the vote."""
    net = NamedNetwork(5, closes=CLOSES)
    net.cast(make_votes(net.election, 3), named(0))
    settle(net, 3)
    vote = make_vote(net.election, "left out")
    group = accept_group(
        keys_of_node(2).statement,
        network_hex=net.election.network_hex,
        node=2,
        time=CLOSES - 1,
        vote_ids=[vote.id],
    )
    archive = archive_of(ended(net), named(0))
    made = evidence_of_acceptance(net.election, group.acceptance(0), vote.vote)
    (tmp_path / "archive").write_bytes(archive)
    (tmp_path / "lie").write_bytes(encode_evidence(made))
    found = verifier.check_evidence(str(tmp_path / "lie"), None, NOW, str(tmp_path / "archive"))
    ours = check_evidence(made, None, read_final_chain(tmp_path / "archive", net.election.network_hex))
    assert (found["node"], found["name"]) == (ours.node, ours.name) == (2, "Node 2")

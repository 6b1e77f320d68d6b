"""Proofs that a node answers with: of its chain, and with named nodes of the log."""

from __future__ import annotations

from tests.protocol.node.test_answers import ask

from support.elections import TRIVIAL_BITS, make_election, make_vote, make_votes, mine_block
from support.named_network import NamedNetwork, named
from support.nodes import HandNode
from votenet.core.ledger.block import header_from_hex
from votenet.core.ledger.vote import hash_vote
from votenet.core.log.certificate import read_certificate
from votenet.core.log.merkle import root_from_path, roots_from_consistency
from votenet.core.log.tlog_proof import check_path, parse_proof
from votenet.protocol.wire.client_messages import (
    CheckpointMessage,
    GetCheckpoint,
    GetProof,
    GetResults,
    GetVoteStatus,
    Proof,
    Results,
    VoteStatus,
)
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.peer_messages import MAX_HEADERS, GetHeaders, Headers

RELAY = "relay"


def test_a_proof_leads_from_the_vote_to_the_header_of_its_block() -> None:
    node = HandNode()
    node.submit(*make_votes(node.election, 7))
    node.mine()
    for vote in node.store.votes_of(node.chain.tip.hash):
        proof = ask(node, GetProof(voter_id=vote.voter_id, id=4))
        assert isinstance(proof, Proof)
        assert proof.vote is not None
        assert (proof.id, proof.height, proof.size, hash_vote(proof.vote)) == (4, 1, 7, vote)
        path = [bytes.fromhex(sibling) for sibling in proof.path]
        root = root_from_path(vote.id, proof.position, proof.size, path)
        assert root == header_from_hex(proof.header).merkle_root
        assert proof.headers == (proof.header,)


def test_a_vote_that_is_in_no_block_has_no_proof() -> None:
    node, vote = HandNode(), make_vote(make_election(), "waits")
    node.submit(vote)
    assert ask(node, GetProof(voter_id="waits", id=1)) == Proof(vote=vote.vote, id=1)
    assert ask(node, GetProof(voter_id="nobody")) == Proof()


def test_a_proof_carries_a_bounded_number_of_headers_and_a_client_may_ask_for_the_rest() -> None:
    node = HandNode(make_election(bits=TRIVIAL_BITS))
    header, blocks = node.chain.genesis.header, []
    for _ in range(MAX_HEADERS + 2):
        block = mine_block(node.election, header)
        blocks.append(block)
        header = block.header
    node.meet(1)
    node.give(1, *blocks)
    node.submit(make_vote(node.election, "late"))
    node.mine()
    proof = ask(node, GetProof(voter_id="late"))
    assert isinstance(proof, Proof)
    assert (proof.height, len(proof.headers)) == (MAX_HEADERS + 3, MAX_HEADERS)
    last = header_from_hex(proof.headers[-1]).hash.hex()
    rest = ask(node, GetHeaders(locator=(last,), id=8))
    assert isinstance(rest, Headers)
    assert (rest.id, len(rest.headers), rest.headers[-1]) == (8, 3, proof.header)


# -- named nodes ---------------------------------------------------------------------------------------


def told(net: NamedNetwork, name: str, message: Message) -> Message:
    """What a node answers a client."""
    client = net.client(name)
    client.ask(message)
    assert net.run_until(lambda: bool(client.answers()), 5.0)
    (answer,) = client.answers()
    return answer


def voted(*groups: int) -> NamedNetwork:
    """Three named nodes and a relay; votes in groups, each in blocks of its own, all certified."""
    net = NamedNetwork(3, relays=[RELAY])
    for votes in groups:
        count = net.core(named(0)).state.chain.tally.votes + votes
        net.cast(make_votes(net.election, votes, first=count - votes + 1), named(votes % 3))
        settle(net, count)
    return net


def settle(net: NamedNetwork, votes: int) -> None:
    """Until all nodes have so many votes, and nothing is under way."""
    assert net.run_until(lambda: net.all_count(votes), 60.0)
    net.run(5.0)
    assert net.all_certified()


def check_final(net: NamedNetwork, proof: Message, voter_id: str) -> None:
    assert isinstance(proof, Proof)
    assert proof.vote is not None
    assert proof.vote.voter_id == voter_id
    read = parse_proof(proof.proof)
    certificate = read_certificate(str(read.note), net.election.named_keys)
    assert check_path(read, hash_vote(proof.vote).id).size == certificate.size
    assert len(certificate.signers) >= net.election.quorum


def test_named_nodes_and_relays_prove_with_a_certificate_that_a_vote_is_in_the_log() -> None:
    net = voted(3, 1, 300)
    for name in (named(0), named(2), RELAY):
        for voter in ("voter-1", "voter-3", "voter-4", "voter-5", "voter-304"):
            check_final(net, told(net, name, GetProof(voter_id=voter, id=3)), voter)
            status = told(net, name, GetVoteStatus(voter_id=voter))
            assert isinstance(status, VoteStatus)
            assert status.state == "final"
        assert told(net, name, GetProof(voter_id="nobody", id=4)) == Proof(id=4)


def test_after_a_restart_the_same_votes_are_proven_and_the_later_ones_too() -> None:
    net = voted(2, 5)
    net.restart(named(1))
    net.keep_joined([*net.names, RELAY])
    check_final(net, told(net, named(1), GetProof(voter_id="voter-6")), "voter-6")
    net.cast(make_votes(net.election, 4, first=8), named(1))
    settle(net, 11)
    for voter in ("voter-1", "voter-7", "voter-11"):
        check_final(net, told(net, named(1), GetProof(voter_id=voter)), voter)


def test_a_vote_in_a_block_that_no_certificate_covers_yet_is_not_final() -> None:
    net = voted(1)
    core = net.core(named(0))
    assert core.checkpoints is not None
    certified = core.checkpoints.certified
    net.cast(make_votes(net.election, 2, first=2), named(0))
    settle(net, 3)
    core.checkpoints.certified = certified  # as if its cosignatures were still on their way
    early = told(net, named(0), GetProof(voter_id="voter-3"))
    assert isinstance(early, Proof)
    assert certified is not None
    assert (early.vote is not None, early.proof) == (True, "")
    assert early.height > certified.height
    status = told(net, named(0), GetVoteStatus(voter_id="voter-3"))
    assert isinstance(status, VoteStatus)
    assert (status.state, status.height) == ("in_block", early.height)
    results = told(net, named(0), GetResults())
    assert isinstance(results, Results)
    assert results.final_height == certified.height < results.height
    check_final(net, told(net, named(0), GetProof(voter_id="voter-1")), "voter-1")


def test_results_say_how_far_the_count_is_final_and_who_signed() -> None:
    net = NamedNetwork(3)
    first = told(net, named(0), GetResults())
    assert isinstance(first, Results)
    assert (first.final_height, first.signed_by) == (None, ())
    net.cast(make_votes(net.election, 2), named(0))
    settle(net, 2)
    results = told(net, named(0), GetResults())
    assert isinstance(results, Results)
    assert results.height == results.final_height == net.core(named(0)).state.chain.tip.height
    assert results.signed_by == ("Node 0", "Node 1", "Node 2")


def test_the_log_of_a_checkpoint_that_was_seen_is_shown_to_have_grown() -> None:
    net = voted(3, 1, 40)
    core = net.core(named(0))
    assert core.checkpoints is not None
    *sizes, last = core.checkpoints.sizes
    height = len(sizes)
    assert (sizes[0], last) == (1, 44 + height + 1)
    for name in (named(1), RELAY):
        for old in sizes:
            answer = told(net, name, GetCheckpoint(size=old, id=2))
            assert isinstance(answer, CheckpointMessage)
            new = read_certificate(answer.note, net.election.named_keys)
            assert (new.size, answer.height) == (last, height)
            roots = roots_from_consistency(old, new.size, [bytes.fromhex(node) for node in answer.proof])
            assert roots is not None
            assert roots[1] == new.root
        for size in (0, last, 10**6):
            answer = told(net, name, GetCheckpoint(size=size))
            assert isinstance(answer, CheckpointMessage)
            assert (answer.height, answer.proof) == (height, ())


def test_without_a_certificate_the_checkpoint_is_empty() -> None:
    net = NamedNetwork(3)
    assert told(net, named(0), GetCheckpoint(size=5, id=1)) == CheckpointMessage(id=1)
    node = HandNode()
    assert ask(node, GetCheckpoint(size=1)) == CheckpointMessage()

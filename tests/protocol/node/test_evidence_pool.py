"""Named nodes catch a liar, tell everybody, and remember it."""

from __future__ import annotations

import msgspec
import pytest

from support.elections import CREATED, keys_of_node, make_vote, make_votes
from support.evidence_files import GOOD
from support.named_network import NamedNetwork, named
from votenet.core.encoding import canonical
from votenet.core.ledger.statement import PrevoteStatement
from votenet.core.records.acceptance import accept_group
from votenet.core.records.evidence import check_lie, evidence_of_acceptance, evidence_with
from votenet.protocol.wire.client_messages import EvidenceList, GetEvidence
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.named_messages import ConsensusVote, ConsensusVotes, EvidenceMessage, Lie

LIE = "Node 3 (Node 3) prevoted two different blocks at height 1 in round 0."


def prevote(net: NamedNetwork, block: str, node: int = 3) -> ConsensusVote:
    statement = PrevoteStatement(
        block=block, height=1, network_id=net.election.network_hex, node=node, round=0
    )
    signature = statement.sign(keys_of_node(node).statement)
    return ConsensusVote(kind="prevote", height=1, round=0, node=node, signature=signature, block=block)


def lie_of_node_3(net: NamedNetwork, *hearers: int) -> None:
    """It says one thing to the first of them, another to the next."""
    links = net.core(named(3)).state.named_links()
    for hearer, block in zip(hearers, ("aa" * 32, "bb" * 32), strict=True):
        net.core(named(3)).state.send(links[hearer], ConsensusVotes(votes=(prevote(net, block),)))


def network() -> NamedNetwork:
    return NamedNetwork(4, relays=["relay"])


def everybody_knows(net: NamedNetwork) -> bool:
    return all(node.core.state.lies == (LIE,) for node in net.alive())


def test_a_node_that_prevotes_twice_is_named_at_every_node_and_relay() -> None:
    net = network()
    lie_of_node_3(net, 0, 1)
    assert net.run_until(lambda: everybody_knows(net), 10.0)
    status = net.core("relay").status(0.0)
    assert status.lies == (LIE,)
    assert net.refusals == [], "nobody is banned for what it signed"
    net.cast(make_votes(net.election, 3), named(0))
    assert net.run_until(lambda: net.all_count(3), 60.0)
    assert net.no_two_decisions()


def test_evidence_survives_a_crash_and_reaches_nodes_that_come_later() -> None:
    net = network()
    net.crash(named(2))
    lie_of_node_3(net, 0, 1)
    net.run(5.0)
    for name in (named(0), "relay"):
        net.crash(name)
        net.restart(name)
    net.restart(named(2))
    assert net.run_until(lambda: everybody_knows(net), 30.0)


def test_a_client_gets_the_proofs_and_checks_them_itself() -> None:
    net = network()
    lie_of_node_3(net, 0, 1)
    net.run_until(lambda: everybody_knows(net), 10.0)
    client = net.client("relay")
    client.send(encode_message(GetEvidence(id=7)))
    net.run(1.0)
    answer = decode_message(client.lines[-1])
    assert isinstance(answer, EvidenceList)
    (lie,) = answer.lies
    assert answer.id == 7
    evidence = evidence_with(net.election, lie.kind, lie.node, bytes(lie.proof))
    assert check_lie(evidence, net.election, None) == LIE


@pytest.mark.parametrize("kind", ["two-prevotes", "two-roots", "no-such-kind"])
def test_a_peer_that_sends_false_evidence_is_refused(kind: str) -> None:
    """Evidence of another election, or of none."""
    net = network()
    proof = canonical(GOOD.get(kind, GOOD["two-prevotes"]).proof)
    message = EvidenceMessage(lies=(Lie(kind=kind, node=3, proof=msgspec.Raw(proof)),))
    (link, *_) = net.core("relay").state.sync.peers
    net.core("relay").state.send(link, message)
    net.run(2.0)
    assert [refusal.code for refusal in net.refusals] == ["bad-evidence"]
    assert not any(node.core.state.lies for node in net.alive())


def test_a_broken_acceptance_is_judged_once_the_result_is_final() -> None:
    closes = CREATED + 160
    net = NamedNetwork(4, relays=["relay"], closes=closes)
    net.cast(make_votes(net.election, 2), named(0))
    vote = make_vote(net.election, "left-out")
    group = accept_group(
        keys_of_node(3).statement,
        network_hex=net.election.network_hex, node=3, time=closes - 1, vote_ids=[vote.id],
    )  # fmt: skip
    proof = canonical(evidence_of_acceptance(net.election, group.acceptance(0), vote.vote).proof)
    message = EvidenceMessage(lies=(Lie(kind="broken-acceptance", node=3, proof=msgspec.Raw(proof)),))

    def tell() -> None:
        for link in net.core("relay").state.sync.peers:
            net.core("relay").state.send(link, message)
        net.run(2.0)

    tell()
    assert [node.core.state.lies for node in net.alive()] == [()] * 5
    assert net.refusals == [], "no peer is blamed for it either"
    net.run(closes - net.now + 20.0)
    tell()
    lie = "Node 3 (Node 3) signed that it accepted the vote of 'left-out' before closing, and left it out."
    assert [net.core(named(index)).state.lies for index in range(4)] == [(lie,)] * 4

"""The log at a node: it grows with the chain, and its certificate is what a quorum cosigned."""

from __future__ import annotations

from typing import Any

import pytest

from support.elections import key_of, make_votes
from support.named_network import NamedNetwork, named
from votenet.core.election.definition import Witness
from votenet.core.ledger.block import log_leaves, log_start
from votenet.core.log.certificate import Certificate, checkpoint_text, read_certificate
from votenet.core.log.cosignature import cosign
from votenet.core.log.merkle import consistency_holds
from votenet.core.log.signed_note import COSIGNATURE_V1, SignedNote, VerifierKey, verified_keys
from votenet.core.log.tiles import LogFrontier, consistency_proof
from votenet.errors import RemoteProtocolError
from votenet.protocol.node.events import Witnessed
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.named_messages import CertificateMessage, CosignatureMessage


def grown(votes: int) -> NamedNetwork:
    net = NamedNetwork(4)
    for at in range(votes):
        net.cast(make_votes(net.election, 1, first=at + 1), named(at % 4))
        net.run(2.0)
    assert net.run_until(lambda: net.all_count(votes) and net.all_certified(), 60.0)
    return net


def log_of(net: NamedNetwork, name: str) -> LogFrontier:
    core = net.core(name)
    frontier = log_start(net.election)
    for entry in core.state.chain.best[1:]:
        leaves = log_leaves(entry.header, core.state.votes_of(entry.hash), entry.extras.records)
        frontier, _ = frontier.append(leaves)
    return frontier


def test_all_nodes_have_one_certificate_that_holds_for_the_log_of_their_chain() -> None:
    net = grown(5)
    keys = net.election.named_keys
    for node in net.alive():
        checkpoints = node.core.checkpoints
        assert checkpoints is not None
        assert checkpoints.certified is not None
        read = read_certificate(str(checkpoints.certified.certificate.note), keys)
        log = log_of(net, node.name)
        assert (read.size, read.root) == (log.size, log.root)
        assert len(read.signers) >= net.election.quorum


def test_the_stored_tiles_prove_that_the_log_only_grew() -> None:
    net = grown(3)
    before = log_of(net, named(0))
    net.cast(make_votes(net.election, 300, first=100), named(1))
    assert net.run_until(lambda: net.all_count(303), 60.0)
    now, store = log_of(net, named(0)), net.nodes[named(0)].store
    proof = consistency_proof(before.size, now.size, store.tile)
    assert consistency_holds(before.size, now.size, before.root, now.root, proof)


def test_after_a_restart_log_and_certificate_are_as_before() -> None:
    net = grown(4)
    before = net.core(named(2)).checkpoints
    net.restart(named(2))
    after = net.core(named(2)).checkpoints
    assert before is not None
    assert after is not None
    assert after.frontier == before.frontier
    assert after.certified is not None
    assert before.certified is not None
    assert after.certified.height == before.certified.height


def test_a_relay_hands_on_the_line_of_a_log_key() -> None:
    """Tools of others take no checkpoint that no log key signed, and a relay has none."""
    net = NamedNetwork(4, relays=["relay"])
    net.cast(make_votes(net.election, 3), "relay")
    assert net.run_until(lambda: net.all_count(3) and net.all_certified(), 60.0)
    checkpoints = net.core("relay").checkpoints
    assert checkpoints is not None
    assert checkpoints.certified is not None
    assert len(verified_keys(checkpoints.certified.certificate.note, net.election.named_keys.log_keys)) == 1


def test_the_cosignature_of_a_witness_stands_in_the_certificate_and_reaches_relays() -> None:
    outsider = VerifierKey("witness.example/w", COSIGNATURE_V1, key_of("outsider").public)
    listed = Witness(key=str(outsider), name="Outsider", url="http://witness.example")
    net = NamedNetwork(4, relays=["relay"], witnesses=[listed])
    net.cast(make_votes(net.election, 3), named(0))
    assert net.run_until(lambda: net.all_count(3) and net.all_certified(), 60.0)
    first = certificate_of(net, named(1))
    other = checkpoint_text(net.election.network_id, first.size + 1, first.root)
    for text in (other, first.note.text):  # an answer for a checkpoint that is old by now is of no use
        line = outsider.signed(cosign(key_of("outsider"), text, 5))
        net.nodes[named(1)].post(Witnessed(SignedNote(text, (line,))))
    assert net.run_until(lambda: line in certificate_of(net, "relay").note.signatures, 60.0)
    for name in (named(1), "relay"):
        assert certificate_of(net, name).signers.keys() == first.signers.keys()
        assert str(certificate_of(net, name).note).count("witness.example") == 1
    net.restart("relay")
    assert line in certificate_of(net, "relay").note.signatures


def test_a_certificate_that_brings_nothing_new_is_not_saved_again() -> None:
    net = grown(1)
    core = net.core(named(0))
    assert core.checkpoints is not None
    certified = core.checkpoints.certified
    assert certified is not None
    message = CertificateMessage(height=certified.height, note=str(certified.certificate.note))
    core.ready(net.now)
    core.checkpoints.on_certificate(0, message, net.now)
    assert core.ready(net.now).save == []


def certificate_of(net: NamedNetwork, name: str) -> Certificate:
    checkpoints = net.core(name).checkpoints
    assert checkpoints is not None
    assert checkpoints.certified is not None
    return checkpoints.certified.certificate


def junk(size: int, node: int = 1) -> CosignatureMessage:
    return CosignatureMessage(cosignature="ab" * 72, node=node, root="cd" * 32, size=size)


@pytest.mark.parametrize("node", [0, 4, 2**53 - 1])
def test_a_cosignature_that_its_node_did_not_make_is_refused(node: int) -> None:
    net = grown(1)
    checkpoints = net.core(named(0)).checkpoints
    assert checkpoints is not None
    for size in (1, checkpoints.frontier.size - 1, checkpoints.frontier.size):
        with pytest.raises(RemoteProtocolError) as refused:
            checkpoints.on_cosignature(0, junk(size, node), 0.0)
        assert refused.value.code == "bad-statement"


def test_lines_for_blocks_that_never_come_are_few_and_displace_none_of_others() -> None:
    net = grown(1)
    core = net.core(named(0))
    checkpoints = core.checkpoints
    assert checkpoints is not None
    size = checkpoints.frontier.size
    for at in range(1000):  # of a link that lies
        checkpoints.on_cosignature(77, junk(size + 1 + at), 0.0)
    net.cast(make_votes(net.election, 1, first=50), named(1))
    assert net.run_until(lambda: net.all_count(2) and net.all_certified(), 60.0)
    assert len(checkpoints.signers) >= net.election.quorum


def test_cosignatures_that_reached_no_other_node_are_told_again_when_links_come_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = NamedNetwork(3)

    def tell_named(state: NodeState, message: Message, told: Any = NodeState.tell_named) -> None:
        if not isinstance(message, CosignatureMessage):
            told(state, message)

    with monkeypatch.context() as patch:
        patch.setattr(NodeState, "tell_named", tell_named)
        net.cast(make_votes(net.election, 1), named(0))
        assert net.run_until(lambda: net.all_count(1), 60.0)
        net.run(5.0)
    assert [core.checkpoints and core.checkpoints.certified for core in map(net.core, net.names)] == [
        None
    ] * 3
    net.cut(named(0), named(1))
    assert net.run_until(lambda: certified_at(net, 0) == certified_at(net, 1) == 1, 30.0)
    net.cut(named(0), named(2))
    assert net.run_until(net.all_certified, 30.0), "no block follows: nothing else would tell named-2"


def certified_at(net: NamedNetwork, index: int) -> int:
    checkpoints = net.core(named(index)).checkpoints
    assert checkpoints is not None
    return 0 if checkpoints.certified is None else checkpoints.certified.height

"""Named nodes that sign two logs are found out, by whatever of it reaches an honest node."""

from __future__ import annotations

import msgspec
import pytest

from support.elections import keys_of_node, make_votes
from support.named_network import NamedNetwork, named
from votenet.core.ledger.block import log_leaves
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint, make_certificate
from votenet.core.log.merkle import leaf_hash, merkle_root
from votenet.protocol.node.split_views import Cosigned, cosignature_message
from votenet.protocol.wire.named_messages import CertificateMessage, CosignatureMessage

LIAR = 3


def voted_network() -> NamedNetwork:
    """Some blocks, all of them certified everywhere."""
    net = NamedNetwork(4, relays=["relay"])
    for at in range(3):
        net.cast(make_votes(net.election, 2, first=2 * at + 1), named(at))
        net.run(6.0)
    assert net.run_until(lambda: net.all_count(6) and net.all_certified(), 60.0)
    return net


def show(net: NamedNetwork, leaves: list[bytes], nodes: tuple[int, ...] = (1, 2, 3)) -> None:
    """The relay shows node 0 a certificate of this log that these nodes have signed."""
    text = checkpoint_text(net.election.network_id, len(leaves), merkle_root(leaves))
    lines = [cosign_checkpoint(keys_of_node(node).cosign, node, text, 1) for node in nodes]
    core = net.core("relay")
    link = next(
        link
        for link, peer in core.state.sync.peers.items()
        if core.state.election.node_index(peer.peer_info.node_key) == 0
    )
    core.state.send(link, CertificateMessage(height=1, note=str(make_certificate(text, lines))))
    net.run(3.0)


def log_of(net: NamedNetwork) -> list[bytes]:
    """The leaves of the log behind the tip."""
    state = net.core(named(0)).state
    leaves = [leaf_hash(state.chain.best[0].header.pack())]
    for entry in state.chain.best[1:]:
        leaves += log_leaves(entry.header, state.votes_of(entry.hash), entry.extras.records)
    return leaves


@pytest.mark.parametrize(
    ("shorter", "kind"), [(0, "cosigned two logs of"), (3, "changed what it had cosigned")]
)
def test_nodes_that_signed_two_logs_are_named(shorter: int, kind: str) -> None:
    net = voted_network()
    leaves = log_of(net)
    show(net, [*leaves[:2], leaf_hash(b"another vote"), *leaves[3 : len(leaves) - shorter]])
    assert net.run_until(lambda: all(len(node.core.state.lies) == 3 for node in net.alive()), 10.0)
    for node, lie in enumerate(net.core(named(2)).state.lies, start=1):
        assert lie.startswith(f"Node {node} (Node {node})")
        assert kind in lie


def test_an_old_certificate_is_no_lie_and_a_forged_one_closes_the_link() -> None:
    net = voted_network()
    leaves = log_of(net)
    for size in range(1, len(leaves)):
        show(net, leaves[:size])
    show(net, [*leaves, leaf_hash(b"more")])
    assert net.refusals == []
    show(net, [leaf_hash(b"other"), *leaves[1:5]], nodes=(1,))
    assert [refusal.code for refusal in net.refusals] == ["bad-statement"]
    assert all(node.core.state.lies == () for node in net.alive())


# -- single cosignatures ---------------------------------------------------------------------------


def cosign(net: NamedNetwork, size: int, root: bytes = b"x" * 32) -> CosignatureMessage:
    line = cosign_checkpoint(
        keys_of_node(LIAR).cosign, LIAR, checkpoint_text(net.election.network_id, size, root), 1
    )
    return cosignature_message(Cosigned(size, root, LIAR, line.signature))


def tell(net: NamedNetwork, hearer: int, message: CosignatureMessage) -> None:
    """The liar tells one node, as many times as it likes."""
    state = net.core(named(LIAR)).state
    for _ in range(3):
        state.send(state.named_links()[hearer], message)


def proven(net: NamedNetwork, words: str) -> bool:
    lies = [node.core.state.lies for node in net.alive()]
    start = f"Node {LIAR} (Node {LIAR}) {words}"
    return all(len(said) == 1 and said[0].startswith(start) for said in lies)


def vote_again(net: NamedNetwork, count: int) -> None:
    net.cast(make_votes(net.election, 1, first=count), named(0))
    assert net.run_until(lambda: net.all_count(count) and net.all_certified(), 60.0)


def test_two_roots_of_one_size_are_proven_by_one_node_that_saw_one_of_them() -> None:
    """It has the other one from the block before; nothing more is said."""
    net = voted_network()
    tell(net, 0, cosign(net, len(log_of(net))))
    assert net.run_until(lambda: proven(net, "showed different voters different chains"), 10.0)
    vote_again(net, 7)
    assert net.refusals == []


def test_two_roots_are_proven_whichever_of_them_comes_first() -> None:
    """The liar cosigns our log only after the other one, and tells another node of it."""
    net = voted_network()
    core = net.core(named(0))
    assert core.checkpoints is not None
    size = len(log_of(net))
    tell(net, 0, cosign(net, size + 2))  # before the block of this size is there
    vote_again(net, 7)
    assert len(log_of(net)) == size + 2
    assert net.run_until(lambda: proven(net, "showed different voters different chains"), 10.0)


def test_a_cosigned_past_that_never_was_is_proven_with_what_the_liar_cosigns_later() -> None:
    net = voted_network()
    tell(net, 0, cosign(net, 3))
    tell(net, 1, cosign(net, 4, b"y" * 32))
    assert net.run_until(lambda: proven(net, "changed what it had cosigned"), 10.0)
    vote_again(net, 7)
    assert net.refusals == []


def test_old_checkpoints_and_those_of_no_log_that_may_come_are_no_lies() -> None:
    net = voted_network()
    leaves = log_of(net)
    for size in range(1, len(leaves) + 1):
        tell(net, 0, cosign(net, size, merkle_root(leaves[:size])))
    for size in (len(leaves) + 100, 2**53 - 1):
        tell(net, 0, cosign(net, size))
    net.run(5.0)
    vote_again(net, 7)
    assert all(node.core.state.lies == () for node in net.alive())
    assert net.refusals == []


def test_a_forged_cosignature_closes_the_link_and_accuses_no_node() -> None:
    net = voted_network()
    made = cosign(net, len(log_of(net)))
    tell(net, 0, msgspec.structs.replace(made, node=1))
    net.run(2.0)
    assert [refusal.code for refusal in net.refusals] == ["bad-statement"]
    assert all(node.core.state.lies == () for node in net.alive())


def test_a_cosignature_that_comes_before_its_checkpoint_is_written_here_accuses_no_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in one batch with its block: the log has grown, and the end of the batch has not come."""
    net = voted_network()
    with monkeypatch.context() as held:
        held.setattr(net.core(named(0)).checkpoints, "refresh", lambda now: None)
        net.cast(make_votes(net.election, 1, first=7), named(1))
        assert net.run_until(lambda: net.all_count(7), 60.0)
        leaves = log_of(net)
        tell(net, 0, cosign(net, len(leaves), merkle_root(leaves)))
        net.run(5.0)
    vote_again(net, 8)
    net.run(5.0)
    assert all(node.core.state.lies == () for node in net.alive())
    assert net.refusals == []

"""What one node says and proves over one connection."""

from __future__ import annotations

import asyncio

import pytest
from tests.cli.conftest import RunningNode

from support.elections import keys_of_node, make_election, named_nodes
from support.posed_nodes import PosedNode, posed
from votenet import __version__
from votenet.client.node_probe import Probe, clock_ahead, probe_node, prove_key
from votenet.errors import Unreachable, VotenetError
from votenet.protocol.wire.address import Address

ELECTION = make_election(nodes=named_nodes(4))
DAY = 86_400


def probe(address: Address) -> Probe:
    return asyncio.run(probe_node(address))


def test_a_real_node_tells_its_version_clock_and_disk_and_proves_its_key(named_node: RunningNode) -> None:
    found = probe(named_node.address)
    assert found.proof is not None
    assert (found.proof.node_key, found.proof.proven) == (keys_of_node(0).node.public_hex, True)
    assert found.status.version == __version__
    assert found.status.disk_free
    assert found.status.clock
    assert found.error is None


def test_a_node_that_was_probed_has_no_new_peer(named_node: RunningNode) -> None:
    """The handshake is left unfinished: a view of a network must not change what it shows."""
    assert [probe(named_node.address).status.peers for _ in range(3)] == [0, 0, 0]


def test_the_clock_of_a_node_is_compared_with_the_middle_of_the_question() -> None:
    assert clock_ahead(None, 0.0, 1.0) is None
    assert clock_ahead(100, 99.5, 101.5) == 0.0
    assert clock_ahead(100 + DAY, 100.0, 100.0) == DAY + 0.5


@pytest.mark.parametrize("tells", [True, False])
def test_a_clock_that_is_off_is_told_by_the_status_or_by_the_handshake(tells: bool) -> None:
    node = PosedNode(ELECTION, 1, ahead=DAY)
    if not tells:
        status = node.status()
        node.status = lambda: {name: value for name, value in status.items() if name != "clock"}  # type: ignore[method-assign]
    with posed(node):
        ahead = probe(node.address).ahead
    assert ahead == pytest.approx(DAY, abs=3600)


@pytest.mark.parametrize("field", ["clock", "disk_free", "peer_bytes_sent", "height"])
@pytest.mark.parametrize("told", [10**400, 2**53, -1], ids=["no-end", "not-exact", "negative"])
def test_a_number_that_no_node_can_have_is_no_status(field: str, told: int) -> None:
    """Arithmetic with it would end in an error of Python, not in one about that node."""
    liar = PosedNode(ELECTION, 1, changes={field: told})
    with posed(liar), pytest.raises(VotenetError) as refused:
        probe(liar.address)
    assert (refused.value.code, field in refused.value.message) == ("bad-message", True)


def test_a_node_that_refuses_the_handshake_still_tells_its_status() -> None:
    node = PosedNode(ELECTION, 1, greets=False)
    with posed(node):
        found = probe(node.address)
    assert found.status.name == "Node 1"
    assert found.proof is None
    assert found.error is not None
    assert found.error.code == "too-many-connections"


def test_a_node_that_passes_a_handshake_on_does_not_know_the_address_as_its_own() -> None:
    node = PosedNode(ELECTION, 1, knows_itself=False)
    with posed(node):
        found = probe(node.address)
    assert found.proof is not None
    assert (found.proof.node_key, found.proof.proven) == (keys_of_node(1).node.public_hex, False)


def test_where_nothing_listens_there_is_no_probe() -> None:
    with pytest.raises(Unreachable):
        probe(Address("127.0.0.1", 1))


def test_what_is_no_node_is_refused_with_its_own_word() -> None:
    node = PosedNode(ELECTION, 1)
    node.answer = lambda request: {"type": "pong"}  # type: ignore[method-assign]
    with posed(node), pytest.raises(VotenetError) as refused:
        probe(node.address)
    assert refused.value.code == "unexpected-message"


def test_a_name_is_proven_only_by_a_node_that_knows_the_name_itself() -> None:
    """The owner of a name may lead it to a named node for the proof, and elsewhere for all else."""
    node = PosedNode(ELECTION, 1)
    name = Address("localhost", node.address.port)
    with posed(node):
        by_ip = asyncio.run(prove_key(node.address, ELECTION.network_hex))
        by_name = asyncio.run(prove_key(name, ELECTION.network_hex))
        both = probe(name).proof
        listed = asyncio.run(probe_node(name, as_written=True)).proof
    assert (by_ip.proven, by_name.proven) == (True, False)
    assert both is not None
    assert both.proven
    assert listed is not None
    assert not listed.proven

"""Where named nodes are: listed, proved, replaced; what a named node and a relay want to dial."""

from __future__ import annotations

from support.elections import key_of
from votenet.protocol.peers.named_nodes import LINKS_OF_RELAY, MAX_PLACES, NamedNodes

NAMES = {key_of(f"named {number}").public_hex: f"node-{number}" for number in range(1, 5)}
ONE, TWO, THREE, FOUR = NAMES
STRANGER = key_of("stranger").public_hex


def at(number: int) -> str:
    return f"10.{number}.0.1:3000"


def test_a_named_node_wants_every_other_and_a_relay_a_few() -> None:
    for decides in (True, False):
        named = NamedNodes(NAMES, decides=decides)
        for number, key in enumerate(NAMES, start=1):
            named.listed(at(number), key, trusted=True)
        named.listed(at(9), STRANGER, trusted=True), named.listed(at(8), None, trusted=True)
        assert named.wanted([]) == {at(1), at(2), at(3), at(4)}
        assert named.wanted([ONE, STRANGER]) == {at(2), at(3), at(4)}
        joined = list(NAMES)[:LINKS_OF_RELAY]
        assert named.wanted(joined) == ({at(3), at(4)} if decides else set())


def test_a_relay_is_content_with_the_only_named_node() -> None:
    named = NamedNodes({ONE: "node-1"})
    named.listed(at(1), ONE, trusted=True)
    assert named.wanted([]) == {at(1)}
    assert named.wanted([ONE]) == set()


def test_what_a_key_proves_is_believed_over_what_a_server_lists() -> None:
    named = NamedNodes(NAMES, decides=True)
    named.listed(at(1), ONE, trusted=True)
    named.answered(at(1), STRANGER)
    assert named.wanted([]) == set(), "this address is dialled like any other"
    assert named.replaced([]) == [(at(1), "node-1")]
    assert named.replaced([ONE]) == [], "it is joined elsewhere"
    named.answered(at(1), ONE)
    assert named.replaced([]) == []
    assert named.wanted([]) == {at(1)}
    named.answered(at(1), TWO)
    assert named.replaced([]) == [(at(1), "node-1")]
    assert named.wanted([]) == {at(1)}, "of another named node"


def test_a_server_that_lists_much_fills_no_memory_and_hides_no_proven_address() -> None:
    named = NamedNodes(NAMES, decides=True)
    for number in range(1, 250):
        named.listed(at(number), ONE, trusted=True)
    assert len(named.wanted([])) == MAX_PLACES
    named.answered(at(250), ONE)
    assert at(250) in named.wanted([])
    assert len(named.wanted([])) == MAX_PLACES


def test_only_a_proof_or_a_server_of_the_operator_vouches_for_an_address() -> None:
    named = NamedNodes(NAMES, decides=True)
    named.listed(at(1), ONE, trusted=False)
    assert named.wanted([]) == {at(1)}
    assert not named.is_vouched(at(1))
    named.listed(at(1), ONE, trusted=True)
    named.listed(at(2), TWO, trusted=False)
    named.answered(at(2), TWO)
    assert named.is_vouched(at(1))
    assert named.is_vouched(at(2))
    named.answered(at(1), STRANGER)
    assert not named.is_vouched(at(1))


def test_a_server_of_the_operator_finds_room_among_the_lies_of_others() -> None:
    named = NamedNodes(NAMES, decides=True)
    for number in range(1, 100):
        named.listed(at(number), ONE, trusted=False)
    named.listed(at(1), TWO, trusted=True)
    named.listed(at(200), ONE, trusted=True)
    assert named.is_vouched(at(1))
    assert named.is_vouched(at(200))
    assert len(named.wanted([TWO])) == MAX_PLACES
    assert at(1) in named.wanted([ONE]), "it is a place of the key that the configured server lists"

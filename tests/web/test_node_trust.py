"""How far nodes are believed: by who gave them, and by what they prove."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from support.elections import keys_of_node, make_election, named_nodes
from support.posed_nodes import PosedNode, posed
from votenet.core.election.definition import Election
from votenet.errors import RemoteProtocolError
from votenet.protocol.wire.client_messages import NodeStatus
from votenet.web import node_trust
from votenet.web.node_trust import NodeTrust, Trust

ELECTION = make_election(nodes=named_nodes(4))
NAMELESS = make_election()


def trust_in(*given: PosedNode) -> NodeTrust:
    return NodeTrust([str(node.address) for node in given], proof_timeout=60.0)


def ask(trust: NodeTrust, node: PosedNode, election: Election = ELECTION) -> Trust:
    """The trust in a node after it was asked for its key."""
    asyncio.run(trust.ask_key(str(node.address), election))
    return trust.rank(str(node.address))


def status_of(node: PosedNode) -> NodeStatus:
    return msgspec.convert(
        {name: value for name, value in node.status().items() if name != "type"}, NodeStatus
    )


def test_only_given_nodes_are_trusted_where_nodes_are_named_and_all_elsewhere() -> None:
    trust = NodeTrust(["given:1"], proof_timeout=1.0)
    assert (trust.rank("given:1"), trust.rank("found:1")) == (Trust.GIVEN, Trust.UNPROVEN)
    for address, election, trusted in (
        ("given:1", ELECTION, True),
        ("found:1", ELECTION, False),
        ("found:1", NAMELESS, True),
        ("found:1", None, True),
    ):
        assert trust.is_trusted(address, election) is trusted


def test_a_found_node_is_named_once_it_has_proved_its_key() -> None:
    node = PosedNode(ELECTION, 2, name="Node 0")
    trust = trust_in()
    with posed(node):
        assert ask(trust, node) is Trust.NAMED
    address = str(node.address)
    assert trust.is_trusted(address, ELECTION)
    shown = trust.view_of(address, status_of(node), ELECTION)
    assert (shown.name, shown.signs, shown.unproven, shown.given) == ("Node 2", True, False, False)


@pytest.mark.parametrize("given", [True, False])
def test_a_proof_at_an_address_that_the_node_does_not_know_counts_for_a_given_one_alone(given: bool) -> None:
    node = PosedNode(ELECTION, 1, knows_itself=False)
    trust = trust_in(*([node] if given else []))
    with posed(node):
        assert ask(trust, node) is (Trust.GIVEN if given else Trust.UNPROVEN)
    shown = trust.view_of(str(node.address), status_of(node), ELECTION)
    assert (shown.signs, shown.unproven, shown.given) == (given, not given, given)


def test_the_key_of_a_stranger_makes_no_named_node() -> None:
    node = PosedNode(ELECTION)
    with posed(node):
        assert ask(trust_in(), node) is Trust.UNPROVEN


@pytest.mark.parametrize(
    ("changes", "unproven"),
    [
        ({"name": "Node 2"}, True),
        ({"node_key": keys_of_node(2).node.public_hex}, True),
        ({}, False),
    ],
)
def test_a_node_that_only_says_that_it_is_named_is_shown_as_unproven(
    changes: dict[str, str], unproven: bool
) -> None:
    status = status_of(PosedNode(ELECTION, changes=changes))
    assert trust_in().view_of("found:1", status, ELECTION).unproven is unproven


def test_what_strangers_tell_of_lies_is_not_shown() -> None:
    status = status_of(PosedNode(ELECTION, changes={"lies": ["north has lied"]}))
    trust = NodeTrust(["given:1"], proof_timeout=1.0)
    assert trust.view_of("given:1", status, ELECTION).lies == ("north has lied",)
    assert trust.view_of("found:1", status, ELECTION).lies == ()


def test_a_node_that_was_away_proves_its_key_anew_and_stays_given() -> None:
    given, found = PosedNode(ELECTION, 0), PosedNode(ELECTION, 1)
    trust = trust_in(given)
    with posed(given, found):
        assert [ask(trust, node) for node in (given, found)] == [Trust.GIVEN, Trust.NAMED]
        for node in (given, found):
            trust.away(str(node.address))
        assert [trust.rank(str(node.address)) for node in (given, found)] == [Trust.GIVEN, Trust.UNPROVEN]
        assert not trust.view_of(str(given.address), status_of(given), ELECTION).signs
        assert ask(trust, found) is Trust.NAMED


def test_a_node_that_is_forgotten_is_a_stranger() -> None:
    given, found = PosedNode(ELECTION, 0), PosedNode(ELECTION, 1)
    trust = trust_in(given)
    with posed(given, found):
        for node in (given, found):
            ask(trust, node)
            trust.forget(str(node.address))
            assert trust.rank(str(node.address)) is Trust.UNPROVEN
            assert not trust.view_of(str(node.address), status_of(node), ELECTION).signs
        assert ask(trust, found) is Trust.NAMED, "it may be found again"


def test_a_node_is_asked_for_its_key_only_where_nodes_are_named_and_until_it_has_proved_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_trust, "KEY_SECONDS", 0.0)
    node, asked, real = PosedNode(ELECTION, 0), list[object](), node_trust.prove_key

    async def counted(*question: object) -> object:
        asked.append(question)
        return await real(*question)  # type: ignore[arg-type]

    monkeypatch.setattr(node_trust, "prove_key", counted)
    trust = trust_in()
    with posed(node):
        ask(trust, node, NAMELESS)
        assert not asked
        assert [ask(trust, node) for _ in range(3)] == [Trust.NAMED] * 3
    assert asked == [(node.address, ELECTION.network_hex)]


@pytest.mark.parametrize(("again", "expected"), [(0.0, Trust.NAMED), (3600.0, Trust.UNPROVEN)])
def test_after_a_question_that_failed_a_node_is_asked_again_after_its_own_time(
    monkeypatch: pytest.MonkeyPatch, again: float, expected: Trust
) -> None:
    monkeypatch.setattr(node_trust, "KEY_AGAIN_SECONDS", again)
    node = PosedNode(ELECTION, 0)
    trust = trust_in()
    assert ask(trust, node) is Trust.UNPROVEN, "nothing listens there yet"
    with posed(node):
        assert ask(trust, node) is expected


def test_a_node_whose_answer_proves_nothing_is_not_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_trust, "KEY_AGAIN_SECONDS", 0.0)
    node, asked = PosedNode(ELECTION, 0), list[object]()

    async def nonsense(*question: object) -> None:
        asked.append(question)
        raise RemoteProtocolError("bad-hello", "no proof")

    monkeypatch.setattr(node_trust, "prove_key", nonsense)
    trust = trust_in()
    assert [ask(trust, node) for _ in range(2)] == [Trust.UNPROVEN] * 2
    assert len(asked) == 1


def test_a_proof_that_does_not_come_in_time_is_none() -> None:
    node = PosedNode(ELECTION, 0)
    trust = NodeTrust([], proof_timeout=0.0)
    with posed(node):
        assert ask(trust, node) is Trust.UNPROVEN

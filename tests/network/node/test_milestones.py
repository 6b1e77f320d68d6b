"""Each step of an election is told once, as the core of a node takes it."""

from __future__ import annotations

from support.amendments import AUTHORITY, amendment
from support.elections import CREATED
from support.named_network import NamedNetwork, named
from votenet.network.node.milestones import Milestones
from votenet.protocol.wire.client_messages import SubmitAmendment
from votenet.protocol.wire.messages import encode_message

CLOSES = CREATED + 400


def amended(action: str, **members: int) -> tuple[NamedNetwork, Milestones]:
    """Four named nodes, of which the first has an amendment in its chain, and what its log told before."""
    net, milestones = NamedNetwork(4, authority_key=AUTHORITY.public_hex, closes=CLOSES), Milestones()
    assert list(milestones.look(net.core(named(0)))) == []
    one = amendment(net.election, action, **members)
    net.client(named(0)).send(encode_message(SubmitAmendment(amendment=one)))
    assert net.run_until(lambda: len(net.core(named(0)).state.election.amendments) == 1, 60.0)
    return net, milestones


def test_an_amendment_the_closing_and_the_end_are_told_once() -> None:
    net, milestones = amended("extend", closes=CLOSES + 200)
    core = net.core(named(0))
    assert list(milestones.look(core)) == ["amendment 1 is in force: extend"]
    net.run(CLOSES + 200 - net.now - 1)
    assert list(milestones.look(core)) == []
    assert net.run_until(lambda: core.is_final, 60.0)
    assert list(milestones.look(core)) == [
        "voting is over: the closing block is on the chain",
        f"the votes are final: block {core.state.chain.tip.height} is the last one, and signed",
    ]
    assert list(milestones.look(core)) == list(Milestones().look(core)) == []


def test_a_cancelled_election_has_an_end_too() -> None:
    net, milestones = amended("cancel")
    core = net.core(named(0))
    assert net.run_until(lambda: core.is_final, 60.0)
    assert list(milestones.look(core)) == [
        "amendment 1 is in force: cancel", "the cancellation is final: block 1 is the last one, and signed",
    ]  # fmt: skip

"""Acceptances: what a voter gets back, and that a node signs no earlier time after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from support.elections import CREATED, TRIVIAL_BITS, make_election, make_votes, named_nodes
from support.named_network import NamedNetwork, named
from support.nodes import CLIENT, HandNode, sends
from support.simulated_link import SimulatedLink
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.node.acceptances import WAIT_SECONDS
from votenet.protocol.node.events import Tick
from votenet.protocol.wire.client_messages import SubmitVotes, VoteOutcome, VotesTaken
from votenet.protocol.wire.messages import decode_message, encode_message


def submit(net: NamedNetwork, votes: list[HashedVote], at: str, seconds: float = 2.0) -> list[VoteOutcome]:
    client = net.client(at)
    message = SubmitVotes(votes=tuple(hashed.vote for hashed in votes), acceptances=True)
    client.send(encode_message(message))
    assert net.run_until(lambda: bool(client.lines), seconds)
    answer = decode_message(client.lines[0])
    assert isinstance(answer, VotesTaken)
    return list(answer.outcomes)


def signers(net: NamedNetwork, vote: HashedVote, outcome: VoteOutcome) -> list[int]:
    """Who has signed that it holds this vote; every signature is checked."""
    for made in outcome.acceptances:
        made.check(net.election.network_hex, vote.id, net.election.statement_keys)
    return [made.node for made in outcome.acceptances]


class Overheard(NamedNetwork):
    """Counts the lines `accepted` on all links."""

    def __init__(self, count: int, **definition: Any) -> None:
        self.accepted = 0
        super().__init__(count, **definition)

    def delay_on(self, link: SimulatedLink, line: bytes) -> float:
        self.accepted += line.startswith(b'{"type":"accepted"')
        return super().delay_on(link, line)


@pytest.mark.parametrize(
    ("asks", "closes", "lines"), [(False, None, 0), (True, None, 4), (False, 500, 20), (True, 500, 24)]
)
def test_nodes_sign_for_those_who_ask_and_for_every_vote_when_closing_is_near(
    asks: bool, closes: int | None, lines: int
) -> None:
    net = Overheard(5, closes=None if closes is None else CREATED + closes)
    message = SubmitVotes(votes=(make_votes(net.election, 1)[0].vote,), acceptances=asks)
    net.client(named(1)).send(encode_message(message))
    net.run(1.0)
    assert net.accepted == lines


def test_a_node_that_has_the_vote_from_another_one_signs_for_each_that_asks() -> None:
    net = NamedNetwork(5)
    (vote,) = make_votes(net.election, 1)
    clients = [net.client(named(index)) for index in (0, 1)]
    for client in clients:  # both nodes pass it on before either has heard of the other
        client.send(encode_message(SubmitVotes(votes=(vote.vote,), acceptances=True)))
    assert net.run_until(lambda: all(client.lines for client in clients), 2.0)
    for client in clients:
        answer = decode_message(client.lines[0])
        assert isinstance(answer, VotesTaken)
        assert signers(net, vote, answer.outcomes[0]) == [0, 1, 2, 3, 4]


def test_a_voter_gets_the_acceptance_of_every_named_node() -> None:
    net = NamedNetwork(5)
    votes = make_votes(net.election, 3)
    outcomes = submit(net, votes, named(2))
    assert [signers(net, *pair) for pair in zip(votes, outcomes, strict=True)] == [[0, 1, 2, 3, 4]] * 3


def test_with_nodes_down_the_answer_has_those_that_are_up() -> None:
    net = NamedNetwork(5)
    for index in (0, 4):
        net.crash(named(index))
    net.run(1.0)
    (vote,) = make_votes(net.election, 1)
    (outcome,) = submit(net, [vote], named(2))
    assert signers(net, vote, outcome) == [1, 2, 3]


def test_a_vote_that_waits_already_is_signed_for_again() -> None:
    net = NamedNetwork(5)
    for index in (3, 4):
        net.crash(named(index))
    (vote,) = make_votes(net.election, 1)
    submit(net, [vote], named(0))
    (outcome,) = submit(net, [vote], named(1))
    assert outcome.error is not None
    assert outcome.error["code"] == "duplicate-vote"
    assert 1 in signers(net, vote, outcome)


@pytest.mark.parametrize("lines", [(20,), (1, 1, 1), (2, 3)])
def test_a_vote_that_is_there_many_times_is_signed_for_once_and_nothing_waits_on(
    lines: tuple[int, ...],
) -> None:
    us = HandNode(make_election(bits=TRIVIAL_BITS, nodes=named_nodes(1)), index=0)
    (vote,) = make_votes(us.election, 1)
    messages = [SubmitVotes(votes=(vote.vote,) * count, acceptances=True) for count in lines]
    ready = us.receive(CLIENT, *messages)
    us.now += WAIT_SECONDS
    answers = [*sends(ready, VotesTaken), *sends(us.take(Tick()), VotesTaken)]
    outcomes = [
        outcome for _, answer in answers if isinstance(answer, VotesTaken) for outcome in answer.outcomes
    ]
    assert len(outcomes) == sum(lines)
    made = {acceptance for outcome in outcomes for acceptance in outcome.acceptances}
    assert [(one.count, one.index, one.path) for one in made] == [(1, 0, ())]
    for one in made:
        one.check(us.election.network_hex, vote.id, us.election.statement_keys)
    assert us.core.acceptances is not None
    assert us.core.acceptances._waiting == {}


def test_a_relay_signs_nothing_and_answers_at_once() -> None:
    net = NamedNetwork(4, relays=["relay"])
    (vote,) = make_votes(net.election, 1)
    (outcome,) = submit(net, [vote], "relay")
    assert (outcome.error, outcome.acceptances) == (None, ())


def test_who_does_not_ask_is_answered_when_the_votes_are_saved() -> None:
    net = NamedNetwork(4)
    client = net.client(named(0))
    client.send(encode_message(SubmitVotes(votes=(make_votes(net.election, 1)[0].vote,))))
    assert net.run_until(lambda: bool(client.lines), 1.0)
    answer = decode_message(client.lines[0])
    assert isinstance(answer, VotesTaken)
    assert answer.outcomes[0].acceptances == ()


def test_the_time_of_acceptances_never_goes_back_even_when_the_clock_does() -> None:
    net = NamedNetwork(1)
    first, second = make_votes(net.election, 2)
    (before,) = submit(net, [first], named(0))
    net.nodes[named(0)].skew = -50.0
    net.restart(named(0))
    (after,) = submit(net, [second], named(0))
    assert after.acceptances[0].time >= before.acceptances[0].time

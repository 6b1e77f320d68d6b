"""Amendments at named nodes: taken, saved, passed on, decided; and what they mean for votes and hours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from support.amendments import AUTHORITY, amendment, roll_of
from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    commit_of,
    key_of,
    make_election,
    make_vote,
    mine_named,
    named_nodes,
)
from support.named_network import NamedNetwork, named
from support.named_node import among_named, proposal
from support.nodes import NOW, HandNode, block_message, header_hex, refused, sends, sent
from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.election.roll import with_roll
from votenet.core.ledger.block import genesis_header
from votenet.core.ledger.extras import hash_record
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.wire.client_messages import (
    AmendmentList,
    AmendmentTaken,
    GetAmendments,
    GetResults,
    GetStatus,
    NodeStatus,
    Results,
    SubmitAmendment,
    SubmitVotes,
    VotesTaken,
)
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import AmendmentMessage, BlockVotes, GetBlockVotes, Headers

CLOSES = CREATED + 400
VOTERS = ("ada", "bo", "cy", "di")


def network(count: int = 4, **options: Any) -> NamedNetwork:
    fields = {"closes": CLOSES, "roll": roll_of(*VOTERS), **options}
    return NamedNetwork(count, authority_key=AUTHORITY.public_hex, **fields)


def ask(net: NamedNetwork, at: str, message: Message) -> Any:
    """The answer of a node, or the code of its refusal."""
    client = net.client(at)
    client.send(encode_message(message))
    assert net.run_until(lambda: bool(client.lines), 5.0)
    refusal = msgspec.json.decode(client.lines[0]).get("error")
    return refusal["code"] if refusal else decode_message(client.lines[0])


def submit(net: NamedNetwork, one: Amendment, at: int = 0) -> Any:
    answer = ask(net, named(at), SubmitAmendment(amendment=one))
    return answer.number if isinstance(answer, AmendmentTaken) else answer


def in_force(net: NamedNetwork, at: int = 0) -> Election:
    return net.core(named(at)).state.election


def until_amended(net: NamedNetwork, count: int, seconds: float = 60.0) -> bool:
    """Whether every node that is up has so many amendments on its chain in time."""
    return net.run_until(
        lambda: all(len(node.core.state.election.amendments) == count for node in net.alive()), seconds
    )


def vote_code(net: NamedNetwork, vote: HashedVote, at: int = 0) -> object:
    answer = ask(net, named(at), SubmitVotes(votes=(vote.vote,)))
    assert isinstance(answer, VotesTaken)
    error = answer.outcomes[0].error
    return None if error is None else error["code"]


def until_over(net: NamedNetwork, seconds: float = 600.0) -> bool:
    return net.run_until(
        lambda: all((c := node.core.closing) is not None and c.end.over for node in net.alive()), seconds
    )


def test_a_voter_is_added_a_key_replaced_and_hours_extended_before_the_election_ends() -> None:
    net = network(relays=["relay"])
    early = make_vote(net.election, "eve")
    assert vote_code(net, early) == "not-on-roll"
    assert submit(net, amendment(net.election, "add-voter", "eve", key="eve")) == 1
    assert submit(net, amendment(net.election, "replace-key", "ada", number=2), at=0) == 2
    assert submit(net, amendment(net.election, "extend", closes=CLOSES + 200, number=3), at=0) == 3
    assert until_amended(net, 3)
    assert vote_code(net, early, at=1) is None
    assert vote_code(net, make_vote(net.election, "ada"), at=2) == "wrong-key"
    assert vote_code(net, make_vote(net.election, "ada", key=key_of("new key of ada")), at=3) is None
    net.run(CLOSES + 100 - net.now)
    assert vote_code(net, make_vote(net.election, "bo"), at=1) is None, "the hour before is not in force"
    assert until_over(net)
    assert net.now > CLOSES + 200
    assert net.all_count(3)
    assert net.no_two_decisions()
    assert net.run_until(net.all_certified, 5.0)
    results, status = ask(net, "relay", GetResults()), ask(net, "relay", GetStatus())
    assert isinstance(results, Results)
    assert isinstance(status, NodeStatus)
    for one in (results, status):
        assert (one.closes, one.amendments, one.cancelled) == (CLOSES + 200, 3, False)
    assert (results.registered, results.over) == (5, True)
    listed = ask(net, "relay", GetAmendments(first=2))
    assert isinstance(listed, AmendmentList)
    assert (listed.amendments, listed.count, listed.next) == (in_force(net).amendments[1:], 3, 4)


def test_what_was_taken_survives_a_crash_of_all_nodes_and_is_told_once_more() -> None:
    net = network()
    net.partition([named(0)], [named(1), named(2), named(3)])
    one = amendment(net.election, "add-voter", "eve")
    assert submit(net, one) == 1
    assert submit(net, one) == 1, "the same once more"
    assert submit(net, amendment(net.election, "cancel")) == "bad-amendment", "the number is used"
    waiting = ask(net, named(0), GetAmendments())
    assert (waiting.count, waiting.waiting, waiting.next) == (0, (1,), 2)
    for name in net.names:
        net.crash(name)
    net.heal()
    for name in net.names:
        net.restart(name)
    assert until_amended(net, 1)
    assert submit(net, one, at=3) == 1, "in a block"
    for name in net.names:
        net.crash(name)
        net.restart(name)
    assert in_force(net).amendments == (one,)
    assert in_force(net).is_on_roll("eve")


@pytest.mark.parametrize("count", [1, 4])
def test_a_cancelled_election_has_no_vote_more_and_no_result(count: int) -> None:
    net = network(count)
    assert vote_code(net, make_vote(net.election, "ada")) is None
    assert net.run_until(lambda: net.all_count(1), 60.0)
    assert submit(net, amendment(net.election, "cancel", reason="the wrong list")) == 1
    assert until_amended(net, 1)
    assert vote_code(net, make_vote(net.election, "bo")) == "cancelled"
    assert submit(net, amendment(net.election, "cancel", number=2)) == "bad-amendment"
    height = net.core(named(0)).state.chain.tip.height
    net.run(CLOSES - net.now + 100)
    assert net.core(named(0)).state.chain.tip.height == height
    results = ask(net, named(0), GetResults())
    assert (results.cancelled, results.over, results.contests[0].outcome.state) == (True, True, "cancelled")
    assert results.contests[0].counts == ()
    for name in net.names:
        net.crash(name)
        net.restart(name)
    net.run(10.0)
    assert vote_code(net, make_vote(net.election, "bo")) == "cancelled"


def test_an_election_without_a_closing_time_gets_one() -> None:
    net = network(closes=None)
    assert vote_code(net, make_vote(net.election, "ada")) is None
    closes = int(net.now) + 100
    assert submit(net, amendment(net.election, "close", closes=closes)) == 1
    assert until_amended(net, 1)
    assert until_over(net)
    assert closes < net.now < closes + 60
    assert net.all_count(1)


def test_a_vote_that_a_quorum_holds_goes_before_a_new_key() -> None:
    """Nodes 0 and 1 hold the vote when the amendment comes to nodes 2 and 3: it is refused, not the vote."""
    net = network()
    net.partition([named(0), named(1)], [named(2), named(3)])
    assert vote_code(net, make_vote(net.election, "ada")) is None
    net.run(3.0)
    assert submit(net, amendment(net.election, "replace-key", "ada"), at=2) == 1
    assert submit(net, amendment(net.election, "replace-key", "bo", number=2), at=2) == 2
    assert vote_code(net, make_vote(net.election, "ada", "Bob"), at=3) == "wrong-key"
    net.heal()
    assert net.run_until(lambda: net.all_count(1), 120.0)
    net.run(20.0)
    assert all(node.core.state.election.amendments == () for node in net.alive())
    assert ask(net, named(3), GetAmendments()).waiting == (), "what is behind it goes with it"
    assert vote_code(net, make_vote(net.election, "bo")) is None
    assert submit(net, amendment(net.election, "add-voter", "eve"), at=2) == 1, "the number is free again"
    assert until_amended(net, 1)


def test_a_vote_by_the_old_key_that_one_node_held_waits_no_more() -> None:
    net = network(5)
    net.partition([named(0)], [named(index) for index in range(1, 5)])
    assert vote_code(net, make_vote(net.election, "ada")) is None
    assert submit(net, amendment(net.election, "replace-key", "ada"), at=2) == 1
    net.run(30.0)
    net.heal()
    assert until_amended(net, 1)
    assert net.run_until(lambda: len(net.core(named(0)).state.pool) == 0, 5.0)
    assert vote_code(net, make_vote(net.election, "ada", key=key_of("new key of ada"))) is None
    assert net.run_until(lambda: net.all_count(1), 60.0)
    assert net.no_two_decisions()


def test_a_node_that_stopped_takes_votes_again_when_it_hears_of_the_extension() -> None:
    """It was cut off over the closing time, and its clock said that voting had ended."""
    net = network(5)
    net.run(5.0)
    net.partition([named(0)], [named(index) for index in range(1, 5)])
    assert submit(net, amendment(net.election, "extend", closes=CLOSES + 600), at=1) == 1
    net.run(CLOSES - net.now + 5)
    assert vote_code(net, make_vote(net.election, "ada")) == "closed"
    net.run(60.0)
    closing = net.core(named(0)).closing
    assert closing is not None
    assert closing.list_signed
    assert vote_code(net, make_vote(net.election, "bo"), at=1) is None
    net.heal()
    assert until_amended(net, 1)
    net.crash(named(0))
    net.restart(named(0))
    net.run(3.0)
    assert vote_code(net, make_vote(net.election, "ada")) is None
    assert until_over(net)
    assert net.all_count(2)
    assert net.no_two_decisions()
    assert all(not node.core.state.lies for node in net.alive()), "two lists for two hours are no lie"


def test_a_node_that_was_down_follows_every_amendment() -> None:
    """Blocks come faster than they are connected, with votes of voters who were added on the way."""
    net = network(4)
    net.crash(named(3))
    for number, voter in enumerate(("v1", "v2", "v3"), start=1):
        assert submit(net, amendment(net.election, "add-voter", voter, key=voter, number=number)) == number
        assert until_amended(net, number)
        assert vote_code(net, make_vote(net.election, voter)) is None
        assert net.run_until(lambda number=number: net.all_count(number), 60.0)  # type: ignore[misc]
    net.restart(named(3))
    assert until_amended(net, 3)
    assert net.run_until(lambda: net.all_count(3), 60.0)
    assert net.no_two_decisions()


def test_bad_amendments_are_refused_with_one_code() -> None:
    net, election = network(1), make_election()
    assert vote_code(net, make_vote(net.election, "ada")) is None
    here = net.election
    for bad in (
        amendment(here, "cancel", by=key_of("eve")),
        amendment(here, "cancel", number=2),
        amendment(here, "cancel", network_hex=election.network_hex),
        amendment(here, "replace-key", "ada"),
        amendment(here, "extend", closes=CLOSES),
        amendment(here, "extend", closes=CREATED),
        amendment(here, "close", closes=int(net.now) + 30),
        amendment(here, "add-voter", "bo"),
    ):
        assert submit(net, bad) == "bad-amendment"
    net.run(CLOSES - net.now - 30)
    assert submit(net, amendment(here, "extend", closes=CLOSES + 500)) == "bad-amendment"
    assert until_over(net)
    assert submit(net, amendment(here, "add-voter", "eve")) == "bad-amendment"


def test_without_named_nodes_or_from_a_stranger_there_is_none() -> None:
    plain = HandNode(make_election(authority_key=AUTHORITY.public_hex))
    taken = plain.receive(9, SubmitAmendment(amendment=amendment(plain.election, "cancel")))
    assert refused(taken) == [(9, "bad-amendment")]
    listed = sent(plain.receive(9, GetAmendments()), 9)
    assert listed == [AmendmentList(amendments=(), count=0, height=0, next=1)]


def named_node(**fields: Any) -> HandNode:
    election = make_election(nodes=named_nodes(4), authority_key=AUTHORITY.public_hex, **fields)
    return HandNode(election, index=0)


def test_peers_are_told_and_a_forged_one_closes_the_link() -> None:
    node = named_node()
    node.meet(1)
    node.meet(2)
    good = AmendmentMessage(amendment=amendment(node.election, "cancel"))
    told = node.receive(1, good)
    assert (sent(told, 1), sent(told, 2)) == ([], [good])
    assert node.meet(3).send.count((3, good)) == 1
    assert not node.receive(2, good).save, "known"
    forged = AmendmentMessage(amendment=amendment(node.election, "cancel", number=2, by=key_of("eve")))
    assert refused(node.receive(1, forged)) == [(1, "bad-amendment")]
    far = AmendmentMessage(amendment=amendment(node.election, "cancel", number=300))
    assert not node.receive(2, far).save, "nobody fills a disk with numbers that may never come"


def test_an_honest_node_prevotes_new_hours_by_its_own_clock() -> None:
    node = named_node(closes=CLOSES)
    records = [hash_record(amendment(node.election, "extend", closes=CLOSES + 500))]
    pool = node.core.amendments
    assert pool.is_timely(records, CLOSES - 60.0)
    assert pool.is_timely(records, CLOSES - 50.0), "clocks differ"
    assert not pool.is_timely(records, CLOSES - 49.0)


BLOCKS: dict[str, tuple[bool, Callable[[Election], list[Amendment]]]] = {
    "two in a row": (
        True,
        lambda e: [amendment(e, "add-voter", "eve"), amendment(e, "replace-key", "eve", number=2, key="3rd")],
    ),
    "another key": (False, lambda e: [amendment(e, "cancel", by=key_of("eve"))]),
    "a gap": (False, lambda e: [amendment(e, "cancel", number=2)]),
    "one number twice": (False, lambda e: [amendment(e, "cancel"), amendment(e, "add-voter", "eve")]),
    "something after a cancel": (
        False,
        lambda e: [amendment(e, "cancel"), amendment(e, "add-voter", "eve", number=2)],
    ),
    "a voter of the same block": (False, lambda e: [amendment(e, "replace-key", "ada")]),
    "an hour that has passed": (False, lambda e: [amendment(e, "extend", closes=CREATED + 90)]),
}


@pytest.mark.parametrize("what", BLOCKS)
def test_a_block_with_a_bad_amendment_is_refused_proposed_or_decided(what: str) -> None:
    """Ada votes in this block."""
    good, make = BLOCKS[what]
    roll = roll_of(*VOTERS)
    fields: Any = {"nodes": named_nodes(4), "closes": CREATED + 60, "roll": roll, "bits": TRIVIAL_BITS}
    election = with_roll(make_election(authority_key=AUTHORITY.public_hex, **fields), roll)
    vote = make_vote(election, "ada")
    block = mine_named(election, genesis_header(election), 1, [vote], node=1, records=make(election))
    records = tuple(record.value for record in block.extras.records)
    # 1. As a proposal.
    us = among_named(election)
    asked = us.receive(1, proposal(us, block, 0))
    assert [link for link, _ in sends(asked, GetBlockVotes)] == [1]
    told = us.receive(1, BlockVotes(hash=block.header.hash.hex(), votes=(vote.vote,)))
    assert (us.core.blocks.proposed.block_of(block.header.hash) is not None) == good
    assert any("amendment is refused" in line for line in told.log) != good
    # 2. Decided by others.
    late = among_named(election)
    commit = commit_of(election, block.header, 1)
    late.receive(1, Headers(headers=(header_hex(block.header),), commit=commit))
    given = late.receive(
        1, msgspec.structs.replace(block_message(block), miner=block.extras.miner, records=records)
    )
    assert refused(given) == ([] if good else [(1, "bad-amendment")])
    assert late.state.election.next_number == (3 if good else 1)


def test_amendments_are_decided_before_voting_opens() -> None:
    net = network(opens=CREATED + 300)
    assert submit(net, amendment(net.election, "add-voter", "eve", key="eve")) == 1
    assert until_amended(net, 1)
    assert net.now < CREATED + 290
    assert vote_code(net, make_vote(net.election, "eve")) == "not-open"


def test_a_node_that_prevoted_a_new_key_takes_no_vote_by_the_old_one() -> None:
    """Not even where another amendment with this number was held, and after a restart."""
    roll = roll_of(*VOTERS)
    election = with_roll(named_node(roll=roll).election, roll)
    node = HandNode(election, index=0)
    node.receive(1, SubmitAmendment(amendment=amendment(election, "add-voter", "eve")))
    records = [hash_record(amendment(election, "replace-key", "ada"))]
    assert node.core.amendments.is_timely(records, node.now)
    node.take()
    again = HandNode(election, index=0, store=node.store)
    for one in (node, again):
        (outcome,) = one.submit(make_vote(election, "ada"))
        assert outcome.error is not None
        assert (outcome.error["code"], "being replaced" in str(outcome.error["message"])) == (
            "wrong-key",
            True,
        )
        assert one.submit(make_vote(election, "bo"))[0].error is None
        assert not one.core.amendments.is_timely([hash_record(amendment(election, "replace-key", "bo"))], NOW)


def test_votes_do_not_wait_for_an_amendment_that_nodes_judge_differently() -> None:
    """Nodes 0 and 1 hold a vote by the old key, and propose nothing: neither is ever decided."""
    net = network(closes=CREATED + 180)
    for index in (0, 1):
        net.nodes[named(index)].mining = False
        net.crash(named(index))
        net.restart(named(index))
    net.partition([named(0), named(1)], [named(2), named(3)])
    assert vote_code(net, make_vote(net.election, "ada")) is None
    net.run(3.0)
    assert submit(net, amendment(net.election, "replace-key", "ada"), at=2) == 1
    net.heal()
    net.run(5.0)
    assert vote_code(net, make_vote(net.election, "bo"), at=3) is None
    assert net.run_until(lambda: net.all_count(1), 120.0)
    assert until_over(net)
    assert net.all_count(2)
    assert net.no_two_decisions()


def test_an_amendment_that_no_block_may_hold_is_not_passed_on() -> None:
    """Else it would go round for ever: each node that dropped it would hear of it again."""
    node = named_node(closes=int(NOW) + 30)
    node.meet(1)
    node.meet(2)
    late = amendment(node.election, "extend", closes=int(NOW) + 500)
    told = node.receive(1, AmendmentMessage(amendment=late))
    assert (sent(told, 2), told.save) == ([], [])


def test_what_was_dropped_with_the_amendment_before_it_is_not_taken_again_from_peers() -> None:
    node = named_node(closes=int(NOW) + 80)
    node.meet(1)
    first = AmendmentMessage(amendment=amendment(node.election, "extend", closes=int(NOW) + 500))
    second = AmendmentMessage(amendment=amendment(node.election, "cancel", number=2))

    def waiting() -> tuple[int, ...]:
        (listed,) = sent(node.receive(9, GetAmendments()), 9)
        assert isinstance(listed, AmendmentList)
        return listed.waiting

    node.receive(1, first, second)
    assert waiting() == (1, 2)
    node.now += 60
    node.run()
    assert waiting() == ()
    assert node.receive(1, first, second).save == []
    assert waiting() == ()


def test_a_prevoted_block_still_binds_when_an_amendment_in_it_comes_too_late_for_another() -> None:
    """It may be decided at any time, with the new key; meanwhile no vote by the old one is taken."""
    roll = roll_of(*VOTERS)
    node = HandNode(with_roll(named_node(roll=roll, closes=int(NOW) + 80).election, roll), index=0)
    made = [
        amendment(node.election, "extend", closes=int(NOW) + 500),
        amendment(node.election, "replace-key", "ada", number=2),
    ]
    assert node.core.amendments.is_timely(list(map(hash_record, made)), node.now)
    node.now += 60
    node.run()
    (outcome,) = node.submit(make_vote(node.election, "ada"))
    assert outcome.error is not None
    assert outcome.error["code"] == "wrong-key"
    assert node.submit(make_vote(node.election, "bo"))[0].error is None

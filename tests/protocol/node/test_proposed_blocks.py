"""Proposed blocks at one named node, among liars."""

from __future__ import annotations

import msgspec

from support.elections import make_votes, mine_named
from support.named_node import among_named, precommit, proposal
from support.nodes import refused, sends
from support.secret_definitions import SecretSetup
from votenet.core.ledger.block import genesis_header, header_from_hex
from votenet.core.ledger.extras import NotCounted
from votenet.core.ledger.vote import hash_votes
from votenet.protocol.node.events import Received
from votenet.protocol.node.proposed_blocks import URGENT_VOTES
from votenet.protocol.wire.messages import decode_message
from votenet.protocol.wire.named_messages import ConsensusVotes
from votenet.protocol.wire.peer_messages import BlockMessage, BlockVotes, GetBlocks, GetBlockVotes


def test_a_liar_who_proposes_without_end_displaces_no_proposal_of_others() -> None:
    us = among_named()
    genesis, votes = genesis_header(us.election), make_votes(us.election, 3)
    for number in range(70):
        block = mine_named(us.election, genesis, 1, make_votes(us.election, 1, first=number + 10), node=1)
        us.receive(1, proposal(us, block, 4 * number))
    asked = us.receive(2, proposal(us, mine_named(us.election, genesis, 1, votes, node=2), 1))
    assert [link for link, _ in sends(asked, GetBlockVotes) + sends(asked, GetBlocks)] == [2]


def test_a_false_signature_beside_a_proposed_block_does_not_stick_to_it() -> None:
    """A liar sends one node another signature of its block: the node asks those that prevote the block."""
    us = among_named()
    block = mine_named(us.election, genesis_header(us.election), 1, node=1)
    false = mine_named(us.election, genesis_header(us.election), 7, node=1)
    assert false.extras.miner is not None
    made = proposal(us, block._replace(extras=false.extras), 0)
    asked = us.receive(1, made)
    assert [link for link, _ in sends(asked, GetBlocks)] == [1]
    asked = us.receive(2, ConsensusVotes(votes=(precommit(us, 2, block.header.hash),)))
    us.now += 3.0
    later = us.receive(3, ConsensusVotes(votes=(precommit(us, 3, block.header.hash),)))
    assert [link for link, _ in sends(later, GetBlocks)] == [2]


def test_a_flood_of_proposals_costs_the_work_of_one_block_a_proposer_and_round() -> None:
    us = among_named()
    genesis, asked = genesis_header(us.election), []
    for number in range(30):
        block = mine_named(us.election, genesis, 1, make_votes(us.election, 1, first=number + 10), node=1)
        for round_number in (0, 4 * number):  # another block in one round, and one in each later round
            ready = us.receive(1, proposal(us, block, round_number))
            asked += sends(ready, GetBlockVotes) + sends(ready, GetBlocks)
            assert refused(ready) == []
    assert len(asked) == 1, "of the first block; others would be asked for when a quorum is for them"


def test_a_whole_proposed_block_waits_for_the_turn_of_who_asks_and_is_charged_like_any_other() -> None:
    us = among_named()
    block = mine_named(us.election, genesis_header(us.election), 1, node=1)
    us.receive(1, proposal(us, block, 0))
    ready = us.receive(2, GetBlocks(hashes=(block.header.hash.hex(),)))
    assert len(sends(ready, BlockMessage)) == 1
    (question,) = ready.questions
    assert (question.link, question.key) == (2, block.header.hash)
    served = question.begin()()
    found = decode_message(served.line)
    assert isinstance(found, BlockMessage)
    assert header_from_hex(found.header) == block.header
    assert served.units > 0


def test_a_node_that_proposes_in_the_round_of_another_is_refused() -> None:
    us = among_named()
    made = proposal(us, mine_named(us.election, genesis_header(us.election), 1, node=1), 0)
    seen = msgspec.structs.replace(made.proposal, round=1)
    ((_, error),) = us.receive(1, msgspec.structs.replace(made, proposal=seen)).refuse
    assert (error.code, "does not propose in this round" in error.message) == ("bad-statement", True)


def test_a_proposed_block_with_some_votes_that_are_new_is_checked_before_votes_that_wait() -> None:
    """All nodes wait for it. With thousands of new votes it takes its turn: a liar may have made them up."""
    us = among_named()
    genesis = genesis_header(us.election)
    for new, urgent in ((3, True), (URGENT_VOTES + 1, False)):
        votes = make_votes(us.election, new, first=new)
        block = mine_named(us.election, genesis, 1, votes, node=1 if urgent else 2)
        us.receive(1, proposal(us, block, 0 if urgent else 1))
        sent = BlockVotes(hash=block.header.hash.hex(), votes=tuple(hashed.vote for hashed in block.votes))
        (job,) = us.take(Received(1, sent)).check
        assert job.urgent == urgent
        us.finish(job)


def test_a_refused_block_that_is_sent_again_waits_for_its_turn() -> None:
    """Its proposer may send it without end, and would keep the votes of all others waiting."""
    us = among_named()
    good, other = make_votes(us.election, 2)
    (false,) = hash_votes([msgspec.structs.replace(good.vote, signature=other.vote.signature)])
    block = mine_named(us.election, genesis_header(us.election), 1, [false, other], node=1)
    us.receive(1, proposal(us, block, 0))
    header, sent = block.header.pack().hex(), tuple(hashed.vote for hashed in block.votes)
    for urgent in (True, False, False):
        whole = BlockMessage(header=header, votes=sent, miner=block.extras.miner)
        (job,) = us.take(Received(1, whole)).check
        assert job.urgent == urgent
        us.finish(job)


def test_a_proposed_block_whose_records_bring_ballots_waits_for_its_turn() -> None:
    """A check without signatures takes a moment and comes first; thousands of ballots would take seconds."""
    setup = SecretSetup(nodes=4)
    genesis = genesis_header(setup.election)
    late = NotCounted(vote=setup.vote("voter-1").vote)
    for records, urgent in (([], True), ([late], False)):
        us = among_named(setup.election)
        block = mine_named(us.election, genesis, 1, node=1, records=records)
        (job,) = us.take(Received(1, proposal(us, block, 0))).check
        assert job.urgent == urgent
        us.finish(job)

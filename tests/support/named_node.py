"""A named node driven by hand, and what the other named nodes say to it."""

from __future__ import annotations

from support.elections import TRIVIAL_BITS, keys_of_node, make_election, named_nodes
from support.nodes import HandNode, short_ids
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block
from votenet.core.ledger.statement import PrecommitStatement, ProposalStatement
from votenet.protocol.wire.named_messages import ConsensusVote, Proposal, ProposalSeen


def among_named(election: Election | None = None) -> HandNode:
    """Named node 0 of four, joined to the others on links 1, 2 and 3, and to a stranger on link 9."""
    us = HandNode(election or make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4), closes=2**31), index=0)
    for link in (1, 2, 3):
        us.meet(link, key=f"node {link}")
    us.meet(9)
    return us


def precommit(us: HandNode, node: int, block: bytes) -> ConsensusVote:
    statement = PrecommitStatement(
        block=block.hex(), height=1, network_id=us.election.network_hex, node=node, round=0
    )
    signature = statement.sign(keys_of_node(node).statement)
    return ConsensusVote(
        kind="precommit", height=1, round=0, node=node, block=block.hex(), signature=signature
    )


def proposal(
    us: HandNode, block: Block, number: int, *, height: int = 1, ids: bytes | None = None
) -> Proposal:
    """By the proposer of that round."""
    node = (height + number) % 4
    statement = ProposalStatement(
        block=block.header.hash.hex(), height=height, network_id=us.election.network_hex, node=node,
        round=number, valid_round=-1,
    )  # fmt: skip
    assert block.extras.miner is not None
    return Proposal(
        proposal=ProposalSeen(
            height=height, round=number, valid_round=-1, node=node, block=statement.block,
            signature=statement.sign(keys_of_node(node).statement),
        ),
        header=block.header.pack(),
        ids=short_ids(*block.votes, seed=us.info.seed) if ids is None else ids,
        miner=block.extras.miner,
        records=tuple(record.value for record in block.extras.records),
    )  # fmt: skip

"""The signature of a named node under the block that it found."""

from __future__ import annotations

from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.block import Block, WrongVotes
from votenet.core.ledger.extras import NO_EXTRAS, Miner, amendments_in
from votenet.core.ledger.statement import MinerStatement


def sign_block(key: SigningKey, election: Election, node: int, block_hash: bytes, height: int) -> Miner:
    """The signature of named node `node`, whose statement key is `key`."""
    return Miner(node=node, signature=_statement(election, node, block_hash, height).sign(key))


def check_miner(block: Block, height: int, election: Election) -> None:
    """Check who found a block: a named node that signed it, or any node where none are named.

    The header does not cover the signature: a wrong one says nothing about the block.

    Raises:
        WrongVotes: bad-miner; without named nodes also bad-amendment, and bad-closing for other records.
    """
    miner = block.extras.miner
    if not election.named:
        if miner is not None:
            raise WrongVotes("bad-miner", "this election names no nodes that could sign a block")
        if amendments_in(block.extras.records):
            raise WrongVotes("bad-amendment", "an election without named nodes has no amendments")
        if block.extras != NO_EXTRAS:
            raise WrongVotes("bad-closing", "this election names no nodes that could close it")
        return
    if miner is None:
        raise WrongVotes("bad-miner", "no named node has signed this block")
    if miner.node >= election.named:
        raise WrongVotes("bad-miner", f"there is no named node {miner.node}")
    statement = _statement(election, miner.node, block.header.hash, height)
    if not statement.holds(election.statement_keys[miner.node], miner.signature):
        raise WrongVotes("bad-miner", f"this block is not signed by named node {miner.node}")


def _statement(election: Election, node: int, block_hash: bytes, height: int) -> MinerStatement:
    return MinerStatement(block=block_hash.hex(), height=height, network_id=election.network_hex, node=node)

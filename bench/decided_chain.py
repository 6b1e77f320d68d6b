"""A chain that the five named nodes of an election decided, made block by block, as a node saves it."""

from __future__ import annotations

from collections.abc import Sequence

from support.elections import commit_of, keys_of_node, mine_block
from votenet.core.election.definition import Election
from votenet.core.encoding import canonical
from votenet.core.ledger.block import log_leaves, log_start
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.extras import BlockExtras
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.certificate import checkpoint_text, cosign_checkpoint, make_certificate
from votenet.core.records.miner import sign_block
from votenet.protocol.node.events import Change, SaveBlock, SaveCertificate, SaveTiles, SetBest


class DecidedChain:
    """Grows by `add`. `election` names the nodes of `named_nodes`, or none: then work decides."""

    def __init__(self, election: Election) -> None:
        self.election, self.chain = election, Chain(election)
        self._frontier = log_start(election)

    def add(self, votes: Sequence[HashedVote]) -> list[Change]:
        """The changes that save one more block, an interval after the one before."""
        election, tip = self.election, self.chain.tip
        time = tip.header.time + election.definition.chain.block_seconds
        block = mine_block(election, tip.header, votes, time=time, bits=self.chain.next_bits(tip))
        entry = self.chain.add_header(block.header, time)
        changes: list[Change] = [SaveBlock(entry, block.votes), SetBest(tip.height, [(entry, block.votes)])]
        if election.named:
            node = entry.height % election.named
            miner = sign_block(keys_of_node(node).statement, election, node, entry.hash, entry.height)
            entry.extras = BlockExtras(miner)
            entry.commit = canonical(commit_of(election, entry.header, entry.height))
            self._frontier, tiles = self._frontier.append(log_leaves(entry.header, block.votes))
            changes.append(SaveTiles(tuple(tiles)))
        self.chain.add_body(entry, lambda _: block.votes)
        return changes

    def certificate(self) -> SaveCertificate:
        """The certificate of all blocks, cosigned by a quorum."""
        election, tip = self.election, self.chain.tip
        text = checkpoint_text(election.network_id, self._frontier.size, self._frontier.root)
        lines = [
            cosign_checkpoint(keys_of_node(node).cosign, node, text, tip.header.time)
            for node in range(election.quorum)
        ]
        return SaveCertificate(tip.height, str(make_certificate(text, lines)))

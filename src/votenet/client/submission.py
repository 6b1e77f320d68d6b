"""A signed vote on its way to a node, and to the others where too few named nodes have signed for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from votenet.client.answers import Submitted, fetch_amendments, submit_vote
from votenet.client.connection import NodeConnection
from votenet.client.failover import Nodes
from votenet.client.nodes import MAX_LISTED_NODES
from votenet.core.election.definition import Election
from votenet.core.election.quorum import enough_holders
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.acceptance import Acceptance
from votenet.errors import VotenetError
from votenet.protocol.wire.address import Address

AcceptanceByNode = dict[int, Acceptance]
"""Acceptances that were checked, by the index of the named node."""


class Taken(NamedTuple):
    """`node` has the vote on its disk; `election` is in force there; `acceptances` of named nodes hold."""

    node: Address
    election: Election
    acceptances: AcceptanceByNode


class VoteSubmission:
    """Hands one vote to the first node that takes it. The next node gets the same bytes.

    `maybe_taken`: some node may have the vote, whatever error came after it.
    """

    def __init__(self, election: Election, vote: HashedVote, *, in_force: bool = False) -> None:
        """`in_force`: all amendments of the election are known. Else the node is asked for later ones."""
        self.election, self.vote, self._in_force = election, vote, in_force
        self.maybe_taken = False

    async def hand_in(self, nodes: Nodes) -> Taken:
        """Hand the vote in; where too few named nodes sign that they hold it, to all other nodes, too.

        Raises:
            Rejected: a node refused it, with its code.
            Unreachable: no node answers.
        """
        taken = await nodes.run(self._submit)
        if len(taken.acceptances) >= enough_holders(taken.election.named):
            return taken
        others = [address for address in nodes.addresses if address != taken.node]
        more = await collect_acceptances(nodes, others, taken.election, self.vote)
        return taken._replace(acceptances=taken.acceptances | more)

    async def _submit(self, node: NodeConnection) -> Taken:
        election = self.election
        if not self._in_force:
            election = (await fetch_amendments(node, election)).election
        before, self.maybe_taken = self.maybe_taken, True
        submitted: Submitted = await submit_vote(node, election, self.vote)
        if submitted.refusal is not None:
            self.maybe_taken = before
            raise submitted.refusal
        return Taken(node.address, election, submitted.acceptances)


async def collect_acceptances(
    nodes: Nodes, addresses: Sequence[Address], election: Election, vote: HashedVote
) -> AcceptanceByNode:
    """Hand a vote to these of the nodes at once. Returns what they sign; one that fails signs nothing."""

    async def submit(node: NodeConnection) -> AcceptanceByNode:
        return (await submit_vote(node, election, vote)).acceptances

    found: AcceptanceByNode = {}
    for _, answer in await nodes.each(addresses[:MAX_LISTED_NODES], submit):
        if not isinstance(answer, VotenetError):
            found |= answer
    return found

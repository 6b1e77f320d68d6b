"""Votes that come at the same time go to a node in one line: a hall that votes costs it little."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from votenet.client.answers import Submitted, submit_votes
from votenet.client.connection import NodeConnection
from votenet.client.failover import another_may_do_better
from votenet.client.submission import Taken, VoteSubmission, collect_acceptances
from votenet.core.election.quorum import enough_holders
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Unreachable
from votenet.protocol.wire.address import Address
from votenet.web.api.requests import ViewNodes
from votenet.web.live_view import LiveView

GATHER_SECONDS: Final = 0.01
"""The first vote waits so long for others."""
MAX_BATCH: Final = 100
MAX_BATCH_BYTES: Final = 256 * 1024
"""Records of one line; a node takes lines of 1 MiB."""

BatchAnswer = tuple[Address, list[Submitted]]


@dataclass(slots=True, eq=False)
class _Batch:
    """`answer` is set once a node has said what became of the votes."""

    votes: list[HashedVote] = field(default_factory=list)
    size: int = 0
    answer: asyncio.Future[BatchAnswer] = field(default_factory=asyncio.Future)

    @property
    def is_full(self) -> bool:
        return len(self.votes) >= MAX_BATCH or self.size >= MAX_BATCH_BYTES

    def add(self, vote: HashedVote) -> int:
        """Returns its place."""
        self.votes.append(vote)
        self.size += len(vote.record)
        return len(self.votes) - 1


class VoteBatches:
    """Of one view."""

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._open: _Batch | None = None

    async def submit(self, vote: HashedVote) -> Taken:
        """Hand in a vote with those that come at the same time. Returns once a node has saved it.

        Raises:
            Rejected: a node refused it.
            Unreachable: no node answers.
        """
        election = self._view.snapshot.election
        node, submitted = await self._in_batch(vote)
        refused = submitted.refusal
        if refused is not None and not another_may_do_better(refused):
            raise refused
        if refused is None and len(submitted.acceptances) >= enough_holders(election.named):
            return Taken(node, election, submitted.acceptances)
        nodes = ViewNodes(self._view)
        if refused is not None:
            return await VoteSubmission(election, vote, in_force=True).hand_in(nodes)
        # Too few have signed. A vote of the batch that is in a block already keeps its node from asking.
        silent = not submitted.acceptances
        others = [address for address in nodes.addresses if silent or address != node]
        more = await collect_acceptances(nodes, others, election, vote)
        return Taken(node, election, submitted.acceptances | more)

    async def _in_batch(self, vote: HashedVote) -> tuple[Address, Submitted]:
        """What a node said of this vote. The first of a batch sends it for all."""
        batch, first = self._open, False
        if batch is None or batch.is_full:
            batch = self._open = _Batch()
            first = True
        place = batch.add(vote)
        if first:
            await self._send(batch)
        node, submitted = await asyncio.shield(batch.answer)
        return node, submitted[place]

    async def _send(self, batch: _Batch) -> None:
        async def submit(node: NodeConnection) -> BatchAnswer:
            return node.address, await submit_votes(node, self._view.snapshot.election, batch.votes)

        try:
            try:
                await asyncio.sleep(GATHER_SECONDS)
            finally:
                if self._open is batch:
                    self._open = None
            batch.answer.set_result(await self._view.ask(submit))
        except Exception as error:
            batch.answer.set_exception(error)
        except BaseException:  # this request is over: the others send theirs again
            batch.answer.set_exception(Unreachable("the page's server stops", next_step="Send it again."))
            batch.answer.exception()
            raise


_batches: WeakKeyDictionary[LiveView, VoteBatches] = WeakKeyDictionary()


def batches_of(view: LiveView) -> VoteBatches:
    found = _batches.get(view)
    if found is None:
        found = _batches[view] = VoteBatches(view)
    return found

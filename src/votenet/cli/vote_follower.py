"""Following votes into blocks: how long they waited for their block and for its confirmations.

What lives here: VoteFollower, which asks one node on one connection. What must not: sending votes.

It asks for the node's tip, and for each followed vote only when the tip has changed since it last
asked, so that a node is not kept busy with questions. Times are those of the answers: up to POLL_SECONDS
late.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from votenet.cli.latency import Latencies
from votenet.core.merkle import leaf_hash
from votenet.core.vote import Vote
from votenet.errors import VotenetError
from votenet.network.client import NodeClient
from votenet.protocol.address import Address
from votenet.protocol.messages import GetStatus, GetVoteStatus, NodeStatus, VoteStatus

POLL_SECONDS: Final = 0.02
MAX_FOLLOWED: Final = 500
"""At a time: of faster votes some are not followed."""
AHEAD: Final = 100
"""Questions on their way at a time."""


@dataclass(slots=True)
class _Followed:
    voter_id: str
    vote_id: str
    began: float
    asked_at: str = ""
    """The tip at which this vote was last asked for."""
    in_block: bool = False
    confirmed: bool = False


class VoteFollower:
    """`in_block` and `confirmed` are the latencies of the votes followed, from `began` on."""

    def __init__(
        self, addresses: Sequence[Address], confirmations: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._addresses, self._confirmations, self._clock = tuple(addresses), confirmations, clock
        self._followed: list[_Followed] = []
        self._decoder = msgspec.json.Decoder(Vote)
        self._settled = asyncio.Event()
        self._settled.set()
        self.in_block, self.confirmed = Latencies(), Latencies()

    def follow(self, record: bytes, began: float) -> None:
        """One vote that a node has accepted; `began` on the clock."""
        if len(self._followed) < MAX_FOLLOWED:
            voter_id = self._decoder.decode(record).voter_id
            self._followed.append(_Followed(voter_id, leaf_hash(record).hex(), began))
            self._settled.clear()

    async def run(self) -> None:
        """Until cancelled. A node that fails is passed over."""
        turn = 0
        while True:
            address = self._addresses[turn % len(self._addresses)]
            turn += 1
            try:
                async with NodeClient(address, dial_timeout=2.0) as client:
                    while True:
                        await self._look(client)
                        await asyncio.sleep(POLL_SECONDS)
            except VotenetError:
                await asyncio.sleep(POLL_SECONDS)

    async def settle(self, seconds: float) -> None:
        """Until every followed vote is in a block, or the time is up; with `run` beside it.

        After the last vote no more blocks are mined, so the last votes get no more confirmations.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._settled.wait()

    async def _look(self, client: NodeClient) -> None:
        tip = (await client.ask(GetStatus(), NodeStatus)).tip
        open_questions = [vote for vote in self._followed if vote.asked_at != tip]
        for start in range(0, len(open_questions), AHEAD):
            portion = open_questions[start : start + AHEAD]
            asked = (client.ask(GetVoteStatus(voter_id=vote.voter_id), VoteStatus) for vote in portion)
            for vote, status in zip(portion, await asyncio.gather(*asked), strict=True):
                self._note(vote, status, tip)
        self._followed = [vote for vote in self._followed if not vote.confirmed]
        if all(vote.in_block for vote in self._followed):
            self._settled.set()

    def _note(self, vote: _Followed, status: VoteStatus, tip: str) -> None:
        vote.asked_at, taken = tip, self._clock() - vote.began
        if status.state != "in_block" or status.vote_id != vote.vote_id:  # another vote of that voter
            return
        if not vote.in_block:
            vote.in_block = True
            self.in_block.add(taken)
        if status.confirmations >= self._confirmations:
            self.confirmed.add(taken)
            vote.confirmed = True

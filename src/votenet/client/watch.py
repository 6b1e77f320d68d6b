"""What happens in an election, as a stream: blocks that come and go, votes on their way into them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from votenet.client.answers import fetch_vote_status
from votenet.client.connection import NodeConnection
from votenet.client.failover import Failover, another_may_do_better
from votenet.core.election.definition import Election
from votenet.core.ledger.block import check_sequence, header_from_hex
from votenet.core.ledger.chain import Chain
from votenet.errors import NotProven, Rejected, VotenetError
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus
from votenet.protocol.wire.peer_messages import MAX_HEADERS, GetHeaders, Headers

MIN_INTERVAL: Final = 0.02
"""Seconds between two looks at least: a look costs the node 50 microseconds."""

WATCH_ANSWER_SECONDS: Final = 5.0
"""For the tip, which a node has at hand: one that is paused or hangs is left for another."""


@dataclass(frozen=True, slots=True)
class BlockAdded:
    """A block is on the chain now. `hash` in hexadecimal, `time` in Unix seconds, `node` told it."""

    height: int
    hash: str
    time: int
    node: str


@dataclass(frozen=True, slots=True)
class BlockRemoved:
    """A block is no longer on the chain: a branch with more work has replaced it."""

    height: int
    hash: str
    node: str


@dataclass(frozen=True, slots=True)
class VoteMoved:
    """Where the vote of a voter stands now, by the word of `node`.

    `state` is "unknown", "accepted" (received, waiting for its block), "in_block" or "final"; then `block`
    and `height` are set. Only a receipt proves that it is final.
    """

    voter_id: str
    state: str
    vote_id: str | None
    block: str | None
    height: int | None
    confirmations: int
    node: str


ElectionEvent = BlockAdded | BlockRemoved | VoteMoved


async def watch(
    nodes: Failover, election: Election, voter_ids: Sequence[str], *, interval: float, patience: float
) -> AsyncGenerator[ElectionEvent, None]:
    """Events as `AsyncElectionClient.watch` describes them."""
    watcher = _Watcher(election, voter_ids)
    heard = time.monotonic()
    while True:
        try:
            await nodes.run(watcher.look)
            heard = time.monotonic()
        except VotenetError as error:
            if isinstance(error, NotProven) or not another_may_do_better(error):
                raise
            if time.monotonic() - heard > patience:
                raise
        while watcher.events:
            yield watcher.events.popleft()
        await asyncio.sleep(max(interval, MIN_INTERVAL))


class _Watcher:
    """A chain of headers that follows what nodes tell. `events` are not handed out yet.

    Every header is checked, and the branch with the most work wins, as at a node: a node that has fallen
    behind takes no block away.
    """

    def __init__(self, election: Election, voter_ids: Sequence[str]) -> None:
        self.events: deque[ElectionEvent] = deque()
        self._chain = Chain(election)
        self._asked: tuple[str, str] | None = None
        """Node and tip of the last look: nothing is asked twice about the same tip."""
        self._votes: dict[str, VoteMoved | None] = dict.fromkeys(voter_ids)
        self._last_state = "final" if election.named else "in_block"

    async def look(self, node: NodeConnection) -> None:
        """Ask one node for its tip, and for new headers and votes if the tip has changed."""
        tip = (await node.ask(GetStatus(), NodeStatus, timeout=WATCH_ANSWER_SECONDS)).tip
        changed = self._asked != (str(node.address), tip)
        if changed:
            try:
                await self._follow(node)
            except Rejected as error:
                raise NotProven(
                    f"{node.address} sent a chain that breaks the rules: {error.message}",
                    code="wrong-answer",
                    next_step="Do not believe that node: watch other ones.",
                ) from error
        for voter_id, before in self._votes.items():
            if changed or before is None or before.state != self._last_state:
                await self._look_at_vote(node, voter_id)
        self._asked = str(node.address), tip

    async def _follow(self, node: NodeConnection) -> None:
        """Fetch the headers that the node has and we have not, page by page."""
        first = self._asked is None
        locator = [block_hash.hex() for block_hash in self._chain.locator()]
        while True:
            page = (await node.ask(GetHeaders(locator=tuple(locator)), Headers)).headers
            known = len(self._chain.entries)
            self._add(page, str(node.address), quiet=first)
            if len(page) < MAX_HEADERS and not self._chain.election.named:
                break  # named nodes cut a page behind the last commit that they have
            if len(self._chain.entries) == known:
                break
            locator.insert(0, header_from_hex(page[-1]).hash.hex())
            del locator[1:-1]
        if first:
            self.events.append(_added(self._chain, str(node.address)))

    def _add(self, page: Sequence[str], node: str, *, quiet: bool) -> None:
        """Put headers into the chain; the changes of the best branch become events, unless `quiet`."""
        headers = [header_from_hex(text) for text in page]
        hashes, refusal = check_sequence(headers)
        if refusal is not None:
            raise refusal
        now = int(time.time())
        for header, block_hash in zip(headers, hashes, strict=True):
            change = self._chain.add_body(self._chain.add_header(header, now, block_hash), lambda _: ())
            if change is None or quiet:
                continue
            for entry in change.disconnected:
                self.events.append(BlockRemoved(entry.height, entry.hash.hex(), node))
            for entry in change.connected:
                self.events.append(BlockAdded(entry.height, entry.hash.hex(), entry.header.time, node))

    async def _look_at_vote(self, node: NodeConnection, voter_id: str) -> None:
        status = await fetch_vote_status(node, voter_id)
        now = VoteMoved(
            voter_id=voter_id,
            state=status.state,
            vote_id=status.vote_id,
            block=status.block,
            height=status.height,
            confirmations=status.confirmations,
            node=str(node.address),
        )
        before = self._votes[voter_id]
        if before is None or _standing(before) != _standing(now):
            self._votes[voter_id] = now
            self.events.append(now)


def _added(chain: Chain, node: str) -> BlockAdded:
    tip = chain.tip
    return BlockAdded(tip.height, tip.hash.hex(), tip.header.time, node)


def _standing(vote: VoteMoved) -> tuple[object, ...]:
    """The facts whose change makes an event. The node that tells them is not one."""
    return vote.state, vote.vote_id, vote.block, vote.confirmations

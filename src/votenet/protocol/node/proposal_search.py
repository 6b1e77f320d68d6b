"""The search for the nonce of a block that a named node proposes; `network/node/miner.py` does the work."""

from __future__ import annotations

from typing import Final, NamedTuple

from votenet.core.ledger.block import Header, votes_root
from votenet.core.limits import BLOCK_VERSION
from votenet.protocol.node.closing import Closing, NextRecords
from votenet.protocol.node.events import Mined, Template
from votenet.protocol.node.mining import template_seconds
from votenet.protocol.node.state import NodeState

FIRST_SEARCH: Final = 1.0
"""Seconds that a nonce search is thought to take before the first one has ended."""


class FoundBlock(NamedTuple):
    """What a search has ended with, and the round that it was for."""

    round: int
    header: Header
    content: NextRecords


class ProposalSearch:
    """The search of one node: at most one at a time."""

    def __init__(self, state: NodeState, closing: Closing) -> None:
        self._state, self._closing = state, closing
        self.template: Template | None = None
        """What is being searched now."""
        self.round: int | None = None
        """The round that it is for."""
        self.mean_seconds = FIRST_SEARCH
        self._contents: dict[int, tuple[Template, NextRecords]] = {}
        """Of the template and of the one before, whose nonce is as good, by their ids."""
        self._began = self._built = 0.0

    def begin(self, round_number: int, now: float) -> None:
        """Search for a round, if there is something to propose."""
        self.stop()
        self.round, self._began = round_number, now
        self._build(now)

    def renew(self, now: float) -> None:
        """A template that enough votes have come for is made anew: a search has no memory."""
        template = self.template
        if template is None:
            self._build(now)
            return
        if now - self._built < template_seconds(len(template.votes)):
            return
        if self._closing.has_more(self._contents[template.id][1], self.round or 0):
            self._build(now)

    def stop(self) -> None:
        """End the search, if there is one."""
        if self.round is None:
            return
        self.round, self._contents = None, {}
        if self.template is not None:
            self.template = None
            self._state.ready.mining_changed, self._state.ready.template = True, None

    def take(self, event: Mined, now: float) -> FoundBlock | None:
        """A nonce ends the search. When none of 2**32 fits, a second later is as good."""
        if self.round is None or event.template not in self._contents:
            return None
        template, content = self._contents[event.template]
        if template.header.previous != self._state.chain.tip.hash:
            return None  # a decided block came in the same batch: this search is about to be stopped
        if event.nonce is None:
            if template is self.template:
                self._build(now, template.header.time + 1)
            return None
        self.mean_seconds += (max(now - self._began, 0.01) - self.mean_seconds) / 4
        found = FoundBlock(self.round, template.header._replace(nonce=event.nonce), content)
        self.stop()
        return found

    def _build(self, now: float, not_before: int = 0) -> None:
        state, tip = self._state, self._state.chain.tip
        definition = state.election.definition
        if not state.info.mining:
            return
        content = self._closing.next_records(self.round or 0)
        if not content.votes and not content.records:
            return
        opens = definition.opens or 0 if content.votes else 0  # amendments come before voting opens, too
        earliest = max(state.chain.earliest_time(tip), opens, not_before)
        header = Header(
            BLOCK_VERSION,
            tip.hash,
            votes_root(content.votes, content.records),
            max(int(now), earliest),
            state.chain.next_bits(tip),
            0,
        )
        before, template = self.template, Template(state.next_id(), header, content.votes)
        self._contents = {before.id: self._contents[before.id]} if before is not None else {}
        self._contents[template.id] = template, content
        self.template, self._built = template, now
        state.ready.mining_changed, state.ready.template = True, template

"""Lists of blocks: the best branch, what stands beside it, and how the node has moved between branches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from msgspec import json

from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.statement import Commit
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.client_messages import MAX_BLOCKS_ASIDE, BlockList, GetBlockList, ListedBlock
from votenet.protocol.wire.messages import encode_message

MAX_COMMIT_BYTES: Final = 64 * 1024
"""Of commits in one list: with many named nodes it has fewer blocks, one at least."""


class BlockLists:
    """`get_block_list` at one node: from memory, without a vote."""

    def __init__(self, state: NodeState) -> None:
        self.state = state

    def on_get_block_list(self, link: int, message: GetBlockList, now: float) -> None:
        best = self.state.chain.best
        first = max(len(best) - message.count, 0) if message.first is None else message.first
        shown = list(self._fitting(best[first : first + message.count]))
        aside = islice(self._aside(first, first + len(shown)), MAX_BLOCKS_ASIDE)
        answer = BlockList(
            first=first,
            height=len(best) - 1,
            blocks=tuple(map(self._listed, shown)),
            time=now,
            aside=tuple(map(self._listed, aside)),
            switches=tuple(self.state.switches),
            id=message.id,
        )
        self.state.answer(link, encode_message(answer))

    def _fitting(self, entries: list[BlockIndexEntry]) -> Iterator[BlockIndexEntry]:
        """The first of these whose commits have MAX_COMMIT_BYTES together."""
        size = 0
        for entry in entries:
            if size and size + len(entry.commit) > MAX_COMMIT_BYTES:
                return
            size += len(entry.commit)
            yield entry

    def _aside(self, first: int, end: int) -> Iterator[BlockIndexEntry]:
        """Blocks of branches that leave the best one below these heights; parents first, late forks first."""
        chain = self.state.chain
        if chain.election.named:
            return
        for parent in reversed(chain.best[max(first - 1, 0) : end]):
            waiting = [child for child in parent.children if chain.on_best(child) is None]
            while waiting:
                entry = chain.entries[waiting.pop(0)]
                if entry.available:
                    yield entry
                    waiting += entry.children

    def _listed(self, entry: BlockIndexEntry) -> ListedBlock:
        commit = json.decode(entry.commit, type=Commit) if entry.commit else None
        return ListedBlock(entry.header.pack().hex(), commit, entry.hash in self.state.own_blocks)

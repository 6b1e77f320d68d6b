"""Blocks on their way onto the chain, whoever found them, and what follows for pool and peers.

What lives here: the block and header messages, the checks of a block's votes, the moves of the
best branch. What must not: what to ask of whom (`sync.py`), building blocks (`mining.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from votenet.core.block import Block, Header, check_body, header_from_hex
from votenet.core.chain import Entry, Move
from votenet.core.vote import SealedVote, Vote, seal_all
from votenet.errors import Rejected
from votenet.protocol.events import DropVotes, SaveBlock, SetBest
from votenet.protocol.messages import (
    MAX_HEADERS,
    BlockMessage,
    CompactBlock,
    GetBlocks,
    GetHeaders,
    Headers,
    Message,
    NoBlock,
)
from votenet.protocol.state import NodeState, short_bytes, short_id

OURSELVES: Final = 0
"""Stands for a link where a block came from no link: we mined it."""


class BlockRelay:
    """The block messages of one node."""

    def __init__(self, state: NodeState) -> None:
        self.state = state

    def on_headers(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, Headers)
        self.state.sync.take_headers(link, message, now)

    def on_compact_block(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, CompactBlock)
        header = header_from_hex(message.header)
        entry = self.state.sync.take_new_header(link, header, now)
        if entry is None or not self.state.sync.wanted(entry):
            return
        votes = [self.state.pool.by_short_id(short_bytes(text)) for text in message.ids]
        found = tuple(sealed for sealed in votes if sealed is not None)
        if len(found) < len(votes) or not self.state.chain.parent(entry).available:
            self.state.sync.ask_for(link, entry, now)
            return
        self._check_block(link, entry, lambda: Block(header, found), now, whole=False)

    def on_block(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, BlockMessage)
        header = header_from_hex(message.header)
        entry = self.state.sync.take_new_header(link, header, now)
        if entry is not None:
            votes = message.votes
            self._check_block(link, entry, lambda: _seal_block(header, votes), now, whole=True)

    def on_no_block(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, NoBlock)
        self.state.sync.refused(bytes.fromhex(message.hash), link)
        self.state.sync.ask_bodies(now)

    def _check_block(
        self, link: int, entry: Entry, build: Callable[[], Block], now: float, *, whole: bool
    ) -> None:
        """Start the long checks of a block's votes in a job. `whole`: the peer sent every vote."""
        if not self.state.sync.begin_check(entry, link, now):
            return
        self.state.start_job(
            link,
            lambda: _check_block_votes(build, self.state),
            lambda result, later: self._finish_block(link, entry, result, later, whole=whole),
        )

    def _finish_block(self, link: int, entry: Entry, result: object, now: float, *, whole: bool) -> None:
        self.state.sync.end_check(entry, now)
        if isinstance(result, Rejected) and not whole:
            # Two votes may share a short id: only the whole block can be judged.
            self.state.sync.ask_for(link, entry, now)
        elif isinstance(result, Rejected):
            if result.code != "bad-merkle-root":  # the header commits to these votes: they are the block
                self.state.chain.mark_invalid(entry)
            self.state.sync.refused(entry.hash, link)
            self.state.refuse(link, result)
        else:
            assert isinstance(result, tuple)
            if self.count_in(link, entry, result):
                self._announce_tip(link)
        self.state.sync.ask_bodies(now)

    def take_mined(self, block: Block, now: float, judged: Callable[[Rejected | None], None]) -> None:
        """Our own block: checked like a stranger's, then pushed to every peer. `judged` hears how it went.

        Raises:
            Rejected: its header breaks a rule.
        """
        entry = self.state.chain.add_header(block.header, int(now))
        if not self.state.sync.begin_check(entry, OURSELVES, now):
            judged(None)
            return

        def done(result: object, later: float) -> None:
            self.state.sync.end_check(entry, later)
            judged(result if isinstance(result, Rejected) else None)
            if isinstance(result, Rejected):
                self.state.chain.mark_invalid(entry)
            elif self.count_in(OURSELVES, entry, block.votes):
                self._announce_mined(block)

        self.state.start_job(OURSELVES, lambda: _check_block_votes(lambda: block, self.state), done)

    def count_in(self, link: int, entry: Entry, votes: Sequence[SealedVote]) -> bool:
        """A checked block, and those that waited for it, into the chain, the disk and the pool.

        Returns whether the tip moved.
        """
        before = self.state.chain.tip
        for found, body in self.state.sync.put_body(entry, votes):
            self.state.unsaved[found.hash] = body
            try:
                move = self.state.chain.add_body(found, self.state.votes_of)
            except Rejected as error:
                self.state.ready.log.append(f"block {found.hash.hex()} is invalid: {error.message}")
                self.state.refuse(link, error)
                break
            self.state.ready.save.append(SaveBlock(found, body))
            if move is not None:
                self._follow(move)
        return self.state.chain.tip is not before

    def _follow(self, move: Move) -> None:
        """The best branch moved: votes of new blocks leave the pool, those of old ones return."""
        state = self.state
        blocks = [(entry, state.votes_of(entry.hash)) for entry in move.connected]
        state.unsaved.update((entry.hash, votes) for entry, votes in blocks)
        state.ready.save.append(SetBest(move.connected[0].height - 1, blocks))
        for _, votes in blocks:
            dropped = state.pool.remove_voters(sealed.voter_id for sealed in votes)
            if dropped:
                state.ready.save.append(DropVotes(dropped))
        returned = []
        for entry in move.disconnected:
            for sealed in state.votes_of(entry.hash):
                if sealed.voter_id not in state.chain.voters and not state.pool.of_voter(sealed.voter_id):
                    state.pool.add(sealed)
                    returned.append(sealed)
        if returned:
            state.save_votes(returned)
        if move.disconnected:
            state.ready.log.append(
                f"switched branch at height {move.connected[0].height}: {len(move.disconnected)} blocks off, "
                f"{len(move.connected)} on, {len(returned)} votes wait again"
            )

    def _announce_tip(self, source: int) -> None:
        """Tell the peers that may not know it; the miner has told most of them already."""
        tip = self.state.chain.tip
        message = Headers(headers=(tip.header.pack().hex(),))
        for link, peer in self.state.sync.peers.items():
            if link != source and (peer.best is None or peer.best.work < tip.work):
                self.state.send(link, message)

    def _announce_mined(self, block: Block) -> None:
        """Push our own block to every peer, its votes by short id: they have most of them."""
        ids = tuple(short_id(sealed) for sealed in block.votes)
        message = CompactBlock(header=block.header.pack().hex(), ids=ids)
        for link in self.state.sync.peers:
            self.state.send(link, message)

    def on_get_headers(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetHeaders)
        locator = [bytes.fromhex(text) for text in message.locator]
        headers = self.state.chain.headers_after(locator, MAX_HEADERS)
        self.state.send(
            link, Headers(headers=tuple(header.pack().hex() for header in headers), id=message.id)
        )

    def on_get_blocks(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetBlocks)
        for text in message.hashes:
            entry = self.state.chain.entries.get(bytes.fromhex(text))
            if entry is None or not entry.available or entry.height == 0:
                self.state.send(link, NoBlock(hash=text))
            else:
                self.state.ready.send_blocks.append((link, entry.hash))


def _check_block_votes(build: Callable[[], Block], state: NodeState) -> tuple[SealedVote, ...] | Rejected:
    """The votes of a block, all checked, or why not. Runs in a thread.

    A vote that waits in the pool was checked when it came: its signature is not checked twice.
    """
    try:
        block = build()
        check_body(block, state.election)
    except Rejected as error:
        return error
    new = [sealed for sealed in block.votes if sealed.id not in state.pool]
    for sealed, holds in zip(new, state.signatures.check(new), strict=True):
        if not holds:
            return Rejected("bad-signature", f"the vote of {sealed.voter_id!r} is not signed by its key")
    return block.votes


def _seal_block(header: Header, votes: Sequence[Vote]) -> Block:
    return Block(header, tuple(seal_all(votes)))

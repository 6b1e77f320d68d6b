"""Blocks on their way onto the chain, whoever found them, and what follows for pool and peers.

What lives here: the block and header messages, the checks of a block's votes, the moves of the
best branch. What must not: what to ask of whom (`sync.py`), building blocks (`mining.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from operator import ge
from typing import Final, NamedTuple

from votenet.core.block import Block, Header, check_body, header_from_hex, unpack_header
from votenet.core.chain import Entry, Move
from votenet.core.election import Election
from votenet.core.mempool import SHORT_ID, short_ids
from votenet.core.signature_cache import SignatureCache
from votenet.core.vote import SealedVote, Vote, seal_all
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.events import DropVotes, SaveBlock, Served, SetBest
from votenet.protocol.lines import block_votes_line, headers_line
from votenet.protocol.messages import (
    MAX_HEADERS,
    BlockMessage,
    BlockVotes,
    CompactBlock,
    GetBlocks,
    GetBlockVotes,
    GetHeaders,
    Headers,
    Message,
    NoBlock,
    split_ids,
)
from votenet.protocol.state import COVERED_SECONDS, NodeState

OURSELVES: Final = 0
"""Stands for a link where a block came from no link: we mined it."""


class _Partial(NamedTuple):
    """A compact block of which votes are missing, at None in `found`."""

    entry: Entry
    found: list[SealedVote | None]
    missing: tuple[int, ...]
    waited: frozenset[bytes]
    """Ids of what was found in the pool."""

    def block(self, votes: Sequence[Vote]) -> Block:
        """The block, with what was missing."""
        for position, sealed in zip(self.missing, seal_all(votes), strict=True):
            self.found[position] = sealed
        return Block(self.entry.header, tuple(sealed for sealed in self.found if sealed is not None))


class BlockRelay:
    """The block messages of one node."""

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self._partial: dict[int, _Partial] = {}
        """The latest compact block of each link whose missing votes were asked for there."""
        self._tip_votes: tuple[bytes, Sequence[SealedVote]] = (b"", ())
        """Hash and votes of the block that became the tip last: what peers ask the missing votes of."""
        self._unsure: tuple[Entry, float] | None = None
        """Our tip, and when those are told of it who should have it from others."""

    def on_headers(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, Headers)
        self.state.sync.take_headers(link, message, now)

    def on_compact_block(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, CompactBlock)
        header = unpack_header(message.header)
        entry = self.state.sync.take_new_header(link, header, now)
        if entry is None or not self.state.sync.wanted(entry):
            return
        found = self.state.pool.by_short_ids(split_ids(message.ids, SHORT_ID))
        missing = tuple(position for position, sealed in enumerate(found) if sealed is None)
        waited = frozenset(sealed.id for sealed in found if sealed is not None)
        partial = _Partial(entry, found, missing, waited)
        if not self.state.chain.parent(entry).available or 0 < len(missing) == len(found):
            self.state.sync.ask_for(link, entry, now)
        elif not missing:
            self._check_block(link, entry, lambda: partial.block(()), partial.waited, now, whole=False)
        elif self.state.sync.ask_for(link, entry, now, missing):
            self._partial[link] = partial

    def on_block_votes(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, BlockVotes)
        partial = self._partial.get(link)
        if partial is None or partial.entry.hash.hex() != message.hash:
            return  # an answer that nobody waits for any more
        del self._partial[link]
        votes = message.votes
        if len(votes) != len(partial.missing):
            raise RemoteProtocolError(
                "bad-message", f"{len(partial.missing)} votes of the block were asked for"
            )
        self._check_block(link, partial.entry, lambda: partial.block(votes), partial.waited, now, whole=False)

    def on_block(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, BlockMessage)
        header = header_from_hex(message.header)
        entry = self.state.sync.take_new_header(link, header, now)
        if entry is not None:
            votes, pool = message.votes, self.state.pool
            waiting = pool.of_voters(vote.voter_id for vote in votes) if len(pool) else ()
            waited = frozenset(sealed.id for sealed in waiting)
            self._check_block(link, entry, lambda: _seal_block(header, votes), waited, now, whole=True)

    def on_no_block(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, NoBlock)
        self.state.sync.refused(bytes.fromhex(message.hash), link)
        self.state.sync.ask_bodies(now)

    def _check_block(
        self,
        link: int,
        entry: Entry,
        build: Callable[[], Block],
        waited: Set[bytes],
        now: float,
        *,
        whole: bool,
    ) -> None:
        """Start the long checks of a block's votes in a job.

        Args:
            waited: ids of votes that wait in the pool: these were checked when they came.
            whole: the peer sent every vote.
        """
        if not self.state.sync.begin_check(entry, link, now):
            return
        election, signatures = self.state.election, self.state.signatures
        self.state.start_job(
            link,
            lambda: _check_block_votes(build, waited, election, signatures),
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
                self._pass_on(link, now)
        self.state.sync.ask_bodies(now)

    def take_mined(self, block: Block, now: float, judged: Callable[[Rejected | None], None]) -> None:
        """Our own block: checked like a stranger's, then sent to every peer. `judged` hears how it went.

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
                self._send_tip(self.state.sync.peers)

        election, signatures = self.state.election, self.state.signatures
        waited = frozenset(sealed.id for sealed in block.votes)  # a template is made of the pool
        self.state.start_job(
            OURSELVES, lambda: _check_block_votes(lambda: block, waited, election, signatures), done
        )

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
        tip = self.state.chain.tip
        if tip is not before:
            self._tip_votes = (tip.hash, self.state.votes_of(tip.hash))
        return tip is not before

    def _follow(self, move: Move) -> None:
        """The best branch moved: votes of new blocks leave the pool, those of old ones return."""
        state = self.state
        blocks = [(entry, state.votes_of(entry.hash)) for entry in move.connected]
        state.unsaved.update((entry.hash, votes) for entry, votes in blocks)
        state.ready.save.append(SetBest(move.connected[0].height - 1, blocks))
        for _, votes in blocks:
            dropped = state.pool.remove_voters([sealed.vote.voter_id for sealed in votes])
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

    def _pass_on(self, source: int, now: float) -> None:
        """Send our new tip, which came from a peer, to those that have not shown it and are not sent it."""
        covered = self.state.covered(source)
        self._send_tip(self._untold().difference(covered, [source]))
        self._unsure = (self.state.chain.tip, now + COVERED_SECONDS) if covered else None

    def _untold(self) -> set[int]:
        """Links to peers that have not shown a block with as much work as our tip."""
        work, peers = self.state.chain.tip.work, self.state.sync.peers.items()
        return {link for link, peer in peers if peer.best is None or peer.best.work < work}

    def tick(self, now: float) -> None:
        """Announce a tip that has stood for a while to those that should have it, but have not shown it."""
        if self._unsure is None or now < self._unsure[1] <= now + COVERED_SECONDS:
            return
        (entry, _), self._unsure = self._unsure, None
        if entry is self.state.chain.tip:
            for link in sorted(self._untold()):
                self.state.send(link, Headers(headers=(entry.header.pack().hex(),)))

    def _send_tip(self, links: Iterable[int]) -> None:
        """The block that is our tip, its votes by short id: peers have most of them."""
        header = self.state.chain.tip.header.pack()
        ids = [sealed.id for sealed in self._tip_votes[1]]
        for link in sorted(links):
            seed = self.state.sync.peers[link].greeted.seed
            self.state.send(link, CompactBlock(header=header, ids=b"".join(short_ids(ids, seed))))

    def drop_peer(self, link: int) -> None:
        self._partial.pop(link, None)

    def on_get_block_votes(self, link: int, message: Message, now: float) -> None:
        """From memory, or the whole block from the disk when it is not the latest any more."""
        assert isinstance(message, GetBlockVotes)
        positions = message.positions
        if any(map(ge, positions, positions[1:])):
            raise RemoteProtocolError("bad-message", "positions are asked for once, in ascending order")
        block_hash, votes = self._tip_votes
        if bytes.fromhex(message.hash) != block_hash:
            self._serve_block(link, message.hash)
        elif positions[-1] >= len(votes):
            raise RemoteProtocolError("bad-message", f"the block has {len(votes)} votes")
        else:
            self.state.ask(link, lambda: lambda: _block_votes(message, votes))

    def on_get_headers(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetHeaders)
        locator = [bytes.fromhex(text) for text in message.locator]
        headers = self.state.chain.headers_after(locator, MAX_HEADERS)
        self.state.answer(link, headers_line(headers, message.id))

    def on_get_blocks(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetBlocks)
        for text in dict.fromkeys(message.hashes):
            self._serve_block(link, text)

    def _serve_block(self, link: int, text: str) -> None:
        entry = self.state.chain.entries.get(bytes.fromhex(text))
        if entry is None or not entry.available or entry.height == 0:
            self.state.send(link, NoBlock(hash=text))
        else:
            self.state.ready.send_blocks.append((link, entry.hash))


def _block_votes(asked: GetBlockVotes, votes: Sequence[SealedVote]) -> Served:
    return Served(block_votes_line(asked.hash, [votes[position].record for position in asked.positions]))


def _check_block_votes(
    build: Callable[[], Block], waited: Set[bytes], election: Election, signatures: SignatureCache
) -> tuple[SealedVote, ...] | Rejected:
    """The votes of a block, all checked but those whose ids are in `waited`, or why not. Runs in a thread."""
    try:
        block = build()
        new = [sealed for sealed in block.votes if sealed.id not in waited]
        check_body(block, election, new)
    except Rejected as error:
        return error
    for sealed, holds in zip(new, signatures.check(new), strict=True):
        if not holds:
            return Rejected("bad-signature", f"the vote of {sealed.voter_id!r} is not signed by its key")
    return block.votes


def _seal_block(header: Header, votes: Sequence[Vote]) -> Block:
    return Block(header, tuple(seal_all(votes)))
